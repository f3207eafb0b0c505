// Columns that are unique over all shards: what one PostgreSQL says of the same statements, and the look-up tables hold what the
// rows hold after each of them.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { firstMap } from '../../src/policy/shard/map.ts'
import { bytesFrame } from '../../src/wire/postgres/compose.ts'
import { copyDoneMessage, frontend, queryMessage, readReport } from '../../src/wire/postgres/index.ts'
import { type PeerMessage, PostgresPeer } from '../tools/postgres-peer.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const ids = ['1', '2', '3']
const map = firstMap({
  shards: ids,
  slots: 12,
  tables: {
    'public.customers': {
      kind: 'sharded',
      key: ['id'],
      types: ['bigint'],
      with: null,
      rule: { by: 'hash' },
      unique: [
        { columns: ['email'], types: ['text'] },
        { columns: ['tenant', 'slug'], types: ['bigint', 'text'] },
      ],
    },
    'public.cards': {
      kind: 'sharded',
      key: ['customer'],
      types: ['bigint'],
      with: 'public.customers',
      rule: null,
      unique: [{ columns: ['number'], types: ['uuid'] }],
    },
    'public.notes': { kind: 'sharded', key: ['customer'], types: [], with: 'public.customers', rule: null },
    'public.spares': {
      kind: 'sharded',
      key: ['id'],
      types: ['bigint'],
      with: null,
      rule: { by: 'hash' },
      unique: [{ columns: ['code'], types: ['text'] }],
    },
    'public.parts': {
      kind: 'sharded',
      key: ['id'],
      types: ['bigint'],
      with: null,
      rule: { by: 'hash' },
      unique: [{ columns: ['code'], types: ['text'] }],
    },
  },
})

const tables = [
  `CREATE TABLE customers (id bigint PRIMARY KEY, email text UNIQUE, tenant bigint, slug text, seen integer DEFAULT 0,
    UNIQUE (tenant, slug))`,
  `CREATE TABLE cards (customer bigint REFERENCES customers ON DELETE CASCADE, number uuid, PRIMARY KEY (customer, number),
    CONSTRAINT cards_number_key UNIQUE (number))`,
  'CREATE TABLE notes (customer bigint, note text)',
  'CREATE TABLE parts (id bigint PRIMARY KEY, code text UNIQUE)',
]

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let operators: readonly Session[]
let router: Router
let sharded: pg.Client
let other: pg.Client
let plain: pg.Client

interface Place {
  readonly port: number
  readonly database: string
}
let places: { readonly sharded: Place; readonly plain: Place }

const asText = { getTypeParser: () => (value: string) => value } as never

async function clientOf(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, types: asText })
  client.on('error', () => {})
  await client.connect()
  return client
}

before(async () => {
  const settings = { max_prepared_transactions: '20', shared_buffers: '16MB' }
  const servers = await Promise.all(ids.map(() => startPostgres(scope, { settings })))
  const [first] = servers as [PostgresServer, ...PostgresServer[]]
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  await (operators[0] as Session).query('CREATE DATABASE plain OWNER app', 20_000)
  for (const [index, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[index] as string, map })
    // The same again changes nothing.
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[index] as string, map })
    await operator.query('GRANT ALL ON SCHEMA public TO app', 20_000)
  }
  const groups = servers.map((server, index) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[index]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  router = await createRouter({ snapshot: { format: 1, version: 1, databases: [whole] }, tell: () => {} })
  const url = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`
  places = {
    sharded: { port: Number(router.portOf('main')), database: 'app' },
    plain: { port: first.port, database: 'plain' },
  }
  sharded = await clientOf(url)
  other = await clientOf(url)
  plain = await clientOf(`postgres://app:secret@127.0.0.1:${first.port}/plain`)
  for (const client of [sharded, plain]) for (const table of tables) await client.query(table)
})

test.after(async () => {
  for (const client of [sharded, other, plain]) await client?.end().catch(() => {})
  router?.close()
  for (const operator of operators ?? []) operator.close()
  for (const end of endings.reverse()) await end()
})

interface Said {
  readonly rows?: readonly string[]
  readonly tag?: string
  readonly code?: string
  readonly about?: string
}

