// The schema `tenfold` of a shard, on a real server: made twice, its hashes beside those of the policy, ids, decisions.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { Session } from '../../src/database/servers/session.ts'
import { readShardCatalogue } from '../../src/database/shards/catalogue.ts'
import {
  abortDecisionSql,
  decisionSql,
  installShardSchema,
  preparedName,
} from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { KeyType, ShardMap } from '../../src/policy/shard/contract.ts'
import { compilePlacement } from '../../src/policy/shard/placement.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'

const slots = 1_000
const numbered = Array.from({ length: slots }, (_, slot) => slot % 2)
const map: ShardMap = { format: 1, version: 1, shards: ['1', '7'], families: {}, tables: {} }
const uuid = '0b54c2a4-8d3c-4c56-9a55-2d3a5d1f0a01'
const gid = (end: string): string => `tenfold:test:7:${uuid.slice(0, -2)}${end}`

let server: PostgresServer
let operator: Session
const endings: (() => Promise<void> | void)[] = []

before(async () => {
  server = await startPostgres({ after: (end: unknown) => endings.push(end as () => void) } as never)
  operator = sessionOf('tenfold')
  await installShardSchema({ ask, shard: '7', map })
})

test.after(async () => {
  operator.close()
  for (const end of endings.reverse()) await end()
})

const ask = (sql: string): ReturnType<Session['query']> => operator.query(sql, 20_000)

function sessionOf(user: string): Session {
  const { host, port, database, password } = server
  return new Session(() => ({ host, port, database, user, password }))
}

async function client(): Promise<pg.Client> {
  const { host, port, database, password } = server
  const made = new pg.Client({ host, port, database, password, user: 'app' })
  await made.connect()
  return made
}

const one = async (sql: string): Promise<string | null> => (await ask(sql))[0]?.[0] ?? null

test('is installed twice, by two at once, and takes a newer map but no older one', async () => {
  const other = sessionOf('tenfold')
  try {
    await Promise.all([
      installShardSchema({ ask, shard: '7', map: { ...map, version: 3 } }),
      installShardSchema({ ask: sql => other.query(sql, 20_000), shard: '7', map: { ...map, version: 2 } }),
    ])
  } finally {
    other.close()
  }
  assert.equal(await one('SELECT version FROM tenfold.shard_map'), '3')
})

test('is refused on the servers of another shard, where somebody else owns the name, and after a newer version', async () => {
  await assert.rejects(installShardSchema({ ask, shard: '1', map }), { code: 'SHARDS_SCHEMA_FOREIGN' })
  await ask('UPDATE tenfold.installed SET version = 99')
  await assert.rejects(installShardSchema({ ask, shard: '7', map }), { code: 'SHARDS_SCHEMA_NEWER' })
  await ask('UPDATE tenfold.installed SET version = 1')
  await ask('ALTER SCHEMA tenfold OWNER TO app')
  await assert.rejects(installShardSchema({ ask, shard: '7', map }), { code: 'SHARDS_SCHEMA_FOREIGN' })
  await ask('ALTER SCHEMA tenfold OWNER TO tenfold')
  await installShardSchema({ ask, shard: '7', map })
})

const samples: Readonly<Record<KeyType, (next: () => number) => string>> = {
  smallint: next => String(Math.floor(next() * 65_536) - 32_768),
  integer: next => String(Math.floor(next() * 2 ** 32) - 2 ** 31),
  bigint: next => String(BigInt(Math.floor((next() - 0.5) * 2 ** 53)) * BigInt(Math.floor(next() * 1_000))),
  text: next => Array.from({ length: next() * 40 }, () => 'aZ0 äß€😀'.charAt(next() * 9)).join(''),
  uuid: next => uuid.replace(/[0-9a-f]/g, () => Math.floor(next() * 16).toString(16)),
  date: next => new Date(next() * 4e12).toISOString().slice(0, 10),
  timestamp: next => new Date(next() * 4e12).toISOString().slice(0, 19).replace('T', ' '),
  timestamptz: next => `${new Date(next() * 4e12).toISOString().slice(0, 19).replace('T', ' ')}+00`,
  boolean: next => (next() < 0.5 ? 't' : 'f'),
}

