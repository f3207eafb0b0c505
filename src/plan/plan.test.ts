// The estimate against sums that were done by hand, and attacked.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type CheckedSystem, checkSystem } from '../file/index.ts'
import { downtime, type Plan, type Prices, parallel, planOf, pricesOf, series, valueText } from './index.ts'

function systemOf(more: object): CheckedSystem {
  const result = checkSystem({ name: 'shop', services: { web: { command: 'node web.mjs' } }, ...more })
  assert.ok(result.ok, JSON.stringify('problems' in result ? result.problems : []))
  return result.system
}

const shipped = JSON.parse(readFileSync(new URL('../../prices/2026-11.json', import.meta.url), 'utf8'))
const prices = pricesOf(shipped) as Prices

function planned(more: object, options = {}): Plan {
  const made = planOf(systemOf(more), prices, options)
  assert.ok(made.ok, JSON.stringify('problems' in made ? made.problems : []))
  return made.plan
}

function figure(plan: Plan, id: string): number {
  const found = plan.quantities.find(one => one.id === id)
  assert.ok(found, `no figure ${id}`)
  assert.notEqual(found.value, null, `${id}: ${found.why}`)
  return found.value as number
}

const close = (actual: number, expected: number, share = 1e-9): void =>
  assert.ok(Math.abs(actual - expected) <= share * Math.abs(expected), `${actual} is not ${expected}`)

const network = {
  workload: {
    dailyUsers: 100_000_000,
    reads: { perUser: 1000 },
    writes: { perUser: 10, stored: '400B', media: { share: 0.1, bytes: 2_000_000 } },
  },
}

test('100 million daily users, 10 posts and 1,000 reads each: 1e9 writes and 1e11 reads a day, 200.4 TB stored', () => {
  const plan = planned(network)
  close(figure(plan, 'load.writesPerDay'), 1e9)
  close(figure(plan, 'load.readsPerDay'), 1e11)
  close(figure(plan, 'load.mean'), 1.01e11 / 86_400)
  close(figure(plan, 'load.peak'), (3 * 1.01e11) / 86_400)
  // By hand: 1e9 posts x 400 B = 400 GB, 1e8 photos x 2 MB = 200 TB.
  close(figure(plan, 'storage.writes.perDay'), 400e9)
  close(figure(plan, 'storage.mediaPerDay'), 200e12)
  close(figure(plan, 'storage.perDay'), 200.4e12)
  close(figure(plan, 'storage.perYear'), 200.4e12 * 365)
  assert.equal(valueText(figure(plan, 'load.mean'), 'requests/s'), '1.17 million/s')
  assert.equal(valueText(figure(plan, 'storage.perDay'), 'bytes/day'), '200 TB a day')
})

test('10,000 requests/s of 10 ms on servers of 4 cores: 100 cores, 25 servers; 42 at 60 %, 43 with one to spare', () => {
  const plan = planned({
    workload: {
      reads: { rate: '10000/s' },
      peak: 1,
      services: { web: { time: '10ms', concurrency: 4 } },
    },
  })
  close(figure(plan, 'services.web.rate'), 10_000)
  close(figure(plan, 'services.web.cores'), 100)
  assert.equal(figure(plan, 'services.web.least'), 25)
  assert.equal(figure(plan, 'services.web.needed'), 42)
  assert.equal(figure(plan, 'services.web.withSpare'), 43)
  assert.equal(plan.has.find(one => one.what === 'instances of web')?.needs, 43)
})

test('twice 99.9 % in sequence is 99.8 %, in parallel 99.9999 %; 99.9 % is 43.2 minutes a month', () => {
  const [sequence, side, month] = [series([0.999, 0.999]), parallel([0.999, 0.999]), downtime(0.001)]
  assert.ok(sequence.ok && side.ok && month.ok)
  close(sequence.value.up, 0.998001)
  close(side.value.up, 0.999999)
  close(month.value.perMonthSeconds, 43.2 * 60)
  assert.equal(valueText(sequence.value.up, 'availability'), '99.8 %')
  assert.equal(valueText(side.value.up, 'availability'), '99.9999 %')
})

