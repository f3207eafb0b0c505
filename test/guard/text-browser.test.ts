// Row 27: a text browser without scripts (w3m, Debian) reads the challenge's page and gets to what it wanted, by waiting.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { until } from '../tools/edge-harness.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { routes } from './challenges.ts'
import { policyOf, specOf, startGuardedEdge } from './harness.ts'

const run = promisify(execFile)

/** One user's w3m: its cookies are kept between pages. */
function textBrowser(t: TestContext): (url: string, ...flags: string[]) => Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'tenfold-w3m-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  return async (url, ...flags) => {
    const all = [
      '-cookie',
      '-o',
      'accept_cookie=1',
      '-o',
      'meta_refresh=0',
      '-o',
      'use_proxy=0',
      ...flags,
      url,
    ]
    return (await run('w3m', all, { env: { ...process.env, HOME: home }, timeout: 30_000 })).stdout
  }
}

test('row 27: a text browser reads what is asked of it and gets in by waiting', async t => {
  const site = '<!doctype html><html lang="en"><title>Shop</title><h1>All the shows</h1></html>'
  const spec = specOf([policyOf('trial', { challenge: 'always' })])
  const edge = await startGuardedEdge(
    t,
    spec,
    { routes },
    answering(() => ok(site, 'Content-Type: text/html\r\n')),
  )
  const open = textBrowser(t)
  const url = `${edge.edge.url}/shows`
  const text = await open(url, '-dump')
  assert.doesNotMatch(text, /All the shows/)
  assert.match(text, /wait/i)
  const source = await open(url, '-dump_source')
  const way = /<noscript><meta http-equiv="refresh" content="\d+; url=([^"]+)">/.exec(source)?.[1]
  assert.ok(way !== undefined)
  await until('its time has come', async () =>
    (await open(edge.edge.url + way, '-dump')).includes('All the shows'),
  )
  // It keeps what it got.
  assert.match(await open(url, '-dump'), /All the shows/)
})
