// What a session sets follows it over shared server connections, and nobody else's reaches it. Over a real server.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type pg from 'pg'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { type RouterUnderTest, startRouter } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const server: PostgresServer = await startPostgres(ending)

async function shown(client: pg.Client, name: string): Promise<string> {
  const { rows } = await client.query(`SELECT current_setting('${name}') AS value`)
  return rows[0].value
}

/** Two clients that share one server connection. */
async function two(t: TestContext): Promise<[pg.Client, pg.Client, RouterUnderTest]> {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  return [await router.client(), await router.client(), router]
}

test('SET is kept for its session, and the other session has its own', async t => {
  const [one, other] = await two(t)
  await one.query("SET search_path TO one_path, 'Other Path'")
  await other.query('SET work_mem = 9999')
  for (let round = 0; round < 3; round++) {
    assert.equal(await shown(one, 'search_path'), 'one_path, "Other Path"')
    assert.equal(await shown(one, 'work_mem'), '4MB')
    assert.equal(await shown(other, 'search_path'), '"$user", public')
    assert.equal(await shown(other, 'work_mem'), '9999kB')
  }
  await one.query('RESET search_path')
  await other.query('RESET ALL')
  assert.equal(await shown(one, 'search_path'), '"$user", public')
  assert.equal(await shown(other, 'work_mem'), '4MB')
})

test('set_config() is SET', async t => {
  const [one, other] = await two(t)
  await one.query("SELECT set_config('my_app.tenant', 'it''s \\ 7', false)")
  assert.equal(
    (await other.query("SELECT current_setting('my_app.tenant', true) AS value")).rows[0].value || null,
    null,
  )
  assert.equal(await shown(one, 'my_app.tenant'), "it's \\ 7")
})

test('a SET whose value is not seen before it runs keeps its connection, which nobody gets as it is', async t => {
  const [one, other, router] = await two(t)
  await one.query('SELECT set_config($1, $2, false)', ['work_mem', '7777'])
  assert.equal(await shown(one, 'work_mem'), '7777kB')
  assert.equal(router.status().pins.setting, 1)
  await one.end()
  assert.equal(await shown(other, 'work_mem'), '4MB')
})

test('a SET inside DO reaches nobody else', async t => {
  const [one, other] = await two(t)
  await one.query("DO $$ BEGIN PERFORM set_config('work_mem', '6666', false); END $$")
  await one.end()
  assert.equal(await shown(other, 'work_mem'), '4MB')
})

test('SET is undone by ROLLBACK, and kept by COMMIT', async t => {
  const [one, other] = await two(t)
  await one.query("SET work_mem = '5MB'")
  await one.query('BEGIN')
  await one.query("SET work_mem = '6MB'")
  assert.equal(await shown(one, 'work_mem'), '6MB')
  await one.query('ROLLBACK')
  await other.query('SELECT 1')
  assert.equal(await shown(one, 'work_mem'), '5MB')
  await one.query('BEGIN')
  await one.query("SET work_mem = '7MB'")
  await one.query('COMMIT')
  await other.query('SELECT 1')
  assert.equal(await shown(one, 'work_mem'), '7MB')
})

test('SET is undone when COMMIT finds the transaction failed', async t => {
  const [one, other] = await two(t)
  await one.query('BEGIN')
  await one.query("SET work_mem = '6MB'")
  await assert.rejects(one.query('SELECT 1/0'))
  await one.query('COMMIT')
  assert.equal(await shown(one, 'work_mem'), '4MB')
  assert.equal(await shown(other, 'work_mem'), '4MB')
})

test('what ROLLBACK TO undid is not replayed', async t => {
  const [one, other] = await two(t)
  await one.query('BEGIN')
  await one.query("SET work_mem = '6MB'")
  await one.query('SAVEPOINT here')
  await one.query("SET work_mem = '8MB'")
  await one.query('ROLLBACK TO here')
  await one.query('COMMIT')
  assert.equal(await shown(one, 'work_mem'), '6MB')
  await one.end()
  assert.equal(await shown(other, 'work_mem'), '4MB')
})

test('SET LOCAL ends with its transaction and is never replayed', async t => {
  const [one, other] = await two(t)
  await one.query('BEGIN')
  await one.query("SET LOCAL work_mem = '6MB'")
  assert.equal(await shown(one, 'work_mem'), '6MB')
  await one.query('COMMIT')
  assert.equal(await shown(one, 'work_mem'), '4MB')
  assert.equal(await shown(other, 'work_mem'), '4MB')
})

