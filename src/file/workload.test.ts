import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CheckedSystem, checkSystem, renderProblems, spellOut } from './index.ts'

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
const us = (max: number): fc.Arbitrary<string> => fc.integer({ min: 1, max }).map(one => `${one}us`)
const share = fc.oneof(
  fc.integer({ min: 0, max: 1000 }).map(one => `${one / 10}%`),
  fc.constantFrom(0.25, 1),
)
const time = fc.oneof(
  us(1e6),
  fc.record({ fixed: us(1e6) }),
  fc.record({ mean: us(1e6) }),
  fc.record({ mean: us(1e6), sigma: fc.double({ min: 0.01, max: 4, noNaN: true }) }),
  us(1e5).map(mean => ({ mean, p99: `${Number.parseInt(mean, 10) * 6}us` })),
  fc
    .array(fc.integer({ min: 1, max: 1e6 }), { minLength: 3, maxLength: 3 })
    .map(all => all.toSorted((a, b) => a - b))
    .map(([low, middle, high]) => ({
      quantiles: { p50: `${low}us`, 'p99.9': `${middle}us`, max: `${high}us` },
    })),
)
const action = fc.record({
  rate: fc
    .tuple(fc.integer({ min: 1, max: 1e7 }), fc.constantFrom('s', 'min', 'h', 'd'))
    .map(([n, unit]) => `${n / 1000}/${unit}`),
  method: maybe(fc.constantFrom('GET', 'POST')),
  response: maybe(fc.constantFrom('20KB', 77)),
  media: maybe(fc.record({ share, bytes: fc.constant('2MB') })),
  objects: maybe(fc.integer({ min: 1, max: 1e9 })),
})
const workload = fc.record({
  actions: fc.dictionary(fc.stringMatching(/^[a-z]{3,8}$/), action, { minKeys: 1, maxKeys: 3 }),
  writes: maybe(fc.record({ rate: fc.constant('3/min'), stored: fc.nat(10_000) })),
  peak: maybe(fc.double({ min: 1, max: 100, noNaN: true })),
  growth: maybe(fc.constantFrom('50%', -0.1)),
  retention: maybe(fc.constantFrom('5y', '30d')),
  services: maybe(
    fc.record({
      web: fc.record({
        time: maybe(time),
        concurrency: maybe(fc.integer({ min: 1, max: 64 })),
        discipline: maybe(fc.constantFrom('fifo', 'lifo', 'shared')),
        boot: maybe(us(1e7)),
        failures: maybe(share),
        calls: maybe(
          fc.constantFrom(
            [],
            [{ database: 'main', writes: 0.1 }],
            [{ service: 'api', times: 2.5 }, { database: 'main' }],
          ),
        ),
      }),
    }),
  ),
  databases: maybe(
    fc.record({ main: fc.record({ read: maybe(time), shipping: maybe(time), indexes: maybe(share) }) }),
  ),
  network: maybe(fc.record({ client: maybe(time), inside: maybe(time) })),
  machine: maybe(
    fc.record({
      zones: maybe(fc.integer({ min: 1, max: 3 })),
      network: maybe(fc.constantFrom('2.5Gbit/s')),
      edge: maybe(us(100)),
    }),
  ),
  targets: maybe(fc.record({ p99: maybe(us(1e6)), availability: maybe(share) })),
})
const fault = fc.constantFrom(
  { kill: 'web-1' },
  { kill: 'web', for: '1s' },
  { slow: 'main-2', times: 2.5 },
  { cut: ['main-1'], from: ['main-2', 'edge'] },
  { delay: 'api', by: '0.35ms' },
  { lag: 'main-2', by: '5s' },
  { surge: 0.5 },
  { fail: 'api-2', share: '0.1%' },
)
const rehearsal = fc.record({
  seed: maybe(fc.nat(1000)),
  duration: maybe(fc.constantFrom('90s', '1h')),
  warmup: maybe(fc.constantFrom('0ms', '5s')),
  arrivals: maybe(
    fc.constantFrom(
      'mean',
      '50/s',
      { level: '0.3/s', times: 3 },
      { times: 4, shape: 'even' },
      { shape: { bursty: 1.5 } },
      {
        shape: { flash: { at: '10s', times: 10 } },
      },
    ),
  ),
  clients: maybe(fc.record({ patience: maybe(fc.constant('2s')), retries: maybe(fc.nat(3)) })),
  edges: maybe(fc.integer({ min: 1, max: 3 })),
  databases: maybe(
    fc.constantFrom({ main: { topology: 'quorum', write: 2, read: 1 } }, { main: { partition: 'serve' } }),
  ),
  // One at a time: whether two contradict each other is for the golden pairs.
  faults: maybe(
    fc
      .array(fc.tuple(fault, fc.nat(80)), { maxLength: 1 })
      .map(all => all.map(([one, at]) => ({ at: `${at}s`, ...one }))),
  ),
  expect: maybe(fc.constantFrom({ p99: '<200ms', staleReads: 0 }, { 'web.utilisation': ['<80%', '>0.1'] })),
})
const systems = fc.record({
  name: fc.constant('shop'),
  edge: fc.constant({ routes: [{ path: '/*', to: 'web' }] }),
  services: fc.constant({ web: { command: 'node web' }, api: { command: 'node api', instances: 3 } }),
  databases: fc.constant({ main: { replicas: 1 } }),
  workload,
  rehearsals: maybe(fc.dictionary(fc.stringMatching(/^[a-z][A-Za-z]{0,8}$/), rehearsal, { maxKeys: 3 })),
})

