// Servers for a target: the fewest that keep it, held against the formulas that say what a number of servers gives.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { choices, sojournByChoice, sojournQuantileByChoice } from './choices.ts'
import { erlangB, mmcSojournQuantile, mmcWaitQuantile, squareRootStaffing } from './erlang.ts'
import { averageRate, concurrency, peakRate, yearsUntil } from './load.ts'
import {
  blockingServers,
  drainTime,
  perNodeServers,
  pooledServers,
  queueBound,
  scalerTarget,
  serversByCpu,
  utilisationFor,
  withSpare,
  withZoneLoss,
} from './staffing.ts'
import { near, same, value } from './testing.ts'

test('from users to requests: a million a day are 11.57 a second; Little gives what is in the system', () => {
  same(value(averageRate(1_000_000, 1)), '11.57')
  // 100 million users with 10 posts and 1,000 reads each.
  near(value(averageRate(100_000_000, 10)) * 86_400, 1e9, 1e-12)
  near(value(averageRate(100_000_000, 1000)) * 86_400, 1e11, 1e-12)
  near(value(peakRate(1000, 2.5)), 2500, 1e-12)
  near(value(concurrency(10_000, 0.01)), 100, 1e-12)
  near(value(yearsUntil(4, 1)) as number, 2, 1e-12)
  assert.equal(value(yearsUntil(4, 0)), null)
  assert.equal(value(yearsUntil(0.5, 0)), 0)
})

test('pooled, P(wait) of at most 20 %: the servers of the square-root table', () => {
  for (const [offered, servers] of [
    [10, 14],
    [100, 111],
    [1000, 1034],
    [10_000, 10_107],
  ] as const) {
    assert.equal(value(pooledServers(offered, 1, { kind: 'wait-probability', most: 0.2 })), servers)
    assert.equal(value(squareRootStaffing(offered, 0.2)), servers)
  }
})

test('pooled: the fewest servers, one less breaks the target', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 500, noNaN: true }),
      fc.double({ min: 0.001, max: 3, noNaN: true }),
      (rate, most) => {
        const byWait = value(pooledServers(rate, 1, { kind: 'wait-quantile', quantile: 0.99, most }))
        const wait = (servers: number): number =>
          value(mmcWaitQuantile({ arrivalRate: rate, serviceMean: 1, servers }, 0.99))
        assert.ok(wait(byWait) <= most)
        if (byWait - 1 > rate) assert.ok(wait(byWait - 1) > most)
        const limit = 4.606 + most
        const bySojourn = value(
          pooledServers(rate, 1, { kind: 'sojourn-quantile', quantile: 0.99, most: limit }),
        )
        const sojourn = (servers: number): number =>
          value(mmcSojournQuantile({ arrivalRate: rate, serviceMean: 1, servers }, 0.99))
        assert.ok(sojourn(bySojourn) <= limit)
        if (bySojourn - 1 > rate) assert.ok(sojourn(bySojourn - 1) > limit)
      },
    ),
    { numRuns: 40 },
  )
})

test('a queue each: by every choice the fewest servers; random needs most, one queue least', () => {
  for (const [rate, mean, most] of [
    [800, 0.01, 0.08],
    [95, 0.1, 0.9],
    [3, 1, 12],
  ] as const) {
    const servers = choices.map(choice => value(perNodeServers(choice, rate, mean, 0.99, most)))
    for (const [at, choice] of choices.entries()) {
      const count = servers[at] as number
      const reached = (n: number): number =>
        value(sojournQuantileByChoice(choice, n, (rate * mean) / n, 0.99)) * mean
      assert.ok(reached(count) <= most, choice)
      if (count - 1 > rate * mean) assert.ok(reached(count - 1) > most, `${choice}: ${count}`)
    }
    assert.equal(Math.max(...servers), servers[choices.indexOf('random')])
    assert.equal(Math.min(...servers), servers[choices.indexOf('pooled')])
  }
  const byMean = value(perNodeServers('random', 90, 1, null, 10))
  assert.equal(byMean, 100)
})

test('the utilisation that keeps a target is the inverse of the sojourn', () => {
  for (const choice of choices) {
    const rho = value(utilisationFor(choice, 20, null, 0.03, 0.01))
    near(value(sojournByChoice(choice, 20, rho)).sojournMean, 3, 1e-6)
  }
  near(value(utilisationFor('random', 5, 0.99, 4.605170186 * 10, 1)), 0.9, 1e-6)
})

test('pools that turn away: the fewest connections, as Erlang B says', () => {
  for (const [offered, loss] of [
    [3, 0.1101],
    [100, 0.01],
    [0.01, 0.5],
    [5000, 1e-6],
  ] as const) {
    const servers = value(blockingServers(offered, loss))
    assert.ok(value(erlangB(servers, offered)) <= loss)
    if (servers > 1) assert.ok(value(erlangB(servers - 1, offered)) > loss)
  }
  assert.equal(value(blockingServers(3, 0.1101)), 5)
})

test('by CPU: 10,000 requests a second of 10 ms on 4 cores are 100 cores, 25 servers', () => {
  assert.equal(value(serversByCpu(10_000, 0.01, 1, 1)), 100)
  assert.equal(value(serversByCpu(10_000, 0.01, 4, 1)), 25)
  assert.equal(value(serversByCpu(10_000, 0.01, 4, 0.7)), 36)
})

test('what is lost: one to spare, a zone of three', () => {
  assert.equal(value(withSpare(25, 1)), 26)
  // c·z/(z − 1): 24 servers over 3 zones are 36, 12 each.
  assert.equal(value(withZoneLoss(24, 3)), 36)
  assert.equal(value(withZoneLoss(25, 3)), 39)
  for (const zones of [2, 3, 4, 5])
    for (const servers of [1, 7, 100]) {
      const all = value(withZoneLoss(servers, zones))
      assert.ok(all - all / zones >= servers)
    }
})

test('a queue that can be served in time, a backlog that drains, room for a scaler', () => {
  assert.equal(value(queueBound(100, 0.01, 1)), 99)
  near(value(drainTime(6000, 100, 80)), 300, 1e-12)
  // 10 more a second each second, 45 s until a server is there, 1,000 a second now: at most 55 %.
  near(value(scalerTarget(10, 45, 1000)), 0.55, 1e-12)
})

test('unstable is said, and what can not be is named', () => {
  const never = drainTime(10, 100, 100)
  assert.ok(!never.ok && never.unstable)
  for (const bad of [
    averageRate(-1, 1),
    peakRate(1, 0.5),
    pooledServers(1, 1, { kind: 'sojourn-quantile', quantile: 0.99, most: 4.6 }),
    pooledServers(1e9, 1, { kind: 'wait-probability', most: 0.1 }),
    pooledServers(1, 1, { kind: 'wait-probability', most: 0 }),
    perNodeServers('random', 1, 1, 0.99, 4),
    perNodeServers('shortest', Number.NaN, 1, 0.99, 9),
    utilisationFor('random', 3, null, 0.5, 1),
    blockingServers(1, 0),
    withZoneLoss(10, 1),
    queueBound(100, 1, 1),
    scalerTarget(100, 60, 1000),
    serversByCpu(1, 1, 4, 0),
  ])
    assert.ok(!bad.ok && !bad.unstable && bad.why.length > 20, JSON.stringify(bad))
})
