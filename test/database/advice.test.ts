// Advice on indexes and partitions from a real server's own counts: what slow statements lack is proposed and tried, what is there
// for nothing is named, and nothing is left or changed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { type AdvicePorts, adviseDatabase } from '../../src/database/advice/index.ts'
import { Session } from '../../src/database/servers/session.ts'
import { startPostgres } from '../tools/postgres-server.ts'

test('indexes that statements lack, indexes that nobody needs, tables to cut', async t => {
  const server = await startPostgres(t, {
    settings: { shared_preload_libraries: "'pg_stat_statements'", 'pg_stat_statements.track_utility': 'off' },
  })
  const { host, port } = server
  const sessionOf = (user: string): Session =>
    new Session(() => ({ host, port, database: 'app', user, password: 'secret' }))
  const operator = sessionOf('tenfold')
  t.after(() => operator.close())
  const ask = (sql: string) => operator.query(sql, 30_000)
  await ask('CREATE EXTENSION pg_stat_statements SCHEMA public')
  const app = new pg.Client({ connectionString: server.url.replace('tenfold', 'app') })
  app.on('error', () => {})
  await app.connect()
  t.after(() => app.end().catch(() => {}))
  await app.query(`
    CREATE SCHEMA "Shop";
    CREATE TABLE orders (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, customer integer NOT NULL, state text NOT NULL,
      at timestamptz NOT NULL, total numeric, twice numeric GENERATED ALWAYS AS (total * 2) STORED, CHECK (total >= 0));
    CREATE TABLE "Shop"."Order" (id integer PRIMARY KEY, "User" integer, note text);
    CREATE TABLE small (id integer, kind text);
    CREATE FUNCTION calm(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM current_user = ''tenfold'' AND pg_sleep(60) IS NULL; RETURN $1; END';
    INSERT INTO orders (customer, state, at, total) SELECT n % 5000, (ARRAY['new', 'paid', 'sent'])[1 + n % 3], now() - n * interval '1 minute', n
      FROM generate_series(1, 200000) AS n;
    INSERT INTO "Shop"."Order" SELECT n, n % 700, repeat('x', 50) FROM generate_series(1, 50000) AS n;
    INSERT INTO small SELECT n, 'k' FROM generate_series(1, 100) AS n;
    CREATE INDEX by_state ON orders (state);
    CREATE INDEX by_state_and_total ON orders (state, total);
    CREATE INDEX twice_state ON orders (state);
    ANALYZE`)
  await ask('SELECT public.pg_stat_statements_reset()')
  for (let n = 0; n < 20; n++) {
    await app.query('SELECT * FROM orders WHERE customer = $1 ORDER BY at DESC LIMIT 10', [n])
    await app.query('SELECT note FROM "Shop"."Order" AS o WHERE o."User" = $1 AND calm(id) > 0', [n])
    await app.query(`SELECT * FROM small WHERE kind = 'k'`)
  }
  await app.query(`DELETE FROM orders WHERE at < now() - interval '10 years'`)
  await app.query(`SELECT count(*) FROM orders WHERE at BETWEEN now() - interval '2 days' AND now()`)
  await app.query('SELECT 1 FROM generate_series(1, 100000) AS n WHERE n = 5')

  const ports: AdvicePorts = {
    groups: [[ask]],
    owner: async table => {
      const [row] = await ask(
        `SELECT pg_get_userbyid(relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname || '.' || relname = '${table}'`,
      )
      const session = sessionOf(row?.[0] as string)
      return { ask: (sql, timeoutMs) => session.query(sql, timeoutMs), close: () => session.close() }
    },
    progress: () => {},
    verify: true,
    limit: 10,
    partitionBytesMin: 1 << 20,
  }
  const objects = async (): Promise<unknown> =>
    ask(
      "SELECT count(*), string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind IN ('r', 'i', 't')",
    )
  const before = await objects()
  const advice = await adviseDatabase(ports)
  assert.deepEqual(await objects(), before, 'nothing is left')

  const [first] = advice.indexes.filter(one => one.table === 'public.orders')
  assert.deepEqual(first?.columns, ['customer', 'at'])
  assert.equal(first.sql, 'CREATE INDEX CONCURRENTLY ON "public"."orders" ("customer", "at")')
  assert.ok(first.trial !== null && first.trial.rows >= 50_000, String(first.trial?.rows))
  const [seen] = first.trial.statements
  assert.ok(seen?.used && seen.after < seen.before / 10, JSON.stringify(seen))
  assert.ok((first.verdict?.left ?? 1) < 0.2)
  assert.ok(first.trial.insertUs.before > 0 && first.trial.insertUs.after > 0)
  assert.ok((first.bytes ?? 0) > 1 << 20 && (first.bytes ?? 0) < 64 << 20, String(first.bytes))
  assert.equal(first.statements[0]?.calls, 20)
  const quoted = advice.indexes.find(one => one.table === 'Shop.Order')
  assert.equal(quoted?.sql, 'CREATE INDEX CONCURRENTLY ON "Shop"."Order" ("User")')
  assert.match(quoted?.untried ?? '', /call functions of users, which planning would run/)
  assert.ok(advice.indexes.every(one => one.table !== 'public.small'))

  assert.deepEqual(
    advice.drops.map(({ kind, index }) => `${kind} ${index}`),
    ['duplicate by_state', 'duplicate twice_state'],
  )
  assert.equal(advice.drops[0]?.sql, 'DROP INDEX CONCURRENTLY "public"."by_state"')
  const [partition] = advice.partitions
  assert.equal(partition?.table, 'public.orders')
  assert.equal(partition?.column, 'at')
  assert.equal(partition?.deletes, 1)
  assert.ok(advice.statements.seen >= 5)

  for (let n = 0; n < 20; n++) await app.query('SELECT note FROM "Shop"."Order" WHERE "User" = $1', [n])
  const tried = (await adviseDatabase(ports)).indexes.find(one => one.table === 'Shop.Order')
  assert.equal(tried?.untried, '')
  assert.ok(tried?.trial?.statements.every(({ text }) => !text.includes('calm')))
  assert.equal(tried?.trial?.statements.length, 1)

  // What is proposed is what helps: made, it is proposed no more.
  for (const { sql } of advice.indexes) await app.query(sql)
  for (const { sql } of advice.drops) await app.query(sql)
  const again = await adviseDatabase({ ...ports, verify: false })
  assert.deepEqual(again.indexes, [])
  assert.deepEqual(again.drops, [])

  // Without a login of the owner it is said that nothing was tried.
  await app.query('DROP INDEX "Shop"."Order_User_idx"')
  const untried = await adviseDatabase({ ...ports, owner: async () => null })
  assert.match(untried.indexes[0]?.untried ?? '', /no login of the file has the rights/)
  assert.equal(untried.indexes[0]?.trial, null)
  await ask('DROP EXTENSION pg_stat_statements')
  await assert.rejects(adviseDatabase(ports), { code: '42P01' })
})

