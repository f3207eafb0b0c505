// No primary, another primary, a primary that ends: what is held, what fails and how, what is never sent twice. Two real
// servers that stand for primary and successor; nothing is replicated between them, so each says by its tables who it is.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type { RoutedDatabase } from '../../src/database/router/snapshot.ts'
import { queryMessage } from '../../src/wire/postgres/index.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf, type RouterUnderTest, startRouter, waitFor } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const [old, next]: PostgresServer[] = (await Promise.all([startPostgres(ending), startPostgres(ending)])) as [
  PostgresServer,
  PostgresServer,
]
const servers = [old as PostgresServer, next as PostgresServer]
const whoAmI = 'SELECT inet_server_port() AS port'

/** The second server is there, and not in use as a replica. */
const spare = databaseOf({ servers }).servers.map((one, index) =>
  index === 0 ? one : { ...one, state: 'starting' as const },
)
const promoted = (epoch: number): Partial<RoutedDatabase> => ({
  epoch,
  primary: 'main-2',
  holding: false,
  trouble: '',
  servers: spare.map((one, index) =>
    index === 0
      ? { ...one, role: 'replica' as const, state: 'fenced' as const }
      : { ...one, role: 'primary' as const, state: 'ready' as const },
  ),
})

function start(t: TestContext, more: Partial<RoutedDatabase> = {}): Promise<RouterUnderTest> {
  return startRouter(t, { servers, pool: { sizeMax: 4 }, more: { servers: spare, ...more } })
}

test('statements are held while there is no primary, and go to the next one first in, first out', async t => {
  // One connection, so that the server's clock tells in which order they came.
  const router = await startRouter(t, { servers, pool: { sizeMax: 1 }, more: { servers: spare } })
  const clients = await Promise.all(Array.from({ length: 6 }, () => router.client()))
  await router.apply({ primary: null, trouble: 'main-1 was lost; main-2 is being promoted' })
  const answers: Promise<{ port: number; at: string }>[] = []
  for (const [index, client] of clients.entries()) {
    const asked = 'SELECT inet_server_port() AS port, clock_timestamp()::text AS at'
    answers.push(client.query(asked).then(({ rows }) => rows[0]))
    await waitFor(
      () => router.status().held === index + 1,
      () => 'it is not held',
    )
  }
  await router.apply(promoted(2))
  const answered = await Promise.all(answers)
  assert.deepEqual(new Set(answered.map(({ port }) => port)), new Set([next?.port]))
  const times = answered.map(({ at }) => at)
  assert.deepEqual(times, times.toSorted())
  assert.equal(router.status().held, 0)
})

test('during a switchover transactions end, new ones are held, and nobody sees an error', async t => {
  const router = await start(t)
  const [busy, waiting] = [await router.client(), await router.client()]
  await busy.query('BEGIN')
  await router.apply({ holding: true })
  const held = waiting.query(whoAmI)
  await waitFor(
    () => router.status().held === 1,
    () => 'it is not held',
  )
  assert.equal(router.router.openOn('main'), 1)
  assert.equal((await busy.query(whoAmI)).rows[0].port, old?.port)
  await busy.query('COMMIT')
  await waitFor(
    () => router.router.openOn('main') === 0,
    () => 'the transaction is still open',
  )
  await router.apply(promoted(2))
  assert.equal((await held).rows[0].port, next?.port)
  assert.equal((await busy.query(whoAmI)).rows[0].port, next?.port)
})

test('what was sent to the old primary fails at once when the epoch grows, and is not sent again', async t => {
  const router = await start(t)
  const [client, inTransaction] = [await router.client(), await router.peer()]
  inTransaction.write(queryMessage('BEGIN'))
  await inTransaction.types()
  const lost = assert.rejects(client.query('SELECT pg_sleep(600)'), {
    code: '08006',
    detail: 'DATABASE_SERVER_LOST',
  })
  await waitFor(
    () => router.status().servers[0]?.active === 2,
    () => 'it does not run',
  )
  await router.apply(promoted(2))
  await lost
  assert.equal((await client.query(whoAmI)).rows[0].port, next?.port)
  // Who was amid a transaction, with nothing under way, is told that it is gone.
  const messages = await inTransaction.rest()
  assert.match(messages[0]?.payload.toString() ?? '', /FATAL.*57P01/s)
})

