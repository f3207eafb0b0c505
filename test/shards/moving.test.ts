// While rows move, every shard may have copies of rows that are another's: statements over several shards see each row once,
// and change it where it is; what one PostgreSQL says is what is said.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import postgres from 'postgres'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import type { RouterSnapshot } from '../../src/database/router/snapshot.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { placedOnSql } from '../../src/policy/shard/predicate.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'
import { reads } from './read-corpus.ts'

const ids = ['1', '2', '3']
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ids,
  families: {
    customers: {
      types: ['bigint'],
      rule: { by: 'hash', slots: Array.from({ length: 12 }, (_, slot) => slot % ids.length) },
    },
  },
  tables: {
    'public.customers': { kind: 'sharded', family: 'customers', key: ['id'] },
    'public.orders': { kind: 'sharded', family: 'customers', key: ['customer'] },
    'public.films': { kind: 'everywhere' },
  },
}

const tables = `
  CREATE TABLE customers (id bigint PRIMARY KEY, name text, born date);
  CREATE TABLE orders (customer bigint NOT NULL, number integer NOT NULL, film integer, price numeric(10,2), at timestamptz,
    tags text[], extra jsonb, twice numeric GENERATED ALWAYS AS (price * 2) STORED, PRIMARY KEY (customer, number));
  CREATE TABLE films (id integer PRIMARY KEY, title text, added timestamptz DEFAULT clock_timestamp())`

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let operators: readonly Session[]
let router: Router
let snapshotOf: (version: number, moving: readonly string[]) => RouterSnapshot
let sharded: pg.Client
let plain: pg.Client
let shardedUrl = ''
let plainUrl = ''

const asText = { getTypeParser: () => (value: string) => value } as never

async function clientOf(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, types: asText })
  client.on('error', () => {})
  await client.connect()
  endings.push(() => client.end().catch(() => {}))
  return client
}

before(async () => {
  const settings = { max_prepared_transactions: '20', shared_buffers: '16MB' }
  const servers = await Promise.all([...ids, 'plain'].map(() => startPostgres(scope, { settings })))
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [at, operator] of operators.entries()) {
    const shard = ids[at]
    if (shard !== undefined) await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard, map })
    await operator.query(
      `GRANT ALL ON SCHEMA public TO app; SET ROLE app; SET search_path = public; ${tables}; RESET search_path; RESET ROLE`,
      20_000,
    )
    if (shard === undefined) continue
    await operator.query(
      `CREATE FUNCTION tenfold."holds customers"(key bigint) RETURNS boolean LANGUAGE sql STABLE
        RETURN coalesce(${placedOnSql(map, 'customers', ['key'], at)}, false)`,
      20_000,
    )
  }
  const groups = servers.slice(0, 3).map((server, at) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[at]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null }
  snapshotOf = (version, moving) => ({
    format: 1,
    version,
    databases: [{ ...whole, shards: { map, groups, systemId: 'test', moving } }],
  })
  router = await createRouter({ snapshot: snapshotOf(1, ['customers']), tell: () => {} })
  shardedUrl = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`
  plainUrl = (servers[3] as (typeof servers)[number]).url
  sharded = await clientOf(shardedUrl)
  plain = await clientOf(plainUrl)
  const rows = (count: number, one: (n: number) => string): string =>
    Array.from({ length: count }, (_, n) => one(n)).join(', ')
  for (const client of [sharded, plain]) {
    await client.query(
      `INSERT INTO customers VALUES ${rows(40, n => `(${n}, ${n % 7 === 0 ? 'NULL' : `'name ${n % 11}'`}, '19${50 + n}-01-02')`)}`,
    )
    await client.query(
      `INSERT INTO orders VALUES ${rows(200, n => `(${n % 40}, ${n}, ${n % 9}, ${n * 0.37}, ${n % 13 === 0 ? 'NULL' : `'2026-01-0${1 + (n % 9)} 0${n % 10}:00+00'`}, '{a,b${n % 3}}', '{"n": ${n % 5}}')`)}`,
    )
    await client.query(
      `INSERT INTO films (id, title, added) VALUES ${rows(9, n => `(${n}, 'film ${n}', '2020-01-01')`)}`,
    )
  }
  await plant()
})

test.after(async () => {
  for (const end of endings.reverse()) await end()
  router?.close()
  for (const operator of operators ?? []) operator.close()
})

/** Every shard gets the rows of all others, too. */
async function plant(): Promise<void> {
  const all = { customers: [] as string[], orders: [] as string[] }
  for (const operator of operators.slice(0, 3))
    for (const table of ['customers', 'orders'] as const)
      all[table].push(
        ...(await operator.query(`SELECT row_to_json(t)::text FROM public.${table} AS t`, 20_000)).map(
          ([row]) => row as string,
        ),
      )
  const columns = { customers: 'id, name, born', orders: 'customer, number, film, price, at, tags, extra' }
  for (const operator of operators.slice(0, 3))
    for (const table of ['customers', 'orders'] as const)
      await operator.query(
        `INSERT INTO public.${table} (${columns[table]}) SELECT ${columns[table]}
         FROM json_populate_recordset(NULL::public.${table}, '[${all[table].join(',').replaceAll("'", "''")}]') ON CONFLICT DO NOTHING`,
        20_000,
      )
}

