// UPDATE of the key: rows move to the shards where they belong, and are as one PostgreSQL would leave them.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const ids = ['1', '2', '3']
const slots = Array.from({ length: 12 }, (_, slot) => slot % ids.length)
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ids,
  families: { customers: { types: ['bigint'], rule: { by: 'hash', slots } } },
  tables: {
    'public.customers': { kind: 'sharded', family: 'customers', key: ['id'] },
    'public.orders': { kind: 'sharded', family: 'customers', key: ['customer'] },
    'public.films': { kind: 'everywhere' },
    'public.shelves': { kind: 'sharded', family: 'customers', key: ['customer'] },
    'public.lines': { kind: 'sharded', family: 'customers', key: ['customer'] },
    'public.notes': { kind: 'sharded', family: 'customers', key: ['customer'] },
    'public.marks': { kind: 'sharded', family: 'customers', key: ['customer'] },
  },
}

const tables = `
  CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(12), born date);
  CREATE TABLE orders (customer bigint NOT NULL REFERENCES customers, number integer NOT NULL, price numeric(10,2), rate double precision,
    code char(4), bits bit(3), at timestamptz, tags text[], extra jsonb, twice integer GENERATED ALWAYS AS (number * 2) STORED,
    PRIMARY KEY (customer, number));
  CREATE TABLE films (id integer PRIMARY KEY, title text);
  CREATE TABLE shelves (customer bigint NOT NULL, number integer NOT NULL, PRIMARY KEY (customer, number));
  CREATE TABLE lines (customer bigint NOT NULL, number integer NOT NULL, note text,
    FOREIGN KEY (customer, number) REFERENCES shelves ON UPDATE CASCADE);
  CREATE TABLE notes (customer bigint NOT NULL, note text);
  CREATE TABLE marks (customer bigint NOT NULL, mark text);
  CREATE TRIGGER same BEFORE UPDATE ON marks FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()`

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let operators: readonly Session[]
let router: Router
let sharded: pg.Client
let plain: pg.Client

const asText = { getTypeParser: () => (value: string) => value } as never

before(async () => {
  const settings = { max_prepared_transactions: '20', shared_buffers: '16MB' }
  const servers = await Promise.all(ids.map(() => startPostgres(scope, { settings })))
  const [first] = servers as [PostgresServer, ...PostgresServer[]]
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  const owned = `SET ROLE app; SET search_path = public; ${tables}; RESET search_path; RESET ROLE`
  await (operators[0] as Session).query('CREATE DATABASE plain OWNER app', 20_000)
  for (const [index, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[index] as string, map })
    await operator.query(
      owned.replace('SET ROLE app;', 'GRANT ALL ON SCHEMA public TO app; SET ROLE app;'),
      20_000,
    )
  }
  const groups = servers.map((server, index) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[index]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  router = await createRouter({ snapshot: { format: 1, version: 1, databases: [whole] }, tell: () => {} })
  const clientOf = async (connectionString: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString, types: asText })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  sharded = await clientOf(`postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`)
  plain = await clientOf(`postgres://app:secret@127.0.0.1:${first.port}/plain`)
  await plain.query(tables)
  for (const client of [sharded, plain]) {
    await client.query(
      `INSERT INTO customers VALUES ${list(30, n => `(${n}, 'name ${n}', '19${50 + n}-01-02')`)}`,
    )
    await client.query(
      `INSERT INTO orders VALUES ${list(90, n => `(${n % 30}, ${n}, ${n * 0.37}, ${n / 3}, 'c${n % 4}', B'101', ${n % 13 === 0 ? 'NULL' : `'2026-01-0${1 + (n % 9)} 0${n % 10}:00+00'`}, '{a,"b\\n${n % 3}"}', '{"n": "\\t${n % 5}"}')`)}`.replaceAll(
        '\\n',
        '\n',
      ),
    )
    await client.query(`INSERT INTO films VALUES ${list(9, n => `(${n}, 'film ${n}')`)}`)
    await client.query(`INSERT INTO notes VALUES ${list(60, n => `(${n % 30}, E'a\\t\\\\${n}')`)}`)
  }
})

function list(count: number, one: (n: number) => string): string {
  return Array.from({ length: count }, (_, n) => one(n)).join(', ')
}

test.after(async () => {
  await sharded?.end().catch(() => {})
  await plain?.end().catch(() => {})
  router?.close()
  for (const operator of operators ?? []) operator.close()
  for (const end of endings.reverse()) await end()
})

type Said = { rows: string[]; names: string[]; tag: string } | { code: string; detail: string }

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
    const { code, detail } = error as pg.DatabaseError
    return { code: code ?? String(error), detail: detail ?? '' }
  }
}

async function alike(): Promise<void> {
  for (const table of ['customers', 'orders', 'notes']) {
    const text = `SELECT t::text AS row FROM ${table} AS t`
    assert.deepEqual(await said(sharded, text), await said(plain, text), table)
  }
}

/** Where each row lies is where its key belongs. */
async function inPlace(): Promise<void> {
  await sharded.query('SET tenfold.dry_run TO on')
  for (const table of ['customers', 'orders', 'notes'])
    for (const [at, operator] of operators.entries()) {
      const key = table === 'customers' ? 'id' : 'customer'
      for (const [value] of await operator.query(`SELECT DISTINCT ${key} FROM public.${table}`, 20_000)) {
        const [told] = (await sharded.query(`SELECT 1 FROM ${table} WHERE ${key} = ${value}`)).rows as {
          shards: string
        }[]
        assert.equal(told?.shards, ids[at], `${table} ${value}`)
      }
    }
  await sharded.query('SET tenfold.dry_run TO off')
}

