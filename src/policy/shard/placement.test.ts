import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ShardKey } from './key.ts'
import { createPlacement, nowhere, type Placement, type PlacementSpec, periodOf } from './placement.ts'
import { evenSlots, movedSlots, rebalanced, ringSlots, runsOf, slotsOfRuns } from './slots.ts'

function placed(placement: Placement, ...texts: string[]): number {
  return placement.place(
    texts.map((text, i) => {
      const key = new ShardKey(placement.types[i]!)
      assert.ok(key.readText(text), text)
      return key
    }),
  )
}

/** How many of so many keys lie on each shard. */
function shares(placement: Placement, keys: number, shards: number): number[] {
  const counts = new Array<number>(shards).fill(0)
  for (let key = 0; key < keys; key++) counts[placed(placement, String(key))]! += 1
  return counts
}

const hash = (owners: Uint16Array): PlacementSpec => ({
  kind: 'hash',
  type: 'int8',
  slots: owners.length,
  owners: runsOf(owners),
})

test('hashed keys lie evenly on every number of shards', () => {
  for (const shards of [1, 2, 3, 4, 7, 16]) {
    const counts = shares(createPlacement(hash(evenSlots(4096, shards))), 40_000, shards)
    for (const count of counts)
      assert.ok(Math.abs(count / (40_000 / shards) - 1) < 0.1, `${shards} shards: ${counts.join(' ')}`)
  }
})

test('one shard more moves its own share of slots and nothing between those that stay', () => {
  for (let shards = 1; shards < 40; shards++) {
    const before = evenSlots(4096, shards)
    const after = rebalanced(before, new Array(shards + 1).fill(1))
    const moved = movedSlots(before, after)
    assert.ok(moved.length <= Math.ceil(4096 / (shards + 1)), `${shards}: ${moved.length}`)
    assert.ok(moved.every(slot => after[slot] === shards))
    const back = rebalanced(after, [...new Array(shards).fill(1), 0])
    assert.ok(movedSlots(after, back).every(slot => after[slot] === shards))
  }
})

test('unequal shards get unequal shares, and one without a share none', () => {
  const owners = rebalanced(evenSlots(1024, 2), [3, 1, 0, 4])
  const counts = [0, 0, 0, 0]
  for (const owner of owners) counts[owner]! += 1
  assert.deepEqual(counts, [384, 128, 0, 512])
})

test('a ring moves to a new shard about its share of keys, at most 1.1 times, and nothing else', () => {
  for (let shards = 1; shards <= 12; shards++) {
    const names = Array.from({ length: shards + 1 }, (_, i) => `main-${i + 1}`)
    const before = ringSlots(16_384, names.slice(0, -1), 4096)
    const after = ringSlots(16_384, names, 4096)
    const moved = movedSlots(before, after)
    const ideal = 16_384 / (shards + 1)
    assert.ok(moved.length <= 1.1 * ideal, `${shards}: ${moved.length / ideal}`)
    assert.ok(moved.length >= 0.9 * ideal, `${shards}: ${moved.length / ideal}`)
    assert.ok(moved.every(slot => after[slot] === shards))
  }
})

test('a ring is the same in whatever order its shards are named', () => {
  const spec = (order: readonly number[]): PlacementSpec => ({
    kind: 'consistent',
    type: 'text',
    slots: 1024,
    points: 64,
    shards: order.map(shard => ({ name: `s${shard}`, shard })),
  })
  const one = createPlacement(spec([0, 1, 2]))
  const two = createPlacement(spec([2, 0, 1]))
  for (let key = 0; key < 500; key++) assert.equal(placed(one, `k${key}`), placed(two, `k${key}`))
})

test("ranges hold their lower end, and what no range has is nobody's", () => {
  const placement = createPlacement({
    kind: 'range',
    type: 'int8',
    ranges: [
      { from: '0', owner: 0 },
      { from: '1000', owner: 1 },
      { from: '2000', owner: null },
      { from: '3000', owner: 2 },
    ],
  })
  const at = (text: string) => placed(placement, text)
  assert.deepEqual(['0', '999', '1000', '1999', '3000', '99999'].map(at), [0, 0, 1, 1, 2, 2])
  assert.deepEqual(['-1', '2000', '2999'].map(at), [nowhere.unmapped, nowhere.unmapped, nowhere.unmapped])
})