async function said(client: pg.Client, text: string, values?: readonly unknown[]): Promise<Said> {
  try {
    const result = await client.query({ text, rowMode: 'array', ...(values && { values: [...values] }) })
    const rows = (result.rows as (string | null)[][]).map(row => row.map(one => one ?? '\\N').join('|'))
    return { rows: rows.sort(), tag: `${result.command} ${result.rowCount}` }
  } catch (error) {
    const { code, message, detail, table, constraint } = error as pg.DatabaseError
    return { code: code ?? String(error), about: [message, detail, table, constraint].join('; ') }
  }
}

/** The same on both. */
async function both(text: string, values?: readonly unknown[]): Promise<Said> {
  const ours = await said(sharded, text, values)
  assert.deepEqual(ours, await said(plain, text, values), text)
  return ours
}

async function shardRows(sql: string): Promise<string[]> {
  const answers = await Promise.all(operators.map(operator => operator.query(sql, 20_000)))
  return answers
    .flat()
    .map(row => row.join('|'))
    .sort()
}

/** Look-up tables have what the rows have, each value where it belongs, and nothing waits to be taken. */
async function kept(): Promise<void> {
  const pairs = [
    ['SELECT email, id FROM public.customers WHERE email IS NOT NULL', 'public$customers$email'],
    [
      'SELECT tenant, slug, id FROM public.customers WHERE tenant IS NOT NULL AND slug IS NOT NULL',
      'public$customers$tenant$slug',
    ],
    ['SELECT number, customer FROM public.cards', 'public$cards$number'],
    ['SELECT code, id FROM public.parts', 'public$parts$code'],
  ] as const
  for (const [rows, lookup] of pairs)
    assert.deepEqual(
      await shardRows(`SELECT * FROM tenfold_unique."${lookup}"`),
      await shardRows(rows),
      lookup,
    )
  assert.deepEqual(await shardRows('SELECT lookup FROM tenfold.unique_changes'), [])
  assert.deepEqual(await shardRows('SELECT xact FROM tenfold.unique_unread'), [])
  for (const table of ['customers', 'cards', 'parts'])
    assert.deepEqual(
      (await said(sharded, `SELECT * FROM ${table}`)).rows,
      (await said(plain, `SELECT * FROM ${table}`)).rows,
    )
}

test('what is there on another shard is refused as one PostgreSQL refuses it, by every kind of statement', async () => {
  const many = Array.from({ length: 20 }, (_, n) => `(${n}, 'mail${n}', ${n % 3}, 's${n}')`).join(', ')
  await both(`INSERT INTO customers (id, email, tenant, slug) VALUES ${many}`)
  const twice = await both(`INSERT INTO customers VALUES (100, 'mail7')`)
  assert.equal(twice.code, '23505')
  assert.match(twice.about ?? '', /"customers_email_key"; Key \(email\)=\(mail7\) already exists/)
  await both('INSERT INTO customers (id, email) VALUES ($1, $2)', [101, 'mail8'])
  await both('INSERT INTO customers (id, email) VALUES ($1, lower($2)) RETURNING id, email', [102, 'MAIL8'])
  await both('INSERT INTO customers (id, email) VALUES ($1, lower($2)) RETURNING id, email', [103, 'MAIL100'])
  await both(`INSERT INTO customers (id, tenant, slug) VALUES (104, 1, 's7')`)
  await both(`INSERT INTO customers (id, tenant, slug) VALUES (105, 2, 's7')`)
  await both(`INSERT INTO customers (id, tenant) VALUES (106, 1), (107, 1), (108, NULL)`)
  await both(`UPDATE customers SET email = 'mail9' WHERE id = 1`)
  await both(`UPDATE customers SET email = 'new' WHERE id = 1`)
  await both(`INSERT INTO customers (id, email) VALUES (109, 'mail1')`)
  await both(`UPDATE customers SET email = NULL WHERE id = 2`)
  await both(`DELETE FROM customers WHERE id = 3`)
  await both(`INSERT INTO customers (id, email) VALUES (110, 'mail3'), (111, 'mail2')`)
  await both(`UPDATE customers SET seen = seen + 1 WHERE id IN (4, 5, 6)`)
  await both(`INSERT INTO parts VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')`)
  await both(`UPDATE parts SET id = 200 WHERE id = 1`)
  await both(`UPDATE parts SET id = 201, code = 'c' WHERE id = 2`)
  await both(`UPDATE parts SET id = 202, code = 'e' WHERE id = 2`)
  await both(`INSERT INTO parts VALUES (5, 'b'), (6, 'a')`)
  await both(`INSERT INTO customers (id, email) VALUES (112, 'a'), (113, 'b'), (114, 'a')`)
  await both(
    `INSERT INTO customers (id, email) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET email = 'mail5b'`,
  )
  await both(`INSERT INTO customers (id, email) VALUES (5, 'mail7') ON CONFLICT (id) DO NOTHING`)
  await both(
    `MERGE INTO customers c USING (VALUES (115, 'merged')) AS v (id, email) ON c.id = v.id AND c.id = 115
      WHEN MATCHED THEN UPDATE SET email = v.email WHEN NOT MATCHED THEN INSERT (id, email) VALUES (115, v.email)`,
  )
  await kept()
})

