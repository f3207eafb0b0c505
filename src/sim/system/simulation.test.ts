// A simulated system against what is known: queues by closed forms and published tables, retries, patience, caches, deaths.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { all, play, queues } from '../testing/play.ts'

function near(value: number, wanted: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(value / wanted - 1) <= tolerance, `${what}: ${value} instead of ${wanted}`)
}

test('one file, rehearsal and seed give one run, in whatever steps it is driven; another seed another', () => {
  const file = queues({ servers: 3, load: 0.7, balance: 'two-choices', seconds: 50 })
  const first = play(file)
  assert.deepEqual(play(file, { step: 997 }), first)
  assert.notEqual(play(file, { seed: 2 }).hash, first.hash)
  assert.ok(first.draws > first.events / 4)
})

test('a queue of one server waits as M/M/1 does: mean 1 / (1 - load), p99 4.605 times that', () => {
  for (const [load, seconds] of [
    [0.5, 4_000],
    [0.8, 16_000],
  ] as const) {
    const result = play(queues({ servers: 1, load, seconds }))
    const { latency } = all(result)
    assert.ok(latency !== null)
    near(latency.mean.value, 10_000 / (1 - load), 0.04, `mean at ${load}`)
    near(latency.p99.value, (4.605 * 10_000) / (1 - load), 0.06, `p99 at ${load}`)
    near(result.parts.find(({ id }) => id === 's')?.utilisation?.value ?? 0, load, 0.02, 'busy')
    assert.ok(Math.abs(latency.mean.value - 10_000 / (1 - load)) < 3 * (latency.mean.halfWidth ?? 0))
  }
})

test('the balancing policies of production over 100 servers at load 0.9 give the published means', () => {
  const published: [string, number, number][] = [
    ['random', 100.7, 0.08],
    ['round-robin', 52.4, 0.08],
    ['two-choices', 26.58, 0.03],
    ['least-connections', 10.65, 0.03],
  ]
  for (const [balance, meanMs, tolerance] of published) {
    const { latency } = all(play(queues({ servers: 100, load: 0.9, balance, seconds: 60 })))
    near(latency?.mean.value ?? 0, meanMs * 1_000, tolerance, balance)
  }
})

test('each of many edges sees only its own requests: least connections by them is worse than by one', () => {
  const mean = (edges: number): number => {
    const file = queues({
      servers: 50,
      load: 0.9,
      balance: 'least-connections',
      seconds: 60,
      rehearsal: { edges },
    })
    return all(play(file)).latency?.mean.value ?? 0
  }
  const [one, fifty] = [mean(1), mean(50)]
  assert.ok(fifty > one * 1.5, `${one} us by one edge, ${fifty} us by fifty`)
})

test('more work than can be done is said to be unstable, and has no mean; a bounded queue refuses instead', () => {
  const unbounded = play(queues({ servers: 1, load: 1.2, seconds: 200 }))
  assert.equal(unbounded.unstable[0]?.part, 's')
  assert.match(unbounded.unstable[0]?.why ?? '', /more work comes than can be done/)
  assert.equal(all(unbounded).latency, null)
  for (const load of [3, 30])
    assert.equal(play(queues({ servers: 2, load, seconds: 37 })).unstable.length, 1, `${load}`)
  const bounded = play(queues({ servers: 1, load: 1.2, seconds: 2_000, service: { queue: 9 } }))
  assert.deepEqual(bounded.unstable, [])
  // M/M/1/K with K = 10 at 1.2: 19.26 % are lost.
  near(all(bounded).refused / all(bounded).arrived, 0.19259, 0.04, 'refused')
})

test('last come first served and shared cores keep the mean and change who waits', () => {
  const of = (discipline: string): { mean: number; p99: number } => {
    const { latency } = all(play(queues({ servers: 1, load: 0.7, seconds: 6_000, service: { discipline } })))
    return { mean: latency?.mean.value ?? 0, p99: latency?.p99.value ?? 0 }
  }
  const [fifo, lifo, shared] = [of('fifo'), of('lifo'), of('shared')]
  near(fifo.mean, 33_333, 0.05, 'fifo')
  near(lifo.mean, 33_333, 0.05, 'lifo')
  near(shared.mean, 33_333, 0.05, 'shared')
  assert.ok(lifo.p99 > fifo.p99 * 1.5)
})