async function same(text: string, values?: readonly unknown[]): Promise<void> {
  const wanted = await said(plain, text, values)
  const got = await said(sharded, text, values)
  if ('code' in wanted && 'code' in got) assert.equal(got.code, wanted.code, text)
  else assert.deepEqual(got, wanted, text)
}

const moves: readonly [text: string, values?: readonly unknown[]][] = [
  ['UPDATE orders SET customer = 7 WHERE customer = 5 AND number = 35'],
  ['UPDATE orders SET customer = $1 WHERE customer = $2', [8, 6]],
  [
    'UPDATE orders AS o SET customer = $1, price = o.price * 2 + $3 WHERE o.customer IN ($2, 3)',
    [9, 2, 1.005],
  ],
  ["UPDATE public.orders SET code = 'x', customer = customer + 1, number = number + 1000 WHERE customer = 9"],
  [
    "UPDATE orders SET customer = '11', at = '2026-02-03 04:05+00', tags = NULL, extra = '{}' WHERE customer = 10",
  ],
  ['UPDATE orders SET customer = 12, rate = 0.1::real + number WHERE customer = ANY($1)', [[13, 14]]],
  ['UPDATE orders SET customer = 12 WHERE customer = 12 AND number = 12'],
  ['UPDATE orders SET customer = $1, price = 3 WHERE customer = $1 AND number = 42', [12]],
  ['UPDATE notes SET customer = 29 WHERE customer = 4'],
  ['UPDATE customers SET id = 300 WHERE id = 4'],
  ['UPDATE notes SET customer = (SELECT max(id) FROM films) WHERE customer = 1'],
  // What the server refuses, nothing of it done.
  ['UPDATE orders SET customer = 4000 WHERE customer = 20'],
  ['UPDATE orders SET customer = NULL WHERE customer = 20'],
  ['UPDATE orders SET customer = 21, number = 21 WHERE customer = 20'],
  ["UPDATE orders SET customer = 21, code = 'far too long' WHERE customer = 20"],
  ['UPDATE orders SET customer = 21, price = 1e12 WHERE customer = 20'],
  ["UPDATE orders SET customer = 21, number = 'a'::text WHERE customer = 20"],
  ['UPDATE orders SET customer = 21, twice = 3 WHERE customer = 20'],
  ['UPDATE orders SET customer = 21, nothing = 3 WHERE customer = 20'],
  ['UPDATE orders SET customer = 21 WHERE 1 / (number - 20) > 0 AND customer = 20'],
]

test('the key of rows changes as on one PostgreSQL', async () => {
  for (const [text, values] of moves) {
    await same(text, values)
    await alike()
  }
  await inPlace()
})

test('what is not pinned moves where every shard may be written to', async () => {
  const text = 'UPDATE notes SET customer = 29 - customer WHERE customer < 20'
  const refused = await said(sharded, text)
  assert.ok('code' in refused && refused.detail === 'shard-broadcast')
  await sharded.query('SET tenfold.allow_broadcast TO on')
  await same(text)
  await same('UPDATE notes SET customer = customer')
  await sharded.query('RESET tenfold.allow_broadcast')
  await alike()
})

test('in a transaction, and undone with it', async () => {
  for (const text of [
    'BEGIN',
    'UPDATE notes SET customer = 3 WHERE customer = 22',
    'SAVEPOINT here',
    'UPDATE notes SET customer = 4 WHERE customer = 3',
    'SELECT customer, note FROM notes ORDER BY customer, note COLLATE "C"',
    'ROLLBACK TO here',
    'UPDATE orders SET customer = 5000 WHERE customer = 22',
    'SELECT 1',
    'ROLLBACK TO here',
    'UPDATE orders SET customer = 23, number = number + 5000 WHERE customer = 22',
    'COMMIT',
    'BEGIN',
    'UPDATE notes SET customer = 9 WHERE customer IN (1, 2, 3, 29)',
    'ROLLBACK',
  ])
    await same(text)
  await alike()
  await inPlace()
})

const refusals: readonly [text: string, detail: string][] = [
  ['UPDATE orders SET customer = 1 WHERE customer = 2 RETURNING *', 'shard-key-update'],
  ['UPDATE orders SET customer = f.id FROM films f WHERE customer = 2', 'shard-key-update'],
  ['UPDATE orders SET (customer, number) = (1, 2) WHERE customer = 2', 'shard-key-update'],
  ['UPDATE orders SET customer = DEFAULT WHERE customer = 2', 'shard-key-update'],
  ["UPDATE orders SET customer = 1, bits = B'111' WHERE customer = 2", 'shard-key-update'],
  ['UPDATE ONLY notes SET customer = 1 WHERE customer = 2', 'shard-key-update'],
  ['UPDATE notes SET customer = (random() * 9)::int WHERE customer = 2', 'shard-volatile'],
  ['UPDATE notes SET customer = (SELECT max(id) FROM customers) WHERE customer = 2', 'shard-key-update'],
  ['UPDATE shelves SET customer = 3 WHERE customer = 2', 'shard-key-update'],
  ['UPDATE marks SET customer = 3 WHERE customer = 2', 'shard-key-update'],
]

test('what can not be done so is refused', async () => {
  for (const [text, detail] of refusals) {
    const got = await said(sharded, text)
    assert.ok('code' in got && got.detail === detail, `${text}: ${JSON.stringify(got)}`)
  }
  await sharded.query('SET extra_float_digits TO 0')
  const fewer = await said(sharded, 'UPDATE orders SET customer = 1 WHERE customer = 24')
  assert.ok('code' in fewer && fewer.code === '22P02')
  await sharded.query('RESET extra_float_digits')
  await alike()
})
