// Read-only transactions that a replica has: what would keep their session there, or lock out nobody, is refused in words,
// and the session reads and writes on as before. Over a real primary and its replica.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type pg from 'pg'
import {
  bindMessage,
  executeMessage,
  parseMessage,
  queryMessage,
  syncMessage,
} from '../../src/wire/postgres/index.ts'
import { primarySettings, startReplica } from '../tools/postgres-replica.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { type RouterUnderTest, startRouter } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const primary = await startPostgres(ending, { settings: primarySettings })
const replica = await startReplica(ending, primary, 'reader')

const begin = '/* tenfold: replica */ BEGIN READ ONLY'

async function started(t: TestContext): Promise<RouterUnderTest> {
  const router = await startRouter(t, {
    servers: [primary, replica],
    more: { reads: { kind: 'fresh' }, readWaitMs: 20 },
  })
  const client = await router.client()
  await client.query('CREATE TABLE IF NOT EXISTS seen (n int)')
  while (!(await isOnReplica(client))) await client.query('SELECT 1')
  return router
}

async function isOnReplica(client: pg.Client): Promise<boolean> {
  await client.query(begin)
  const { rows } = await client.query('SELECT pg_is_in_recovery() AS so')
  await client.query('COMMIT')
  return rows[0].so
}

/** Writes go through, and reads see what others have written just now. */
async function isAtHome(router: RouterUnderTest, client: pg.Client): Promise<void> {
  const other = await router.client()
  await replica.pause()
  try {
    for (let round = 0; round < 3; round++) {
      await other.query('INSERT INTO seen VALUES (1)')
      const { rows } = await client.query('SELECT count(*) AS n FROM seen')
      const all = await other.query('/* tenfold: primary */ SELECT count(*) AS n FROM seen')
      assert.equal(rows[0].n, all.rows[0].n)
    }
  } finally {
    await replica.resume()
  }
  await client.query('INSERT INTO seen VALUES (2)')
}

for (const statement of [
  'SELECT pg_advisory_lock(42)',
  'SELECT pg_advisory_xact_lock(42)',
  'SELECT pg_try_advisory_xact_lock_shared(42)',
  'DECLARE kept CURSOR WITH HOLD FOR SELECT 1',
  'PREPARE mine AS SELECT count(*) FROM seen',
  "SELECT set_config('work_' || 'mem', '5MB', false)",
]) {
  test(`${statement} in a read-only transaction on a replica is refused, and binds nobody to it`, async t => {
    const router = await started(t)
    const client = await router.client()
    for (const values of [undefined, []]) {
      await client.query(begin)
      await client.query('SELECT 1')
      const asked =
        values === undefined
          ? client.query(statement)
          : client.query({ text: statement, name: 'asked', values })
      await assert.rejects(asked, { code: '25006', message: /needs the primary/ })
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' })
      await client.query('ROLLBACK')
    }
    await isAtHome(router, client)
    // As the hint of the refusal says.
    await client.query('/* tenfold: primary */ BEGIN READ ONLY')
    await client.query(statement)
    await client.query('ROLLBACK')
  })
}

test('a refused portal answers as any that fails, with a name and in a pipeline', async t => {
  const router = await started(t)
  const peer = await router.peer()
  peer.write(queryMessage(begin))
  await peer.types()
  peer.write(
    parseMessage('a', 'SELECT pg_advisory_lock(42)'),
    bindMessage('portal', 'a', []),
    executeMessage('portal', 0),
    parseMessage('', 'SELECT 1'),
    syncMessage,
    queryMessage('ROLLBACK'),
  )
  assert.equal(await peer.types(2), '1 2 E25006 ZE C ZI')
  peer.close()
})

test('what is set for a read-only transaction on a replica keeps nobody there, also with savepoints', async t => {
  const router = await started(t)
  const client = await router.client()
  for (const statement of [
    begin,
    "SET LOCAL statement_timeout = '9s'",
    'SAVEPOINT a',
    'ROLLBACK TO a',
    'COMMIT',
  ])
    await client.query(statement)
  await router.idle()
  await isAtHome(router, client)
  for (const statement of [begin, "SET work_mem = '5MB'", 'COMMIT']) await client.query(statement)
  assert.equal((await client.query('SHOW work_mem')).rows[0].work_mem, '5MB')
  await isAtHome(router, client)
  const lost = new Promise<Error>(resolve => client.once('error', resolve))
  for (const statement of [
    begin,
    "SET work_mem = '6MB'",
    'SAVEPOINT a',
    "SET work_mem = '7MB'",
    'ROLLBACK TO a',
    'COMMIT',
  ])
    await client.query(statement)
  assert.match((await lost).message, /can not be kept|terminated/)
})