test('a service that fails half of its answers is asked 1.75 times as often with three tries, and an eighth still fails', () => {
  const upstream = { retry: { attempts: 2, onStatus: [500], share: 1, budgetMin: 1_000 } }
  const file = queues({ servers: 4, load: 0.2, seconds: 200, upstream, service: { failures: '50%' } })
  const one = all(play(file))
  near((one.arrived + one.edgeRetries) / one.arrived, 1.75, 0.02, 'load')
  near(one.failed / one.arrived, 0.125, 0.06, 'failures')
})

test('impatient clients give up, and come back as often as they are meant to', () => {
  const clients = { patience: '50ms', retries: 2, backoff: '10ms' }
  const file = queues({ servers: 1, load: 0.8, seconds: 200, rehearsal: { clients } })
  const one = all(play(file))
  assert.ok(one.abandoned > 0 && one.clientRetries > one.abandoned)
  assert.equal(one.arrived, one.answered + one.failed + one.refused + one.abandoned + one.unfinished)
})

test('an instance that dies loses what it works on; repeatable requests go elsewhere, others fail', () => {
  const file = (method: string): object => ({
    name: 'deaths',
    edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'api' }] },
    services: {
      api: {
        command: 'node api.mjs',
        instances: { min: 3, max: 3 },
        balance: 'random',
        retry: { attempts: 2 },
      },
    },
    workload: {
      actions: { ask: { rate: '900/s', path: '/', method, kind: method === 'GET' ? 'read' : 'write' } },
      services: { api: { time: '3ms', boot: '1s' } },
    },
    rehearsals: { test: { duration: '30s', arrivals: 'mean', faults: [{ at: '10s', kill: 'api-2' }] } },
  })
  const reads = play(file('GET'))
  assert.equal(all(reads).failed, 0)
  assert.ok(all(reads).edgeRetries > 0)
  const writes = play(file('POST'))
  assert.ok(all(writes).failed > 0 && all(writes).failed < 100)
  const told = reads.decisions.map(({ part, what }) => `${part} ${what}`)
  assert.ok(
    told.includes('api-2 dies') && told.includes('api-2 is started again') && told.includes('api-2 ready'),
  )
  assert.equal(reads.parts.find(({ id }) => id === 'api')?.membersMin, 2)
})

test('an instance that hangs is found by probes and time-outs, and comes back', () => {
  const result = play({
    name: 'hangs',
    edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'api' }] },
    services: {
      api: {
        command: 'node api.mjs',
        instances: { min: 4, max: 4 },
        health: { path: '/healthz', interval: '500ms', timeout: '200ms' },
        timeouts: { response: '2s' },
      },
    },
    workload: { actions: { ask: { rate: '200/s', path: '/' } }, services: { api: { time: '5ms' } } },
    rehearsals: {
      test: { duration: '60s', arrivals: 'mean', faults: [{ at: '10s', for: '20s', hang: 'api-3' }] },
    },
  })
  const health = result.decisions.filter(({ part, kind }) => part === 'api-3' && kind === 'health')
  assert.ok(health.some(({ what, atUs }) => what.startsWith('unhealthy') && atUs < 13_000_000))
  assert.ok(health.some(({ what, atUs }) => what.startsWith('healthy') && atUs > 30_000_000))
  assert.ok(all(result).failed < 200 * 3)
})