/** What each shard has of a table, what is not its own included. */
async function everything(table: string): Promise<unknown[]> {
  return Promise.all(
    operators
      .slice(0, 3)
      .map(one =>
        one.query(
          `SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM public.${table} AS t`,
          20_000,
        ),
      ),
  )
}

type Said = { rows: string[]; names: string[]; tag: string } | { code: string }

async function said(client: pg.Client, text: string, values?: readonly unknown[]): Promise<Said> {
  try {
    const result = await client.query({ text, rowMode: 'array', ...(values && { values: [...values] }) })
    const rows = (result.rows as (string | null)[][]).map(row => row.map(one => one ?? '\\N').join('|'))
    return {
      rows: /order by/i.test(text) ? rows : rows.sort(),
      names: result.fields.map(field => `${field.name} ${field.dataTypeID}`),
      tag: `${result.command} ${result.rowCount}`,
    }
  } catch (error) {
    return { code: (error as pg.DatabaseError).code ?? String(error) }
  }
}

async function same(text: string, values?: readonly unknown[]): Promise<Said> {
  const wanted = await said(plain, text, values)
  assert.deepEqual(await said(sharded, text, values), wanted, text)
  return wanted
}

test('copies lie everywhere', async () => {
  for (const operator of operators.slice(0, 3))
    assert.deepEqual(await operator.query('SELECT count(*) FROM public.orders', 5_000), [['200']])
})

for (const [text, values] of reads)
  test(`trap: copies are not seen: ${text}`, async () => {
    await same(text, values)
  })

test('inside a transaction, too, before and after it has written', async () => {
  for (const client of [sharded, plain]) await client.query('BEGIN')
  const fine = reads.filter(([one, values]) => !/id - 3|nothing/.test(one) && values?.[0] !== -1)
  for (const [text, values] of fine.slice(0, 12)) await same(text, values)
  for (const client of [sharded, plain])
    await client.query("UPDATE customers SET name = 'changed' WHERE id IN (1, 2, 3, 4)")
  for (const [text, values] of fine) await same(text, values)
  for (const client of [sharded, plain]) await client.query('ROLLBACK')
})

test('one key is served as ever: locks, system columns, ONLY', async () => {
  await same('SELECT name FROM ONLY customers WHERE id = $1 FOR UPDATE', [5])
  const found = await said(sharded, 'SELECT ctid IS NOT NULL FROM customers WHERE id = 5')
  assert.deepEqual('rows' in found && found.rows, ['t'])
})

