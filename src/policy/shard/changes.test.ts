import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planReshard } from './changes.ts'
import type { Family, ShardMap } from './contract.ts'
import { firstMap, mapTroubles, mergeMap, type ShardsSpec } from './map.ts'
import { compilePlacement } from './placement.ts'
import type { ReshardIntent, ReshardPlan } from './reshard-contract.ts'

const idsTo = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at + 1))

function specOf(count: number, rule: ShardsSpec['tables'][string]): ShardsSpec {
  return { shards: idsTo(count), slots: 1024, tables: { 'public.rows': rule } }
}

const byHash = { kind: 'sharded', key: ['id'], types: ['bigint'], with: null, rule: { by: 'hash' } } as const
const byRing = { ...byHash, rule: { by: 'consistent', points: 1000 } } as const
const byRange = {
  ...byHash,
  rule: { by: 'range', ranges: ['0', '100', '200', '300'].map((from, at) => ({ from, shard: at % 2 })) },
} as const

function changed(map: ShardMap, intent: ReshardIntent): Extract<ReshardPlan, { kind: 'change' }> {
  const plan = planReshard(map, intent)
  if (plan.kind === 'refused') throw new Error(`${plan.why} ${plan.remedy}`)
  assert.deepEqual(mapTroubles(plan.next), [])
  assert.equal(plan.next.version, map.version + 1)
  return plan
}

function whyNot(map: ShardMap, intent: ReshardIntent): string {
  const plan = planReshard(map, intent)
  return plan.kind === 'refused' ? plan.why : 'it can be'
}

/** Each key that lies elsewhere is in a pair that moves. */
function holds(
  map: ShardMap,
  plan: Extract<ReshardPlan, { kind: 'change' }>,
  keys: readonly string[],
): number {
  const [before, after] = [compilePlacement(map), compilePlacement(plan.next)]
  const pairs = new Set(plan.moves.map(({ from, into }) => `${from}>${into}`))
  let moved = 0
  for (const key of keys) {
    const [one, other] = [before.place('public.rows', [key]), after.place('public.rows', [key])]
    if (!('shard' in one && 'shard' in other)) continue
    const [from, into] = [map.shards[one.shard], plan.next.shards[other.shard]]
    if (from === into) continue
    moved++
    assert.ok(pairs.has(`${from}>${into}`), `${key} goes from ${from} to ${into}, and nobody moves it`)
  }
  return moved
}

const keys = Array.from({ length: 2_000 }, (_, at) => String(at * 7919))

test('a shard that is added takes its share and no more, of hash and of consistent', () => {
  for (const rule of [byHash, byRing])
    for (let count = 1; count <= 16; count++) {
      const slots = 16_384
      const map = firstMap({ ...specOf(count, rule), slots })
      const plan = changed(map, { kind: 'even', shards: idsTo(count + 1) })
      assert.deepEqual(plan.joining, [String(count + 1)])
      assert.ok(
        plan.moves.every(({ into }) => into === String(count + 1)),
        'only to the new one',
      )
      const ideal = 1 / (count + 1)
      assert.ok(plan.share <= 1.1 * ideal + 1 / slots, `${rule.rule.by} ${count}: ${plan.share} of ${ideal}`)
      assert.ok(plan.share >= 0.85 * ideal, `${rule.rule.by} ${count}: ${plan.share} of ${ideal}`)
      holds(map, plan, keys)
    }
})

test('even spreads what was merged, and moves nothing twice', () => {
  const map = firstMap(specOf(4, byHash))
  const merged = changed(map, { kind: 'merge', from: '4', into: '2' })
  assert.equal(merged.share, 0.25)
  assert.deepEqual(
    merged.moves.map(({ from, into }) => [from, into]),
    [['4', '2']],
  )
  const evened = changed(merged.next, { kind: 'even', shards: ['1', '2', '3'] })
  const { slots } = (evened.next.families['public.rows'] as Family).rule as unknown as { slots: number[] }
  const sizes = [0, 1, 2, 3].map(shard => slots.filter(one => one === shard).length)
  assert.deepEqual(sizes.toSorted(), [0, 341, 341, 342])
  assert.ok(Math.abs(evened.share - (512 - 342) / 1024) < 0.01)
})

test('a split takes the upper half, of slots, of ranges, of lists', () => {
  const hash = changed(firstMap(specOf(2, byHash)), { kind: 'split', from: '1', into: '3' })
  assert.equal(hash.share, 0.25)
  assert.equal(hash.moves[0]?.slots?.[0], 256)
  const ranged = firstMap(specOf(2, byRange))
  const plan = changed(ranged, { kind: 'split', from: '1', into: '3' })
  const { ranges } = (plan.next.families['public.rows'] as Family).rule as unknown as {
    ranges: { shard: number }[]
  }
  assert.deepEqual(
    ranges.map(({ shard }) => shard),
    [0, 1, 2, 1],
  )
  assert.equal(holds(ranged, plan, ['50', '150', '250', '350']), 1)
  const whole: ShardMap = {
    ...ranged,
    families: {
      'public.rows': { types: ['bigint'], rule: { by: 'range', ranges: [{ from: null, shard: 0 }] } },
    },
  }
  assert.equal(whyNot(whole, { kind: 'split', from: '1', into: '2' }), 'nothing would move')
})