test("the edge's cache hits as often as Che's approximation says, by the policy of the file", () => {
  const file = (eviction: string): object => ({
    name: 'cached',
    edge: {
      listen: { http: 8080 },
      workers: 1,
      cache: { eviction, entries: 1_000 },
      routes: [{ path: '/*', to: 's', cache: { ttl: '1h' } }],
    },
    services: { s: { addresses: ['10.0.0.1:80'], health: false } },
    workload: {
      actions: { ask: { rate: '2000/s', path: '/', objects: 10_000, popularity: 0.9 } },
      services: { s: { time: '10us' } },
      caches: { edge: { entries: 1_000 } },
    },
    rehearsals: { test: { duration: '300s', warmup: '60s', arrivals: 'mean' } },
  })
  const ratio = (eviction: string): number =>
    play(file(eviction)).parts.find(({ id }) => id === 'edge cache')?.hitRatio?.value ?? 0
  // Computed by Che's fixed point for 10,000 things, alpha 0.9, 1,000 entries.
  const [lru, fifo] = [ratio('lru'), ratio('fifo')]
  assert.ok(Math.abs(lru - cheLru(10_000, 0.9, 1_000)) < 0.01, `${lru} against ${cheLru(10_000, 0.9, 1_000)}`)
  assert.ok(fifo < lru - 0.02)
})

test('a cache answers no POST', () => {
  const result = play({
    name: 'posts',
    edge: { listen: { http: 8080 }, cache: {}, routes: [{ path: '/*', to: 's', cache: { ttl: '1h' } }] },
    services: { s: { addresses: ['10.0.0.1:80'], health: false } },
    workload: {
      actions: { write: { rate: '50/s', path: '/', method: 'POST', kind: 'write', objects: 3 } },
      services: { s: { time: '5ms' } },
    },
    rehearsals: { test: { duration: '20s', arrivals: 'mean' } },
  })
  assert.equal(result.parts.find(({ id }) => id === 'edge cache')?.hitRatio, null)
  assert.ok((result.parts.find(({ id }) => id === 's')?.utilisation?.value ?? 0) > 0.15)
})

/** Che's approximation for LRU, as the textbook has it. */
function cheLru(things: number, alpha: number, entries: number): number {
  const weights = Array.from({ length: things }, (_, at) => (at + 1) ** -alpha)
  const total = weights.reduce((a, b) => a + b, 0)
  const shares = weights.map(weight => weight / total)
  const held = (t: number): number => shares.reduce((sum, p) => sum + 1 - Math.exp(-p * t), 0)
  let [low, high] = [0, 1e9]
  for (let turn = 0; turn < 200; turn++) {
    const middle = (low + high) / 2
    if (held(middle) < entries) low = middle
    else high = middle
  }
  return shares.reduce((sum, p) => sum + p * (1 - Math.exp(-p * low)), 0)
}

test('a service that follows its load grows in a flash crowd and shrinks after it, by the policy of production', () => {
  const result = play({
    name: 'follows',
    edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'api' }] },
    services: {
      api: {
        command: 'node api.mjs',
        balance: 'least-connections',
        instances: {
          min: 2,
          max: 20,
          scale: { cpu: '60%', every: '5s', warmup: '5s', down: { after: '60s' } },
        },
      },
    },
    workload: {
      actions: { ask: { rate: '120/s', path: '/' } },
      services: { api: { time: '10ms', boot: '3s' } },
    },
    rehearsals: {
      test: {
        duration: '10m',
        warmup: '1m',
        arrivals: {
          level: 'mean',
          shape: { flash: { at: '1m', times: 6, ramp: '10s', hold: '2m', fade: '10s' } },
        },
      },
    },
  })
  const scaled = result.decisions.filter(({ kind }) => kind === 'scale')
  assert.ok(scaled.length >= 3 && scaled.length < 40, `${scaled.length} changes`)
  assert.ok(scaled.every(({ why }) => /^cpu \d+ % of 60 %/.test(why)))
  const api = result.parts.find(({ id }) => id === 'api')
  // 720 a second of 10 ms at 60 % are 12 instances.
  assert.ok((api?.membersMax ?? 0) >= 11 && (api?.membersMax ?? 0) <= 20, `${api?.membersMax}`)
  assert.ok((api?.members ?? 0) <= 3, `${api?.members} at the end`)
  assert.equal(all(result).failed, 0)
})

