// Rows go from one real server to another while clients change them: copies at exact snapshots, changes each once, whatever
// breaks on the way; then both sides are the same, row by row.

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
import { planReshard } from '../../src/policy/shard/changes.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { placedOnSql } from '../../src/policy/shard/predicate.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'

const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2'],
  families: {
    orders: {
      types: ['bigint'],
      rule: { by: 'hash', slots: Array.from({ length: 16 }, (_, slot) => slot % 2) },
    },
  },
  tables: {
    'public.orders': { kind: 'sharded', family: 'orders', key: ['customer'] },
    'public.lines': { kind: 'sharded', family: 'orders', key: ['customer'] },
  },
}
const plan = planReshard(map, { kind: 'split', from: '1', into: '2' })
if (plan.kind === 'refused') throw new Error(plan.why)
const next = plan.next

const schema = `CREATE TABLE public.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL, body text,
  amount numeric(20,4), at timestamptz DEFAULT now(), doubled numeric GENERATED ALWAYS AS (amount * 2) STORED, tags text[]);
ALTER TABLE public.orders REPLICA IDENTITY FULL;
CREATE TABLE public.lines (customer bigint, number int, what text, blob bytea, PRIMARY KEY (customer, number));
ALTER TABLE public.lines ALTER what SET STORAGE EXTERNAL;
ALTER TABLE public.lines REPLICA IDENTITY FULL;`

const where = `(${placedOnSql(map, 'orders', ['customer'], 0)} AND ${placedOnSql(next, 'orders', ['customer'], 1)})`
const tables: readonly MovedTable[] = [
  {
    schema: 'public',
    name: 'orders',
    columns: ['id', 'customer', 'body', 'amount', 'at', 'tags'],
    generated: ['doubled'],
    primary: ['id'],
    key: ['customer'],
    family: 'orders',
    where,
  },
  {
    schema: 'public',
    name: 'lines',
    columns: ['customer', 'number', 'what', 'blob'],
    generated: [],
    primary: ['customer', 'number'],
    key: ['customer'],
    family: 'orders',
    where,
  },
]

const endings: (() => Promise<void> | void)[] = []
let servers: PostgresServer[] = []
let operators: Session[] = []
let number = 0

before(async () => {
  const t = { after: (end: unknown) => void endings.push(end as () => void) } as never
  const settings = { wal_level: 'logical', shared_buffers: '16MB', max_prepared_transactions: '10' }
  servers = await Promise.all(['1', '2'].map(() => startPostgres(t, { settings })))
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [at, operator] of operators.entries())
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: String(at + 1), map })
})

test.after(async () => {
  for (const operator of operators) operator.close()
  for (const end of endings.reverse()) await end()
})

