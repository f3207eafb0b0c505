// Placement as SQL gives each key the shard that routers give it, for every rule and type, as a real server sees it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { Family, KeyType, ShardMap } from '../../src/policy/shard/contract.ts'
import { compilePlacement } from '../../src/policy/shard/placement.ts'
import { placedOnSql } from '../../src/policy/shard/predicate.ts'
import { startPostgres } from '../tools/postgres-server.ts'

const shards = ['1', '2', '3']
const slots = Array.from({ length: 96 }, (_, slot) => (slot * 7) % 3)

const keys: Readonly<Record<KeyType, readonly string[]>> = {
  smallint: ['0', '-1', '7', '32767', '-32768'],
  integer: ['0', '42', '-42', '2147483647', '-2147483648'],
  bigint: ['0', '42', '-5', '9007199254740993', '-9223372036854775808', '9223372036854775807'],
  text: ['', 'a', 'A', 'b', 'Z', 'é', '日本', "it's", 'back\\slash', ' a', '🎬', 'z'.repeat(300)],
  uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000'],
  date: ['2000-01-01', '1999-12-31', '2026-11-23', 'infinity', '-infinity'],
  timestamp: ['2000-01-01 00:00:00', '2026-11-23 12:34:56.789', 'infinity'],
  timestamptz: ['2000-01-01 00:00:00+00', '2026-11-23 12:34:56.789+02', '-infinity'],
  boolean: ['t', 'f'],
}

const one = (types: readonly KeyType[], rule: Family['rule'], exceptions?: Family['exceptions']): Family => ({
  types,
  rule,
  ...(exceptions === undefined ? {} : { exceptions }),
})

const cases: readonly (readonly [Family, readonly (readonly string[])[]])[] = [
  ...Object.entries(keys).flatMap(([type, values]): (readonly [Family, readonly (readonly string[])[]])[] => [
    [one([type as KeyType], { by: 'hash', slots }), values.map(value => [value])],
    [one([type as KeyType], { by: 'consistent', points: 10, slots }), values.map(value => [value])],
  ]),
  [
    one(['text', 'bigint'], { by: 'hash', slots }),
    keys.text.flatMap(text => keys.bigint.map(number => [text, number])),
  ],
  [
    one(['bigint'], {
      by: 'range',
      ranges: [
        { from: null, shard: 2 },
        { from: '-5', shard: 0 },
        { from: '42', shard: 1 },
        { from: '9007199254740993', shard: 0 },
      ],
    }),
    [...keys.bigint, '-6', '41', '43', '9007199254740992'].map(value => [value]),
  ],
  [
    one(['text'], {
      by: 'range',
      ranges: [
        { from: 'A', shard: 0 },
        { from: 'a', shard: 1 },
        { from: 'é', shard: 2 },
      ],
    }),
    keys.text.map(value => [value]),
  ],
  [
    one(['timestamptz'], {
      by: 'time',
      ranges: [
        { from: null, shard: 0 },
        { from: '2026-01-01 00:00:00+00', shard: 1 },
      ],
    }),
    keys.timestamptz.map(value => [value]),
  ],
  [
    one(['text'], { by: 'list', lists: [{ values: ['a', "it's"], shard: 1 }], otherwise: 2 }),
    keys.text.map(value => [value]),
  ],
  [
    one(['text'], { by: 'geo', regions: [{ values: ['a', 'back\\slash'], shard: 1 }], otherwise: null }),
    keys.text.map(value => [value]),
  ],
  [
    one(['text', 'bigint'], {
      by: 'list-then',
      lists: [{ values: ['a', 'b'], rule: { by: 'hash', slots } }],
      otherwise: { by: 'range', ranges: [{ from: '0', shard: 2 }] },
    }),
    keys.text.flatMap(text => keys.bigint.map(number => [text, number])),
  ],
  [
    one(['bigint'], { by: 'hash', slots }, [
      { key: ['42'], shard: 2 },
      { key: ['-5'], shard: 0 },
    ]),
    keys.bigint.map(value => [value]),
  ],
]

test('SQL and routers place alike', async t => {
  const server = await startPostgres(t, { settings: { shared_buffers: '16MB', fsync: 'off' } })
  const { host, port } = server
  const session = new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' }))
  t.after(() => session.close())
  const empty: ShardMap = { format: 1, version: 1, shards, families: {}, tables: {} }
  await installShardSchema({ ask: sql => session.query(sql, 20_000), shard: '1', map: empty })
  let compared = 0
  for (const [family, values] of cases) {
    const map: ShardMap = { ...empty, families: { rows: family } }
    const placement = compilePlacement(map)
    const columns = family.types.map((_, at) => `k${at}`)
    const literals = values.map(
      key =>
        `(${key.map((value, at) => `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'::${family.types[at]}`).join(', ')})`,
    )
    const tests = shards.map((_, shard) => placedOnSql(map, 'rows', columns, shard))
    const rows = await session.query(
      `SELECT ${tests.map(one => `coalesce(${one}, false)`).join(', ')} FROM (VALUES ${literals.join(', ')}) AS v (${columns.join(', ')})`,
      20_000,
    )
    for (const [at, key] of values.entries()) {
      const placed = placement.place('rows', key)
      const expected = shards.map((_, shard) => ('shard' in placed && placed.shard === shard ? 't' : 'f'))
      assert.deepEqual(rows[at], expected, `${family.rule.by} of ${family.types}: ${key.join(', ')}`)
      compared++
    }
    const [none] = await session.query(
      `SELECT ${tests.join(', ')} FROM (SELECT ${family.types.map((type, at) => `NULL::${type} AS k${at}`).join(', ')}) AS v`,
      20_000,
    )
    assert.ok(
      !none?.includes('t') || family.rule.by === 'list-then',
      `a key that is NULL has no place: ${family.rule.by}`,
    )
  }
  assert.ok(compared > 150)
})