test('the formula that a figure shows gives its value, from the inputs that it shows', () => {
  const plan = planned(withDatabase)
  const byId = new Map(plan.quantities.map(one => [one.id, one]))
  for (const one of plan.quantities)
    for (const input of one.inputs) {
      assert.match(one.formula, new RegExp(`\\b${input.name}\\b`), `${one.id} shows ${input.name}`)
      if (input.from.kind === 'figure') assert.equal(byId.get(input.from.path)?.value, input.value, one.id)
    }
  const peak = byId.get('load.reads.peak')
  assert.equal(peak?.formula, 'mean * peak_factor')
  assert.deepEqual(
    peak?.inputs.map(one => one.from),
    [
      { kind: 'figure', path: 'load.reads.mean' },
      { kind: 'assumed', path: 'workload.peak' },
    ],
  )
})

const withDatabase = {
  databases: { main: { replicas: 2, reads: 'any', listen: 6432 } },
  workload: {
    reads: { rate: '1000/s' },
    writes: { rate: '100/s', stored: '1KB' },
    retention: '1y',
    growth: '50%',
    services: {
      web: {
        time: '1ms',
        calls: [
          { database: 'main', reads: 2 },
          { database: 'main', reads: 0, writes: 0.5 },
        ],
      },
    },
    databases: { main: { read: '1ms', write: '2ms', apply: '0.5ms', cores: 8 } },
  },
}

test('statements follow calls: reads go to replicas, which replay all writes', () => {
  const plan = planned(withDatabase)
  // The peak is 3 times the mean: 3,300 requests/s, two reads and half a write each.
  close(figure(plan, 'databases.main.reads'), 6600)
  close(figure(plan, 'databases.main.writes'), 1650)
  close(figure(plan, 'databases.main.primary'), (1650 * 0.002) / 8)
  close(figure(plan, 'databases.main.replica'), (6.6 / 2 + 1650 * 0.0005) / 8)
  close(figure(plan, 'databases.main.replay'), 1650 * 0.0005)
  assert.equal(figure(plan, 'databases.main.replicasNeeded'), 2)
  close(figure(plan, 'storage.main.kept'), 100 * 86_400 * 1024 * 1.5 * 365)
  close(figure(plan, 'storage.main.copies'), 3 * 100 * 86_400 * 1024 * 1.5 * 365)
})

test('what breaks is ordered by load, and the replay of writes comes before the primary', () => {
  const plan = planned({ ...withDatabase, services: { web: { command: 'node web.mjs', instances: 10 } } })
  const order = plan.breaks.map(one => one.at)
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  )
  const at = (id: string): number => plan.breaks.find(one => one.id === `limits.main.${id}`)?.at as number
  close(at('replay'), 1 / (1650 * 0.0005))
  close(at('primary'), 8 / (1650 * 0.002))
  assert.ok(at('replay') < at('primary'))
  // With twice the load everything breaks at half.
  const twice = planned(
    { ...withDatabase, services: { web: { command: 'node web.mjs', instances: 10 } } },
    { times: 2 },
  )
  close(twice.breaks.find(one => one.id === 'limits.main.replay')?.at as number, at('replay') / 2)
})

test('steps of growth: indexes before a bigger machine before caches before replicas, none before it is needed', () => {
  const plan = planned(withDatabase)
  const place = (id: string): number => plan.growth.findIndex(one => one.id === `growth.main.${id}`)
  const order = ['index', 'machine', 'cache', 'replicas'].map(place)
  assert.ok(order.every(one => one >= 0))
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  )
  const quiet = planned({
    ...withDatabase,
    workload: { ...withDatabase.workload, reads: { rate: '1/s' }, writes: { rate: '0.1/s' } },
  })
  for (const id of ['index', 'machine', 'shard', 'replicas'])
    assert.ok((quiet.growth.find(one => one.id === `growth.main.${id}`)?.at as number) > 1, id)
})

test('no replica is asked for while the primary bears all; one more machine only where availability is missed', () => {
  const calm = {
    ...withDatabase,
    workload: { ...withDatabase.workload, reads: { rate: '10/s' }, writes: { rate: '1/s' } },
  }
  assert.equal(figure(planned(calm), 'databases.main.replicasNeeded'), 0)
  const wanted = (availability: string): Plan =>
    planned({ ...calm, workload: { ...calm.workload, targets: { availability } } })
  const step = (plan: Plan): unknown => plan.growth.find(one => one.id === 'growth.redundancy')?.what
  assert.equal(step(wanted('99%')), undefined)
  assert.equal(step(wanted('99.999%')), 'another machine for the edge: a redundant pair')
  close(figure(wanted('99.9%'), 'availability.allowedPerMonth'), 43.2 * 60)
})