/** Fresh tables, a publication and a slot. */
async function fresh(): Promise<MoveStream> {
  const slot = `tenfold_reshard_test${++number}_1_2`
  for (const operator of operators)
    await operator.query(`DROP TABLE IF EXISTS public.orders, public.lines; ${schema}`, 20_000)
  const [source] = operators as [Session, Session]
  await source.query(
    `CREATE PUBLICATION ${slot} FOR TABLE public.orders, public.lines WITH (publish_generated_columns = stored)`,
    20_000,
  )
  await source.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`, 20_000)
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
  return { from: end(0), into: end(1), tables, before: map, next, slot, publication: slot }
}

async function drop({ slot }: MoveStream): Promise<void> {
  const [source, target] = operators as [Session, Session]
  for (let tries = 0; ; tries++)
    try {
      await source.query(`SELECT pg_drop_replication_slot('${slot}')`, 20_000)
      break
    } catch (error) {
      if (tries === 50) throw error
      await sleep(100)
    }
  await source.query(`DROP PUBLICATION ${slot}`, 20_000)
  await target.query(`SELECT pg_replication_origin_drop('${slot}')`, 20_000).catch(() => {})
}

async function client(at: number): Promise<pg.Client> {
  const { host, port } = servers[at] as PostgresServer
  const made = new pg.Client({ host, port, database: 'app', user: 'tenfold', password: 'secret' })
  made.on('error', () => {})
  await made.connect()
  return made
}

/** All that clients do with rows, at random, until told to stop. */
async function load(random: () => number, goesOn: () => boolean): Promise<number> {
  const one = await client(0)
  let statements = 0
  const customer = (): number => Math.floor(random() * 60)
  const say = async (sql: string, values: unknown[] = []): Promise<void> => {
    statements++
    await one.query(sql, values)
  }
  const large = (): string => 'x'.repeat(3_000) + String(random())
  const acts: readonly (() => Promise<void>)[] = [
    () =>
      say('INSERT INTO orders (customer, body, amount, tags) VALUES ($1, $2, $3, $4)', [
        customer(),
        random() < 0.2 ? large() : `it's \\ "new"\n${random()}`,
        (random() * 1e6).toFixed(4),
        ['a', 'b,c', '{', null],
      ]),
    () =>
      say(
        'INSERT INTO lines VALUES ($1, $2, $3, $4) ON CONFLICT (customer, number) DO UPDATE SET what = excluded.what',
        [customer(), Math.floor(random() * 20), large(), Buffer.from([0, 1, 255, 92])],
      ),
    () => say('UPDATE orders SET amount = amount + 1 WHERE customer = $1', [customer()]),
    () => say('UPDATE orders SET customer = $1 WHERE customer = $2', [customer(), customer()]),
    () =>
      say(
        'UPDATE lines SET customer = $1, number = $3 WHERE ctid = (SELECT ctid FROM lines WHERE customer = $2 LIMIT 1) AND NOT EXISTS (SELECT FROM lines WHERE customer = $1 AND number = $3)',
        [customer(), customer(), 20 + Math.floor(random() * 1000)],
      ),
    () => say('UPDATE lines SET blob = NULL WHERE customer = $1', [customer()]),
    () => say('DELETE FROM orders WHERE customer = $1 AND id % 3 = 0', [customer()]),
    () => say('DELETE FROM lines WHERE customer = $1 AND number > 10', [customer()]),
    async () => {
      await say('BEGIN')
      await say('INSERT INTO orders (customer, body) VALUES ($1, $2)', [customer(), 'kept'])
      await say('SAVEPOINT a')
      await say('UPDATE orders SET body = $2 WHERE customer = $1', [customer(), 'taken back'])
      await say('ROLLBACK TO a')
      await say('UPDATE orders SET amount = 0 WHERE customer = $1', [customer()])
      await say('UPDATE orders SET amount = 1 WHERE customer = $1', [customer()])
      await say(random() < 0.3 ? 'ROLLBACK' : 'COMMIT')
    },
    () => say(random() < 0.02 ? 'TRUNCATE lines' : 'SELECT 1'),
    () =>
      say(
        `INSERT INTO orders (customer, body) SELECT n % 60, repeat('y', 200) FROM generate_series(1, ${random() < 0.05 ? 4_000 : 5}) AS n`,
      ),
  ]
  while (goesOn())
    try {
      await (acts[Math.floor(random() * acts.length)] as () => Promise<void>)()
    } catch (error) {
      // Clients meet: deadlocks, and keys that somebody else took.
      assert.match(String((error as { code?: string }).code), /^(40P01|23505|25P02)$/)
      await one.query('ROLLBACK')
    }
  await one.end()
  return statements
}

/** Stops with the test, however it ends. */
function follower(t: TestContext, stream: MoveStream, copied: Readonly<Record<string, string>>): Applier {
  const applier = new Applier({ stream, maker: writerOf(stream), copied, tell: text => t.diagnostic(text) })
  t.after(() => applier.stop())
  return applier
}

interface Clients {
  /** How much they said. */
  end(): Promise<number>
}

/** Three at once; they end with the test, however it ends. */
function loaded(t: TestContext, random: () => number): Clients {
  let goesOn = true
  const work = Promise.all([0, 1, 2].map(() => load(random, () => goesOn)))
  const end = async (): Promise<number> => {
    goesOn = false
    return (await work).reduce((sum, one) => sum + one)
  }
  t.after(async () => void (await end().catch(() => {})))
  return { end }
}

