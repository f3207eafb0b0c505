// What every balancing policy promises, run against each of them.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { createBalancer, usesKey } from './balance.ts'
import { mix32 } from './hash.ts'
import { Reason, reasonText } from './reason.ts'
import { type BalanceSettings, balanceKinds } from './settings.ts'
import { equalMembers, PlainGroup } from './testing/plain-group.ts'
import { chiSquare, chiSquareLimit, pickCounts } from './testing/spread.ts'

const key = { by: 'header', name: 'x-user' } as const

/** Every kind, and each hash policy with bounded loads too. */
const variants: readonly (readonly [string, BalanceSettings])[] = balanceKinds.flatMap(
  (kind): (readonly [string, BalanceSettings])[] => {
    if (kind !== 'ring-hash' && kind !== 'rendezvous-hash' && kind !== 'maglev-hash')
      return [[kind, { kind }]]
    return [
      [kind, { kind, key }],
      [`${kind}, bounded`, { kind, key, loadFactor: 1.25 }],
    ]
  },
)

/** Follows weights even when nothing is in flight; the least-... ones go to the heaviest until it is loaded. */
const byWeight = new Set([
  'weighted-round-robin',
  'random',
  'two-choices',
  'ring-hash',
  'rendezvous-hash',
  'maglev-hash',
  'ip-hash',
])

for (const [name, settings] of variants) {
  test(`${name}: picks only eligible members, whatever their loads, weights and warmth`, () => {
    const random = seededRandom(17)
    const group = new PlainGroup(Array.from({ length: 9 }, (_, i) => ({ weight: 1 + (i % 3) })))
    const balancer = createBalancer(settings)
    balancer.rebuild(group)
    for (let n = 0; n < 3_000; n++) {
      for (const member of group.members) {
        member.eligible = random.below(3) > 0
        member.inFlight = random.below(20)
        member.latencyUs = random.below(2) * random.below(100_000)
        member.bytesPerSecond = random.below(2) * random.below(1_000_000)
        member.utilisation = random.below(2) === 0 ? -1 : random.float()
        member.warmth = random.below(4) === 0 ? 0.1 + 0.9 * random.float() : 1
      }
      const picked = balancer.pick(group, n, random.uint32(), random)
      const some = group.members.some(member => member.eligible)
      assert.equal(picked >= 0, some)
      assert.ok(picked < 0 || group.eligible(picked), `picked ${picked} in round ${n}`)
      assert.equal(balancer.reason === Reason.noneEligible, !some)
      assert.notEqual(balancer.reason, Reason.none)
      assert.doesNotMatch(reasonText(balancer.reason), /^reason/)
    }
  })

  test(`${name}: none of nothing, the one of one, and the only eligible of many`, () => {
    const random = seededRandom(2)
    const balancer = createBalancer(settings)
    const nothing = new PlainGroup([])
    balancer.rebuild(nothing)
    assert.equal(balancer.pick(nothing, 0, 7, random), -1)
    assert.equal(balancer.reason, Reason.noneEligible)
    const one = equalMembers(1)
    balancer.rebuild(one)
    assert.equal(balancer.pick(one, 0, 7, random), 0)
    const many = equalMembers(60)
    for (const member of many.members) member.eligible = false
    many.members[41]!.eligible = true
    many.members[41]!.inFlight = 500
    balancer.rebuild(many)
    for (let n = 0; n < 300; n++) assert.equal(balancer.pick(many, n, mix32(n), random), 41)
  })

  test(`${name}: equal members are picked evenly, and members that come and go are noticed`, () => {
    const random = seededRandom(29)
    const balancer = createBalancer(settings)
    for (const size of [5, 3, 8]) {
      const group = equalMembers(size)
      balancer.rebuild(group)
      const counts = pickCounts(balancer, group, 4_000 * size, random)
      for (const count of counts) assert.ok(count > 3_500 && count < 4_500, `${name}: ${counts}`)
    }
  })

  test(`${name}: a member that warms up gets a part of the picks, a group cold as a whole stays even`, () => {
    const random = seededRandom(31)
    const group = equalMembers(4)
    group.members[2]!.warmth = 0.5
    const balancer = createBalancer(settings)
    balancer.rebuild(group)
    const loaded = pickCountsUnderLoad(balancer, group, 8_000)
    assert.ok(
      loaded[2]! > 100 && loaded[2]! < 0.8 * Math.min(loaded[0]!, loaded[1]!, loaded[3]!),
      `${loaded}`,
    )
    for (const member of group.members) member.warmth = 0.1
    for (const count of pickCountsUnderLoad(balancer, group, 8_000))
      assert.ok(count > 1_700 && count < 2_300, `${name}, all cold: ${count}`)

    function pickCountsUnderLoad(of: typeof balancer, over: PlainGroup, picks: number): number[] {
      const counts = new Array<number>(over.count).fill(0)
      const flying: number[] = []
      for (let n = 0; n < picks; n++) {
        const picked = of.pick(over, n, mix32(n), random)
        counts[picked]!++
        over.members[picked]!.inFlight++
        over.members[picked]!.latencyUs = 1_000
        over.members[picked]!.utilisation = 0.5
        flying.push(picked)
        if (flying.length > 100) over.members[flying.shift()!]!.inFlight--
      }
      for (const left of flying) over.members[left]!.inFlight--
      return counts
    }
  })

  if (byWeight.has(settings.kind) && !('loadFactor' in settings)) {
    test(`${name}: shares follow the weights`, () => {
      const weights = [1, 2, 3, 4]
      const group = new PlainGroup(weights.map(weight => ({ weight })))
      const balancer = createBalancer(settings)
      balancer.rebuild(group)
      const picks = 40_000
      const counts = pickCounts(balancer, group, picks, seededRandom(37))
      for (const [i, count] of counts.entries()) {
        const expected = (picks * weights[i]!) / 10
        assert.ok(Math.abs(count / expected - 1) < 0.1, `${name}: ${counts}`)
      }
    })
  }
}

test('random and two choices on idle members are exactly random by weight', () => {
  const weights = [5, 1, 1, 3]
  const group = new PlainGroup([...weights.map(weight => ({ weight })), { eligible: false, weight: 50 }])
  for (const kind of ['random', 'two-choices'] as const) {
    const balancer = createBalancer({ kind })
    balancer.rebuild(group)
    const counts = pickCounts(balancer, group, 50_000, seededRandom(41)).slice(0, 4)
    const found = chiSquare(
      counts,
      weights.map(weight => weight / 10),
    )
    assert.ok(found < chiSquareLimit(3), `${kind}: chi-square ${found} of ${counts}`)
  }
})

test('only the hash policies use a key', () => {
  const keyed = variants.filter(([, settings]) => usesKey(settings)).map(([, settings]) => settings.kind)
  assert.deepEqual([...new Set(keyed)], ['ip-hash', 'ring-hash', 'rendezvous-hash', 'maglev-hash'])
})
