import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Family, KeyType, ShardMap } from './contract.ts'
import { canonicalKey, compareKeys } from './key.ts'
import { hashHigh, hashLow } from './key-hash.ts'
import { firstMap, mapTroubles, mergeMap, type RuleSpec, type ShardsSpec } from './map.ts'
import { compilePlacement, hashKey } from './placement.ts'
import { ringSlots } from './ring.ts'

/** What PostgreSQL 18 says: `hashint8extended(v, seed)` and its like, then combined with nothing (test/shards/hash.test.ts). */
const golden: readonly (readonly [KeyType, string, bigint])[] = [['bigint', '42', 7363975540656877951n]]

function raw(hash: bigint): bigint {
  return BigInt.asUintN(64, hash + 0x49a0f4dd15e5a8e3n)
}

test('a key hashes as PARTITION BY HASH does', () => {
  for (const [type, value, hash] of golden) {
    hashKey([type], [value])
    assert.equal((BigInt(hashHigh) << 32n) | BigInt(hashLow), raw(hash), `${type} ${value}`)
  }
})

test('integers of all widths hash alike, so that a column may grow', () => {
  for (const value of ['0', '-1', '7', '32767', '-32768']) {
    const hashes = (['smallint', 'integer', 'bigint'] as const).map(type => {
      hashKey([type], [value])
      return `${hashHigh}.${hashLow}`
    })
    assert.equal(new Set(hashes).size, 1, value)
  }
})

test('slots are the hash modulo their number, whether that is a power of two or not', () => {
  for (const slots of [1, 2, 96, 1_000, 1_024, 16_384]) {
    const placement = compilePlacement(mapOf({ by: 'hash' }, ['text'], 1, slots))
    for (let at = 0; at < 200; at++) {
      const value = at % 2 === 0 ? `k${at}` : 'é'.repeat(at * 2)
      hashKey(['text'], [value])
      const hash = (BigInt(hashHigh) << 32n) | BigInt(hashLow)
      const expected = { shard: 0, slot: Number(hash % BigInt(slots)) }
      assert.deepEqual(placement.place('public.t', [value]), expected)
    }
  }
})

test('integers are placed as their texts are', () => {
  for (const type of ['smallint', 'integer', 'bigint'] as const) {
    const placement = compilePlacement(mapOf({ by: 'hash' }, [type]))
    const place = placement.integers('public.t')
    assert.ok(place)
    const wide = type === 'bigint' ? [2 ** 32, -(2 ** 32) - 1, 999_999_999_999_999, -(2 ** 47)] : []
    const tooMuch = { smallint: [32_768, -32_769], integer: [2 ** 31], bigint: [] }[type]
    for (const value of [0, 1, -1, 32_767, -32_768, ...wide, ...tooMuch])
      assert.deepEqual(place(value), placement.place('public.t', [String(value)]), `${type} ${value}`)
  }
  assert.equal(compilePlacement(mapOf({ by: 'hash' }, ['text'])).integers('public.t'), null)
  assert.equal(compilePlacement(mapOf({ by: 'hash' })).integers('public.other'), null)
})

