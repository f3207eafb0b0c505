// What makes a client keep its server connection, each by its name in the status; that it lets go when the reason ends; and
// that nothing of it is left for whoever gets the connection next. Over a real server.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { startRouter, waitFor } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const server: PostgresServer = await startPostgres(ending)

/** By reason: what brings it about, and what ends it (null: only the session's end). */
const pins: Readonly<Record<string, readonly [make: string, end: string | null]>> = {
  'temp-table': ['CREATE TEMP TABLE pins_mine (n int)', 'DISCARD ALL'],
  'advisory-lock': ['SELECT pg_advisory_lock(42)', 'SELECT pg_advisory_unlock(42)'],
  listen: ['LISTEN pins_channel', 'UNLISTEN *'],
  'cursor-with-hold': ['DECLARE pins_kept CURSOR WITH HOLD FOR SELECT 1', 'DISCARD ALL'],
  setting: ["SELECT set_config('work_' || 'mem', '7777', false)", 'DISCARD ALL'],
  'random-seed': ['SELECT setseed(0.5)', null],
  'prepared-sql': ['PREPARE pins_mine AS SELECT 1', 'DEALLOCATE ALL'],
  transaction: ['BEGIN', 'COMMIT'],
}

for (const [reason, [make, end]] of Object.entries(pins)) {
  test(`${reason} keeps the connection, is counted, and is gone with its session`, async t => {
    const router = await startRouter(t, { servers: [server], pool: { sizeMax: 2 } })
    const [one, other] = [await router.client(), await router.client()]
    const gauge = (): number => router.status().pins[reason] as number
    assert.equal(gauge(), 0)
    await one.query(make)
    assert.equal(gauge(), 1)
    const pid = async (client = one): Promise<number> =>
      (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
    const mine = await pid()
    for (let round = 0; round < 3; round++) {
      assert.notEqual(await pid(other), mine)
      assert.equal(await pid(), mine)
    }
    if (end !== null) {
      await one.query(end)
      assert.equal(gauge(), 0)
      await router.idle()
      await one.query(make)
    }
    await one.end()
    await router.idle()
    assert.equal(gauge(), 0)
    // All connections that there are now are clean.
    const both = [other, await router.client()]
    await Promise.all(both.map(client => client.query('BEGIN')))
    for (const client of both) {
      const { rows } = await client.query(
        `SELECT (SELECT count(*) FROM pg_prepared_statements) + (SELECT count(*) FROM pg_cursors)
           + (SELECT count(*) FROM pg_listening_channels()) + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
           + (SELECT count(*) FROM pg_class WHERE relname = 'pins_mine' AND pg_table_is_visible(oid))
           + (current_setting('work_mem') <> '4MB')::int AS left`,
      )
      assert.equal(Number(rows[0].left), 0)
      await client.query('COMMIT')
    }
  })
}

test('an advisory lock taken twice is kept until it is let go of twice', async t => {
  const router = await startRouter(t, { servers: [server] })
  const client = await router.client()
  await client.query('SELECT pg_advisory_lock(7)')
  await client.query('SELECT pg_advisory_lock($1)', [7])
  await client.query('SELECT pg_advisory_unlock(7)')
  assert.equal(router.status().pins['advisory-lock'], 1)
  await client.query('SELECT pg_advisory_unlock($1)', [7])
  assert.equal(router.status().pins['advisory-lock'], 0)
})

test('a transaction-level advisory lock needs no pin beyond its transaction', async t => {
  const router = await startRouter(t, { servers: [server] })
  const client = await router.client()
  await client.query('BEGIN')
  await client.query('SELECT pg_advisory_xact_lock(8)')
  await client.query('COMMIT')
  await router.idle()
})

test('NOTIFY inside a transaction reaches who listens, after COMMIT and not before', async t => {
  const router = await startRouter(t, { servers: [server] })
  const [listener, sender] = [await router.client(), await router.client()]
  const heard: string[] = []
  listener.on('notification', ({ payload }) => heard.push(payload ?? ''))
  await listener.query('LISTEN pins_news')
  await sender.query('BEGIN')
  await sender.query("NOTIFY pins_news, 'undone'")
  await sender.query('ROLLBACK')
  await sender.query('BEGIN')
  await sender.query("NOTIFY pins_news, 'done'")
  await listener.query('SELECT 1')
  assert.deepEqual(heard, [])
  await sender.query('COMMIT')
  await waitFor(
    () => heard.length > 0,
    () => 'nothing was heard',
  )
  assert.deepEqual(heard, ['done'])
})
