// Results that the router keeps, against a real server: what is answered from memory, and that it is never older than the
// last write that passed the router; what is written elsewhere reaches it by the change feed.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import type { CachedQueries } from '../../src/database/router/snapshot.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { type RouterUnderTest, startRouter, waitFor } from '../tools/router-harness.ts'

const settings: CachedQueries = {
  bytesMax: 1024 * 1024,
  resultBytesMax: 64 * 1024,
  rules: [{ tables: ['films', 'studios'], ttlMs: 600_000 }],
  hintTtlMsMax: 60_000,
}

interface Setup {
  readonly server: PostgresServer
  /** On the server itself, past the router. */
  readonly direct: pg.Client
  readonly under: RouterUnderTest
  readonly client: pg.Client
}

async function begun(
  t: TestContext,
  more: Partial<CachedQueries> = {},
  sql: readonly string[] = [],
): Promise<Setup> {
  const server = await startPostgres(t, { settings: { wal_level: 'logical' } })
  const direct = new pg.Client({ connectionString: server.url })
  direct.on('error', () => {})
  await direct.connect()
  t.after(() => direct.end().catch(() => {}))
  for (const text of [
    'CREATE TABLE films (id int PRIMARY KEY, title text, studio int)',
    'CREATE TABLE studios (id int PRIMARY KEY, name text)',
    'CREATE TABLE orders (id serial PRIMARY KEY, film int)',
    `INSERT INTO films SELECT i, 'film ' || i, 1 FROM generate_series(1, 10) AS i`,
    `INSERT INTO studios VALUES (1, 'one')`,
    'GRANT ALL ON ALL TABLES IN SCHEMA public TO app',
    'GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app',
    ...sql,
  ])
    await direct.query(text)
  const cacheQueries = { ...settings, ...more }
  const under = await startRouter(t, { servers: [server], more: { own: true, cacheQueries } })
  await waitFor(
    () =>
      under.router.feeds.followed('main').has('public.films') === cacheQueries.rules.length > 0 &&
      under.router.feeds.status('main')?.state === 'streaming',
    () => JSON.stringify([under.router.feeds.status('main'), under.told]),
  )
  return { server, direct, under, client: await under.client() }
}

async function route(client: pg.Client): Promise<string> {
  const { rows } = await client.query('SHOW tenfold.route')
  return rows[0]['tenfold.route']
}

/** Asked until it is answered from memory; what it then is. */
async function kept(client: pg.Client, query: string | pg.QueryConfig): Promise<pg.QueryResult> {
  for (const end = Date.now() + 30_000; ; ) {
    const result = await client.query(query as string)
    if ((await route(client)) === 'cache') return result
    assert.ok(Date.now() < end, `it is kept: ${JSON.stringify(query)}`)
  }
}