test('a SET that fails changes nothing', async t => {
  const [one, other] = await two(t)
  await one.query("SET work_mem = '5MB'")
  await assert.rejects(one.query("SET work_mem = 'a lot'"), { code: '22023' })
  await assert.rejects(one.query("SET work_mem = '6MB'; SELECT 1/0"), { code: '22012' })
  await other.query('SELECT 1')
  assert.equal(await shown(one, 'work_mem'), '5MB')
})

test('startup parameters and options are settings of the session', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const plain = await router.client()
  const set = await router.client({
    application_name: "it's me",
    options: '-c search_path=a,b -c work_mem=5MB --statement-timeout=61000',
  })
  for (let round = 0; round < 2; round++) {
    assert.equal(await shown(set, 'application_name'), "it's me")
    assert.equal(await shown(set, 'search_path'), 'a,b')
    assert.equal(await shown(set, 'work_mem'), '5MB')
    assert.equal(await shown(set, 'statement_timeout'), '61s')
    assert.equal(await shown(plain, 'search_path'), '"$user", public')
    assert.equal(await shown(plain, 'work_mem'), '4MB')
  }
  await set.query("SET work_mem = '6MB'")
  await set.query('RESET ALL')
  assert.equal(await shown(set, 'work_mem'), '5MB')
  await set.query('DISCARD ALL')
  assert.equal(await shown(set, 'work_mem'), '5MB')
  assert.equal(await shown(plain, 'work_mem'), '4MB')
})

test('options that can not be understood, or that PostgreSQL refuses, are refused at the login', async t => {
  const router = await startRouter(t, { servers: [server] })
  await assert.rejects(router.client({ options: '-q' }), {
    code: '22023',
    detail: 'DATABASE_SETTING_INVALID',
  })
  await assert.rejects(router.client({ options: '-c work_mem=much' }), { code: '22023' })
  await assert.rejects(router.client({ options: '-c no_such_setting=1' }), { code: '42704' })
  assert.equal(await shown(await router.client(), 'work_mem'), '4MB')
})

test('what a client is told of its parameters follows it over connections', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const [one, other] = [await router.client(), await router.client()]
  const told: [string, string][] = []
  const connection = (one as unknown as { connection: NodeJS.EventEmitter }).connection
  connection.on('parameterStatus', ({ parameterName: name, parameterValue: value }) =>
    told.push([name, value]),
  )
  await one.query("SET timezone = 'Asia/Tokyo'")
  assert.deepEqual(told, [['TimeZone', 'Asia/Tokyo']])
  await other.query("SET timezone = 'Europe/Vienna'")
  assert.equal(await shown(one, 'timezone'), 'Asia/Tokyo')
  assert.deepEqual(told, [['TimeZone', 'Asia/Tokyo']])
  await one.query('RESET timezone')
  assert.equal(told.at(-1)?.[0], 'TimeZone')
  assert.notEqual(told.at(-1)?.[1], 'Asia/Tokyo')
})

test('a role that was set is another for nobody else', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const connectionString = router.urlOf('tenfold')
  const [one, other] = [await router.client({ connectionString }), await router.client({ connectionString })]
  await one.query('SET ROLE app')
  for (let round = 0; round < 2; round++) {
    assert.equal((await one.query('SELECT current_user AS who')).rows[0].who, 'app')
    assert.equal((await other.query('SELECT current_user AS who')).rows[0].who, 'tenfold')
  }
})

test('what is for Tenfold is answered in its place, and refused with what is allowed', async t => {
  const [one, other] = await two(t)
  const value = async (client: pg.Client, name: string): Promise<string> =>
    (await client.query(`SHOW ${name}`)).rows[0][name]
  assert.equal(await value(one, 'tenfold.reads'), 'primary')
  await one.query("SET tenfold.reads = 'session'")
  assert.equal(await value(one, 'tenfold.reads'), 'session')
  await one.query("SET tenfold.reads = '5s'")
  assert.equal(await value(one, 'tenfold.reads'), '5000ms')
  assert.equal(await value(other, 'tenfold.reads'), 'primary')
  await assert.rejects(one.query("SET tenfold.reads = 'sometimes'"), {
    code: '22023',
    detail: 'DATABASE_SETTING_INVALID',
  })
  await assert.rejects(one.query("SET tenfold.after = 'whenever'"), { code: '22023' })
  await one.query('SELECT 1')
  assert.equal(await value(one, 'tenfold.route'), 'primary')
  // In the extended protocol as well, inside a transaction, and behind a statement of the server's.
  const { rows } = await one.query({ text: 'SHOW tenfold.reads', values: [] as never[], name: 'shown' })
  assert.deepEqual(rows, [{ 'tenfold.reads': '5000ms' }])
  await one.query('BEGIN')
  assert.equal(await value(one, 'tenfold.reads'), '5000ms')
  assert.equal((await one.query('SELECT 7 AS n')).rows[0].n, 7)
  await one.query('COMMIT')
})
