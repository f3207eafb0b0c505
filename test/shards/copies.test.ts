// Copies of a table by another key, kept fresh by change data capture: under a load of random changes on two shards they become what a
// query over the source gives; over ends of the keeper and of a server, a table that is emptied, columns that are added.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { type CopiesPorts, CopyKeeper } from '../../src/database/shards/copies/index.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { firstMap, type TableSpec } from '../../src/policy/shard/map.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const ids = ['1', '2']
const copy = (by: string, spec: object): TableSpec => ({
  kind: 'sharded',
  key: [by],
  types: ['bigint'],
  with: null,
  rule: { by: 'hash' },
  copy: { of: 'public.orders', columns: null, totals: null, ...spec },
})
const pair = {
  kind: 'sharded',
  key: ['film', 'customer'],
  types: ['bigint', 'bigint'],
  with: null,
  rule: { by: 'hash' },
} as const
const orders: TableSpec = {
  kind: 'sharded',
  key: ['customer'],
  types: ['bigint'],
  with: null,
  rule: { by: 'hash' },
}
const mapOf = (copies: Readonly<Record<string, TableSpec>>): ShardMap =>
  firstMap({ shards: ids, slots: 16, tables: { 'public.orders': orders, ...copies } })
const both = {
  'tenfold_copies.orders_by_film': copy('film', {}),
  'tenfold_copies.sales': copy('film', {
    totals: { count: 'orders', sums: { total: 'revenue', seats: 'sold' } },
  }),
  // Two columns, a word of SQL for a name, some columns only.
  'tenfold_copies.pairs': {
    ...pair,
    copy: { of: 'public.orders', columns: null, totals: { count: 'order', sums: {} } },
  },
  'tenfold_copies.notes$by': { ...pair, copy: { of: 'public.orders', columns: ['note'], totals: null } },
}
let map = mapOf(both)

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let servers: PostgresServer[] = []
let operators: Session[] = []
let router: Router
let client: pg.Client
const asText = { getTypeParser: () => (value: string) => value } as never

