// Statements over several shards through a router, as clients say them: by Query and with parameters, alone and in
// transactions; beside one plain PostgreSQL with the same rows.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { bytesFrame } from '../../src/wire/postgres/compose.ts'
import {
  copyDoneMessage,
  copyFailMessage,
  frontend,
  queryMessage,
  readReport,
} from '../../src/wire/postgres/index.ts'
import { PostgresPeer } from '../tools/postgres-peer.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'
import { reads } from './read-corpus.ts'

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
    'public.log': { kind: 'round-robin' },
  },
}

const tables = `
  CREATE TABLE customers (id bigint PRIMARY KEY, name text, born date);
  CREATE TABLE orders (customer bigint NOT NULL, number integer NOT NULL, film integer, price numeric(10,2), at timestamptz,
    tags text[], extra jsonb, PRIMARY KEY (customer, number));
  CREATE TABLE films (id integer PRIMARY KEY, title text, added timestamptz DEFAULT clock_timestamp());
  CREATE TABLE log (line text, at timestamptz)`

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
      `INSERT INTO customers VALUES ${list(40, n => `(${n}, ${n % 7 === 0 ? 'NULL' : `'name ${n % 11}'`}, '19${50 + n}-01-02')`)}`,
    )
    await client.query(
      `INSERT INTO orders VALUES ${list(200, n => `(${n % 40}, ${n}, ${n % 9}, ${n * 0.37}, ${n % 13 === 0 ? 'NULL' : `'2026-01-0${1 + (n % 9)} 0${n % 10}:00+00'`}, '{a,b${n % 3}}', '{"n": ${n % 5}}')`)}`,
    )
    await client.query(
      `INSERT INTO films (id, title, added) VALUES ${list(9, n => `(${n}, 'film ${n}', '2020-01-01')`)}`,
    )
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

async function same(text: string, values?: readonly unknown[]): Promise<Said> {
  const wanted = await said(plain, text, values)
  const got = await said(sharded, text, values)
  if ('code' in wanted && 'code' in got) assert.equal(got.code, wanted.code, text)
  else assert.deepEqual(got, wanted, text)
  return got
}

for (const [text, values] of reads) {
  test(`as one PostgreSQL says it: ${text}`, async () => {
    await same(text, values)
  })
}

test('the same within a transaction that has written', async () => {
  for (const client of [sharded, plain]) {
    await client.query('BEGIN')
    await client.query("UPDATE customers SET name = 'changed' WHERE id IN (1, 2, 3, 4)")
    await client.query("INSERT INTO films (id, title, added) VALUES (77, 'new', '2020-01-01')")
    await client.query('UPDATE orders SET film = 77 WHERE customer = 5')
  }
  for (const [text, values] of reads.filter(
    ([one, values]) => !/id - 3|nothing/.test(one) && values?.[0] !== -1,
  ))
    await same(text, values)
  for (const client of [sharded, plain]) await client.query('ROLLBACK')
  await same('SELECT count(*) FROM films')
})

test('what a transaction has set holds where rows are combined', async () => {
  const text = "SELECT string_agg(at::text, ',' ORDER BY number), current_setting('TimeZone') FROM orders"
  for (const client of [sharded, plain]) {
    await client.query('BEGIN')
    await client.query("SET LOCAL TimeZone = 'America/New_York'")
    await client.query('SAVEPOINT one')
    await client.query("SET DateStyle = 'SQL, DMY'")
  }
  await same(text)
  for (const client of [sharded, plain]) await client.query('ROLLBACK TO one')
  await same(text)
  for (const client of [sharded, plain]) await client.query('ROLLBACK')
  await same(text)
})

test('writes over shards say what PostgreSQL says', async () => {
  for (const client of [sharded]) await client.query('SET tenfold.allow_broadcast TO on')
  for (const client of [sharded, plain]) await client.query('BEGIN')
  await same(
    "INSERT INTO customers VALUES (100, 'a', NULL), (101, 'b', NULL), (102, 'c', NULL) RETURNING id, name ORDER BY 1".replace(
      ' ORDER BY 1',
      '',
    ),
  )
  await same('INSERT INTO customers VALUES ($1, $2, NULL), ($3, $2, NULL), ($4, NULL, NULL)', [
    103,
    'x',
    104,
    105,
  ])
  await same('UPDATE orders SET price = price + 1 WHERE film = 3')
  await same('DELETE FROM orders WHERE number < 10 RETURNING customer, number')
  await same("UPDATE films SET title = 'other' WHERE id < 4 RETURNING id, title")
  await same('SELECT customer, number, price FROM orders')
  await same('SELECT id, title FROM films')
  for (const client of [sharded, plain]) await client.query('COMMIT')
  await same('SELECT id, name FROM customers')
  await same("INSERT INTO customers VALUES (200, 'a', NULL), (201, 'b', NULL), (100, 'c', NULL)")
  await same('SELECT id, name FROM customers')
})

test('a default that each server would make anew is made once, or refused', async () => {
  const got = await said(sharded, "INSERT INTO films (id, title) VALUES (50, 'x'), (51, 'y') RETURNING id")
  if ('code' in got) {
    assert.equal(got.detail, 'shard-volatile')
    return
  }
  assert.deepEqual(got.rows, ['50', '51'])
  const times = await Promise.all(
    operators.map(one => one.query('SELECT id, added FROM public.films WHERE id >= 50 ORDER BY id', 20_000)),
  )
  assert.deepEqual(times[1], times[0])
  assert.deepEqual(times[2], times[0])
  await sharded.query('DELETE FROM films WHERE id >= 50')
})

