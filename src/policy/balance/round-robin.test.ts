import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import type { Balancer } from '../group.ts'
import { equalMembers, PlainGroup } from '../testing/plain-group.ts'
import { RoundRobin, WeightedRoundRobin } from './round-robin.ts'

function picks(balancer: Balancer, group: PlainGroup, count: number, seed = 1): number[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, n) => balancer.pick(group, n, 0, random))
}

test('round robin goes round in order from a place that the seed chooses', () => {
  const starts = new Set<number>()
  for (let seed = 0; seed < 20; seed++) {
    const group = equalMembers(4)
    const balancer = new RoundRobin()
    balancer.rebuild(group)
    const order = picks(balancer, group, 9, seed)
    for (const [n, picked] of order.entries()) assert.equal(picked, (order[0]! + n) % 4)
    starts.add(order[0]!)
  }
  assert.equal(starts.size, 4)
})

test('the member behind an ineligible one gets no double share', () => {
  const group = equalMembers(5)
  group.members[1]!.eligible = false
  const balancer = new RoundRobin()
  balancer.rebuild(group)
  const counts = [0, 0, 0, 0, 0]
  for (const picked of picks(balancer, group, 400)) counts[picked]!++
  assert.deepEqual(counts, [100, 0, 100, 100, 100])
})

test('a member at warmth one quarter gets every fourth turn', () => {
  const group = equalMembers(3)
  group.members[0]!.warmth = 0.25
  const balancer = new RoundRobin()
  balancer.rebuild(group)
  const counts = [0, 0, 0]
  for (const picked of picks(balancer, group, 900)) counts[picked]!++
  assert.deepEqual(counts, [100, 400, 400])
})

test('weights 5, 1, 1 give the smooth order of nginx: a a b a c a a, begun somewhere', () => {
  for (let seed = 0; seed < 10; seed++) {
    const group = new PlainGroup([{ weight: 5 }, { weight: 1 }, { weight: 1 }])
    const balancer = new WeightedRoundRobin()
    balancer.rebuild(group)
    const order = picks(balancer, group, 14, seed)
      .map(picked => 'abc'[picked])
      .join('')
    assert.ok('aabacaaaabacaaaabacaa'.includes(order), order)
  }
})

test('every cycle of the weights sum gives each member exactly its weight', () => {
  const weights = [7, 3, 2, 1]
  const group = new PlainGroup(weights.map(weight => ({ weight })))
  const balancer = new WeightedRoundRobin()
  balancer.rebuild(group)
  const order = picks(balancer, group, 13 * 20)
  for (let cycle = 0; cycle < 20; cycle++) {
    const counts = [0, 0, 0, 0]
    for (const picked of order.slice(cycle * 13, cycle * 13 + 13)) counts[picked]!++
    assert.deepEqual(counts, weights)
  }
})

test('a member that was away for long gets no burst when it returns', () => {
  const group = equalMembers(3)
  const balancer = new WeightedRoundRobin()
  balancer.rebuild(group)
  picks(balancer, group, 10)
  group.members[0]!.eligible = false
  picks(balancer, group, 10_000)
  group.members[0]!.eligible = true
  const first = picks(balancer, group, 9).filter(picked => picked === 0).length
  assert.ok(first <= 4, `${first} of 9`)
})