async function neverKept(client: pg.Client, query: string | pg.QueryConfig): Promise<void> {
  for (let times = 0; times < 20; times++) {
    await client.query(query as string)
    assert.notEqual(await route(client), 'cache', JSON.stringify(query))
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

test('a read of listed tables is answered from memory, and a write through the router voids it before it is acknowledged', async t => {
  const { client, under } = await begun(t)
  const text = 'SELECT title FROM films WHERE id = 1'
  const { rows, fields } = await kept(client, text)
  assert.deepEqual(rows, [{ title: 'film 1' }])
  assert.equal(fields[0]?.name, 'title')
  const writer = await under.client()
  for (let round = 0; round < 50; round++) {
    await writer.query('UPDATE films SET title = $1 WHERE id = 1', [`round ${round}`])
    const answer = await client.query(text)
    assert.equal(answer.rows[0].title, `round ${round}`, 'never older than what was acknowledged')
    await client.query(text)
  }
  await writer.query('BEGIN')
  await writer.query(`UPDATE films SET title = 'open' WHERE id = 1`)
  assert.equal((await writer.query(text)).rows[0].title, 'open', 'one sees what one wrote')
  assert.equal((await kept(client, text)).rows[0].title, 'round 49')
  await writer.query('COMMIT')
  assert.equal((await client.query(text)).rows[0].title, 'open')
})

test('SQL typed by hand on the primary reaches what is kept', async t => {
  const { client, direct } = await begun(t)
  const text = 'SELECT f.title, s.name FROM films f JOIN studios s ON s.id = f.studio WHERE f.id = 2'
  await kept(client, text)
  await direct.query(`UPDATE studios SET name = 'other'`)
  const end = Date.now() + 30_000
  while ((await client.query(text)).rows[0].name !== 'other') assert.ok(Date.now() < end, 'the feed tells')
  await kept(client, text)
  await direct.query('TRUNCATE films')
  while ((await client.query(text)).rows.length > 0) assert.ok(Date.now() < end, 'the feed tells')
})

test('parameters, formats, settings and users decide as much as the text', async t => {
  const { client, under, direct } = await begun(t)
  const of = (id: number, more: object = {}): pg.QueryConfig => ({
    text: 'SELECT id, title FROM films WHERE id = $1',
    values: [id],
    ...more,
  })
  assert.deepEqual((await kept(client, of(1))).rows, [{ id: 1, title: 'film 1' }])
  assert.deepEqual((await client.query(of(2))).rows, [{ id: 2, title: 'film 2' }])
  assert.deepEqual((await kept(client, of(2))).rows, [{ id: 2, title: 'film 2' }])
  const binary = of(1, { binary: true })
  assert.deepEqual((await kept(client, binary)).rows, (await direct.query(binary)).rows)
  const named = of(3, { name: 'by-id' })
  assert.deepEqual((await kept(client, named)).rows, [{ id: 3, title: 'film 3' }])
  // Another with the same name for something else.
  const other = await under.client()
  const same = { name: 'by-id', text: 'SELECT title AS t FROM films WHERE id = $1', values: [3] }
  assert.deepEqual((await other.query(same)).rows, [{ t: 'film 3' }])
  assert.deepEqual((await kept(other, same)).rows, [{ t: 'film 3' }])
  const admin = await under.client({ connectionString: under.urlOf('tenfold') })
  await admin.query(of(1))
  assert.notEqual(await route(admin), 'cache', 'another user has an answer of his own')
  await client.query(`SET extra_float_digits = 0`)
  await client.query(of(1))
  assert.notEqual(await route(client), 'cache', 'other settings, other answers')
})

test('an unnamed statement that was answered from memory is the one that is bound next', async t => {
  const { client, under } = await begun(t)
  await kept(client, { text: 'SELECT title FROM films WHERE id = $1', values: [1] })
  // Another unnamed statement is on the server's connection now.
  await client.query({ text: 'SELECT count(*) FROM orders WHERE film = $1', values: [1] })
  const result = await client.query({ text: 'SELECT title FROM films WHERE id = $1', values: [1] })
  assert.deepEqual(result.rows, [{ title: 'film 1' }])
  const next = await client.query({ text: 'SELECT title FROM films WHERE id = $1', values: [7] })
  assert.deepEqual(next.rows, [{ title: 'film 7' }])
  await under.idle()
})

test('what depends on more than tables, or could not be followed, is not kept', async t => {
  const { client } = await begun(t, {}, [
    'CREATE UNLOGGED TABLE loose (id int)',
    'CREATE VIEW late AS SELECT * FROM films WHERE now() > now()',
    'CREATE TABLE secrets (id int PRIMARY KEY)',
    'ALTER TABLE secrets ENABLE ROW LEVEL SECURITY',
    'CREATE SCHEMA shop',
    'CREATE TABLE shop.studios (id int PRIMARY KEY)',
    'GRANT ALL ON ALL TABLES IN SCHEMA public TO app',
  ])
  await neverKept(client, 'SELECT now(), title FROM films')
  await neverKept(client, 'SELECT current_user, title FROM films')
  await neverKept(client, 'SELECT title FROM films WHERE random() < 2')
  await neverKept(client, 'SELECT * FROM films FOR UPDATE')
  await neverKept(client, '/* tenfold: cache=10s */ SELECT * FROM loose')
  await neverKept(client, '/* tenfold: cache=10s */ SELECT * FROM late')
  await neverKept(client, '/* tenfold: cache=10s */ SELECT * FROM secrets')
  await neverKept(client, '/* tenfold: cache=10s */ SELECT relname FROM pg_class')
  // Which of two the search path means is not known here.
  await neverKept(client, 'SELECT * FROM studios')
  // Not listed, no hint.
  await neverKept(client, 'SELECT count(*) FROM orders')
})

test('a view is kept as the tables that it reads, and a hint says how long', async t => {
  const { client, direct } = await begun(t, { rules: [] }, [
    'CREATE VIEW titles AS SELECT upper(title) AS title FROM films WHERE id = 5',
    'GRANT SELECT ON titles TO app',
  ])
  await neverKept(client, 'SELECT * FROM titles')
  const text = '/* tenfold: cache=10s */ SELECT * FROM titles'
  assert.deepEqual((await kept(client, text)).rows, [{ title: 'FILM 5' }])
  await direct.query(`UPDATE films SET title = 'seen' WHERE id = 5`)
  const end = Date.now() + 30_000
  while ((await client.query(text)).rows[0].title !== 'SEEN') assert.ok(Date.now() < end, 'the feed tells')
  await kept(client, text)
  await client.query(`UPDATE films SET title = 'here' WHERE id = 5`)
  assert.deepEqual((await client.query(text)).rows, [{ title: 'HERE' }], 'a view may be what is written')
})

test('triggers and cascades: a write to another table is no way round', async t => {
  const { client } = await begun(t, {}, [
    `CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
      $$ BEGIN UPDATE films SET title = 'sold ' || NEW.id WHERE id = NEW.film; RETURN NEW; END $$`,
    'CREATE TRIGGER sold AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION bump()',
  ])
  const text = 'SELECT title FROM films WHERE id = 4'
  for (let round = 1; round <= 20; round++) {
    await kept(client, text)
    const { rows } = await client.query('INSERT INTO orders (film) VALUES (4) RETURNING id')
    assert.equal((await client.query(text)).rows[0].title, `sold ${rows[0].id}`)
  }
})

test('an answer that is read while its tables change is not kept', async t => {
  const { client, under } = await begun(t, {}, [
    'CREATE TABLE gate (id int PRIMARY KEY)',
    'GRANT ALL ON gate TO app',
  ])
  const text = 'SELECT title FROM films WHERE id = 6'
  await kept(client, text)
  const [locker, writer] = [await under.client(), await under.client()]
  await writer.query(`UPDATE films SET title = 'first' WHERE id = 6`)
  // The read waits amid its statement; what it will say may be from before the next write.
  await locker.query('BEGIN')
  await locker.query('LOCK TABLE films IN ACCESS EXCLUSIVE MODE')
  const read = client.query(text)
  await waitFor(
    () => under.status().servers[0]?.active === 2,
    () => 'the read is under way',
  )
  await locker.query(`UPDATE films SET title = 'second' WHERE id = 6`)
  await locker.query('COMMIT')
  await read
  assert.equal((await client.query(text)).rows[0].title, 'second')
})

test('errors and large answers are not kept, and all together have a bound', async t => {
  const { client, under } = await begun(t, { resultBytesMax: 2_000, bytesMax: 20_000 })
  const wrong = 'SELECT title FROM films WHERE 1 / (id - 1) > 5'
  for (let times = 0; times < 10; times++) await assert.rejects(client.query(wrong), /division by zero/)
  await neverKept(client, `SELECT repeat('x', 3000), title FROM films`)
  const large = 'SELECT a.title, b.title FROM films a, films b'
  await neverKept(client, large)
  for (let id = 0; id < 300; id++) {
    const query = { text: 'SELECT title FROM films WHERE id = $1', values: [id] }
    await client.query(query)
  }
  const { results } = under.status()
  assert.ok(results !== null && results.bytes <= 20_000 && results.entries > 0, JSON.stringify(results))
  assert.ok(results.evicted > 0 && results.refused > 0, JSON.stringify(results))
})

test('without the feed nothing is answered from memory', async t => {
  const { client, direct, under } = await begun(t)
  const text = 'SELECT title FROM films WHERE id = 9'
  await kept(client, text)
  await under.router.feeds.close()
  await neverKept(client, text)
  await direct.query(`UPDATE films SET title = 'unheard' WHERE id = 9`)
  assert.equal((await client.query(text)).rows[0].title, 'unheard')
})

test('a write to one table leaves the answers of others, unless it could reach them', async t => {
  const { client, under } = await begun(t, {}, [
    `CREATE FUNCTION rename() RETURNS int LANGUAGE sql VOLATILE AS $$ UPDATE films SET title = 'renamed' WHERE id = 8; SELECT 1 $$`,
  ])
  const text = 'SELECT title FROM films WHERE id = 8'
  await kept(client, text)
  const writer = await under.client()
  await writer.query('INSERT INTO orders (film) VALUES (length(now()::text))')
  await writer.query('UPDATE orders SET film = film + 1 WHERE id = 1')
  await client.query(text)
  assert.equal(await route(client), 'cache')
  await writer.query('UPDATE films SET title = upper(title) WHERE id = 8')
  assert.equal((await client.query(text)).rows[0].title, 'FILM 8')
  await kept(client, text)
  await writer.query('SELECT rename()')
  assert.equal((await client.query(text)).rows[0].title, 'renamed')
})
