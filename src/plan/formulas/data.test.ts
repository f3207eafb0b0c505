// Shards, replicas, storage, bandwidth, durability: the worked figures, and the ring against two rings that are drawn.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { ringSlots } from '../../policy/shard/ring.ts'
import { bandwidth, behindCache, replicationBandwidth, transferSeconds } from './bandwidth.ts'
import {
  failuresPerYear,
  lossProbability,
  meanTimeToDataLoss,
  writesAtRisk,
  yearlyDurability,
} from './durability.ts'
import { catchUpTime, freshAfter, freshShare, readReplicas, replicaLag } from './replicas.ts'
import { movedShare, nextPowerOfTwo, ringMaxByMean, shardsNeeded } from './shards.ts'
import { storageAfter, storageGrown, storagePerDay } from './storage.ts'
import { near, same, value } from './testing.ts'

test('max/mean on a ring of ten nodes: near the table, which was drawn; H_10 with one point', () => {
  for (const [points, drawn] of [
    [1, 2.92],
    [10, 1.57],
    [100, 1.16],
    [200, 1.12],
    [1000, 1.05],
  ] as const)
    near(value(ringMaxByMean(10, points)), drawn, 0.025, `${points} points`)
  let harmonic = 0
  for (let i = 1; i <= 10; i++) harmonic += 1 / i
  near(value(ringMaxByMean(10, 1)), harmonic, 1e-6)
  assert.equal(value(ringMaxByMean(1, 100)), 1)
  assert.ok(value(ringMaxByMean(100_000, 100_000)) < 1.02)
})

test('the formula of the ring is exact: points drawn at random agree, and so does the ring that shards are placed by', () => {
  const random = seededRandom(20)
  for (const [nodes, points] of [
    [10, 10],
    [4, 50],
  ] as const) {
    let sum = 0
    const trials = 4000
    for (let trial = 0; trial < trials; trial++) {
      const places = Array.from({ length: nodes * points }, (_, at) => ({
        at: random.float(),
        node: at % nodes,
      }))
      places.sort((a, b) => a.at - b.at)
      const shares = new Array<number>(nodes).fill(0)
      for (const [at, place] of places.entries()) {
        const before =
          at === 0 ? (places.at(-1) as { at: number }).at - 1 : (places[at - 1] as { at: number }).at
        shares[place.node]! += place.at - before
      }
      sum += Math.max(...shares) * nodes
    }
    // Three standard errors: the largest share varies by about a sixth.
    near(sum / trials, value(ringMaxByMean(nodes, points)), 0.008, `${nodes} nodes`)
  }
  let sum = 0
  for (let trial = 0; trial < 100; trial++) {
    const names = Array.from({ length: 10 }, (_, at) => `shard-${trial}-${at}`)
    const owners = ringSlots(names, 100, 16_384)
    const counts = new Array<number>(10).fill(0)
    for (const owner of owners) counts[owner]!++
    sum += Math.max(...counts) / 1638.4
  }
  near(sum / 100, value(ringMaxByMean(10, 100)), 0.02, 'the policy of shards')
})

test('shards by what needs most', () => {
  const limits = { bytes: 1e12, writesPerSecond: 10_000, utilisation: 0.6, memoryBytes: 64e9 }
  assert.deepEqual(value(shardsNeeded(7.1e12, 11_574, 100e9, limits)), {
    bySize: 8,
    byWrites: 2,
    byWorkingSet: 2,
    shards: 8,
    decidedBy: 'size',
    powerOfTwo: 8,
  })
  assert.equal(value(shardsNeeded(1e12, 30_000, 1, limits)).decidedBy, 'writes')
  assert.equal(value(shardsNeeded(0, 0, 0, limits)).decidedBy, 'nothing')
  assert.equal(value(shardsNeeded(5e12, 0, 640e9, limits)).powerOfTwo, 16)
  assert.deepEqual([1, 2, 3, 8, 9].map(nextPowerOfTwo), [1, 2, 4, 8, 16])
  near(value(movedShare(5)), 0.2, 1e-12)
})

test('replicas: 50,000 reads and 2,000 writes on servers of 8,000 at 60 % are 18', () => {
  assert.equal(value(readReplicas(50_000, 2000, { perSecond: 8000, utilisation: 0.6 })), 18)
  assert.equal(value(readReplicas(0, 2000, { perSecond: 8000, utilisation: 0.6 })), 0)
  const full = readReplicas(1, 4800, { perSecond: 8000, utilisation: 0.6 })
  assert.ok(!full.ok && full.unstable)
})

test('lag of a replica: M/G/1 on its apply thread plus half a round trip; without bound when it is full', () => {
  // ρ = .9 and exponential applying: 9 of wait, 1 of work, 2 of way.
  const lag = value(replicaLag(0.9, 1, 1, 4))
  near(lag.lagMean, 12, 1e-9)
  near(lag.waitMean, 9, 1e-9)
  const full = replicaLag(1, 1, 1, 0)
  assert.ok(!full.ok && full.unstable)
  near(value(catchUpTime(10, 0.9)), 90, 1e-9)
  near(value(freshShare(value(freshAfter(0.99, 0.2)), 0.2)), 0.99, 1e-12)
})

