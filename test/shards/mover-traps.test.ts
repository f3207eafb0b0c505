// What a table may be and a server may do while rows move: keys among large values, nulls beside changed keys, columns that
// take no value, types of clients' own; servers that crash, transactions larger than what is held.

import assert from 'node:assert/strict'
import { before, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { lsnOf } from '../../src/database/backup/segments.ts'
import { Session } from '../../src/database/servers/session.ts'
import { Applier } from '../../src/database/shards/reshard/applier.ts'
import { writerOf } from '../../src/database/shards/reshard/changes.ts'
import { compareStream } from '../../src/database/shards/reshard/compare.ts'
import type { MovedTable, MoveStream } from '../../src/database/shards/reshard/contract.ts'
import { copyTable } from '../../src/database/shards/reshard/copy.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'

// Every key moves: what is looked at here is values, not places.
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2'],
  families: { all: { types: ['text'], rule: { by: 'hash', slots: [0] } } },
  tables: {},
}
const next: ShardMap = {
  ...map,
  version: 2,
  families: { all: { types: ['text'], rule: { by: 'hash', slots: [1] } } },
}

const endings: (() => Promise<void> | void)[] = []
let servers: PostgresServer[] = []
let operators: Session[] = []
let number = 0
const quiet = { signal: new AbortController().signal, progress: () => {} }

before(async () => {
  const t = { after: (end: unknown) => void endings.push(end as () => void) } as never
  const settings = { wal_level: 'logical', shared_buffers: '16MB', wal_writer_delay: '10s' }
  servers = await Promise.all(['1', '2'].map(() => startPostgres(t, { settings })))
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [at, operator] of operators.entries())
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: String(at + 1), map })
  // Types whose numbers differ between the servers.
  await ask(1, "CREATE TYPE public.other AS ENUM ('x'); CREATE TYPE public.another AS (a int)")
  for (const at of [0, 1])
    await ask(
      at,
      "CREATE TYPE public.mood AS ENUM ('glad', 'sad'); CREATE TYPE public.place AS (x int, mood public.mood); CREATE DOMAIN public.label AS text CHECK (VALUE <> '')",
    )
  // Clients of this database think little of their commits.
  await ask(1, 'ALTER DATABASE app SET synchronous_commit = off')
})

test.after(async () => {
  for (const operator of operators) operator.close()
  for (const end of endings.reverse()) await end()
})

function ask(at: number, sql: string): ReturnType<Session['query']> {
  return (operators[at] as Session).query(sql, 60_000)
}

const named = (name: string, columns: string, primary: string, key = ''): MovedTable => ({
  schema: 'public',
  name,
  columns: columns.split(' '),
  generated: [],
  primary: primary.split(' '),
  key: key === '' ? [] : [key],
  family: key === '' ? '' : 'all',
  where: 'true',
})