test('values of a list are found in every spelling; others are refused or go where the list says', () => {
  const spec = {
    kind: 'list',
    type: 'uuid',
    values: [{ of: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], owner: 1 }],
    otherwise: null,
  } as const
  const strict = createPlacement(spec)
  assert.equal(placed(strict, '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'), 1)
  assert.equal(placed(strict, 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), nowhere.unmapped)
  const open = createPlacement({ ...spec, otherwise: 3 })
  assert.equal(placed(open, 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), 3)
  assert.equal(open.slots, 2)
})

test('periods follow the calendar', () => {
  const period = (text: string, unit: Parameters<typeof periodOf>[1]) => {
    const key = new ShardKey('date')
    assert.ok(key.readText(text))
    return periodOf(key, unit)
  }
  for (let day = Date.UTC(1999, 0, 1); day < Date.UTC(2030, 0, 1); day += 86_400_000) {
    const date = new Date(day)
    const text = date.toISOString().slice(0, 10)
    const months = (date.getUTCFullYear() - 2000) * 12 + date.getUTCMonth()
    assert.equal(period(text, 'month'), months, text)
    assert.equal(period(text, 'quarter'), Math.floor(months / 3), text)
    assert.equal(period(text, 'year'), date.getUTCFullYear() - 2000, text)
    const yesterday = new Date(day - 86_400_000).toISOString().slice(0, 10)
    assert.equal(period(text, 'week') - period(yesterday, 'week'), date.getUTCDay() === 1 ? 1 : 0, text)
  }
})

test("time goes to the shards of its span in turn; before the first it is nobody's", () => {
  const placement = createPlacement({
    kind: 'time',
    type: 'timestamptz',
    unit: 'month',
    spans: [
      { from: '2026-01-01', owners: [0, 1] },
      { from: '2026-04-01', owners: [2] },
    ],
  })
  const at = (text: string) => placed(placement, text)
  assert.deepEqual(
    ['2026-01-31T23:59:59Z', '2026-02-01T00:00:00Z', '2026-03-09T00:00:00Z', '2026-12-01T00:00:00Z'].map(at),
    [0, 1, 0, 2],
  )
  assert.equal(at('2026-02-01T00:30:00+01:00'), 0, 'by UTC it is January still')
  assert.equal(at('2025-12-31T00:00:00Z'), nowhere.unmapped)
})

test('a composite key chooses its part first, and its place there', () => {
  const placement = createPlacement({
    kind: 'composite',
    type: 'text',
    parts: [
      { of: ['eu', 'uk'], within: { kind: 'hash', type: 'int8', slots: 16, owners: [0, 8, 1, 8] } },
      { of: ['us'], within: { kind: 'hash', type: 'int8', slots: 16, owners: [2, 16] } },
    ],
    otherwise: null,
  })
  assert.deepEqual(placement.types, ['text', 'int8'])
  assert.equal(placement.slots, 32)
  for (let key = 0; key < 100; key++) {
    assert.ok([0, 1].includes(placed(placement, 'eu', String(key))))
    assert.equal(placed(placement, 'eu', String(key)), placed(placement, 'uk', String(key)))
    assert.equal(placed(placement, 'us', String(key)), 2)
    assert.equal(placed(placement, 'jp', String(key)), nowhere.unmapped)
  }
  assert.equal(placement.owner(9), 1)
  assert.equal(placement.owner(17), 2)
})

test('a map is read back as it was written down, and what is none is told', () => {
  const owners = Uint16Array.from({ length: 64 }, (_, slot) => (slot * 7) % 3)
  assert.deepEqual(slotsOfRuns(runsOf(owners), 64), owners)
  for (const runs of [[], [0, 63], [0, 65], [0, 0, 1, 64], [0, 64, 1]])
    assert.equal(slotsOfRuns(runs, 64), null, JSON.stringify(runs))
})