test('transactions, savepoints and what is rolled back', async () => {
  await both('BEGIN')
  await both(`INSERT INTO customers (id, email) VALUES (300, 'one')`)
  await both('SAVEPOINT s')
  const refused = await both(`INSERT INTO customers (id, email) VALUES (301, 'one')`)
  assert.equal(refused.code, '23505')
  await both('SELECT 1')
  await both('ROLLBACK TO s')
  await both(`INSERT INTO customers (id, email) VALUES (301, 'two')`)
  await both('SAVEPOINT t')
  await both(`DELETE FROM customers WHERE id = 300`)
  await both(`INSERT INTO customers (id, email) VALUES (302, 'one')`)
  await both('ROLLBACK TO t')
  await both('COMMIT')
  await both(`INSERT INTO customers (id, email) VALUES (303, 'one')`)
  await both('BEGIN')
  await both(`DELETE FROM customers WHERE id = 300`)
  await both(`INSERT INTO customers (id, email) VALUES (304, 'one')`)
  await both('ROLLBACK')
  await both(`INSERT INTO customers (id, email) VALUES (305, 'one'), (306, 'three')`)
  await both(`BEGIN; INSERT INTO customers (id, email) VALUES (307, 'four'); COMMIT`)
  await both(`INSERT INTO customers (id, email) VALUES (308, 'four')`)
  await kept()
})