/** Tables on both sides, followed from now on. */
async function follow(
  t: TestContext,
  tables: readonly MovedTable[],
  ddl: string,
): Promise<[MoveStream, Applier]> {
  const slot = `tenfold_reshard_traps${++number}_1_2`
  const names = tables.map(({ name }) => `public.${name}`).join(', ')
  for (const at of [0, 1]) await ask(at, `DROP TABLE IF EXISTS ${names}; ${ddl}`)
  await ask(0, `CREATE PUBLICATION ${slot} FOR TABLE ${names} WITH (publish_generated_columns = stored)`)
  await ask(0, `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
  const end = (at: number) => ({
    shard: String(at + 1),
    target: () => {
      const { host, port } = servers[at] as PostgresServer
      return {
        host,
        port,
        database: 'app',
        user: 'tenfold',
        password: 'secret',
        tls: { mode: 'off' as const },
      }
    },
  })
  const stream = { from: end(0), into: end(1), tables, before: map, next, slot, publication: slot }
  const copied: Record<string, string> = {}
  for (const table of tables) copied[`public.${table.name}`] = await copyTable(stream, table, quiet)
  const applier = new Applier({ stream, maker: writerOf(stream), copied, tell: text => t.diagnostic(text) })
  t.after(async () => {
    await applier.stop()
    for (let tries = 0; tries < 100; tries++)
      try {
        await ask(0, `SELECT pg_drop_replication_slot('${slot}')`)
        break
      } catch {
        await sleep(100)
      }
    // A server follows few origins at once.
    await ask(1, `SELECT pg_replication_origin_drop('${slot}')`).catch(() => {})
  })
  return [stream, applier]
}

async function reached(applier: Applier): Promise<void> {
  await ask(0, "SELECT pg_logical_emit_message(true, 'test', '')")
  const [row] = await ask(0, 'SELECT pg_current_wal_flush_lsn()')
  await applier.until(lsnOf(row?.[0] ?? ''), 60_000)
}

async function here(): Promise<number> {
  const [row] = await ask(0, 'SELECT pg_current_wal_insert_lsn()')
  return lsnOf(row?.[0] ?? '')
}

async function client(at: number): Promise<pg.Client> {
  const { host, port } = servers[at] as PostgresServer
  const made = new pg.Client({ host, port, database: 'app', user: 'tenfold', password: 'secret' })
  await made.connect()
  return made
}

async function same(stream: MoveStream, applier: Applier): Promise<number> {
  await reached(applier)
  const { rows, differences } = await compareStream(stream, applier, quiet.signal, () => {})
  assert.deepEqual(differences, [])
  for (const { name } of stream.tables) {
    const sql = `SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text COLLATE "C")) FROM public.${name} AS t`
    assert.deepEqual(await ask(1, sql), await ask(0, sql))
  }
  return rows
}

test('trap: a key is kept outside of its row, and is not told again', async t => {
  const columns = Array.from({ length: 30 }, (_, at) => `c${at}`)
  const wide = named('wide', `k ${columns.join(' ')} n`, 'k', 'k')
  const [stream, applier] = await follow(
    t,
    [wide],
    `CREATE TABLE public.wide (k text PRIMARY KEY, ${columns.map(one => `${one} text`).join(', ')}, n int);
      ALTER TABLE public.wide ALTER k SET STORAGE EXTERNAL; ALTER TABLE public.wide REPLICA IDENTITY FULL`,
  )
  const values = columns.map((_, at) => `repeat('${at % 10}', 90)`).join(', ')
  await ask(
    0,
    `INSERT INTO public.wide SELECT repeat('k', 1000) || i, ${values}, 0 FROM generate_series(1, 5) AS i`,
  )
  await ask(0, 'UPDATE public.wide SET n = 1')
  await ask(0, "UPDATE public.wide SET n = 2, c3 = NULL WHERE k LIKE '%3'")
  assert.equal(await same(stream, applier), 5)
})

test('trap: TRUNCATE between a snapshot and its COPY: what the snapshot had is gone, and what changed it still comes', async t => {
  const emptied = named('emptied', 'id v', 'id')
  const ddl = 'CREATE TABLE public.emptied (id int PRIMARY KEY, v int)'
  const [stream, applier] = await follow(t, [emptied], ddl)
  await applier.stop()
  await ask(0, 'INSERT INTO public.emptied VALUES (1, 1), (2, 2)')
  // Its own DELETE has to wait, and has its snapshot by then.
  const other = await client(1)
  t.after(() => other.end())
  await other.query('BEGIN; LOCK TABLE public.emptied')
  const copying = copyTable(stream, emptied, quiet)
  const waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'public.emptied'::regclass"
  while ((await ask(1, waits)).length === 0) await sleep(10)
  await ask(0, 'UPDATE public.emptied SET v = 3 WHERE id = 1')
  await ask(0, 'TRUNCATE public.emptied')
  await ask(0, 'INSERT INTO public.emptied VALUES (3, 3)')
  await other.query('COMMIT')
  const copied = { 'public.emptied': await copying }
  const again = new Applier({ stream, maker: writerOf(stream), copied, tell: text => t.diagnostic(text) })
  try {
    assert.equal(await same(stream, again), 1)
  } finally {
    // Before its slot is dropped.
    await again.stop()
  }
})

test('trap: a value becomes NULL as the primary key changes, and only the key was told', async t => {
  const [stream, applier] = await follow(
    t,
    [named('plain', 'id v w', 'id')],
    'CREATE TABLE public.plain (id int PRIMARY KEY, v int, w int)',
  )
  await ask(0, 'INSERT INTO public.plain VALUES (1, 10, 10), (2, 20, NULL)')
  await ask(0, 'UPDATE public.plain SET id = id + 100, v = NULL')
  await ask(0, 'UPDATE public.plain SET w = 5 WHERE id = 102')
  assert.equal(await same(stream, applier), 2)
})

test('trap: columns that take no value in an UPDATE', async t => {
  const [stream, applier] = await follow(
    t,
    [named('fixed', 'id serial v', 'id')],
    'CREATE TABLE public.fixed (id int PRIMARY KEY, serial bigint GENERATED ALWAYS AS IDENTITY, v int)',
  )
  await ask(0, 'INSERT INTO public.fixed (id, v) VALUES (1, 1), (2, 2)')
  await ask(0, 'UPDATE public.fixed SET v = v + 1')
  await ask(0, 'UPDATE public.fixed SET serial = DEFAULT WHERE id = 1')
  assert.equal(await same(stream, applier), 2)
})

test('values of every kind, copied and followed', async t => {
  const ddl = `CREATE TABLE public.kinds (id int PRIMARY KEY, mood public.mood, moods public.mood[], place public.place,
    places public.place[], label public.label, span tstzrange, spans int4multirange, j jsonb, b bytea, n numeric, f float8, at timestamptz, i interval, x xml,
    net inet, bits varbit, money money, c char(5), acl aclitem); ALTER TABLE public.kinds REPLICA IDENTITY FULL`
  const kinds = named(
    'kinds',
    'id mood moods place places label span spans j b n f at i x net bits money c acl',
    'id',
  )
  const row = `'sad', '{glad,NULL,sad}', '(1,glad)', '{"(1,sad)",NULL}', 'it''s \\ "so"', '[2026-01-01 00:00+05,)', '{[1,3),[5,9)}',
    '{"a\\\\b": [null, "é"]}', '\\x00ff5c27', 'NaN', '1.7976931348623157e308', 'infinity', '-1 mons +3 days 04:05:06.789', '<a>&amp;</a>', '10.0.0.0/8', B'101', 1234.56, 'ab', 'tenfold=r/tenfold'`
  await ask(
    0,
    `DROP TABLE IF EXISTS public.kinds; ${ddl}; INSERT INTO public.kinds SELECT i, ${row} FROM generate_series(1, 3) AS i`,
  )
  const [stream, applier] = await follow(t, [kinds], ddl)
  await ask(0, `INSERT INTO public.kinds SELECT i, ${row} FROM generate_series(4, 6) AS i`)
  await same(stream, applier)
  // Copied, too.
  await applier.stop()
  await copyTable(stream, kinds, quiet)
  const sql = 'SELECT k::text FROM public.kinds AS k ORDER BY id'
  assert.deepEqual(await ask(1, sql), await ask(0, sql))
  await ask(0, 'UPDATE public.kinds SET id = id + 10')
})

test('an identity that lacks the primary key is refused by name', async t => {
  const [, applier] = await follow(
    t,
    [named('bare', 'id v', 'id')],
    `CREATE TABLE public.bare (id int PRIMARY KEY, v int NOT NULL UNIQUE); ALTER TABLE public.bare REPLICA IDENTITY USING INDEX bare_v_key`,
  )
  await ask(0, 'INSERT INTO public.bare VALUES (1, 1)')
  await assert.rejects(reached(applier), /column 'id' is not in the replica identity of table public.bare/)
})

test('trap: a change that meets no row commits nothing', async t => {
  const [, applier] = await follow(
    t,
    [named('met', 'id v', 'id')],
    'CREATE TABLE public.met (id int PRIMARY KEY, v int)',
  )
  await ask(0, 'INSERT INTO public.met VALUES (1, 1), (2, 2), (3, 3)')
  await reached(applier)
  await ask(1, 'DELETE FROM public.met WHERE id = 2')
  await ask(
    0,
    'BEGIN; UPDATE public.met SET v = 9 WHERE id = 1; DELETE FROM public.met WHERE id IN (2, 3); COMMIT',
  )
  await assert.rejects(reached(applier), /shard 2 lacks rows that changed/)
  assert.deepEqual(await ask(1, 'SELECT id, v FROM public.met ORDER BY id'), [
    ['1', '1'],
    ['3', '3'],
  ])
})

test('trap: a barrier that moves while what is before it is being applied', async t => {
  const [, applier] = await follow(
    t,
    [named('held', 'id v', 'id')],
    'CREATE TABLE public.held (id int PRIMARY KEY, v int)',
  )
  await ask(0, 'INSERT INTO public.held VALUES (1, 1), (2, 2)')
  await reached(applier)
  const lockers = await Promise.all([client(1), client(1)])
  for (const [at, locker] of lockers.entries()) {
    await locker.query('BEGIN')
    await locker.query(`SELECT FROM held WHERE id = ${at + 1} FOR UPDATE`)
  }
  const waiting = async (): Promise<void> => {
    for (let tries = 0; tries < 200; tries++) {
      const [row] = await ask(
        1,
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'tenfold_reshard_traps%'",
      )
      if (row?.[0] === '1') return
      await sleep(10)
    }
    assert.fail('nobody waits for the lock')
  }
  await ask(0, 'UPDATE public.held SET v = 10 WHERE id = 1')
  await waiting()
  await ask(0, 'UPDATE public.held SET v = 20 WHERE id = 2')
  applier.pauseAt(await here())
  await ask(0, 'INSERT INTO public.held VALUES (3, 3)')
  await lockers[0]?.query('COMMIT')
  await sleep(100)
  await waiting()
  const later = await here()
  applier.pauseAt(later)
  await lockers[1]?.query('COMMIT')
  await applier.until(later, 20_000)
  assert.deepEqual(await ask(1, 'SELECT id, v FROM public.held ORDER BY id'), [
    ['1', '10'],
    ['2', '20'],
    ['3', '3'],
  ])
  for (const locker of lockers) await locker.end()
})

test('trap: unique values change places within a statement', async t => {
  const [stream, applier] = await follow(
    t,
    [named('turns', 'id at', 'id')],
    'CREATE TABLE public.turns (id int PRIMARY KEY, at int UNIQUE DEFERRABLE INITIALLY IMMEDIATE)',
  )
  await ask(0, 'INSERT INTO public.turns SELECT i, i FROM generate_series(1, 50) AS i')
  await ask(0, 'UPDATE public.turns SET at = 51 - at')
  assert.equal(await same(stream, applier), 50)
})

test('trap: a transaction is larger than what is held, and breaks in the middle', async t => {
  const [stream, applier] = await follow(
    t,
    [named('large', 'id body', 'id')],
    'CREATE TABLE public.large (id int PRIMARY KEY, body text); ALTER TABLE public.large REPLICA IDENTITY FULL',
  )
  const before = process.memoryUsage()
  await ask(
    0,
    'INSERT INTO public.large SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 60000) AS i',
  )
  for (let round = 0; round < 3; round++) {
    await sleep(200)
    await ask(
      1,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${stream.slot}'`,
    )
  }
  let heldMax = 0
  const watch = setInterval(() => {
    const { external, arrayBuffers } = process.memoryUsage()
    heldMax = Math.max(heldMax, external + arrayBuffers - before.external - before.arrayBuffers)
  }, 20)
  assert.equal(await same(stream, applier), 60_000)
  clearInterval(watch)
  // 58 MB went through; what is held has garbage beside it.
  assert.ok(heldMax < 40 << 20, `${heldMax} bytes were held`)
})