test('a service that can not do its work is said to be unstable, and has no mean, nor has anything that waits for it', () => {
  const plan = planned({ workload: { reads: { rate: '1000/s' }, services: { web: { time: '10ms' } } } })
  const mean = plan.quantities.find(one => one.id === 'services.web.meanTime')
  assert.equal(mean?.value, null)
  assert.match(mean?.why ?? '', /unstable: .*no mean/)
  assert.equal(plan.quantities.find(one => one.id === 'latency.mean')?.value, null)
  assert.equal(plan.quantities.find(one => one.id === 'load.concurrency')?.value, null)
  assert.deepEqual(
    plan.unstable.map(one => one.path),
    ['services.web.instances.max'],
  )
  // What needs no mean is there all the same.
  assert.equal(figure(plan, 'services.web.least'), 30)
})

test('ranges hold the value, and grow with what is only assumed', () => {
  const plan = planned(withDatabase)
  let seen = 0
  for (const { id, value, low, high } of plan.quantities)
    if (low !== null && high !== null && value !== null) {
      seen++
      assert.ok(low <= value && value <= high, `${id}: ${low} ${value} ${high}`)
    }
  assert.ok(seen > 40)
  const spread = (system: object): number => {
    const one = planned(system).quantities.find(each => each.id === 'services.web.cores')
    return (one?.high as number) / (one?.low as number)
  }
  const said = { workload: { reads: { rate: '10/s' }, peak: 3, services: { web: { time: '5ms' } } } }
  assert.ok(spread(said) < spread({ workload: { reads: { rate: '10/s' } } }))
})

test('the cost of a month depends on something, and every part of it is in the sum', () => {
  const plan = planned(withDatabase)
  const parts = plan.quantities.filter(
    one => one.section === 'cost' && !['cost.month', 'cost.perMillion'].includes(one.id),
  )
  close(
    figure(plan, 'cost.month'),
    parts.reduce((sum, one) => sum + (one.value as number), 0),
  )
  assert.ok(plan.influences.length > 3)
  const sizes = plan.influences.map(one => Math.abs(one.elasticity))
  assert.deepEqual(
    sizes,
    sizes.toSorted((a, b) => b - a),
  )
})

test('the load at which a tier misses p99 is where its own p99 is the target', () => {
  const system = {
    services: { web: { command: 'node web.mjs', instances: 1 } },
    workload: {
      reads: { rate: '10/s' },
      peak: 1,
      services: { web: { time: '10ms' } },
      targets: { p99: '100ms' },
    },
  }
  // M/M/1: p99 = ln(100) S / (1 - u), here at u = 1 - ln(100) / 10.
  const at = planned(system).breaks.find(one => one.id === 'limits.web.p99')?.at as number
  close(at, (1 - Math.log(100) / 10) / 0.1, 1e-6)
  close(figure(planned(system, { times: Number(at.toFixed(6)) }), 'services.web.p99'), 0.1, 1e-4)
  // At 1,000/s a common queue needs fewer than queues of their own, and both more than the work alone.
  const busy = planned(system, { times: 100 })
  const [pooled, own] = ['pooledForP99', 'ownQueuesForP99'].map(id => figure(busy, `services.web.${id}`))
  assert.ok(10 < (pooled as number) && (pooled as number) < (own as number), `${pooled} ${own}`)
})

test('shared cores, queues of one and queues of several have the means of their models', () => {
  const mean = (service: object): number =>
    figure(
      planned({
        services: { web: { command: 'node web.mjs', instances: 1 } },
        workload: { reads: { rate: '80/s' }, peak: 1, services: { web: { time: '10ms', ...service } } },
      }),
      'services.web.meanTime',
    )
  // Utilisation .8: M/M/1 is 5 service times; M/M/2 at a = .8 is 1 / (1 - .4^2).
  close(mean({}), 0.05)
  close(mean({ discipline: 'shared' }), 0.05)
  close(mean({ concurrency: 2 }), 0.01 / (1 - 0.16))
  close(mean({ concurrency: 2, discipline: 'shared' }), 0.01 / (1 - 0.16))
})

test('growth and times multiply: three years of 50 % at twice the load', () => {
  const plan = planned(withDatabase, { times: 2, growthYears: 3 })
  close(figure(plan, 'load.mean'), 1100 * 2 * 1.5 ** 3)
})

