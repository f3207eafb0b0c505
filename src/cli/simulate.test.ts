// `tenfold simulate` as somebody types it: real processes, real files.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

const main = join(import.meta.dirname, 'main.ts')

interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

function folder(t: TestContext, system: object, files: Readonly<Record<string, string>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-simulate-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'tenfold.config.ts'), `export default ${JSON.stringify(system)}`)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

function simulate(cwd: string, ...args: string[]): Promise<Ran> {
  return new Promise(resolve => {
    execFile(process.execPath, [main, 'simulate', ...args], { cwd, timeout: 60_000 }, (error, out, text) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, error: text })
    })
  })
}

const expect = { p99: '<100ms', errors: '<50%' }
const shop = {
  name: 'shop',
  edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'api' }] },
  services: { api: { command: 'node api.mjs', instances: { min: 2, max: 4 }, retry: { attempts: 0 } } },
  workload: { actions: { ask: { rate: '50/s', path: '/' } }, services: { api: { time: '2ms' } } },
  rehearsals: {
    calm: { duration: '20s', arrivals: 'mean', expect },
    bad: {
      duration: '20s',
      arrivals: 'mean',
      expect,
      faults: [
        { at: '2s', for: '1s', slow: 'api-1', times: 2 },
        { at: '5s', for: '5s', slow: 'api', times: 200 },
        { at: '15s', kill: 'api-2' },
      ],
    },
  },
}

test('all rehearsals are played; --check fails where an expectation does, and the same seed gives the same run', async t => {
  const directory = folder(t, shop)
  const ran = await simulate(directory)
  assert.equal(ran.code, 0, ran.error)
  assert.match(ran.out, /shop · calm {2}as expected/)
  assert.match(ran.out, /shop · bad {2}1 of 2 expectations failed/)
  assert.equal((await simulate(directory, '--check')).code, 1)
  assert.equal((await simulate(directory, 'calm', '--check')).code, 0)
  const hash = async (...args: string[]): Promise<string> => {
    const { out } = await simulate(directory, 'calm', '--json', ...args)
    return (JSON.parse(out) as { results: { hash: string }[] }).results[0]?.hash ?? ''
  }
  assert.equal(await hash(), await hash())
  assert.notEqual(await hash('--seed', '7'), await hash())
})

test('--shrink names the faults without which all would be well', async t => {
  const { out, code } = await simulate(folder(t, shop), 'bad', '--shrink')
  assert.equal(code, 0)
  assert.match(out, /It takes 1 of 3 faults to go wrong \(3 tries\):\n {2}at 5 s, for 5 s: slow api 200 x/)
})

test("what can't be is told in a sentence: no workload, unknown names, bad seeds and samples, traces that are none", async t => {
  const { workload: _, rehearsals: __, ...plain } = shop
  const without = await simulate(folder(t, plain))
  assert.equal(without.code, 2)
  assert.match(without.error, /CLI_WORKLOAD_MISSING/)
  assert.match(without.error, /has no 'workload'/)
  const directory = folder(
    t,
    {
      ...shop,
      rehearsals: {
        ...shop.rehearsals,
        gone: { duration: '5s', arrivals: { level: 'mean', shape: { trace: 'gone.csv' } } },
        odd: { duration: '5s', arrivals: { level: 'mean', shape: { trace: 'odd.csv' } } },
      },
    },
    { 'odd.csv': 'time,count\n0,5\n1,many\n' },
  )
  const unknown = await simulate(directory, 'toString')
  assert.equal(unknown.code, 2)
  assert.match(unknown.error, /CLI_REHEARSAL_UNKNOWN/)
  assert.match(unknown.error, /There are: calm, bad, gone, odd, peak/)
  assert.match((await simulate(directory, 'calm', '--seed', '-1')).error, /CLI_OPTION_INVALID/)
  assert.match((await simulate(directory, 'gone')).error, /CLI_TRACE_UNREADABLE/)
  assert.match((await simulate(directory, 'odd')).error, /line 3 has the count 'many'/)
  const few = await simulate(directory, 'calm', '--sample', '10')
  assert.equal(few.code, 2)
  assert.match(few.error, /CLI_SAMPLE_INVALID/)
  assert.match(few.error, /'api' has 2 instances/)
})

test('--compare plays the same requests by another file: one more instance is better, another seed is chance', async t => {
  const busy = (instances: number): object => ({
    name: 'busy',
    edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'api' }] },
    services: { api: { command: 'node api.mjs', instances } },
    workload: { actions: { ask: { rate: '140/s', path: '/' } }, services: { api: { time: '10ms' } } },
    rehearsals: { usual: { duration: '60s', arrivals: 'mean' } },
  })
  const directory = folder(t, busy(2), { 'more.config.ts': `export default ${JSON.stringify(busy(3))}` })
  const more = await simulate(directory, 'usual', '--compare', 'more.config.ts')
  assert.equal(more.code, 0, more.error)
  assert.match(more.out, /all +mean .* better\n/)
  assert.match(more.out, /all +throughput .*no difference/)
  const chance = await simulate(directory, 'usual', '--compare', 'seed:7')
  assert.match(chance.out, /all +mean .*no difference that chance does not explain/)
  const gone = await simulate(directory, 'usual', '--compare', 'nowhere.config.ts')
  assert.equal(gone.code, 2)
})

test('a trace gives the arrivals, and one in k of a wide service stands for all of it', async t => {
  const wide = {
    name: 'wide',
    edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 's' }] },
    services: {
      s: {
        addresses: Array.from(
          { length: 400 },
          (_, at) => `10.0.${Math.floor(at / 200)}.${(at % 200) + 1}:80`,
        ),
        health: false,
        balance: 'two-choices',
      },
    },
    workload: {
      actions: { ask: { rate: '32000/s', path: '/' } },
      services: { s: { time: '10ms' } },
      network: { client: '0ms', inside: '0ms' },
      machine: { edge: '0us' },
    },
    rehearsals: {
      whole: { duration: '10s', warmup: '1s', arrivals: 'mean' },
      day: { duration: '4s', warmup: '0s', arrivals: { level: '1000/s', shape: { trace: 'day.csv' } } },
    },
  }
  const directory = folder(t, wide, { 'day.csv': 'second,count\n0,30\n1,10\n2,0\n3,0\n' })
  const of = async (...args: string[]) => {
    const { out, error } = await simulate(directory, '--json', ...args)
    assert.equal(error, '')
    assert.match(out, /results/)
    return (JSON.parse(out) as { results: [Result] }).results[0]
  }
  const [whole, sample] = [await of('whole'), await of('whole', '--sample', '4')]
  assert.deepEqual(sample.method, { kind: 'sampled', k: 4 })
  const means = [whole, sample].map(({ traffic }) => traffic[0].latency.mean.value)
  assert.ok(Math.abs((means[1] ?? 0) / (means[0] ?? 1) - 1) < 0.03, `${means}`)
  assert.ok(Math.abs(sample.traffic[0].arrived / whole.traffic[0].arrived - 1) < 0.02)
  const day = await of('day')
  // 1,000 a second is the trace's mean of ten: three quarters come in the first second.
  assert.ok(Math.abs(day.traffic[0].arrived / 4_000 - 1) < 0.06, `${day.traffic[0].arrived}`)
})

interface Result {
  readonly method: object
  readonly traffic: [
    { readonly arrived: number; readonly latency: { readonly mean: { readonly value: number } } },
  ]
}