test('cascades, COPY, TRUNCATE, and a table that is dropped and made again', async () => {
  const card = (n: number): string => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`
  await both(`INSERT INTO cards VALUES ${[7, 8, 9, 10].map(n => `(${n}, '${card(n)}')`).join(', ')}`)
  await both(`INSERT INTO cards VALUES (11, '${card(7).toUpperCase()}')`)
  await both(`DELETE FROM customers WHERE id = 7`)
  await both(`INSERT INTO cards VALUES (11, '${card(7)}')`)
  await kept()
  const copy = async ({ port, database }: Place, rows: readonly string[]): Promise<string> => {
    const peer = await PostgresPeer.logIn({
      host: '127.0.0.1',
      port,
      database,
      user: 'app',
      password: 'secret',
    })
    try {
      peer.write(queryMessage('COPY customers (id, email) FROM STDIN'))
      assert.equal((await peer.next())?.type, 'G')
      const data = rows.map(row => bytesFrame(frontend.copyData, Buffer.from(`${row}\n`)))
      peer.write(...data, copyDoneMessage)
      const [first] = await peer.until('Z')
      const { type, payload } = first as PeerMessage
      if (type !== 'E') return `${type}${payload.toString().replace(/\0/g, '')}`
      const report = readReport(payload, 0, payload.length)
      return `${report?.code} ${report?.message}`
    } finally {
      peer.close()
    }
  }
  const rows = Array.from({ length: 2_500 }, (_, n) => `${1_000 + n}\tcopied${n}`)
  assert.equal(await copy(places.sharded, rows), 'CCOPY 2500')
  assert.equal(await copy(places.plain, rows), 'CCOPY 2500')
  const again = ['9000\tcopied3', '9001\tother']
  const told = await copy(places.sharded, again)
  assert.match(told, /23505 .*"customers_email_key"/)
  assert.equal(told, await copy(places.plain, again))
  await kept()
  await sharded.query('SET tenfold.allow_broadcast = on')
  // All at once, more than one part: what goes on one shard comes on another.
  await both(`UPDATE customers SET email = 'x' || email WHERE id >= 1000`)
  await kept()
  await both('TRUNCATE customers CASCADE')
  await kept()
  await both(`INSERT INTO customers (id, email) VALUES (1, 'mail1'), (2, 'mail2')`)
  await both('BEGIN')
  await both('TRUNCATE cards')
  await both(`INSERT INTO cards VALUES (1, '${card(1)}')`)
  await both('ROLLBACK')
  await both(`DROP TABLE cards`)
  await both(`${tables[1]}`)
  await both(`INSERT INTO cards VALUES (1, '${card(1)}'), (2, '${card(2)}')`)
  await both(`DELETE FROM customers`)
  await kept()
})

test('two clients who want the same value: one waits for the other, and gets it or not', async () => {
  await both(`INSERT INTO customers (id, email) VALUES (1, 'first')`)
  for (const end of ['COMMIT', 'ROLLBACK']) {
    await sharded.query('BEGIN')
    await sharded.query(`INSERT INTO customers (id, email) VALUES (2, 'wanted')`)
    const waiting = said(other, `INSERT INTO customers (id, email) VALUES (3, 'wanted')`)
    await new Promise(resolve => setTimeout(resolve, 100))
    await sharded.query(end)
    assert.equal((await waiting).code, end === 'COMMIT' ? '23505' : undefined)
    await sharded.query('DELETE FROM customers WHERE id IN (2, 3)')
  }
  // Each has what the other wants.
  await sharded.query('BEGIN')
  await other.query('BEGIN')
  await sharded.query(`INSERT INTO customers (id, email) VALUES (2, 'one')`)
  await other.query(`INSERT INTO customers (id, email) VALUES (3, 'two')`)
  const [ours, theirs] = await Promise.all([
    said(sharded, `INSERT INTO customers (id, email) VALUES (4, 'two')`).then(async one => {
      await sharded.query(one.code === undefined ? 'COMMIT' : 'ROLLBACK')
      return one
    }),
    said(other, `INSERT INTO customers (id, email) VALUES (5, 'one')`).then(async one => {
      await other.query(one.code === undefined ? 'COMMIT' : 'ROLLBACK')
      return one
    }),
  ])
  const codes = [ours.code, theirs.code].sort()
  assert.ok(codes.includes('40P01'), codes.join())
  await sharded.query('DELETE FROM customers WHERE id IN (2, 3, 4, 5)')
  await kept()
})

test('what can not be kept is refused, and what comes past the router fails', async () => {
  const refused = async (text: string): Promise<string> => {
    const { code, about } = await said(sharded, text)
    return `${code} ${about?.split(';')[1]?.trim()}`
  }
  const insert = `INSERT INTO customers (id, email) VALUES (900, 'mine')`
  assert.equal(await refused(`${insert} ON CONFLICT DO NOTHING`), '0A000 shard-conflict')
  assert.equal(await refused(`${insert} ON CONFLICT (email) DO NOTHING`), '0A000 shard-conflict')
  assert.equal(
    await refused(`${insert} ON CONFLICT ON CONSTRAINT customers_email_key DO NOTHING`),
    '0A000 shard-conflict',
  )
  assert.equal(await refused('SELECT tenfold.unique_take(10)'), '0A000 shard-statement')
  assert.equal(await refused('CREATE TABLE spares (id bigint PRIMARY KEY, code text)'), '0A000 shard-unique')
  assert.equal(
    await refused('CREATE TABLE spares (id bigint PRIMARY KEY, code varchar(9) UNIQUE)'),
    '0A000 shard-unique',
  )
  assert.equal(
    await refused('CREATE TABLE spares (id bigint PRIMARY KEY, code text, name text UNIQUE)'),
    '0A000 shard-unique',
  )
  assert.equal(
    await refused('ALTER TABLE customers DROP CONSTRAINT customers_email_key'),
    '0A000 shard-unique',
  )
  await both('CREATE TABLE spares (id bigint PRIMARY KEY, code text UNIQUE)')
  await both(`INSERT INTO spares VALUES (1, 'a'), (2, 'a')`)
  await sharded.query('BEGIN')
  assert.equal(await refused(`SET CONSTRAINTS ALL IMMEDIATE`), 'undefined undefined')
  assert.equal(await refused(insert), '0A000 shard-unique')
  await sharded.query('ROLLBACK')
  const [first] = operators as [Session]
  await assert.rejects(
    first.query(`INSERT INTO public.customers (id, email) VALUES (901, 'past')`, 20_000),
    /past the router/,
  )
  await assert.rejects(
    first.query(
      `BEGIN; INSERT INTO public.customers (id, email) VALUES (901, 'past'); PREPARE TRANSACTION 'p'`,
      20_000,
    ),
    /past the router/,
  )
  await first.query('ROLLBACK', 20_000)
  // Columns that are not unique are anybody's.
  await first.query(`UPDATE public.customers SET seen = 5 WHERE id = 1`, 20_000)
  await plain.query(
    `UPDATE customers SET seen = (${await sharded.query('SELECT seen FROM customers WHERE id = 1').then(({ rows }) => rows[0]?.seen)}) WHERE id = 1`,
  )
  await kept()
})

test('EXPLAIN ANALYZE of a statement that writes keeps them as well', async () => {
  await sharded.query(`EXPLAIN ANALYZE INSERT INTO customers (id, email) VALUES (950, 'explained')`)
  await plain.query(`INSERT INTO customers (id, email) VALUES (950, 'explained')`)
  await both(`INSERT INTO customers (id, email) VALUES (951, 'explained')`)
  await kept()
})

test('random statements and transactions leave what one PostgreSQL leaves', async () => {
  for (const client of [sharded, plain]) await client.query('DELETE FROM customers')
  const id = fc.integer({ min: 1, max: 12 })
  const value = fc.option(fc.constantFrom('a', 'b', 'c', 'd', "it's", '\\x', '"q"'), { nil: null, freq: 8 })
  const text = (one: string | null): string => (one === null ? 'NULL' : `'${one.replaceAll("'", "''")}'`)
  const row = fc
    .tuple(id, value, fc.integer({ min: 1, max: 2 }), value)
    .map(([key, email, tenant, slug]) => `(${key}, ${text(email)}, ${tenant}, ${text(slug)})`)
  const statement = fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .array(row, { minLength: 1, maxLength: 3 })
        .map(rows => `INSERT INTO customers (id, email, tenant, slug) VALUES ${rows.join(', ')}`),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(id, value)
        .map(
          ([key, email]) => `UPDATE customers SET email = ${text(email)} WHERE id = ${key} RETURNING email`,
        ),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(id, value)
        .map(([key, slug]) => `UPDATE customers SET slug = ${text(slug)}, seen = seen + 1 WHERE id = ${key}`),
    },
    { weight: 2, arbitrary: id.map(key => `DELETE FROM customers WHERE id = ${key}`) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(id, value)
        .map(
          ([key, email]) =>
            `INSERT INTO customers (id, email) VALUES (${key}, ${text(email)}) ON CONFLICT (id) DO UPDATE SET email = excluded.email`,
        ),
    },
    { weight: 1, arbitrary: fc.constantFrom('SAVEPOINT s', 'ROLLBACK TO s') },
  )
  const script = fc.tuple(
    fc.constantFrom('', 'COMMIT', 'ROLLBACK'),
    fc.array(statement, { minLength: 1, maxLength: 8 }),
  )
  await fc.assert(
    fc.asyncProperty(script, async ([end, statements]) => {
      if (end !== '') await both('BEGIN')
      for (const one of statements) {
        const [ours, theirs] = [await said(sharded, one), await said(plain, one)]
        // Which of several is told first is not said.
        const same = ours.code === '23505' && theirs.code === '23505'
        if (!same) assert.deepEqual(ours, theirs, one)
      }
      if (end !== '') await both(end)
      await kept()
    }),
    { numRuns: 40, endOnFailure: true },
  )
})