test('shares of splits and canaries, caches before calls, and routes decide who gets what', () => {
  const plan = planned({
    services: {
      web: { command: 'node web.mjs' },
      next: { command: 'node next.mjs' },
      api: { command: 'node api.mjs' },
    },
    caches: { shared: { redis: 'redis://127.0.0.1:6379' } },
    edge: {
      routes: [
        { path: '/api/*', to: 'api' },
        { path: '/*', to: 'web', canary: { to: 'next', share: '10%' } },
      ],
    },
    workload: {
      peak: 1,
      reads: { rate: '100/s', path: '/films' },
      actions: { call: { rate: '7/s', path: '/api/x' } },
      caches: { shared: { hitRatio: 0.8 } },
      services: {
        web: {
          calls: [
            { cache: 'shared', times: 0.5 },
            { service: 'api', times: 2 },
          ],
        },
      },
    },
  })
  close(figure(plan, 'services.web.rate'), 90)
  close(figure(plan, 'services.next.rate'), 10)
  close(figure(plan, 'services.api.rate'), 7 + 90 * 2 * (1 - 0.8 * 0.5))
  close(figure(plan, 'caches.shared.asked'), 45)
})

test("the edge's cache takes off what Che's approximation says, or what was measured", () => {
  const cached = (caches: object): Plan =>
    planned({
      edge: { routes: [{ path: '/*', to: 'web', cache: { ttl: '1h' } }] },
      workload: { peak: 1, reads: { rate: '1000/s', objects: 100_000, popularity: 1 }, caches },
    })
  // Zipf 1.0 over 1e5, a hundredth of them held: 0.5062 in the table of the formulas' tests.
  close(figure(cached({ edge: { entries: 1000 } }), 'caches.edge.reads.hits'), 0.5062, 1e-3)
  close(figure(cached({ edge: { hitRatio: 0.9 } }), 'services.web.rate'), 100)
})

test('without a workload, and with loads that can not be, it says what to write', () => {
  const none = planOf(systemOf({}), prices)
  assert.ok(!none.ok)
  assert.match(none.problems[0]?.remedy ?? '', /workload: \{/)
  const system = systemOf(network)
  for (const times of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e7])
    assert.equal(planOf(system, prices, { times }).ok, false, String(times))
  for (const growthYears of [-1, Number.NaN, 51])
    assert.equal(planOf(system, prices, { growthYears }).ok, false)
})

test('what the edge answers by itself needs no service, and a service that nobody asks is not unstable', () => {
  const plan = planned({
    edge: { routes: [{ path: '/*', respond: { status: 200, body: 'hi' } }] },
    workload: { reads: { rate: '10/s' }, writes: { rate: '1/s', stored: '1KB' } },
  })
  assert.equal(figure(plan, 'services.web.rate'), 0)
  assert.ok(figure(plan, 'latency.mean') < 0.001)
  assert.deepEqual(plan.unstable, [])
  close(figure(plan, 'storage.elsewherePerDay'), 86_400 * 1024)
})

test('the largest and the smallest of everything give finite figures or a reason', () => {
  const huge = {
    workload: {
      dailyUsers: 100_000_000_000,
      reads: { perUser: 1_000_000, response: '1TB', objects: 1e12, popularity: 0 },
      writes: { perUser: 1_000_000, stored: '1TB', media: { share: 1, bytes: '1TB' } },
      retention: '1000y',
      peak: 1000,
    },
    databases: { main: {} },
  }
  const tiny = {
    workload: { dailyUsers: 1, reads: { perUser: 0.000001, response: '0B' }, retention: '1s' },
    databases: { main: {} },
  }
  for (const system of [huge, tiny])
    for (const one of planned(system).quantities) {
      if (one.value === null) assert.ok((one.why ?? '').length > 10, one.id)
      else assert.ok(Number.isFinite(one.value) && one.value >= 0, `${one.id}: ${one.value}`)
    }
})

test('price files: what is shipped is right, and what is wrong in one is named', () => {
  assert.equal(prices.currency, 'USD')
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [null, /no JSON object/],
    [[], /no JSON object/],
    [{ ...shipped, date: 'now' }, /no 'date'/],
    [{ ...shipped, currency: 'dollars' }, /'currency'/],
    [{ ...shipped, extra: 1 }, /unknown key 'extra'/],
    [{ ...shipped, prices: { ...shipped.prices, egressGb: -1 } }, /prices.egressGb = -1/],
    [{ ...shipped, prices: { ...shipped.prices, egressGb: '1' } }, /prices.egressGb = "1"/],
    [{ ...shipped, prices: { ...shipped.prices, egressGB: 1 } }, /unknown price 'egressGB'/],
    [{ ...shipped, prices: {} }, /lacks prices.vcpuHour/],
  ]
  for (const [value, sentence] of wrong) {
    const made = pricesOf(value)
    assert.ok('why' in made)
    assert.match(made.why, sentence)
  }
})
