// What one session leaves on a shared server connection must not reach the next, in the spellings that hide it: roles that
// RESET ALL leaves, transactions that chain, statements that are bound and never executed, texts that mean something else
// under other settings, rights that went meanwhile. Over a real server, and one connection for all.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type pg from 'pg'
import {
  bindMessage,
  executeMessage,
  parseMessage,
  queryMessage,
  startupMessage,
  syncMessage,
} from '../../src/wire/postgres/index.ts'
import { PostgresPeer } from '../tools/postgres-peer.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { type RouterUnderTest, startRouter } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const server: PostgresServer = await startPostgres(ending)

async function shown(client: pg.Client, name: string): Promise<string> {
  const { rows } = await client.query(`SELECT current_setting('${name}', true) AS value`)
  return rows[0].value ?? ''
}

async function who(client: pg.Client): Promise<string> {
  return (await client.query('SELECT current_user AS who')).rows[0].who
}

async function two(t: TestContext, user = 'app'): Promise<[pg.Client, pg.Client, RouterUnderTest]> {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const connectionString = router.urlOf(user)
  return [await router.client({ connectionString }), await router.client({ connectionString }), router]
}

test('RESET ALL leaves the role, which stays that of its session alone', async t => {
  const [one, other] = await two(t, 'tenfold')
  await one.query('SET ROLE app')
  await one.query('SET work_mem = 7777')
  await one.query('RESET ALL')
  assert.equal(await who(other), 'tenfold')
  assert.equal(await who(one), 'app')
  assert.equal(await shown(one, 'work_mem'), '4MB')
  await one.query('RESET ROLE')
  assert.equal(await who(one), 'tenfold')
})

test('RESET SESSION AUTHORIZATION ends the role, and nobody gets that connection', async t => {
  const [one, other] = await two(t, 'tenfold')
  await one.query('SET ROLE app')
  await one.query('RESET SESSION AUTHORIZATION')
  assert.equal(await who(one), 'tenfold')
  await one.end()
  await other.query('SET ROLE app')
  assert.equal(await who(other), 'app')
})

/** What is set in a first transaction, by how that and a second one end: is it kept? */
const endings: readonly [statements: readonly string[], kept: boolean][] = [
  [['COMMIT AND CHAIN', 'ROLLBACK'], true],
  [['COMMIT; BEGIN', 'ROLLBACK'], true],
  [['COMMIT; SELECT 1'], true],
  [['SELECT 1; COMMIT; SELECT 1'], true],
  [['ROLLBACK AND CHAIN', 'COMMIT'], false],
  [['ROLLBACK; BEGIN', 'COMMIT'], false],
  [['ROLLBACK; SELECT 1'], false],
  [['ROLLBACK; BEGIN; COMMIT'], false],
  [['COMMIT; BEGIN; ROLLBACK'], true],
]

for (const [statements, kept] of endings) {
  test(`a setting in a transaction is ${kept ? 'kept' : 'taken back'} by ${statements.join(', then ')}`, async t => {
    const [one, other] = await two(t)
    await one.query('BEGIN')
    await one.query("SET my_app.tenant = 'seven'")
    for (const statement of statements) await one.query(statement)
    assert.equal(await shown(one, 'my_app.tenant'), kept ? 'seven' : '')
    // Where it is not sure, its session keeps the connection.
    await one.end()
    assert.equal(await shown(other, 'my_app.tenant'), '')
    await other.query("SET my_app.tenant = 'seven'")
    assert.equal(await shown(other, 'my_app.tenant'), 'seven')
  })
}