test('writes over shards change each row where it is, and no copy', async () => {
  await sharded.query('SET tenfold.allow_broadcast TO on')
  const texts: readonly [string, unknown[]?][] = [
    ['UPDATE orders SET price = price + 1 WHERE film = 3 OR customer % 7 = 2 RETURNING number'],
    ['UPDATE orders AS o SET price = o.price + $1 WHERE o.number < $2', [1, 50]],
    ["UPDATE customers SET name = coalesce(name, '') || ' where returning' RETURNING id, name"],
    ["UPDATE customers c SET name = upper(c.name) WHERE c.name LIKE '%where%'"],
    ['DELETE FROM orders WHERE number % 5 = 0 AND (film = 2 OR film = 3) RETURNING customer, number'],
    ['UPDATE orders SET price = 0 WHERE customer IN (1, 2, 3, 4, 5, 6)'],
    ['DELETE FROM orders WHERE customer = ANY($1)', [[7, 8, 9]]],
  ]
  for (const [text, values] of texts) {
    await same(text, values)
    await same('SELECT * FROM orders ORDER BY customer, number')
    await same('SELECT * FROM customers ORDER BY id')
  }
  // 200 rows each at first; only their own were deleted.
  const copies = await Promise.all(
    operators.slice(0, 3).map(one => one.query('SELECT count(*) FROM public.orders', 5_000)),
  )
  const [left] = (await plain.query({ text: 'SELECT count(*) FROM orders', rowMode: 'array' })).rows as [
    [string],
  ]
  const gone = 200 - Number(left[0])
  assert.equal(
    copies.reduce((sum, [row]) => sum + Number(row?.[0]), 0),
    600 - gone,
  )
})

test('COPY out gives each row once, COPY in places rows as ever', async () => {
  const servers = [shardedUrl, plainUrl].map(url => postgres(url, { max: 1 }))
  const [one, other] = servers as [postgres.Sql, postgres.Sql]
  const out = async (server: postgres.Sql, text: string): Promise<string[]> => {
    let found = ''
    for await (const chunk of await server.unsafe(text).readable()) found += String(chunk)
    return found.trim().split('\n').sort()
  }
  for (const text of [
    'COPY orders TO STDOUT',
    'COPY orders (number, price) TO STDOUT (FORMAT csv)',
    'COPY public.customers TO STDOUT',
    'COPY (SELECT id FROM customers WHERE id > 3) TO STDOUT',
  ])
    assert.deepEqual(await out(one, text), await out(other, text), text)
  for (const server of servers) {
    const into = await server.unsafe('COPY customers FROM STDIN').writable()
    into.end('200\tcopied\t2000-01-01\n201\tcopied\t\\N\n202\tcopied\t\\N\n')
    await new Promise((resolve, reject) => into.on('finish', resolve).on('error', reject))
    await server.end()
  }
  await same('SELECT * FROM customers ORDER BY id')
})

test('what tables are can not change now, and what can not be filtered is refused: nothing happens', async () => {
  const [orders, customers] = [await everything('orders'), await everything('customers')]
  for (const text of [
    'ALTER TABLE orders ADD COLUMN more text',
    'DROP TABLE films',
    'TRUNCATE orders',
    'CREATE INDEX CONCURRENTLY films_title ON films (title)',
    'SELECT count(*) FROM ONLY orders',
  ])
    assert.deepEqual(await said(sharded, text), { code: '55006' }, text)
  await sharded.query('VACUUM orders')
  assert.deepEqual([await everything('orders'), await everything('customers')], [orders, customers])
})

test('where nothing moves nothing is filtered', async () => {
  await router.apply(snapshotOf(2, []))
  const found = await said(sharded, 'SELECT count(*) FROM customers')
  assert.ok('rows' in found && Number(found.rows[0]) > 100, JSON.stringify(found))
  await router.apply(snapshotOf(3, ['customers']))
  await same('SELECT count(*) FROM customers')
})
