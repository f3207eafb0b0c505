import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import type { Balancer } from '../group.ts'
import { Reason } from '../reason.ts'
import { equalMembers, PlainGroup } from '../testing/plain-group.ts'
import { RandomBalancer } from './random.ts'
import { TwoChoices } from './two-choices.ts'

/** The fullest of `bins` members after as many requests, mean over rounds. */
function fullest(make: () => Balancer, bins: number): number {
  let sum = 0
  for (let seed = 0; seed < 20; seed++) {
    const random = seededRandom(seed)
    const group = equalMembers(bins)
    const balancer = make()
    balancer.rebuild(group)
    for (let n = 0; n < bins; n++) group.members[balancer.pick(group, n, 0, random)]!.inFlight++
    sum += Math.max(...group.members.map(member => member.inFlight))
  }
  return sum / 20
}

test('the fullest of a thousand holds far less than under random choice', () => {
  const random = fullest(() => new RandomBalancer(), 1000)
  const two = fullest(() => new TwoChoices(), 1000)
  // Theory: about ln n / ln ln n = 5.5 for random, log2 ln n + O(1) = 2.8 + O(1) for two choices.
  assert.ok(random > 4.8, `random ${random}`)
  assert.ok(two < 3.5, `two choices ${two}`)
})

test('the two are different: of two members the emptier one is always taken', () => {
  const group = new PlainGroup([{ inFlight: 3 }, { inFlight: 2 }])
  const balancer = new TwoChoices()
  balancer.rebuild(group)
  const random = seededRandom(1)
  for (let n = 0; n < 500; n++) assert.equal(balancer.pick(group, n, 0, random), 1)
  assert.equal(balancer.reason, Reason.twoChoices)
})

test('the only eligible one is taken and the reason says so', () => {
  const group = equalMembers(3)
  group.members[0]!.eligible = group.members[2]!.eligible = false
  const balancer = new TwoChoices()
  balancer.rebuild(group)
  assert.equal(balancer.pick(group, 0, 0, seededRandom(1)), 1)
  assert.equal(balancer.reason, Reason.onlyOne)
})

test('loads settle in proportion to the weights', () => {
  const group = new PlainGroup([{ weight: 1 }, { weight: 1 }, { weight: 2 }, { weight: 4 }])
  const balancer = new TwoChoices()
  balancer.rebuild(group)
  const random = seededRandom(9)
  for (let n = 0; n < 8_000; n++) group.members[balancer.pick(group, n, 0, random)]!.inFlight++
  const loads = group.members.map(member => member.inFlight)
  for (const [i, expected] of [1_000, 1_000, 2_000, 4_000].entries())
    assert.ok(Math.abs(loads[i]! / expected - 1) < 0.02, `${loads}`)
})