test('storage: a million a day of 1 KB, 3 copies, 5 years, 30 % around it are 7.1 TB', () => {
  const growth = { writesPerDay: 1e6, bytesEach: 1000, copies: 3, overhead: 1.3 }
  same(value(storageAfter(growth, 5 * 365, null)) / 1e12, '7.1')
  near(value(storageAfter(growth, 5 * 365, 365)), 365 * value(storagePerDay(growth)), 1e-12)
  near(value(storageGrown(growth, 5, 0)), 5 * 365.25 * value(storagePerDay(growth)), 1e-12)
  // Twice as much each year, for one year: 1/ln 2 of a year at the first rate.
  near(value(storageGrown(growth, 1, 1)), (365.25 * value(storagePerDay(growth))) / Math.LN2, 1e-12)
  // 10^9 posts of 200 characters of 2 bytes, one in ten with 2 MB: 400 GB of text, 200 TB of photos a day.
  const plain = { copies: 1, overhead: 1 }
  near(value(storagePerDay({ writesPerDay: 1e9, bytesEach: 400, ...plain })), 400e9, 1e-12)
  near(value(storagePerDay({ writesPerDay: 1e8, bytesEach: 2e6, ...plain })), 200e12, 1e-12)
})

test('bandwidth: 10,000 a second of 100 KB are 8 Gb/s and 86.4 TB a day', () => {
  const total = value(bandwidth(10_000, 100_000))
  near(total.bitsPerSecond, 8e9, 1e-12)
  near(total.bytesPerDay, 86.4e12, 1e-12)
  const split = value(behindCache(total.bytesPerDay, 0.95))
  near(split.cache + split.origin, total.bytesPerDay, 1e-12)
  near(split.origin, 4.32e12, 1e-9)
  near(value(replicationBandwidth(1e6, 3)), 16e6, 1e-12)
  near(value(transferSeconds(1e12, 1e9, 0.8)), 10_000, 1e-12)
})

test('durability: AFR 2 %, 6 h to remake: 4.3e10 years of three copies, 1.8e6 of two', () => {
  const rate = value(failuresPerYear(0.02))
  const repair = 365.25 * 4
  same(value(meanTimeToDataLoss(3, rate, repair)), '4.3e10')
  same(value(meanTimeToDataLoss(2, rate, repair)), '1.8e6')
  near(value(meanTimeToDataLoss(3, rate, repair)), repair ** 2 / (6 * rate ** 3), 1e-3)
  // Exact: one copy 1/λ; two (3λ + μ)/2λ².
  near(value(meanTimeToDataLoss(1, 0.5, 10)), 2, 1e-12)
  near(value(meanTimeToDataLoss(2, 0.5, 10)), 11.5 / 0.5, 1e-12)
  near(value(lossProbability(1e6, 1000, 1)), 1e-3, 1e-3)
  near(value(yearlyDurability(1e12)).lost, 1e-12, 1e-6)
  near(value(writesAtRisk(500, 0.2)), 100, 1e-12)
})

test('three copies that are lost and remade one by one: the chain drawn agrees with the mean time', () => {
  const random = seededRandom(7)
  const [rate, repair] = [1, 3]
  let sum = 0
  const trials = 40_000
  for (let trial = 0; trial < trials; trial++)
    for (let lost = 0; lost < 3; ) {
      const [down, up] = [(3 - lost) * rate, lost > 0 ? repair : 0]
      sum -= Math.log(1 - random.float()) / (down + up)
      lost += random.float() * (down + up) < down ? 1 : -1
    }
  near(sum / trials, value(meanTimeToDataLoss(3, rate, repair)), 0.02)
})

test('what can not be is named', () => {
  const limits = { bytes: 1, writesPerSecond: 1, utilisation: 1, memoryBytes: 1 }
  for (const bad of [
    ringMaxByMean(0, 1),
    ringMaxByMean(10, 0.5),
    shardsNeeded(-1, 0, 0, limits),
    shardsNeeded(1, 1, 1, { ...limits, utilisation: 1.2 }),
    readReplicas(1, 1, { perSecond: 0, utilisation: 0.5 }),
    replicaLag(-1, 1, 1, 1),
    freshAfter(1, 1),
    storagePerDay({ writesPerDay: 1, bytesEach: 1, copies: 1, overhead: 0.5 }),
    storageAfter({ writesPerDay: 1, bytesEach: 1, copies: 1, overhead: 1 }, Number.NaN, null),
    bandwidth(-1, 1),
    behindCache(1, 1.01),
    replicationBandwidth(1, 0.5),
    transferSeconds(1, 0, 1),
    failuresPerYear(1),
    meanTimeToDataLoss(0, 1, 1),
  ])
    assert.ok(!bad.ok && !bad.unstable && /must be/.test(bad.why), JSON.stringify(bad))
  assert.ok(!meanTimeToDataLoss(64, 1e-9, 1e9).ok)
})
