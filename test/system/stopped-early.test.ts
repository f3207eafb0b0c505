// A wish to stop that comes before anything serves: obeyed at once, and nothing is left of what had begun.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { site } from '../tools/system-harness.ts'

const mainFile = join(import.meta.dirname, '../../src/cli/main.ts')

test('a wish to stop while the edge is still starting does not wait for requests that cannot be', {
  timeout: 120_000,
}, async t => {
  const shop = site(t)
  // A liveness bound: waiting for the drain would take 10 minutes.
  shop.describe({ services: { web: shop.service() }, edge: { drainTimeout: '10m' } })
  const child = spawn(process.execPath, [mainFile, 'up', '--no-watch', '--json'], {
    cwd: shop.directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit', { signal: AbortSignal.timeout(60_000) })
  let asked = false
  for await (const line of createInterface({ input: child.stdout })) {
    if (asked || !/"subject":"edge".*"starting"/.test(line)) continue
    asked = child.kill('SIGTERM')
  }
  const [code, signal] = await exited
  assert.deepEqual({ asked, code, signal }, { asked: true, code: 1, signal: null })
  for (const file of ['lock.json', 'edge/process.json']) {
    assert.ok(!existsSync(join(shop.directory, '.tenfold', file)), `${file} is gone`)
  }
})