async function position(): Promise<number> {
  const [row] = await (operators[0] as Session).query('SELECT pg_current_wal_insert_lsn()', 5_000)
  return lsnOf(row?.[0] ?? '')
}

/** Null: somebody truncated a table meanwhile. */
async function compared(
  stream: MoveStream,
  applier: Applier,
): Promise<Awaited<ReturnType<typeof compareStream>> | null> {
  try {
    return await compareStream(stream, applier, quiet.signal, () => {})
  } catch (error) {
    assert.match((error as Error).message, /was rewritten while/)
    return null
  }
}

const quiet = { signal: new AbortController().signal, progress: () => {} }

async function same(stream: MoveStream, applier: Applier): Promise<number> {
  await applier.until(await position(), 60_000)
  const compared = await compareStream(stream, applier, quiet.signal, () => {})
  assert.deepEqual(compared.differences, [])
  assert.equal(compared.different, 0)
  // Not by our own comparison alone.
  for (const table of stream.tables) {
    const columns = table.columns.join(', ')
    const sql = `SELECT count(*), md5(string_agg(ROW(${columns})::text, '|' ORDER BY ROW(${columns})::text COLLATE "C")) FROM public.${table.name} WHERE ${table.where}`
    const [one, other] = await Promise.all(operators.map(operator => operator.query(sql, 20_000)))
    assert.deepEqual(other, one)
  }
  return compared.rows
}

test('rows are copied while they change, and everything since is applied', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const stream = await fresh()
  const clients = loaded(t, () => random.float())
  await sleep(500)
  const copied: Record<string, string> = {}
  for (const table of tables) copied[`public.${table.name}`] = await copyTable(stream, table, quiet)
  const applier = follower(t, stream, copied)
  await sleep(1_000)
  let during = await compared(stream, applier)
  while (during === null) during = await compared(stream, applier)
  assert.deepEqual(during.differences, [], 'while clients write')
  assert.ok(during.rows > 10)
  const statements = await clients.end()
  const rows = await same(stream, applier)
  t.diagnostic(`${statements} statements, ${rows} rows, ${applier.status.changes} changes`)
  assert.ok(rows > 50)
  await applier.stop()
  await drop(stream)
})

test('trap: the applier, its connections and the target are broken again and again: every change is applied once', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const stream = await fresh()
  const clients = loaded(t, () => random.float())
  const copied: Record<string, string> = {}
  for (const table of tables) copied[`public.${table.name}`] = await copyTable(stream, table, quiet)
  let applier = follower(t, stream, copied)
  for (let round = 0; round < 8; round++) {
    await sleep(150 + random.float() * 200)
    const breaks = Math.floor(random.float() * 3)
    if (breaks === 0) {
      await applier.stop()
      applier = follower(t, stream, copied)
      continue
    }
    await (operators[breaks - 1] as Session).query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${stream.slot}'`,
      5_000,
    )
  }
  await clients.end()
  const rows = await same(stream, applier)
  assert.ok(rows > 50)
  assert.equal(applier.status.state, 'streaming')
  await applier.stop()
  await drop(stream)
})