test('of several shards the counts are added up, and what one of them uses is used', async t => {
  const settings = { shared_preload_libraries: "'pg_stat_statements'" }
  const servers = await Promise.all([startPostgres(t, { settings }), startPostgres(t, { settings })])
  const sessions = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  t.after(() => {
    for (const one of sessions) one.close()
  })
  const asks = sessions.map(one => (sql: string) => one.query(sql, 30_000))
  for (const [at, ask] of asks.entries()) {
    await ask(
      'CREATE EXTENSION pg_stat_statements SCHEMA public; GRANT ALL ON SCHEMA public TO app; SET search_path = public; SET ROLE app',
    )
    await ask(`CREATE TABLE seats (id integer, film integer, row_number integer)`)
    await ask(
      `INSERT INTO seats SELECT n, n % 90, n FROM generate_series(1, ${at === 0 ? 3_000 : 5_000}) AS n; ANALYZE seats`,
    )
    for (let n = 0; n < 3; n++) await ask(`SELECT * FROM seats WHERE film = ${n}`)
    await ask('RESET ROLE')
  }
  const advice = await adviseDatabase({
    groups: asks.map(one => [one]),
    owner: async () => null,
    progress: () => {},
    verify: false,
    limit: 5,
  })
  assert.deepEqual(
    advice.indexes.map(one => [one.columns, one.statements[0]?.calls]),
    [[['film'], 6]],
  )
})
