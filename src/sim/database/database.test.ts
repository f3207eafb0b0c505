// Databases in virtual time: what each way to keep copies promises, counted under deaths and partitions.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { ConsistencyResult, SimulationResult } from '../result.ts'
import { all, play } from '../testing/play.ts'

interface Given {
  readonly replicas?: number
  readonly database?: object
  readonly load?: object
  readonly topology?: object
  readonly faults?: readonly object[]
  readonly rate?: number
  readonly writes?: number
  readonly objects?: number
  readonly seed?: number
}

/** Reads and writes of few things, straight to the database. */
function store(given: Given): object {
  const {
    replicas = 2,
    database = {},
    load = {},
    topology,
    faults = [],
    rate = 300,
    writes = 0.3,
    objects = 20,
  } = given
  return {
    name: 'store',
    edge: { listen: { http: 8080 }, workers: 1, routes: [{ path: '/*', to: 's' }] },
    services: { s: { addresses: ['10.0.0.1:80'], health: false } },
    databases: { main: { replicas, reads: 'any', ...database } },
    workload: {
      actions: { ask: { rate: `${rate}/s`, path: '/', objects, popularity: 0 } },
      services: {
        s: { time: { fixed: '10us' }, concurrency: 8, calls: [{ database: 'main', reads: 1, writes }] },
      },
      databases: { main: { cores: 4, ...load } },
    },
    rehearsals: {
      test: {
        seed: given.seed ?? 1,
        duration: '60s',
        warmup: '2s',
        arrivals: 'mean',
        faults,
        ...(topology === undefined ? {} : { databases: { main: topology } }),
      },
    },
  }
}

function seen(result: SimulationResult): ConsistencyResult {
  assert.deepEqual(result.unstable, [])
  const one = all(result)
  assert.equal(one.arrived, one.answered + one.failed + one.refused + one.unfinished)
  return result.consistency[0] as ConsistencyResult
}

test('reads of anything are stale while a replica is behind; fresh and primary reads never are', () => {
  const behind = { load: { shipping: { fixed: '50ms' } } }
  const any = seen(play(store(behind)))
  assert.ok(any.staleReads > 50, `${any.staleReads} stale`)
  assert.ok(any.staleP50Us > 5_000 && any.staleMaxUs < 200_000)
  for (const reads of ['fresh', 'primary'])
    assert.equal(seen(play(store({ ...behind, database: { reads } }))).staleReads, 0, reads)
})

test('a bounded lag is a bound: no stale read is older than it allows', () => {
  const file = store({ database: { reads: { maxLag: '300ms' } }, load: { shipping: { fixed: '80ms' } } })
  const one = seen(play(file))
  assert.ok(
    one.staleReads > 0 && one.staleMaxUs <= 310_000,
    `${one.staleReads} stale, up to ${one.staleMaxUs}`,
  )
})

test('the lag of a replica is that of M/M/1 on its one replay worker', () => {
  // 240 writes a second of 2 ms each: busy 48 %, 3.85 ms in it, and 0.5 ms on the way.
  const one = seen(play(store({ replicas: 1, rate: 400, writes: 0.6, load: { apply: '2ms' } })))
  const wanted = 500 + 2_000 / (1 - 0.48)
  const median = one.propagationP50Us ?? 0
  // The median of an exponential sojourn is 0.69 of its mean.
  assert.ok(Math.abs(median / (500 + Math.LN2 * (wanted - 500)) - 1) < 0.1, `${median}`)
})

test('a dead primary: nothing acknowledged is lost where a replica must have it, all that was not sent is lost where none must', () => {
  const slow = { load: { shipping: { fixed: '200ms' } }, faults: [{ at: '20s', kill: 'main-1' }] }
  const kept = seen(play(store({ ...slow, database: { durability: 'one-replica' } })))
  assert.equal(kept.lostWrites, 0)
  const lost = seen(play(store({ ...slow, database: { durability: 'primary' } })))
  // 90 writes a second were on their way for 200 ms; the server died in some of its own work too.
  assert.ok(lost.lostWrites > 5 && lost.lostWrites < 40, `${lost.lostWrites} lost`)
  assert.ok(lost.writeGapMaxUs > 100_000 && lost.writeGapMaxUs < 5_000_000, `${lost.writeGapMaxUs}`)
})