test('one key gets a shard of its own, and goes with the rest when that one is merged', () => {
  const map = firstMap(specOf(2, byHash))
  const plan = changed(map, { kind: 'isolate', family: 'public.rows', key: ['42'], into: '3' })
  const after = compilePlacement(plan.next)
  assert.deepEqual(after.place('public.rows', [' +042 ']), { shard: 2, slot: -1 })
  assert.equal(holds(map, plan, ['42', ...keys]), 1)
  const back = changed(plan.next, { kind: 'merge', from: '3', into: '1' })
  assert.deepEqual(compilePlacement(back.next).place('public.rows', ['42']), { shard: 0, slot: -1 })
  assert.equal(
    whyNot(map, { kind: 'isolate', family: 'public.rows', key: ['x'], into: '3' }),
    "'x' is no key of 'public.rows'",
  )
})

test('a family is meant by any of its tables', () => {
  const spec = specOf(2, byHash)
  const map = firstMap({
    ...spec,
    tables: { ...spec.tables, 'public.more': { ...byHash, with: 'public.rows', rule: null } },
  })
  const one = changed(map, { kind: 'slots', family: 'public.rows', first: 0, last: 9, into: '2' })
  const other = changed(map, { kind: 'slots', family: 'public.more', first: 0, last: 9, into: '2' })
  assert.deepEqual(other, one)
  assert.match(
    whyNot(map, { kind: 'slots', family: 'public.no', first: 0, last: 9, into: '2' }),
    /'public.no' is no family/,
  )
})

test('slots and rules of one family', () => {
  const map = firstMap(specOf(2, byHash))
  const slots = changed(map, { kind: 'slots', family: 'public.rows', first: 0, last: 9, into: '2' })
  assert.equal(slots.moves[0]?.slots?.length, 10)
  const rule = changed(map, {
    kind: 'rule',
    family: 'public.rows',
    rule: {
      by: 'range',
      ranges: [
        { from: null, shard: 0 },
        { from: '1000000', shard: 1 },
      ],
    },
  })
  assert.ok(holds(map, rule, keys) > 0)
  assert.equal(
    whyNot(map, { kind: 'slots', family: 'public.rows', first: 0, last: 1024, into: '2' }),
    "'public.rows' has no slots 0 to 1024",
  )
})

test('another rule has a place for every key', () => {
  const map = firstMap(specOf(2, byHash))
  const lists = [{ values: ['1', '2'], shard: 1 }]
  const list = changed(map, {
    kind: 'rule',
    family: 'public.rows',
    rule: { by: 'list', lists, otherwise: 0 },
  })
  assert.ok(holds(map, list, keys) > 0)
  assert.match(
    whyNot(map, { kind: 'rule', family: 'public.rows', rule: { by: 'list', lists, otherwise: null } }),
    /key the rule does not name would have no place/,
  )
  assert.match(
    whyNot(map, { kind: 'rule', family: 'public.rows', rule: { by: 'directory', otherwise: 0 } }),
    /between a directory and another rule/,
  )
})

test('one key of a directory moves when it is known where it is', () => {
  const spec = { ...byHash, rule: { by: 'directory', otherwise: null, assign: 'round-robin' } } as const
  const map = firstMap(specOf(3, spec))
  const move = { kind: 'isolate', family: 'public.rows', key: ['7'], into: '3' } as const
  assert.match(whyNot(map, move), /not known where the directory has '7'/)
  assert.match(whyNot(map, { kind: 'merge', from: '3', into: '1' }), /where its directory says/)
  const family = map.families['public.rows']!
  const pinned = {
    ...map,
    families: { 'public.rows': { ...family, exceptions: [{ key: ['7'], shard: 0 }] } },
  }
  const plan = changed(pinned, move)
  assert.deepEqual(plan.moves, [{ family: 'public.rows', from: '1', into: '3', slots: null }])
  assert.deepEqual(plan.next.families['public.rows']?.exceptions, [{ key: ['7'], shard: 2 }])
  // Its keys may be anywhere: no shard goes.
  const fewer = mergeMap(map, specOf(2, spec))
  assert.match(fewer.kind === 'refused' ? fewer.why : '', /shard 3 still has keys of 'public.rows'/)
  const other = mergeMap(map, specOf(3, { ...spec, rule: { by: 'directory', otherwise: null } }))
  assert.equal(other.kind, 'changed')
  const otherwise = { ...spec, rule: { by: 'directory', otherwise: 1 } } as const
  assert.equal(mergeMap(map, specOf(3, otherwise)).kind, 'refused')
})