test('trap: both servers crash again and again, and the target commits before it is on disk', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const [stream, applier] = await follow(
    t,
    [named('told', 'id v', 'id')],
    'CREATE TABLE public.told (id int PRIMARY KEY, v int)',
  )
  let acknowledged = 0
  for (let round = 0; round < 5; round++) {
    for (let left = 40; left > 0; left--) {
      const id = acknowledged + 1
      try {
        await ask(
          0,
          `INSERT INTO public.told VALUES (${id}, 0); UPDATE public.told SET v = v + 1 WHERE id > ${id - 5}`,
        )
        acknowledged = id
      } catch {
        await sleep(100)
      }
    }
    // The source hears how far the target is, and tells no more of it.
    await reached(applier).catch(() => {})
    await sleep(700)
    // The server starts anew without what was in its memory.
    const at = random.float() < 0.7 ? 1 : 0
    const [row] = await ask(at, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    process.kill(Number(row?.[0]), 'SIGKILL')
    await sleep(300)
  }
  for (let tries = 0; ; tries++)
    try {
      await ask(0, 'SELECT 1')
      await ask(1, 'SELECT 1')
      break
    } catch (error) {
      if (tries === 100) throw error
      await sleep(200)
    }
  const rows = await same(stream, applier)
  assert.ok(rows >= acknowledged)
  assert.equal(applier.status.state, 'streaming')
})