before(async () => {
  const settings = {
    wal_level: 'logical',
    shared_buffers: '16MB',
    max_prepared_transactions: '20',
    max_replication_slots: '64',
    max_wal_senders: '64',
    max_active_replication_origins: '64',
  }
  servers = await Promise.all(ids.map(() => startPostgres(scope, { settings })))
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [at, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: String(at + 1), map })
    await operator.query('GRANT ALL ON SCHEMA public TO app', 20_000)
  }
  const groups = servers.map((server, at) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[at]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  router = await createRouter({ snapshot: { format: 1, version: 1, databases: [whole] }, tell: () => {} })
  const connectionString = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`
  client = new pg.Client({ connectionString, types: asText })
  client.on('error', () => {})
  await client.connect()
  await client.query(tableSql)
  await client.query('SET tenfold.allow_broadcast = on')
})

const tableSql = `CREATE TABLE orders (customer bigint, number bigint, film bigint, total numeric(12,2), seats integer, note text, PRIMARY KEY (customer, number))`

test.after(async () => {
  await client?.end().catch(() => {})
  router?.close()
  for (const operator of operators) operator.close()
  for (const end of endings.reverse()) await end()
})

const said: string[] = []
const ports: CopiesPorts = {
  ask: (shard, sql, timeoutMs) => (operators[Number(shard) - 1] as Session).query(sql, timeoutMs),
  end: shard => ({
    shard,
    target: () => {
      const { host, port } = servers[Number(shard) - 1] as PostgresServer
      return { host, port, database: 'app', user: 'tenfold', password: 'secret', tls: { mode: 'off' } }
    },
  }),
  map: () => map,
  made: async () => {},
  nowMs: () => performance.now(),
  say: (_, text) => said.push(text),
}

async function fresh(keeper: CopyKeeper): Promise<void> {
  for (let tries = 0; ; tries++) {
    await keeper.ensure()
    const status = await keeper.status()
    if (status.every(({ state }) => state === 'fresh')) break
    assert.ok(tries < 300, JSON.stringify([status, said.slice(-5)]))
    await sleep(100)
  }
  await keeper.caughtUp(30_000)
}

const rowsOf = async (sql: string): Promise<string[]> => {
  const { rows } = await client.query({ text: sql, rowMode: 'array' })
  return (rows as (string | null)[][]).map(row => row.map(one => one ?? '\\N').join('|')).sort()
}

/** What is copied is what a query over the source gives, and lies where its key belongs. */
async function alike(): Promise<void> {
  assert.deepEqual(
    await rowsOf('SELECT customer, number, film, total, seats, note FROM tenfold_copies.orders_by_film'),
    await rowsOf('SELECT customer, number, film, total, seats, note FROM orders WHERE film IS NOT NULL'),
  )
  assert.deepEqual(
    await rowsOf('SELECT film, orders, revenue::numeric(20,2), sold FROM tenfold_copies.sales'),
    await rowsOf(
      `SELECT film, count(*), coalesce(sum(total) FILTER (WHERE total <> 'NaN'), 0)::numeric(20,2), coalesce(sum(seats), 0) FROM orders WHERE film IS NOT NULL GROUP BY film`,
    ),
  )
  assert.deepEqual(
    await rowsOf('SELECT film, customer, "order" FROM tenfold_copies.pairs'),
    await rowsOf(
      'SELECT film, customer, count(*) FROM orders WHERE film IS NOT NULL GROUP BY film, customer',
    ),
  )
  assert.deepEqual(
    await rowsOf('SELECT customer, number, film, note FROM tenfold_copies.notes$by'),
    await rowsOf('SELECT customer, number, film, note FROM orders WHERE film IS NOT NULL'),
  )
  for (const film of ['1', '2', '3', '4']) {
    const one = `SELECT count(*) FROM tenfold_copies.orders_by_film WHERE film = ${film}`
    assert.deepEqual(await rowsOf(one), await rowsOf(`SELECT count(*) FROM orders WHERE film = ${film}`))
  }
}

const random = seededRandom(Number(process.env.TENFOLD_TEST_SEED ?? 7))
let moved = 0
const among = (n: number): number => Math.floor(random.float() * n)

async function changes(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const [customer, number, film] = [among(20), among(10), among(9) === 0 ? 'NULL' : String(among(6))]
    const row = `(${customer}, ${number}, ${film}, ${['NULL', "'NaN'", among(1_000) / 100, among(1_000) / 100, among(99)][among(5)]}, ${among(5)}, ${among(3) === 0 ? "repeat('long ', 5000)" : "'it''s \\'"})`
    const where = `customer = ${customer} AND number = ${number}`
    const sql = [
      `INSERT INTO orders VALUES ${row} ON CONFLICT (customer, number) DO NOTHING`,
      `INSERT INTO orders VALUES ${row} ON CONFLICT (customer, number) DO UPDATE SET film = excluded.film, total = excluded.total`,
      `UPDATE orders SET film = ${film} WHERE ${where}`,
      `UPDATE orders SET total = total + 1, seats = NULL WHERE customer = ${customer}`,
      `DELETE FROM orders WHERE ${where}`,
      `UPDATE orders SET customer = ${among(20)}, number = ${500_000 + ++moved} WHERE ${where}`,
      `UPDATE orders SET number = ${1_000 + ++moved} WHERE ${where}`,
    ][among(7)] as string
    await client.query(sql)
  }
}

test('rows and totals by another key, filled and followed under load; a keeper that ends, and another', async () => {
  await changes(150)
  let keeper = new CopyKeeper(ports)
  await keeper.ensure()
  await changes(150)
  await fresh(keeper)
  await alike()
  await keeper.stop()
  await changes(100)
  keeper = new CopyKeeper(ports)
  await fresh(keeper)
  await alike()
  // What it does not know is none of its business.
  await client.query("ALTER TABLE orders ADD COLUMN extra text DEFAULT 'x'")
  await changes(50)
  await fresh(keeper)
  await alike()
  await client.query('BEGIN')
  await changes(20)
  await client.query('ROLLBACK')
  await client.query('TRUNCATE orders')
  await changes(60)
  await sleep(300)
  await fresh(keeper)
  await alike()
  await keeper.stop()
})

test('connections that break, slots that are gone, and nothing is twice or missing', async () => {
  let keeper = new CopyKeeper(ports)
  await fresh(keeper)
  const [first, second] = operators as [Session, Session]
  for (let turn = 0; turn < 6; turn++) {
    const load = changes(60)
    await sleep(among(100))
    const of = turn % 2 === 0 ? first : second
    await of.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tenfold_copy%'`,
      20_000,
    )
    if (turn === 3) {
      await keeper.stop()
      keeper = new CopyKeeper(ports)
      void keeper.ensure()
    }
    await load
  }
  await fresh(keeper)
  await alike()
  await keeper.stop()
  const [slot] = await first.query(
    "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'tenfold_copy%' LIMIT 1",
    20_000,
  )
  await first.query(`SELECT pg_drop_replication_slot('${slot?.[0]}')`, 20_000)
  await changes(50)
  keeper = new CopyKeeper(ports)
  await fresh(keeper)
  await alike()
  assert.ok(said.some(text => /has no slot .* filled again/.test(text)))
  await keeper.stop()
})