test('a setting that was bound and never executed counts for nothing', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const peer = await router.peer()
  const set = parseMessage('', "SET my_app.tenant = 'seven'", [])
  peer.write(set, bindMessage('', '', []), syncMessage)
  assert.equal(await peer.types(), '1 2 ZI')
  peer.close()
  const [one, other] = [await router.client(), await router.client()]
  await one.query("SET my_app.tenant = 'seven'")
  assert.equal(await shown(one, 'my_app.tenant'), 'seven')
  assert.equal(await shown(other, 'my_app.tenant'), '')
  const second = await router.peer()
  second.write(set, bindMessage('', '', []), executeMessage('', 0), syncMessage)
  assert.equal(await second.types(), '1 2 C ZI')
  assert.equal(await shown(other, 'my_app.tenant'), '')
})

test('a statement that fails takes no pin from the one before it in the same pipeline', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 2 } })
  const peer = await router.peer()
  for (const [first, pin] of [
    ['LISTEN leaks_news', 'listen'],
    ['SELECT pg_advisory_lock(77)', 'advisory-lock'],
  ] as const) {
    peer.write(queryMessage(first), queryMessage("SET work_mem = 'much'"), queryMessage('SELECT 1'))
    await peer.types(3)
    assert.equal(router.status().pins[pin], 1)
  }
  peer.write(queryMessage("SET work_mem = '7MB'"), queryMessage('LISTEN'), queryMessage('UNLISTEN *'))
  await peer.types(3)
  assert.equal(router.status().pins.listen, 0)
  peer.close()
})

test('a session that sets very much keeps its connection, and what it set is not kept', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 2 } })
  const [one, other] = [await router.client(), await router.client()]
  for (let index = 0; index < 300; index++) await one.query(`SET my_app.v${index} = '${index}'`)
  assert.equal(router.status().pins.setting, 1)
  for (const index of [0, 150, 299]) assert.equal(await shown(one, `my_app.v${index}`), String(index))
  assert.equal(await shown(other, 'my_app.v299'), '')
  await one.query('DISCARD ALL')
  assert.equal(router.status().pins.setting, 0)
  const settings = router.router.databases[0]?.settings
  for (let index = 0; index < 200; index++)
    await other.query(`SET my_app.long = '${'x'.repeat(60_000)}${index}'`)
  assert.ok((settings?.size ?? 0) < 160, `${settings?.size} sets are remembered`)
  assert.equal((await shown(other, 'my_app.long')).length, 60_003)
})

test('a named statement means what its own session says, whoever prepared the same text before', async t => {
  const [one, other] = await two(t)
  await one.query("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, DMY'")
  await other.query("SET TimeZone = 'America/New_York'; SET DateStyle = 'ISO, MDY'")
  const times = {
    name: 'times',
    text: "SELECT extract(epoch FROM '2020-01-01'::timestamptz)::int AS at, '01/02/2020'::date::text AS day",
  }
  for (let round = 0; round < 3; round++) {
    assert.deepEqual((await one.query(times)).rows, [{ at: 1_577_836_800, day: '2020-02-01' }])
    assert.deepEqual((await other.query(times)).rows, [{ at: 1_577_854_800, day: '2020-01-02' }])
  }
})

test('a named statement finds the tables and types of its own search path, also of one set for a transaction', async t => {
  const [one, other] = await two(t)
  await one.query(`CREATE SCHEMA leaks_a; CREATE TABLE leaks_a.kept (id int, more int); INSERT INTO leaks_a.kept VALUES (1, 2);
    CREATE SCHEMA leaks_b; CREATE TABLE leaks_b.kept (id text); INSERT INTO leaks_b.kept VALUES ('1')`)
  const query = { name: 'kept', text: 'SELECT * FROM kept WHERE id = $1', values: ['1'] }
  await one.query('SET search_path = leaks_a')
  await other.query('SET search_path = leaks_b')
  for (let round = 0; round < 3; round++) {
    assert.deepEqual((await one.query(query)).rows, [{ id: 1, more: 2 }])
    assert.deepEqual((await other.query(query)).rows, [{ id: '1' }])
  }
  for (const set of ['SET LOCAL search_path = leaks_b', "SELECT set_config('search_path', $1, true)"]) {
    await one.query('BEGIN')
    await one.query(set, set.includes('$1') ? ['leaks_b'] : [])
    assert.deepEqual((await one.query(query)).rows, [{ id: '1' }])
    await one.query('COMMIT')
    assert.deepEqual((await one.query(query)).rows, [{ id: 1, more: 2 }])
    assert.deepEqual((await other.query(query)).rows, [{ id: '1' }])
  }
  await one.query('DROP SCHEMA leaks_a CASCADE; DROP SCHEMA leaks_b CASCADE')
})