test('whatever fails when, no request is lost from the count, and the run can be repeated', () => {
  const fault = fc.oneof(
    fc.record({ at: time(), kill: fc.constantFrom('api-1', 'api-2', 'main-1', 'main-2', 'edge-1') }),
    fc.record({ at: time(), for: span(), hang: fc.constantFrom('api-1', 'main-2') }),
    fc.record({
      at: time(),
      for: span(),
      slow: fc.constantFrom('api', 'api-3', 'main-1'),
      times: fc.integer({ min: 2, max: 20 }),
    }),
    fc.record({ at: time(), for: span(), fail: fc.constant('api-2'), share: fc.constant('40%') }),
    fc.record({ at: time(), for: span(), cut: fc.constant(['edge-1']), from: fc.constant(['api-1']) }),
    fc.record({
      at: time(),
      for: span(),
      cut: fc.constant(['main-1']),
      from: fc.constant(['main-2', 'main-3']),
    }),
    fc.record({ at: time(), for: span(), surge: fc.integer({ min: 2, max: 5 }) }),
    fc.record({ at: time(), for: span(), lag: fc.constant('main-2'), by: fc.constant('1s') }),
    fc.record({ at: time(), for: span(), zone: fc.constant(2) }),
    fc.record({ at: time(), empty: fc.constant('edge') }),
  )
  fc.assert(
    fc.property(fc.array(fault, { maxLength: 5 }), fc.integer({ min: 0, max: 1e6 }), (faults, seed) => {
      const file = shop(faults, seed)
      const system = tryPlay(file)
      // Faults that contradict each other are refused by the file's own checks.
      fc.pre(system !== null)
      const result = system as NonNullable<typeof system>
      const one = all(result)
      assert.equal(one.arrived, one.answered + one.failed + one.refused + one.abandoned + one.unfinished)
      assert.ok(one.unfinished >= 0)
      assert.equal(play(file).hash, result.hash)
      const [database] = result.consistency
      assert.equal(database?.staleReads, 0, 'a fresh read was stale')
      assert.equal(database?.lostWrites, 0, 'a commit on two servers was lost')
    }),
    { numRuns: 60, seed: 20261123 },
  )
})

function tryPlay(file: object): ReturnType<typeof play> | null {
  try {
    return play(file)
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('[')) return null
    throw error
  }
}

function time(): fc.Arbitrary<string> {
  return fc.integer({ min: 0, max: 15 }).map(seconds => `${seconds}s`)
}
function span(): fc.Arbitrary<string> {
  return fc.integer({ min: 1, max: 4 }).map(seconds => `${seconds}s`)
}

function shop(faults: readonly object[], seed: number): object {
  return {
    name: 'shop',
    edge: {
      listen: { http: 8080 },
      workers: 2,
      cache: {},
      routes: [
        { path: '/films/*', to: 'api', cache: { ttl: '2s' } },
        { path: '/*', to: 'api' },
      ],
    },
    services: {
      api: {
        command: 'node api.mjs',
        instances: { min: 3, max: 5 },
        balance: 'two-choices',
        retry: { attempts: 2 },
      },
    },
    databases: { main: { replicas: 2, durability: 'one-replica', reads: 'fresh' } },
    workload: {
      actions: {
        look: { rate: '60/s', path: '/films/1', objects: 200 },
        list: { rate: '30/s', path: '/list', objects: 50 },
        buy: { rate: '20/s', path: '/orders', method: 'POST', kind: 'write', objects: 50 },
      },
      machine: { zones: 2 },
      services: {
        api: { time: '3ms', boot: '500ms', calls: [{ database: 'main', reads: 1.5, writes: 0.3 }] },
      },
    },
    rehearsals: {
      test: {
        seed,
        duration: '20s',
        warmup: '2s',
        arrivals: 'mean',
        clients: { patience: '3s', retries: 1, backoff: '100ms' },
        faults,
      },
    },
  }
}
