// Server connections are shared: taken for a transaction, given back, bounded in number and age, clean for whoever comes
// next. Over a real server.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type pg from 'pg'
import { queryMessage } from '../../src/wire/postgres/index.ts'
import type { PostgresPeer } from '../tools/postgres-peer.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { startRouter, waitFor } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const server: PostgresServer = await startPostgres(ending)

async function backendOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  return rows[0].pid
}

const codeOf = (code: string) => (error: { code?: string }) => {
  assert.equal(error.code, code)
  return true
}

test('a query comes back, and its connection is given back', async t => {
  const router = await startRouter(t, { servers: [server] })
  const client = await router.client()
  const { rows } = await client.query('SELECT 1 AS one')
  assert.deepEqual(rows, [{ one: 1 }])
  const bound = await client.query('SELECT $1::int + 1 AS two', [1])
  assert.deepEqual(bound.rows, [{ two: 2 }])
  await router.idle()
})

test('5,000 clients are served over 20 server connections', async t => {
  const router = await startRouter(t, {
    servers: [server],
    pool: {
      sizeMax: 20,
      clientsMax: 6_000,
      waitingMax: 6_000,
      waitTimeoutMs: 120_000,
      loginTimeoutMs: 120_000,
    },
  })
  const peers: PostgresPeer[] = []
  for (let at = 0; at < 5_000; at += 100)
    peers.push(...(await Promise.all(Array.from({ length: 100 }, () => router.peer()))))
  assert.equal(router.status().clients, 5_000)
  // All ask before anybody reads.
  for (const [index, peer] of peers.entries()) peer.write(queryMessage(`SELECT ${index} AS mine`))
  await Promise.all(
    peers.map(async (peer, index) => {
      const messages = await peer.until('Z')
      const row = messages.find(message => message.type === 'D')
      assert.equal(row?.payload.toString('latin1', 6), String(index))
    }),
  )
  const [primary] = router.status().servers
  assert.ok(primary !== undefined && primary.connections <= 20, `${primary?.connections} connections`)
  for (const peer of peers) peer.close()
  await waitFor(
    () => router.status().clients === 0,
    () => 'clients are left',
  )
})

test('a transaction keeps its connection, and others get none of what is in it', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 2 } })
  const [one, other] = [await router.client(), await router.client()]
  await one.query('BEGIN')
  const mine = await backendOf(one)
  await one.query('CREATE TABLE IF NOT EXISTS pooling_words (word text)')
  for (let round = 0; round < 5; round++) assert.notEqual(await backendOf(other), mine)
  assert.equal(await backendOf(one), mine)
  assert.equal(router.status().pins.transaction, 1)
  await one.query('ROLLBACK')
  await router.idle()
  assert.equal(router.status().pins.transaction, 0)
})

test('who waits is served first in, first out', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const holder = await router.client()
  const clients = await Promise.all(Array.from({ length: 8 }, () => router.client()))
  await holder.query('BEGIN')
  const order: number[] = []
  const answers: Promise<void>[] = []
  for (const [index, client] of clients.entries()) {
    answers.push(client.query('SELECT 1').then(() => void order.push(index)))
    await waitFor(
      () => router.status().waiting === index + 1,
      () => 'it does not wait',
    )
  }
  await holder.query('COMMIT')
  await Promise.all(answers)
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7])
})

test('more waiting clients than may wait are refused with 53300, and the others are served', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1, waitingMax: 1 } })
  const [holder, first, second] = [await router.client(), await router.client(), await router.client()]
  await holder.query('BEGIN')
  const waits = first.query('SELECT 1')
  await waitFor(
    () => router.status().waiting === 1,
    () => 'it does not wait',
  )
  await assert.rejects(second.query('SELECT 1'), codeOf('53300'))
  await assert.rejects(second.query('SELECT $1::int', [1]), { detail: 'DATABASE_POOL_FULL' })
  await holder.query('COMMIT')
  await waits
  assert.equal((await second.query('SELECT $1::int AS n', [7])).rows[0].n, 7)
})

test('who waits for longer than may be is refused with 53300, and goes on', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1, waitTimeoutMs: 100 } })
  const [holder, client] = [await router.client(), await router.client()]
  await holder.query('BEGIN')
  await assert.rejects(client.query('SELECT 1'), { code: '53300', detail: 'DATABASE_POOL_WAIT' })
  await holder.query('COMMIT')
  assert.equal((await client.query('SELECT 5 AS n')).rows[0].n, 5)
})

test('more clients than may connect are refused with 53300', async t => {
  const router = await startRouter(t, { servers: [server], pool: { clientsMax: 2 } })
  await router.client()
  await router.client()
  await assert.rejects(router.client(), { code: '53300', detail: 'DATABASE_CLIENTS_FULL' })
})

test('two users share the places of a pool, and neither keeps the other out', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 4 } })
  const users = ['app', 'tenfold']
  const clients = await Promise.all(
    Array.from({ length: 16 }, (_, index) =>
      router.client({ connectionString: router.urlOf(users[index % 2] as string) }),
    ),
  )
  await Promise.all(
    clients.map(async (client, index) => {
      for (let round = 0; round < 30; round++) {
        const { rows } = await client.query('SELECT current_user AS who, pg_sleep(0.001)')
        assert.equal(rows[0].who, users[index % 2])
      }
    }),
  )
  assert.ok((router.status().servers[0]?.connections ?? 99) <= 4)
})