test('says the slot of each key that the policy says, for each type of key and both rules with slots', async () => {
  const random = seededRandom(7)
  for (const [type, sample] of Object.entries(samples)) {
    const families = {
      hash: { types: [type as KeyType], rule: { by: 'hash' as const, slots: numbered } },
      ring: { types: [type as KeyType], rule: { by: 'consistent' as const, points: 10, slots: numbered } },
    }
    const placement = compilePlacement({ ...map, families })
    const keys = Array.from({ length: 300 }, () =>
      sample(() => random.float())
        .replaceAll('\uFFFD', '')
        .toWellFormed(),
    )
    const values = keys.map((key, at) => `(${at}, '${key}'::${type})`).join(', ')
    const rows = await ask(
      `SELECT tenfold.slot_of(key, ${slots}), tenfold.ring_slot_of(key, ${slots}) FROM (VALUES ${values}) AS keys (at, key) ORDER BY at`,
    )
    for (const [at, key] of keys.entries()) {
      const said = (family: string): string =>
        String((placement.place(family, [key]) as { slot: number }).slot)
      assert.deepEqual(rows[at], [said('hash'), said('ring')], `${type} ${JSON.stringify(key)}`)
    }
  }
})

test('says the slot of a key of two columns', async () => {
  const random = seededRandom(8)
  const families = {
    both: { types: ['text', 'bigint'] as KeyType[], rule: { by: 'hash' as const, slots: numbered } },
  }
  const placement = compilePlacement({ ...map, families })
  for (let round = 0; round < 100; round++) {
    const text = samples.uuid(() => random.float())
    const number = samples.bigint(() => random.float())
    const said = await one(
      `SELECT tenfold.slot_of_row(${slots}, tenfold.key_hash('${text}'::text), tenfold.key_hash(${number}::bigint))`,
    )
    assert.equal(said, String((placement.place('both', [text, number]) as { slot: number }).slot))
  }
})

test('ids of a shard only grow, hold its number and the time, and never repeat, whoever asks at once', async () => {
  const clients = await Promise.all(Array.from({ length: 4 }, client))
  try {
    for (const [name, unitMs] of [
      ['next_id', 1],
      ['next_id_53', 1_000],
    ] as const) {
      const from = Date.now()
      const lists = await Promise.all(
        clients.map(async one => {
          const { rows } = await one.query(`SELECT tenfold.${name}() AS id FROM generate_series(1, 3000)`)
          return rows.map(row => BigInt(row.id as string))
        }),
      )
      const all = lists.flat()
      assert.equal(new Set(all).size, 12_000)
      for (const list of lists)
        assert.deepEqual(
          list,
          list.toSorted((a, b) => (a < b ? -1 : 1)),
        )
      for (const id of all) assert.equal((id >> 12n) & 1_023n, 7n)
      const first = Number((all[0] as bigint) >> 22n) * unitMs + 1_735_689_600_000
      assert.ok(
        first > from - 300_000 && first < Date.now() + 300_000,
        `${name}: ${new Date(first).toISOString()}`,
      )
      if (name === 'next_id_53') for (const id of all) assert.ok(id <= BigInt(Number.MAX_SAFE_INTEGER))
    }
  } finally {
    await Promise.all(clients.map(one => one.end()))
  }
})

