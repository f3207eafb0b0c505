// The public HTTP cache suite (npm `http-cache-tests`) through an edge with one cached route: every result is what the
// stored list says, and whatever deviates has its reason in docs/reference/http-cache-conformance.md. With
// UPDATE_EXPECTED=1 the list is written anew.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { cachedRoute, withCache } from '../tools/cached-edge.ts'
import { startEdge } from '../tools/edge-harness.ts'

const expectedFile = join(import.meta.dirname, 'cache-suite.expected.json')
const document = join(import.meta.dirname, '../../docs/reference/http-cache-conformance.md')
const suite = dirname(createRequire(import.meta.url).resolve('http-cache-tests/package.json'))
const suiteMs = 240_000

interface SuiteTest {
  readonly id: string
  readonly kind?: string
  readonly browser_only?: boolean
}
type Results = Readonly<Record<string, true | readonly [string, string]>>

test('the public cache suite answers as expected: all that can be required, 95 % of the optimal', {
  timeout: suiteMs,
}, async t => {
  const origin = await startOrigin(t)
  const edge = await startEdge(t, {
    workers: 2,
    members: [{ host: 'localhost', port: origin }],
    routes: [cachedRoute('/*', { heuristics: true, shareCookies: true })],
    more: withCache(),
  })
  const results = await runSuite(t, edge.url)
  const tests = await suiteTests()
  const seen = Object.fromEntries(tests.map(({ id }) => [id, results[id] === true ? 'pass' : 'fail']))
  if (process.env.UPDATE_EXPECTED === '1') writeFileSync(expectedFile, `${JSON.stringify(seen, null, 2)}\n`)
  const expected = JSON.parse(readFileSync(expectedFile, 'utf8')) as Record<string, string>
  const otherwise = tests.filter(({ id }) => seen[id] !== expected[id])
  assert.deepEqual(
    otherwise.map(({ id }) => `${id}: ${JSON.stringify(results[id])}, expected ${expected[id]}`),
    [],
  )
  const reasons = readFileSync(document, 'utf8')
  const failed = (kind: string): string[] =>
    tests.filter(one => (one.kind ?? 'required') === kind && seen[one.id] !== 'pass').map(({ id }) => id)
  for (const id of [...failed('required'), ...failed('optimal')])
    assert.ok(reasons.includes(`\`${id}\``), `${id} has a reason in the document`)
  const optimal = tests.filter(({ kind }) => kind === 'optimal').length
  assert.ok(failed('optimal').length <= optimal * 0.05, `${failed('optimal').length} of ${optimal}`)
  assert.ok(tests.length >= 350)
})

async function suiteTests(): Promise<SuiteTest[]> {
  const load = async (name: string): Promise<unknown> =>
    ((await import(join(suite, 'tests', name))) as { default: unknown }).default
  const groups = [...((await load('index.mjs')) as { tests: SuiteTest[] }[])]
  const surrogate = (await load('surrogate-control.mjs')) as { tests: SuiteTest[] }
  return [...groups, surrogate].flatMap(({ tests }) => tests).filter(one => one.browser_only !== true)
}

/** The suite's own origin, on a port that is free. */
async function startOrigin(t: TestContext): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-suite-'))
  const settings = {
    npm_config_port: '0',
    npm_config_protocol: 'http',
    npm_config_pidfile: join(folder, 'pid'),
  }
  const child = start(t, 'server/server.mjs', settings)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  let said = ''
  return await new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const port = /:(\d+)\/\s/.exec(said)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
    child.once('exit', code => reject(new Error(`the suite's origin ended with ${code}: ${said}`)))
  })
}

async function runSuite(t: TestContext, base: string): Promise<Results> {
  // Both ids empty: the program takes an unset one for the name of a test.
  const settings = { npm_config_base: base, npm_config_id: '', npm_package_config_id: '' }
  const child = start(t, 'cli.mjs', settings)
  let said = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  assert.equal(code, 0, said)
  return JSON.parse(said) as Results
}

function start(t: TestContext, program: string, settings: Record<string, string>): ChildProcess {
  const env = { ...process.env, ...settings }
  const child = spawn(process.execPath, [join(suite, program)], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise(resolve => child.once('exit', resolve))
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return child
}