test('trap: what replication wrote is not read back: both ways at once', async t => {
  const stream = await fresh()
  const back: MoveStream = {
    ...stream,
    from: stream.into,
    into: stream.from,
    // What goes back: rows that the next map has on the target, to where the map before had them.
    before: next,
    next: map,
    slot: stream.slot.replace('_1_2', '_2_1'),
    publication: stream.slot.replace('_1_2', '_2_1'),
  }
  const [source, target] = operators as [Session, Session]
  await target.query(
    `CREATE PUBLICATION ${back.slot} FOR TABLE public.orders, public.lines WITH (publish_generated_columns = stored)`,
    20_000,
  )
  await target.query(`SELECT pg_create_logical_replication_slot('${back.slot}', 'pgoutput')`, 20_000)
  const there = follower(t, stream, {})
  const andBack = follower(t, back, {})
  const [moving] = await source.query(
    `SELECT n FROM generate_series(1, 100) AS n WHERE ${where.replaceAll('(customer)', '(n)')} LIMIT 1`,
    5_000,
  )
  const customer = Number(moving?.[0])
  await source.query(`INSERT INTO public.lines VALUES (${customer}, 1, 'one', NULL)`, 5_000)
  await there.until(await position(), 20_000)
  await target.query(`UPDATE public.lines SET what = 'two' WHERE customer = ${customer}`, 5_000)
  const [at] = await target.query('SELECT pg_current_wal_insert_lsn()', 5_000)
  await andBack.until(lsnOf(at?.[0] ?? ''), 20_000)
  assert.deepEqual(await source.query('SELECT customer, what FROM public.lines', 5_000), [
    [String(customer), 'two'],
  ])
  await sleep(300)
  assert.equal(there.status.changes, 1)
  assert.equal(andBack.status.changes, 1)
  await there.stop()
  await andBack.stop()
  await drop(stream)
  await target.query(`SELECT pg_drop_replication_slot('${back.slot}')`, 20_000)
  await target.query(`DROP PUBLICATION ${back.slot}`, 20_000)
})

test('a slot that is gone ends it, and it is said', async t => {
  const stream = await fresh()
  const [source] = operators as [Session, Session]
  await source.query(`SELECT pg_drop_replication_slot('${stream.slot}')`, 20_000)
  const applier = follower(t, stream, {})
  await assert.rejects(applier.until(Number.MAX_SAFE_INTEGER, 20_000), /shard 1 has no slot/)
  assert.equal(applier.status.state, 'failed')
  await applier.stop()
})

test('a row that is there already is named, and a difference is found', async t => {
  const stream = await fresh()
  const [source, target] = operators as [Session, Session]
  const rows = await source.query(
    `SELECT n FROM generate_series(1, 100) AS n WHERE ${where.replaceAll('(customer)', '(n)')} LIMIT 3`,
    5_000,
  )
  const [a, b, c] = rows.map(([one]) => Number(one))
  await source.query(`INSERT INTO public.lines VALUES (${a}, 1, 'a', NULL), (${b}, 1, 'b', NULL)`, 5_000)
  const applier = follower(t, stream, {})
  await applier.until(await position(), 20_000)
  await target.query(
    `DELETE FROM public.lines WHERE customer = ${a}; UPDATE public.lines SET what = 'x'; INSERT INTO public.lines VALUES (${c}, 1, 'c', NULL)`,
    5_000,
  )
  const { different, differences } = await compareStream(stream, applier, quiet.signal, () => {})
  assert.equal(different, 3)
  assert.deepEqual(
    differences.map(({ key, kind }) => `${key} ${kind}`).toSorted(),
    [`${a},1 missing`, `${b},1 different`, `${c},1 extra`].toSorted(),
  )
  await source.query(`INSERT INTO public.lines VALUES (${c}, 1, 'mine', NULL)`, 5_000)
  await assert.rejects(applier.until(await position(), 20_000), /duplicate key/)
  await applier.stop()
  await drop(stream)
})

test('an ended copy leaves nothing, and the next one begins anew', async () => {
  const stream = await fresh()
  const [source, target] = operators as [Session, Session]
  await source.query(
    "INSERT INTO public.orders (customer, body) SELECT n, repeat('z', 500) FROM generate_series(1, 30000) AS n",
    60_000,
  )
  const abort = new AbortController()
  const [orders] = tables as [MovedTable]
  await assert.rejects(
    copyTable(stream, orders, { signal: abort.signal, progress: () => abort.abort(new Error('enough')) }),
    /enough/,
  )
  assert.deepEqual(await target.query('SELECT count(*) FROM public.orders', 5_000), [['0']])
  const told: number[] = []
  await copyTable(stream, orders, { ...quiet, progress: ({ rows }) => void told.push(rows) })
  await copyTable(stream, orders, quiet)
  const counted = await Promise.all(
    operators.map(one => one.query(`SELECT count(*) FROM public.orders WHERE ${where}`, 5_000)),
  )
  assert.deepEqual(counted[0], counted[1])
  assert.equal(told.at(-1), Number(counted[0]?.[0]?.[0]))
  await drop(stream)
})