test('a COMMIT whose answer is lost is 08007: it may have happened', async t => {
  const router = await start(t)
  const peer = await router.peer()
  peer.write(
    queryMessage('CREATE TABLE IF NOT EXISTS holding_deferred (n int)'),
    queryMessage(
      `CREATE OR REPLACE FUNCTION holding_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
       DROP TRIGGER IF EXISTS slow ON holding_deferred;
       CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON holding_deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION holding_slow()`,
    ),
    queryMessage('BEGIN'),
    queryMessage('INSERT INTO holding_deferred VALUES (1)'),
  )
  await peer.types(4)
  peer.write(queryMessage('COMMIT'))
  await waitFor(
    () => router.router.openOn('main') === 1,
    () => 'it does not run',
  )
  // The COMMIT has reached the server once it runs there.
  const direct = await router.client({ connectionString: old?.url as string })
  let running = false
  while (!running)
    running =
      (
        await direct.query(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'",
        )
      ).rows[0].n > 0
  await router.apply(promoted(2))
  const messages = await peer.rest()
  assert.match(messages[0]?.payload.toString() ?? '', /08007.*DATABASE_COMMIT_UNKNOWN/s)
})

test('more statements than may be held are refused, and held ones end in time', async t => {
  const router = await start(t, { hold: { timeoutMs: 300, statementsMax: 1 } })
  const [one, other] = [await router.client(), await router.client()]
  await router.apply({ primary: null, trouble: 'nobody is left' })
  const held = assert.rejects(one.query('SELECT 1'), {
    code: '57P03',
    detail: 'DATABASE_HOLD_TIMEOUT',
    message: /nobody is left/,
  })
  await waitFor(
    () => router.status().held === 1,
    () => 'it is not held',
  )
  await assert.rejects(other.query('SELECT 1'), { code: '57P03', detail: 'DATABASE_HOLD_FULL' })
  await held
  await router.apply({ primary: 'main-1', trouble: '' })
  assert.equal((await one.query('SELECT 2 AS n')).rows[0].n, 2)
  assert.equal((await other.query('SELECT 3 AS n')).rows[0].n, 3)
})

test('a primary of an older epoch is refused, and so is an older snapshot', async t => {
  const router = await start(t, { epoch: 5 })
  await assert.rejects(router.apply({ epoch: 4 }), { code: 'DATABASE_EPOCH_OLD' })
  await assert.rejects(
    router.router.apply(router.snapshot()).then(() =>
      router.router.apply({
        ...router.snapshot(),
        version: 1,
        databases: router.snapshot().databases.map(one => ({ ...one, epoch: 5 })),
      }),
    ),
    { code: /DATABASE_(EPOCH|SNAPSHOT)_OLD/ },
  )
  await assert.rejects(router.router.apply({ ...router.snapshot(), version: 99, format: 2 as never }), {
    code: 'DATABASE_SNAPSHOT_INVALID',
  })
})

test('a cancelled statement that is held ends with 57014, and its client goes on', async t => {
  const router = await start(t)
  const peer = await router.peer(undefined, 0x30002)
  assert.equal(peer.key.length, 32)
  await router.apply({ primary: null })
  peer.write(queryMessage('SELECT 1'))
  await waitFor(
    () => router.status().held === 1,
    () => 'it is not held',
  )
  const { cancelRequest } = await import('../../src/wire/postgres/index.ts')
  const { PostgresPeer } = await import('../tools/postgres-peer.ts')
  const cancel = async (key: Buffer): Promise<void> => {
    const other = await PostgresPeer.connect({ host: router.host, port: router.port })
    other.write(cancelRequest(peer.processId, key))
    await other.rest()
  }
  await cancel(Buffer.alloc(32))
  assert.equal(router.status().held, 1)
  await cancel(peer.key)
  assert.equal(await peer.types(), 'E57014 ZI')
  await router.apply({ primary: 'main-1' })
  peer.write(queryMessage('SELECT pg_sleep(600)'))
  await waitFor(
    () => router.status().servers[0]?.active === 1,
    () => 'it does not run',
  )
  await cancel(peer.key)
  assert.match(await peer.types(), /E57014 ZI$/)
  // A key of a client that runs nothing cancels nobody's statement.
  const other = await router.client()
  const answer = other.query('SELECT pg_sleep(0.3), 7 AS n')
  await cancel(peer.key)
  assert.equal((await answer).rows[0].n, 7)
})