test('COPY goes in and out, is refused as a whole, and the connection goes on', async t => {
  const peer = await PostgresPeer.logIn({
    host: '127.0.0.1',
    port: router.portOf('main'),
    database: 'app',
    user: 'app',
    password: 'secret',
  })
  t.after(() => peer.close())
  const copyData = (text: string): Buffer => bytesFrame(frontend.copyData, Buffer.from(text))
  const copy = async (sql: string, pieces: readonly string[], end: Buffer): Promise<string> => {
    peer.write(queryMessage(sql))
    const first = await peer.next()
    if (first?.type !== 'G') return `${first?.type} ${await peer.types()}`
    peer.write(...pieces.map(copyData), end)
    const messages = await peer.until('Z')
    return messages
      .map(({ type, payload }) =>
        type === 'E'
          ? `E${readReport(payload, 0, payload.length)?.code}`
          : `${type}${payload.toString().replace(/\0/g, '')}`,
      )
      .join(' ')
  }
  const before = await said(sharded, 'SELECT count(*) FROM customers')
  const many = Array.from({ length: 3_000 }, (_, n) => `${n + 5_000}\tcopied\t\\N\n`)
  assert.equal(await copy('COPY customers FROM STDIN', many, copyDoneMessage), 'CCOPY 3000 ZI')
  const counts = await Promise.all(
    operators.map(one => one.query("SELECT count(*) FROM public.customers WHERE name = 'copied'", 20_000)),
  )
  assert.ok(
    counts.every(rows => Number(rows[0]?.[0]) > 500),
    JSON.stringify(counts),
  )
  assert.equal(
    await copy(
      'COPY customers (name, id) FROM STDIN (FORMAT csv)',
      ['"a,b",9000\n', 'c,'],
      copyFailMessage('no'),
    ),
    'E57014 ZI',
  )
  assert.equal(
    await copy(
      'COPY customers (name, id) FROM STDIN (FORMAT csv)',
      ['"a,b",9000\n', 'c,\n'],
      copyDoneMessage,
    ),
    'E23502 ZI',
  )
  assert.equal(
    await copy('COPY customers FROM STDIN', ['8000\tx\t\\N\n8001\tx\tno date\n'], copyDoneMessage),
    'E22007 ZI',
  )
  assert.equal(
    await copy('COPY customers FROM STDIN', ['5000\tx\t\\N\n8002\tx\t\\N\n'], copyDoneMessage),
    'E23505 ZI',
  )
  assert.equal(
    await copy('COPY films (id, title, added) FROM STDIN', ['60\tx\t2020-01-01\n'], copyDoneMessage),
    'CCOPY 1 ZI',
  )
  await sharded.query('DELETE FROM films WHERE id = 60')
  assert.equal(
    await copy('COPY log FROM STDIN', ['a\t\\N\nb\t\\N\nc\t\\N\nd\t\\N\n'], copyDoneMessage),
    'CCOPY 4 ZI',
  )
  assert.deepEqual(await said(sharded, 'SELECT line FROM log'), {
    rows: ['a', 'b', 'c', 'd'],
    names: ['line 25'],
    tag: 'SELECT 4',
  })
  peer.write(queryMessage('COPY customers (id, name) TO STDOUT (HEADER)'))
  const out = await peer.until('Z')
  const data = out.filter(({ type }) => type === 'd').map(({ payload }) => payload.toString())
  assert.equal(data[0], 'id\tname\n')
  assert.equal(data.filter(line => /\tcopied\n$/.test(line)).length, 3_000)
  assert.match(out.at(-2)?.payload.toString() ?? '', /^COPY 3\d\d\d/)
  await sharded.query("DELETE FROM customers WHERE name = 'copied'")
  assert.deepEqual(await said(sharded, 'SELECT count(*) FROM customers'), before)
})

test('a client who reads slowly holds the shards back', async t => {
  const peer = await PostgresPeer.logIn({
    host: '127.0.0.1',
    port: router.portOf('main'),
    database: 'app',
    user: 'app',
    password: 'secret',
  })
  t.after(() => peer.close())
  peer.write(queryMessage('SELECT repeat(id::text, 200), n FROM customers, generate_series(1, 5000) AS n'))
  const first = await peer.next()
  assert.equal(first?.type, 'T')
  await new Promise(resolve => setTimeout(resolve, 1_000))
  const { arrayBuffers } = process.memoryUsage()
  let rows = 0
  for (let message = await peer.next(); message?.type !== 'Z'; message = await peer.next()) {
    assert.notEqual(message, null)
    if (message?.type === 'D') rows++
  }
  const count = await said(sharded, 'SELECT count(*) FROM customers')
  assert.equal(rows, 5_000 * Number('rows' in count ? count.rows[0] : 0))
  t.diagnostic(`${arrayBuffers >> 20} MiB of buffers while nobody read about 90 MB`)
})

test('what ran over several shards leaves no connection in use and no transaction open', async () => {
  const left = await Promise.all(
    operators.map(one =>
      one.query(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle' AND datname = 'app'",
        20_000,
      ),
    ),
  )
  assert.deepEqual(
    left.map(rows => rows[0]?.[0]),
    ['0', '0', '0'],
  )
  const prepared = await Promise.all(
    operators.map(one => one.query('SELECT gid FROM pg_prepared_xacts', 20_000)),
  )
  assert.deepEqual(prepared.flat(), [])
})

test('trap: a request to cancel that comes late leaves no transaction open', async () => {
  await sharded.query('SET tenfold.allow_broadcast TO on')
  for (let round = 0; round < 200; round++) {
    assert.deepEqual(await said(sharded, 'UPDATE orders SET nothing = 1'), { code: '42703', detail: '' })
    const found = await said(sharded, 'SELECT count(*) FROM orders WHERE customer = 1')
    assert.ok('rows' in found, JSON.stringify(found))
  }
})