test('quorums: R + W > N is never stale, less is, the longer the way the more', () => {
  const of = (write: number, read: number, shipping: string): ConsistencyResult =>
    seen(
      play(
        store({
          topology: { topology: 'quorum', write, read, partition: 'refuse' },
          load: { shipping: { fixed: shipping } },
        }),
      ),
    )
  for (const [write, read] of [
    [2, 2],
    [3, 1],
    [1, 3],
  ] as const)
    assert.equal(of(write, read, '20ms').staleReads, 0, `W ${write} R ${read}`)
  const [near, far] = [of(1, 1, '5ms'), of(1, 1, '40ms')]
  assert.ok(
    near.staleReads > 10 && far.staleReads > 2 * near.staleReads,
    `${near.staleReads} ${far.staleReads}`,
  )
})

test('a ring takes as long as all of its hops, many primaries as long as one', () => {
  const shipping = { load: { shipping: { fixed: '10ms' }, apply: { fixed: '1ms' } } }
  const ring = seen(play(store({ ...shipping, replicas: 3, topology: { topology: 'ring' } })))
  const mesh = seen(play(store({ ...shipping, replicas: 3, topology: { topology: 'multi-primary' } })))
  assert.ok(Math.abs((ring.propagationP50Us ?? 0) - 33_000) < 500, `${ring.propagationP50Us}`)
  assert.ok(Math.abs((mesh.propagationP50Us ?? 0) - 11_000) < 500, `${mesh.propagationP50Us}`)
  assert.ok(mesh.conflicts > 0, 'two wrote one thing before they heard of each other')
})

test('under a partition: refusing serves no stale read and no conflict but refuses, serving refuses nothing and settles conflicts', () => {
  const cut = [{ at: '10s', for: '20s', cut: ['main-1'], from: ['main-2', 'main-3'] }]
  const fast = { shipping: { fixed: '100us' }, apply: { fixed: '100us' } }
  const of = (topology: string, partition: string): ConsistencyResult =>
    seen(play(store({ load: fast, faults: cut, topology: { topology, partition } })))
  const consistent = of('sync', 'refuse')
  assert.equal(consistent.staleReads + consistent.lostWrites + consistent.conflicts, 0)
  assert.ok(consistent.refusedReads > 100 && consistent.refusedWrites > 10)
  const available = of('multi-primary', 'serve')
  assert.equal(available.refusedReads + available.refusedWrites, 0)
  assert.ok(
    available.staleReads > 500 && available.conflicts > 10,
    `${available.staleReads} ${available.conflicts}`,
  )
  const quorum = seen(
    play(
      store({
        load: fast,
        faults: cut,
        topology: { topology: 'quorum', write: 2, read: 2, partition: 'refuse' },
      }),
    ),
  )
  assert.equal(quorum.staleReads + quorum.lostWrites, 0)
  assert.ok(quorum.refusedReads > 100)
})

test('an asynchronous primary that is cut off loses what only it has when it may not go on alone', () => {
  const faults = [{ at: '10s', for: '20s', cut: ['main-1'], from: ['main-2', 'main-3'] }]
  const one = seen(play(store({ faults, topology: { topology: 'async', partition: 'refuse' } })))
  // Until the cut is noticed, a second, it acknowledges what nobody else will have.
  assert.ok(one.lostWrites > 30 && one.lostWrites < 200, `${one.lostWrites} lost`)
  assert.ok(one.refusedReads > 100, 'who is served by it is refused')
})

test('a ring goes on without a member that died, which has everything once it is back', () => {
  const one = seen(
    play(
      store({
        replicas: 3,
        faults: [{ at: '10s', for: '10s', kill: 'main-3' }],
        topology: { topology: 'ring' },
      }),
    ),
  )
  assert.equal(one.lostWrites, 0)
  assert.ok(one.writes > 4_000)
})

test('two runs of each topology are the same', () => {
  for (const topology of ['async', 'sync', 'multi-primary', 'ring']) {
    const file = store({
      topology: { topology, partition: 'serve' },
      faults: [
        { at: '5s', kill: 'main-2' },
        { at: '20s', for: '5s', cut: ['main-1'], from: ['main-3'] },
      ],
    })
    assert.equal(play(file).hash, play(file, { step: 1_013 }).hash, topology)
  }
})