test('idle and old connections are closed', async t => {
  const idle = await startRouter(t, { servers: [server], pool: { idleTimeoutMs: 50 } })
  const client = await idle.client()
  await client.query('SELECT 1')
  await waitFor(
    () => idle.status().servers[0]?.connections === 0,
    () => 'an idle connection stays',
  )
  assert.equal((await client.query('SELECT 2 AS n')).rows[0].n, 2)

  const old = await startRouter(t, { servers: [server], pool: { lifetimeMs: 0 } })
  const other = await old.client()
  const first = await backendOf(other)
  assert.notEqual(await backendOf(other), first)
})

test('an abandoned transaction is rolled back, and its connection is used by others', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const client = await router.client()
  await client.query('CREATE TABLE IF NOT EXISTS pooling_abandoned (n int)')
  const peer = await router.peer()
  peer.write(queryMessage('BEGIN'), queryMessage('INSERT INTO pooling_abandoned VALUES (1)'))
  await peer.until('Z')
  await peer.until('Z')
  const before = router.status().servers[0]?.connections
  peer.socket.destroy()
  assert.equal((await client.query('SELECT count(*)::int AS n FROM pooling_abandoned')).rows[0].n, 0)
  assert.equal(router.status().servers[0]?.connections, before)
})

test('a statement whose client went away is cancelled, and its connection is used by others', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 1 } })
  const client = await router.client()
  const peer = await router.peer()
  peer.write(queryMessage('SELECT pg_sleep(600)'))
  await waitFor(
    () => router.status().servers[0]?.active === 1,
    () => 'it does not run',
  )
  peer.socket.destroy()
  assert.equal((await client.query('SELECT 3 AS n')).rows[0].n, 3)
})

test('who is idle inside a transaction for too long is rolled back and told 25P03', async t => {
  const router = await startRouter(t, {
    servers: [server],
    pool: { sizeMax: 1, transactionIdleTimeoutMs: 100 },
  })
  const [idle, client] = [await router.client(), await router.client()]
  const told = new Promise<{ code?: string }>(resolve => idle.once('error', resolve))
  await idle.query('BEGIN')
  assert.equal((await client.query('SELECT 4 AS n')).rows[0].n, 4)
  assert.equal((await told).code, '25P03')
})

test('a statement runs no longer than it may, unless its client says otherwise', async t => {
  const router = await startRouter(t, { servers: [server], pool: { statementTimeoutMs: 200 } })
  const client = await router.client()
  await assert.rejects(client.query('SELECT pg_sleep(600)'), codeOf('57014'))
  await client.query('SET statement_timeout = 0')
  await client.query('SELECT pg_sleep(0.4)')
})

test('a connection that the server ends amid a statement is 08006 for who waits for it, and the client goes on', async t => {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax: 2 } })
  const [victim, killer] = [
    await router.client(),
    await router.client({ connectionString: router.urlOf('tenfold') }),
  ]
  await router.idle()
  const lost = assert.rejects(
    victim.query('SELECT pg_sleep(600) /* victim */'),
    ({ code }: { code?: string }) => code === '57P01' || code === '08006',
  )
  await waitFor(
    () => router.status().servers[0]?.active === 1,
    () => 'it does not run',
  )
  await killer.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%victim */'")
  await lost
})

test('a wrong password, an unknown user and an unknown database are refused as PostgreSQL does', async t => {
  const router = await startRouter(t, { servers: [server] })
  const at = (user: string, password: string, database: string): Promise<pg.Client> =>
    router.client({ connectionString: `postgres://${user}:${password}@127.0.0.1:${router.port}/${database}` })
  await assert.rejects(at('app', 'wrong', 'app'), {
    code: '28P01',
    message: 'password authentication failed for user "app"',
  })
  await assert.rejects(at('nobody', 'secret', 'app'), {
    code: '28P01',
    message: 'password authentication failed for user "nobody"',
  })
  await assert.rejects(at('app', 'secret', 'other'), {
    code: '3D000',
    message: 'database "other" does not exist',
  })
})

test('a replication connection is refused with a sentence', async t => {
  const router = await startRouter(t, { servers: [server] })
  const options = { replication: 'database' } as never
  await assert.rejects(router.client(options), { code: '0A000', detail: 'DATABASE_REPLICATION_REFUSED' })
})

test('a router that stops tells its clients 57P01, and lets transactions end', async t => {
  const router = await startRouter(t, { servers: [server] })
  const [idle, busy] = [await router.client(), await router.client()]
  const told = new Promise<{ code?: string }>(resolve => idle.once('error', resolve))
  await busy.query('BEGIN')
  const stopped = router.router.stop(20_000)
  assert.equal((await told).code, '57P01')
  await assert.rejects(router.client())
  assert.equal((await busy.query('SELECT 6 AS n')).rows[0].n, 6)
  await busy.query('COMMIT').catch(() => {})
  await stopped
  await router.stop()
})
