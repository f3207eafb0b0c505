// Runs the contract in Bun, in one process, and makes each case a test of its own here.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { netContract } from './testing/net.contract.ts'

const bun = fileURLToPath(new URL('../../node_modules/.bin/bun', import.meta.url))
const module = (name: string): string => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)))

const program = `
import { netContract } from ${module('./testing/net.contract.ts')}
import { bunNet } from ${module('./net-bun.ts')}
globalThis.gc = () => Bun.gc(true)
for (const { name, run } of netContract) {
  let error = null
  await run(bunNet).catch(cause => { error = cause?.stack || String(cause) })
  console.log(JSON.stringify({ name, error }))
}
process.exit(0)`

interface Outcome {
  readonly name: string
  readonly error: string | null
}

async function outcomes(): Promise<{ cases: Outcome[]; noise: string }> {
  const child = spawn(bun, ['-e', program], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 240_000 })
  let output = ''
  let noise = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    noise += text
  })
  await new Promise<void>((resolve, reject) => {
    child.once('error', cause => reject(new Error(`${bun} can't be run: npm install brings it`, { cause })))
    child.once('close', () => resolve())
  })
  const cases = output.split('\n').filter(Boolean)
  return { cases: cases.map(line => JSON.parse(line) as Outcome), noise }
}

test('the Bun driver keeps the contract', async suite => {
  const { cases, noise } = await outcomes()
  for (const { name } of netContract) {
    await suite.test(`Bun: ${name}`, () => {
      const outcome = cases.find(one => one.name === name)
      assert.ok(outcome, `Bun did not come to this case: ${noise}`)
      assert.equal(outcome.error, null)
    })
  }
})