function mustCheck(data: unknown): CheckedSystem {
  const result = checkSystem(data)
  assert.ok(result.ok, result.ok ? '' : renderProblems('random', result.problems))
  return result.system
}

test('any workload and rehearsals of known keys check, survive JSON, and are the same when spelled out', () => {
  fc.assert(
    fc.property(systems, data => {
      // As a file's JSON: keys without a value are not there.
      const system = mustCheck(JSON.parse(JSON.stringify(data)))
      assert.deepEqual(JSON.parse(JSON.stringify(system)), system)
      assert.deepEqual(mustCheck(spellOut(system)), system)
    }),
    { numRuns: 300 },
  )
})

test('what was said is told apart from what is assumed, also after it is spelled out', () => {
  const shop = {
    name: 'shop',
    services: { web: { command: 'node web' }, api: { command: 'node api' } },
    edge: { routes: [{ path: '/*', to: 'web' }] },
    workload: {
      reads: { rate: '1/s' },
      services: { web: { time: { mean: '2ms', p99: '9ms' } } },
      network: { client: '30ms' },
    },
  }
  const said = [
    'network',
    'network.client',
    'reads',
    'reads.rate',
    'services',
    'services.web',
    'services.web.time',
  ]
  const system = mustCheck(shop)
  assert.deepEqual(system.workload?.said, said)
  assert.deepEqual(Object.keys(system.workload?.services ?? {}), ['web', 'api'])
  assert.deepEqual(mustCheck(spellOut(system)).workload?.said, said)
})

test('overrides of an environment reach into a workload and a rehearsal', () => {
  const shop = {
    name: 'shop',
    services: { web: { command: 'node web' } },
    workload: { reads: { rate: '10/s' }, peak: 2 },
    rehearsals: { peak: { expect: { p99: '<1s' } }, quiet: {} },
    environments: {
      production: {
        workload: { reads: { rate: '500/s' } },
        rehearsals: { peak: { expect: { p99: '<200ms' } }, quiet: null },
      },
    },
  }
  const result = checkSystem(shop, { environment: 'production' })
  assert.ok(result.ok)
  assert.equal(result.system.workload?.actions.reads?.ratePerSecond, 500)
  assert.equal(result.system.workload?.peakFactor, 2)
  assert.deepEqual(Object.keys(result.system.rehearsals), ['peak'])
  assert.equal(result.system.rehearsals.peak?.expect[0]?.value, 200)
})

test('a file with more rehearsals, faults or bounds than are allowed is refused, not worked through', () => {
  const shop = (rehearsals: object): unknown => ({
    name: 'shop',
    services: { web: { command: 'node web' } },
    workload: { reads: { rate: '10/s' } },
    rehearsals,
  })
  const many = <T>(count: number, one: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => one(index))
  const cases: readonly (readonly [object, RegExp])[] = [
    [Object.fromEntries(many(201, index => [`r${index}`, {}])), /at most 200 entries/],
    [{ a: { faults: many(201, index => ({ at: `${index}s`, kill: 'web-1' })) } }, /a list of 0 to 200/],
    [{ a: { expect: { p99: many(201, () => '<1s') } } }, /at most 200 bounds/],
    [{ a: { faults: [{ at: '1s', cut: many(51, () => 'web-1'), from: ['edge'] }] } }, /a list of 1 to 50/],
  ]
  for (const [rehearsals, wanted] of cases) {
    const result = checkSystem(shop(rehearsals))
    assert.ok(!result.ok)
    assert.match(renderProblems('file', result.problems), wanted)
  }
})

test('the page about workloads shows a file that checks', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/operate/workload.md'), 'utf8')
  const [, shown = ''] = /```ts\n([^`]*)```/.exec(page) ?? []
  const keys = new Function(`return { ${shown} }`)() as object
  assert.deepEqual(Object.keys(keys), ['workload', 'rehearsals'])
  const system = mustCheck({
    name: 'shop',
    edge: { routes: [{ path: '/*', to: 'web' }] },
    services: { web: { command: 'node web' }, api: { command: 'node api' } },
    databases: { main: { replicas: 2 } },
    ...keys,
  })
  assert.equal(system.rehearsals.blackFriday?.faults.length, 2)
  assert.equal(system.rehearsals.blackFriday?.expect.length, 4)
})