test('one value has one form, and what is no value has none', () => {
  const cases: readonly (readonly [KeyType, string, string | null])[] = [
    ['bigint', ' +007 ', '7'],
    ['bigint', '-0', '0'],
    ['bigint', '9223372036854775807', '9223372036854775807'],
    ['bigint', '9223372036854775808', null],
    ['bigint', '-9223372036854775808', '-9223372036854775808'],
    ['bigint', '5.0', null],
    ['bigint', '', null],
    ['smallint', '32768', null],
    ['integer', '-2147483648', '-2147483648'],
    ['text', ' a ', ' a '],
    ['uuid', '{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['uuid', 'a0eebc99', null],
    ['boolean', 'TRUE', 't'],
    ['boolean', 'o', null],
    ['date', '2000-01-01', '0'],
    ['date', '1999-12-31', '-1'],
    ['date', '2024-02-30', null],
    ['date', '0001-01-01 BC', '-730485'],
    ['date', '1.2.2026', null],
    ['timestamp', '2000-01-01 00:00:01.5', '1500000'],
    ['timestamp', '2000-01-01', '0'],
    ['timestamptz', '2000-01-01 00:00:00+01', '-3600000000'],
    ['timestamptz', '2000-01-01 00:00:00', null],
    ['timestamptz', 'infinity', 'infinity'],
  ]
  for (const [type, text, canonical] of cases)
    assert.equal(canonicalKey(type, text), canonical, `${type} '${text}'`)
})

test('keys are in the order of their type', () => {
  assert.equal(compareKeys('bigint', '9', '10'), -1)
  assert.equal(compareKeys('text', '9', '10'), 1)
  assert.equal(compareKeys('text', 'a', 'a '), -1)
  // By bytes, not by UTF-16: a character beyond the basic plane comes last.
  assert.equal(compareKeys('text', '\uffee', '\u{1f600}'), -1)
  assert.equal(compareKeys('timestamptz', '-infinity', '-9223372036854775807'), -1)
  assert.equal(compareKeys('date', 'infinity', '5'), 1)
})

function mapOf(rule: RuleSpec, types: readonly KeyType[] = ['bigint'], shards = 4, slots = 1024): ShardMap {
  return firstMap(specOf(rule, types, shards, slots))
}

function specOf(
  rule: RuleSpec,
  types: readonly KeyType[] = ['bigint'],
  shards = 4,
  slots = 1024,
): ShardsSpec {
  return {
    shards: Array.from({ length: shards }, (_, index) => String(index + 1)),
    slots,
    tables: { 'public.t': { kind: 'sharded', key: types.map((_, at) => `k${at}`), types, with: null, rule } },
  }
}

test('each rule places, and says what it can not place', () => {
  const range = compilePlacement(
    mapOf({
      by: 'range',
      ranges: [
        { from: '0', shard: 2 },
        { from: '100', shard: 0 },
      ],
    }),
  )
  assert.deepEqual(range.place('public.t', ['0']), { shard: 2, slot: -1 })
  assert.deepEqual(range.place('public.t', ['99']), { shard: 2, slot: -1 })
  assert.deepEqual(range.place('public.t', ['100']), { shard: 0, slot: -1 })
  assert.deepEqual(range.place('public.t', ['-1']), { refused: 'unmapped', value: '-1' })

  const list = compilePlacement(
    mapOf({ by: 'list', lists: [{ values: ['at', 'de'], shard: 1 }], otherwise: null }, ['text']),
  )
  assert.deepEqual(list.place('public.t', ['de']), { shard: 1, slot: -1 })
  assert.deepEqual(list.place('public.t', ['fr']), { refused: 'unmapped', value: 'fr' })

  const then = compilePlacement(
    mapOf(
      {
        by: 'list-then',
        lists: [{ values: ['eu'], rule: { by: 'range', ranges: [{ from: null, shard: 3 }] } }],
        otherwise: { by: 'hash' },
      },
      ['text', 'bigint'],
    ),
  )
  assert.deepEqual(then.place('public.t', ['eu', '5']), { shard: 3, slot: -1 })
  assert.ok('slot' in then.place('public.t', ['us', '5']))

  const found = new Map([['a', 2]])
  const directory = compilePlacement(mapOf({ by: 'directory', otherwise: null }, ['text']), (_, key) =>
    key === 'b' ? null : found.get(key),
  )
  assert.deepEqual(directory.place('public.t', ['a']), { shard: 2, slot: -1 })
  assert.deepEqual(directory.place('public.t', ['b']), { refused: 'unmapped', value: 'b' })
  assert.deepEqual(directory.place('public.t', ['c']), { refused: 'unknown-directory', value: 'c' })

  const hash = compilePlacement(mapOf({ by: 'hash' }))
  assert.deepEqual(hash.place('public.t', [null]), { refused: 'null-key', value: null })
  assert.deepEqual(hash.place('public.t', ['x']), { refused: 'not-a-value', value: 'x' })
  assert.deepEqual(hash.place('public.t', ['007']), hash.place('public.t', [' 7']))
})

test('hash and consistent families spread keys evenly', () => {
  for (const rule of [{ by: 'hash' }, { by: 'consistent', points: 160 }] as const)
    for (const shards of [2, 3, 7, 16]) {
      const placement = compilePlacement(mapOf(rule, ['bigint'], shards, 4096))
      const counts = new Array<number>(shards).fill(0)
      const keys = 64_000
      for (let key = 0; key < keys; key++) {
        const placed = placement.place('public.t', [String(key * 7 + 1)])
        assert.ok('shard' in placed)
        counts[placed.shard]!++
      }
      const most = Math.max(...counts) / (keys / shards)
      // A ring is never quite even; 160 points a shard keep it within a third.
      assert.ok(most < (rule.by === 'hash' ? 1.06 : 1.34), `${rule.by} over ${shards}: ${most}`)
    }
})

test('a shard that joins a ring takes its share, and nothing moves between the others', () => {
  for (let shards = 1; shards < 16; shards++) {
    const ids = Array.from({ length: shards + 1 }, (_, index) => String(index + 1))
    const before = ringSlots(ids.slice(0, shards), 1000, 16_384)
    const after = ringSlots(ids, 1000, 16_384)
    let moved = 0
    for (const [slot, shard] of after.entries()) {
      if (shard === before[slot]) continue
      assert.equal(shard, shards)
      moved++
    }
    const ideal = after.length / (shards + 1)
    assert.ok(moved <= ideal * 1.1, `${shards} -> ${shards + 1}: ${moved} of ${ideal}`)
  }
})

test('a map says what is wrong with it', () => {
  const family = (rule: Family['rule']): ShardMap => ({
    format: 1,
    version: 1,
    shards: ['1', '2'],
    families: { f: { types: ['bigint'], rule } },
    tables: {},
  })
  assert.deepEqual(mapTroubles(family({ by: 'hash', slots: [0, 1] })), [])
  assert.deepEqual(mapTroubles(family({ by: 'hash', slots: [0, 2] })), [
    "family 'f' has a slot without a shard",
  ])
  const ranges = [
    { from: '5', shard: 0 },
    { from: '4', shard: 1 },
  ]
  assert.match(mapTroubles(family({ by: 'range', ranges }))[0] as string, /not in their order, at '4'/)
  const lists = [
    { values: ['1'], shard: 0 },
    { values: ['01'], shard: 1 },
  ]
  assert.match(mapTroubles(family({ by: 'list', lists, otherwise: null }))[0] as string, /'01' in two lists/)
})

test('a changed file adds tables, and moves none', () => {
  const spec = specOf({ by: 'hash' })
  const map = firstMap(spec)
  assert.deepEqual(mergeMap(map, spec), { kind: 'same' })
  const more = { ...spec, tables: { ...spec.tables, 'public.films': { kind: 'everywhere' } as const } }
  const merged = mergeMap(map, more)
  assert.ok(merged.kind === 'changed')
  assert.equal(merged.map.version, 2)
  assert.deepEqual(merged.map.tables['public.films'], { kind: 'everywhere' })
  // Slots that resharding has moved stay where they are.
  const moved: ShardMap = {
    ...map,
    families: { 'public.t': { types: ['bigint'], rule: { by: 'hash', slots: new Array(1024).fill(3) } } },
  }
  assert.deepEqual(mergeMap(moved, spec), { kind: 'same' })
  assert.equal(mergeMap(map, specOf({ by: 'consistent', points: 10 })).kind, 'refused')
  assert.equal(mergeMap(map, specOf({ by: 'hash' }, ['bigint'], 3)).kind, 'refused')
})
