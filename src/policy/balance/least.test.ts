import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { type Random, seededRandom } from '../../kit/random.ts'
import type { Balancer } from '../group.ts'
import { Reason } from '../reason.ts'
import { equalMembers, PlainGroup } from '../testing/plain-group.ts'
import { chiSquare, chiSquareLimit, pickCounts } from '../testing/spread.ts'
import { LeastBandwidth, LeastConnections, LeastResponseTime, LeastUtilised } from './least.ts'

/** Picks `count` members and leaves every request in flight. */
function pile(balancer: Balancer, group: PlainGroup, count: number, random: Random): number[] {
  const counts = new Array<number>(group.count).fill(0)
  for (let n = 0; n < count; n++) {
    const picked = balancer.pick(group, n, 0, random)
    counts[picked]!++
    group.members[picked]!.inFlight++
  }
  return counts
}

test('least connections fills by weight', () => {
  const group = new PlainGroup([{ weight: 1 }, { weight: 2 }, { weight: 5 }])
  assert.deepEqual(pile(new LeastConnections(), group, 80, seededRandom(1)), [10, 20, 50])
})

test('least connections levels what is uneven first', () => {
  const group = new PlainGroup([{ inFlight: 9 }, { inFlight: 4 }, { inFlight: 0 }])
  assert.deepEqual(pile(new LeastConnections(), group, 14, seededRandom(1)), [0, 5, 9])
})

test('members that tie share by lot, not by their place in the list', () => {
  for (const balancer of [
    new LeastConnections(),
    new LeastResponseTime(),
    new LeastBandwidth(),
    new LeastUtilised(),
  ]) {
    const counts = pickCounts(balancer, equalMembers(6), 30_000, seededRandom(43))
    const found = chiSquare(counts, new Array<number>(6).fill(1 / 6))
    assert.ok(found < chiSquareLimit(5), `${balancer.constructor.name}: ${counts}`)
  }
})

test('least response time prefers the fast, until its queue makes up for it', () => {
  const group = new PlainGroup([{ latencyUs: 1_000 }, { latencyUs: 4_000 }])
  const counts = pile(new LeastResponseTime(), group, 100, seededRandom(1))
  assert.ok(Math.abs(counts[0]! - 80) <= 1, `${counts}`)
})

test('a member of unknown latency is tried at once, then counts as average until it answers', () => {
  const group = new PlainGroup([{ latencyUs: 1_000 }, { latencyUs: 1_000 }, { latencyUs: 0 }])
  const balancer = new LeastResponseTime()
  const random = seededRandom(1)
  assert.equal(balancer.pick(group, 0, 0, random), 2)
  assert.equal(balancer.reason, Reason.latencyUnknown)
  group.members[2]!.inFlight = 1
  const counts = pile(balancer, group, 60, random)
  assert.ok(counts[2]! >= 15 && counts[2]! <= 21, `${counts}`)
})

test('a group of unknown latencies is filled evenly', () => {
  assert.deepEqual(pile(new LeastResponseTime(), equalMembers(5), 50, seededRandom(1)), [10, 10, 10, 10, 10])
})

test('least bandwidth prefers the quietest by weight', () => {
  const group = new PlainGroup([
    { bytesPerSecond: 9e6 },
    { bytesPerSecond: 2e6 },
    { bytesPerSecond: 3e6, weight: 2 },
  ])
  assert.equal(new LeastBandwidth().pick(group, 0, 0, seededRandom(1)), 2)
})

test('a quiet member is not stampeded before its bytes are measured', () => {
  const group = new PlainGroup([
    { bytesPerSecond: 1e6, inFlight: 10 },
    { bytesPerSecond: 1e6, inFlight: 10 },
    { bytesPerSecond: 0, inFlight: 0 },
  ])
  const counts = pile(new LeastBandwidth(), group, 60, seededRandom(1))
  assert.ok(counts[2]! >= 15 && counts[2]! <= 40, `${counts}`)
})

test('resource prefers the least used, and in-flight requests correct a stale report', () => {
  const group = new PlainGroup([{ utilisation: 0.8 }, { utilisation: 0.2 }])
  const counts = pile(new LeastUtilised(), group, 100, seededRandom(1))
  assert.ok(Math.abs(counts[1]! - 80) <= 1, `${counts}`)
})

test('a member that reports nothing counts as the mean of those that do', () => {
  const group = new PlainGroup([{ utilisation: 0.4 }, { utilisation: 0.6 }, { utilisation: -1 }])
  const balancer = new LeastUtilised()
  const random = seededRandom(1)
  balancer.pick(group, 0, 0, random)
  const counts = pile(balancer, group, 370, random)
  // In flight settles in proportion to 1/0.4 : 1/0.6 : 1/0.5 = 150 : 100 : 120.
  assert.deepEqual(
    counts.map(count => Math.round(count / 10)),
    [15, 10, 12],
  )
})