test('a setting behind a Query that was passed over is the session’s own, too', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const one = await router.peer()
  const other = await router.peer()
  // The Query stands in a batch that has failed: PostgreSQL answers neither it nor its end.
  one.write(bindMessage('', 'nobody', []), queryMessage('SELECT 1'), syncMessage)
  one.write(queryMessage('SET work_mem = 7777'), bindMessage('', 'nobody', []), syncMessage)
  assert.deepEqual(
    [await one.types(), await one.types(), await one.types()],
    ['E26000 ZI', 'C ZI', 'E26000 ZI'],
  )
  other.write(queryMessage('SHOW work_mem'))
  const row = (await other.until('Z')).find(message => message.type === 'D')
  assert.equal(row?.payload.toString('utf8', 6), '4MB')
})

test('a connection on which one client is amid a message goes to nobody else', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const one = await router.peer()
  const other = await router.peer()
  const data = Buffer.alloc(205, 'x')
  data[0] = 0x64
  data.writeInt32BE(204, 1)
  for (let round = 0; round < 3; round++) {
    // PostgreSQL takes no notice of data that nobody asked for, once all of it is there.
    one.write(queryMessage('SELECT pg_sleep(0.1)'), data.subarray(0, 100))
    assert.equal(await one.types(), 'T D C ZI')
    other.write(queryMessage('SELECT 1'))
    one.write(data.subarray(100), queryMessage('SELECT 2'))
    assert.equal(await other.types(), 'T D C ZI')
    assert.equal(await one.types(), 'T D C ZI')
  }
})

test('whoever has not proven who he is leaves nothing that is remembered', async t => {
  const router = await startRouter(t, { servers: [server] })
  await router.client()
  const settings = router.router.databases[0]?.settings
  const before = settings?.size
  for (let index = 0; index < 20; index++) {
    const peer = await PostgresPeer.connect({ host: '127.0.0.1', port: router.port })
    peer.write(
      startupMessage(0x30000, { user: 'app', database: 'app', application_name: `stranger ${index}` }),
    )
    assert.equal((await peer.next())?.type, 'R')
    peer.close()
  }
  assert.equal(settings?.size, before)
})

test('a role that was taken away meanwhile: the statement does not run without it, and the connection goes', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const admin = await router.client({ connectionString: server.url })
  await admin.query('CREATE ROLE leaks_limited; GRANT leaks_limited TO app')
  const [one, other, third] = [await router.client(), await router.client(), await router.client()]
  await one.query("SET my_app.tenant = 'one'")
  await one.query('SET ROLE leaks_limited')
  await other.query("SET my_app.tenant = 'other'")
  assert.equal(await who(one), 'leaks_limited')
  assert.equal(await shown(other, 'my_app.tenant'), 'other')
  await admin.query('REVOKE leaks_limited FROM app')
  await admin.query('CREATE TABLE leaks_ran (who text); GRANT ALL ON leaks_ran TO PUBLIC')
  await assert.rejects(one.query('INSERT INTO leaks_ran VALUES (current_user)'), { code: '42501' })
  assert.equal(await shown(third, 'my_app.tenant'), '')
  assert.deepEqual((await third.query('SELECT * FROM leaks_ran')).rows, [])
  assert.equal(await shown(other, 'my_app.tenant'), 'other')
  await admin.query('DROP TABLE leaks_ran; DROP ROLE leaks_limited')
})