test('what can not be copied rightly waits, and says why', async () => {
  const keeper = new CopyKeeper(ports)
  await fresh(keeper)
  const waits = async (sql: string, why: RegExp): Promise<void> => {
    await client.query(sql)
    const now = new CopyKeeper(ports)
    await now.ensure()
    const [status] = await now.status()
    assert.match(status?.trouble ?? '', why)
    await now.stop()
  }
  await keeper.stop()
  await waits('ALTER TABLE orders ENABLE ROW LEVEL SECURITY', /row level security, and a copy would show all/)
  await client.query('ALTER TABLE orders DISABLE ROW LEVEL SECURITY')
  const { rows } = await client.query('SELECT count(*) FROM orders')
  assert.ok(Number(rows[0]?.count) > 0)
  await client.query('DROP TABLE orders')
  await client.query(tableSql)
  await changes(40)
  const other = new CopyKeeper(ports)
  await fresh(other)
  await alike()
  await other.stop()
  map = mapOf({ 'tenfold_copies.sales': copy('film', { totals: { count: 'n', sums: { note: 'x' } } }) })
  await waits('SELECT 1', /'note' of public\.orders is text: only integers and numeric have exact sums/)
  map = mapOf({ 'tenfold_copies.sales': copy('nothing', {}) })
  await waits('SELECT 1', /public\.orders has no stored column 'nothing'/)
  map = mapOf(both)
})

test('clients do not write to copies; what the file does not say any more goes, with everything on the servers', async () => {
  for (const sql of [
    'INSERT INTO tenfold_copies.sales VALUES (1, 1, 1, 1)',
    'DELETE FROM tenfold_copies.orders_by_film WHERE film = 1',
    'UPDATE tenfold_copies.sales SET orders = 0 WHERE film = 1',
  ])
    await assert.rejects(client.query(sql), (error: pg.DatabaseError) => {
      assert.equal(`${error.code} ${error.detail}`, '0A000 shard-copied')
      return true
    })
  let keeper = new CopyKeeper(ports)
  await fresh(keeper)
  assert.equal(await keeper.rebuild('nothing'), false)
  assert.equal(await keeper.rebuild('sales'), true)
  await fresh(keeper)
  await alike()
  map = mapOf({ 'tenfold_copies.sales': both['tenfold_copies.sales'] })
  await fresh(keeper)
  await keeper.stop()
  map = mapOf({})
  keeper = new CopyKeeper(ports)
  await keeper.ensure()
  for (const operator of operators)
    assert.deepEqual(
      await operator.query(
        `SELECT slot_name::text FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication UNION ALL SELECT roname FROM pg_replication_origin
         UNION ALL SELECT name FROM tenfold.copies UNION ALL SELECT stream FROM tenfold.copy_streams
         UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'tenfold_copies'::regnamespace`,
        20_000,
      ),
      [],
    )
  await keeper.stop()
})