test('ids go on growing where the clock went back, and follow it where they were left behind', async () => {
  const ahead = BigInt(
    (await one(
      `SELECT setval('tenfold.next_id_counter', (extract(epoch FROM now() + interval '1 hour')::bigint - 1735689600) * 1000 << 12)`,
    )) as string,
  )
  const id = BigInt((await one('SELECT tenfold.next_id()')) as string)
  assert.equal(id >> 22n, ahead >> 12n)
  await ask("SELECT setval('tenfold.next_id_counter', 1)")
  const now = BigInt((await one('SELECT tenfold.next_id()')) as string)
  const ms = Number(now >> 22n) + 1_735_689_600_000
  assert.ok(Math.abs(ms - Date.now()) < 300_000)
  assert.equal(await one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0')
})

test('a sharded sequence gives numbers from ranges of its shard, also where a transaction that made it is rolled back', async () => {
  const app = await client()
  try {
    const next = async (): Promise<number> =>
      Number((await app.query("SELECT tenfold.sequence_next('Order numbers') AS id")).rows[0].id)
    await app.query('BEGIN')
    assert.equal(await next(), 7_000)
    await app.query('ROLLBACK')
    assert.deepEqual([await next(), await next()], [7_000, 7_001])
    await app.query("SELECT tenfold.sequence_next('Order numbers') FROM generate_series(1, 998)")
    assert.equal(await next(), (1_024 + 7) * 1_000)
    await assert.rejects(app.query("SELECT tenfold.sequence_next('')"), { code: '42602' })
  } finally {
    await app.end()
  }
})

test('a decision and an abort exclude each other, whoever comes first', async () => {
  const app = await client()
  try {
    await app.query(decisionSql(gid('02')))
    assert.equal(await one(abortDecisionSql(gid('02'))), 'commit')
    assert.equal(await one(abortDecisionSql(gid('03'))), 'abort')
    await assert.rejects(app.query(decisionSql(gid('03'))), { code: '40001' })
    // Who aborts waits for a transaction that has said 'commit' and is not over.
    for (const [end, said, ending] of [
      ['COMMIT', 'commit', '04'],
      ['ROLLBACK', 'abort', '05'],
    ] as const) {
      await app.query('BEGIN')
      await app.query(decisionSql(gid(ending)))
      const aborting = one(abortDecisionSql(gid(ending)))
      await app.query(end)
      assert.equal(await aborting, said)
    }
  } finally {
    await app.end()
  }
})

test('clients may decide, and neither read, forge nor abort decisions', async () => {
  const app = await client()
  try {
    for (const sql of [
      'SELECT * FROM tenfold.decisions',
      "INSERT INTO tenfold.decisions (gid, outcome) VALUES ('x', 'abort')",
      abortDecisionSql(gid('06')),
      "SELECT nextval('tenfold.next_id_counter')",
      'CREATE TABLE tenfold.mine ()',
    ])
      await assert.rejects(app.query(sql), { code: '42501' }, sql)
  } finally {
    await app.end()
  }
})

test('names of prepared transactions are read only where they are whole', () => {
  assert.deepEqual(preparedName(`${gid('02')}:1`), {
    commit: gid('02'),
    system: 'test',
    decider: '7',
    uuid: `${uuid.slice(0, -2)}02`,
    shard: '1',
  })
  for (const name of ['', 'mine', gid('02'), `${gid('02')}:`, `x${gid('02')}:1`, `${gid('02')}:1:2`])
    assert.equal(preparedName(name), null)
})

test('the catalogue has the tables as the planner must know them', async () => {
  await ask(`SET search_path = public; SET ROLE app;
    CREATE TABLE kinds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(20) COLLATE "C" NOT NULL, at timestamptz DEFAULT now(),
      twice bigint GENERATED ALWAYS AS (id * 2) STORED, roll double precision DEFAULT random(), gone int, UNIQUE (name, at));
    ALTER TABLE kinds DROP COLUMN gone;
    CREATE TABLE lines (kind bigint REFERENCES kinds ON DELETE CASCADE);
    CREATE VIEW few AS SELECT id, name FROM kinds WHERE id < 3;
    CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
    CREATE FUNCTION noise() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
    CREATE FUNCTION noise(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
    RESET ROLE; SET search_path = pg_catalog`)
  const { host, port, database, password } = server
  const catalogue = await readShardCatalogue({
    host,
    port,
    database,
    password,
    user: 'app',
    tls: { mode: 'off' },
  })
  const kinds = catalogue.tables.get('public.kinds')
  assert.deepEqual(
    kinds?.columns.map(one => [
      one.name,
      one.type,
      one.collation,
      one.notNull,
      one.volatileDefault,
      one.generated,
      one.hasDefault,
    ]),
    [
      ['id', 'bigint', '', true, true, false, true],
      ['name', 'character varying(20)', 'C', true, false, false, false],
      ['at', 'timestamp with time zone', '', false, false, false, true],
      ['twice', 'bigint', '', false, false, true, true],
      ['roll', 'double precision', '', false, true, false, true],
    ],
  )
  assert.deepEqual(kinds?.unique.toSorted(), [['id'], ['name', 'at']])
  assert.equal(kinds?.kind, 'table')
  assert.equal(kinds?.cascades, true)
  assert.equal(kinds?.triggers, false)
  assert.equal(catalogue.tables.get('public.lines')?.cascades, false)
  const few = catalogue.tables.get('public.few')
  assert.equal(few?.kind, 'view')
  assert.match(few?.definition ?? '', /FROM public\.kinds/)
  assert.equal(catalogue.tables.has('tenfold.decisions'), false)
  for (const name of ['lower', 'pg_catalog.lower', 'now', 'shout', 'public.shout', 'sum'])
    assert.ok(catalogue.calm.has(name), name)
  for (const name of ['random', 'nextval', 'noise', 'public.noise', 'clock_timestamp', 'missing'])
    assert.ok(!catalogue.calm.has(name), name)
})