test('lists over some of the shards, and by a ring', () => {
  const inner = { by: 'hash', shards: [0, 2], slots: 8 } as const
  const ring = { by: 'consistent', points: 100, shards: [1], slots: 4 } as const
  const rule = {
    by: 'list-then',
    lists: [
      { values: ['de', 'at'], rule: inner },
      { values: ['us'], rule: ring },
    ],
    otherwise: { by: 'list', lists: [], otherwise: 1 },
  } as const
  const spec = { ...byHash, key: ['country', 'id'], types: ['text', 'bigint'], rule } as const
  const map = firstMap(specOf(3, spec as never))
  const placement = compilePlacement(map)
  const shardsOf = (country: string): number[] => [
    ...new Set(
      Array.from({ length: 50 }, (_, id) => {
        const placed = placement.place('public.rows', [country, String(id)])
        return 'shard' in placed ? placed.shard : -1
      }),
    ),
  ]
  assert.deepEqual(shardsOf('de').sort(), [0, 2])
  assert.deepEqual(shardsOf('at').sort(), [0, 2])
  assert.deepEqual(shardsOf('us'), [1])
  assert.deepEqual(shardsOf('fr'), [1])
  assert.equal(mergeMap(map, specOf(3, spec as never)).kind, 'same')
  // Slots that have moved inside a list are no other rule.
  const split = changed(map, { kind: 'split', from: '1', into: '2' })
  assert.equal(mergeMap(split.next, specOf(3, spec as never)).kind, 'same')
})

test('what can not be is said', () => {
  const map = firstMap({
    ...specOf(2, byHash),
    tables: { 'public.rows': byHash, 'public.one': { kind: 'on', shard: 0 } },
  })
  assert.match(whyNot(map, { kind: 'merge', from: '1', into: '2' }), /'public.one' is on shard 1/)
  assert.match(whyNot(map, { kind: 'split', from: '9', into: '2' }), /no shard 9/)
  assert.match(whyNot(map, { kind: 'merge', from: '1', into: '1' }), /itself/)
  assert.match(whyNot(map, { kind: 'even', shards: ['1', '2'] }), /nothing would move/)
})

test('a file with more shards changes nothing, one with fewer must leave out empty ones', () => {
  const two = firstMap(specOf(2, byHash))
  assert.deepEqual(mergeMap(two, specOf(4, byHash)), { kind: 'same' })
  const late = mergeMap(two, {
    ...specOf(4, byHash),
    tables: { 'public.rows': byHash, 'public.one': { kind: 'on', shard: 3 } },
  })
  assert.equal(late.kind === 'refused' && late.table, 'public.one')
  const fewer = mergeMap(two, specOf(1, byHash))
  assert.match(fewer.kind === 'refused' ? fewer.why : '', /shard 2 still has rows of 'public.rows'/)
  const merged = changed(two, { kind: 'merge', from: '2', into: '1' })
  const kept = mergeMap(merged.next, specOf(1, byHash))
  assert.ok(kept.kind === 'changed')
  assert.deepEqual(kept.map.shards, ['1'])
  assert.equal(kept.map.version, 3)
})

test('a shard that goes from the middle takes no other shard with it', () => {
  const two = firstMap(specOf(2, byHash))
  const four = changed(two, { kind: 'even', shards: ['1', '2', '4', '3'] }).next
  assert.deepEqual(four.shards, ['1', '2', '4', '3'])
  const merged = changed(four, { kind: 'merge', from: '4', into: '2' }).next
  const isolated = changed(merged, { kind: 'isolate', family: 'public.rows', key: ['7'], into: '3' }).next
  const fewer = mergeMap(isolated, specOf(3, byHash))
  assert.ok(fewer.kind === 'changed')
  assert.deepEqual(fewer.map.shards, ['1', '2', '3'])
  assert.deepEqual(mapTroubles(fewer.map), [])
  const [before, after] = [compilePlacement(isolated), compilePlacement(fewer.map)]
  for (const key of keys) {
    const [one, other] = [before.place('public.rows', [key]), after.place('public.rows', [key])]
    assert.ok('shard' in one && 'shard' in other)
    assert.equal(isolated.shards[one.shard], fewer.map.shards[other.shard], key)
  }
})

test('a file goes on matching a map whose slots, ranges or keys were moved', () => {
  for (const rule of [byHash, byRing, byRange]) {
    const map = firstMap(specOf(2, rule))
    const { next } = changed(map, { kind: 'split', from: '1', into: '3' })
    assert.deepEqual(mergeMap(next, specOf(3, rule)), { kind: 'same' })
  }
  const { next } = changed(firstMap(specOf(2, byHash)), {
    kind: 'isolate',
    family: 'public.rows',
    key: ['5'],
    into: '3',
  })
  const merged = mergeMap(next, specOf(3, byHash))
  assert.deepEqual(merged, { kind: 'same' })
  const family = next.families['public.rows'] as Family
  assert.equal(family.exceptions?.length, 1)
})
