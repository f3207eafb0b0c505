// What clients of the router are promised of reads beside the counts of fresh-reads-counted.test.ts: tokens, notifications,
// replicas that die, routers that are new.

import { strict as assert } from 'node:assert'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type Cluster, startCluster, until } from '../tools/read-sessions.ts'
import { type RouterUnderTest, startRouter } from '../tools/router-harness.ts'

const monitor = { user: 'tenfold_monitor', password: 'secret' }

function routerOf(t: TestContext, { primary, replicas }: Cluster, kind: string): Promise<RouterUnderTest> {
  return startRouter(t, {
    servers: [primary, ...replicas],
    pool: { sizeMax: 15 },
    more: { reads: { kind: kind as 'fresh' }, monitor, readWaitMs: 20 },
  })
}

/** Of a read by this client. */
async function routeOf(client: pg.Client): Promise<string> {
  await client.query('SELECT n FROM ledger WHERE id = 0')
  const { rows } = await client.query({ text: 'SHOW tenfold.route', rowMode: 'array' })
  return String(rows[0]?.[0])
}

/** Reads go to a replica by now. */
async function warm(router: RouterUnderTest): Promise<void> {
  const client = await router.client()
  await until(async () => {
    await client.query('SELECT n FROM ledger WHERE id = 0')
    const { reads } = router.status()
    return (reads.replica ?? 0) + (reads.waited ?? 0) > 0
  })
}

class Ledger {
  readonly acknowledged: bigint[] = Array.from({ length: 8 }, () => 0n)
  reads = 0
  writes = 0
  stale = 0

  async write(client: pg.Client, row: number): Promise<void> {
    const { rows } = await client.query({
      name: 'write',
      text: 'UPDATE ledger SET n = n + 1 WHERE id = $1 RETURNING n',
      values: [row],
    })
    this.writes++
    this.acknowledged[row] = BigInt(rows[0].n)
  }

  async read(client: pg.Client, row: number): Promise<void> {
    const before = this.acknowledged[row] as bigint
    const { rows } = await client.query({
      name: 'read',
      text: 'SELECT n FROM ledger WHERE id = $1',
      values: [row],
    })
    this.reads++
    if (BigInt(rows[0].n) < before) this.stale++
  }
}

test('a token from one router makes a session of another see the write', async t => {
  const cluster = await startCluster(t)
  const [here, there] = [await routerOf(t, cluster, 'session'), await routerOf(t, cluster, 'session')]
  await warm(here)
  await warm(there)
  const [writer, reader] = [await here.client(), await there.client()]
  for (const replica of cluster.replicas) await replica.pause()
  await writer.query('UPDATE ledger SET n = 77 WHERE id = 3')
  const { rows } = await writer.query({ text: 'SHOW tenfold.token', rowMode: 'array' })
  const token = String(rows[0]?.[0])
  assert.match(token, /^1\/[0-9A-F]+$/)
  const look = async (): Promise<string> =>
    (await reader.query('SELECT n FROM ledger WHERE id = 3')).rows[0].n
  assert.notEqual(await look(), '77', 'without the token a replica may answer')
  await reader.query(`SET tenfold.after = '${token}'`)
  assert.equal(await look(), '77')
  assert.match(await routeOf(reader), /^primary/)
  for (const replica of cluster.replicas) await replica.resume()
  await until(async () => (await look()) === '77' && (await routeOf(reader)).startsWith('replica'))
})

test('a hint overrules the setting, however the statement is said', async t => {
  const router = await routerOf(t, await startCluster(t, ['main-2']), 'primary')
  const client = await router.client()
  const text = 'SELECT n FROM ledger WHERE id = $1'
  const routeAfter = async (query: pg.QueryConfig): Promise<string> => {
    await client.query(query)
    return String((await client.query({ text: 'SHOW tenfold.route', rowMode: 'array' })).rows[0]?.[0])
  }
  const hinted = `/* tenfold: any */ ${text}`
  // Until the database has said what is safe to read elsewhere, the primary serves.
  await until(async () => (await routeAfter({ text: hinted.replace('$1', '0') })).startsWith('replica'))
  assert.match(await routeAfter({ text: hinted, values: [0] }), /^replica/)
  assert.match(await routeAfter({ name: 'hinted', text: hinted, values: [0] }), /^replica/)
  assert.match(await routeAfter({ name: 'hinted', text: hinted, values: [1] }), /^replica/)
  assert.match(await routeAfter({ text, values: [0] }), /^primary/)
  await client.query("SET tenfold.reads = 'any'")
  assert.match(await routeAfter({ text, values: [0] }), /^replica/)
  assert.match(await routeAfter({ text: `/* tenfold: primary */ ${text}`, values: [0] }), /^primary/)
})

test('who is notified of a write reads what was written', async t => {
  const cluster = await startCluster(t, ['main-2'])
  const router = await routerOf(t, cluster, 'fresh')
  await warm(router)
  const [listener, reader, writer] = await Promise.all([router.client(), router.client(), router.client()])
  await listener.query('LISTEN changed')
  let wanted = 0
  let stale = 0
  let looked = 0
  listener.on('notification', ({ payload }) => {
    const told = BigInt(payload ?? '0')
    void reader.query('SELECT n FROM ledger WHERE id = 2').then(({ rows }) => {
      looked++
      if (BigInt(rows[0].n) < told) stale++
    })
  })
  const text =
    "WITH one AS (UPDATE ledger SET n = n + 1 WHERE id = 2 RETURNING n) SELECT pg_notify('changed', n::text) FROM one"
  for (; wanted < 500; wanted++) await writer.query(text)
  await until(() => looked === wanted)
  assert.equal(stale, 0)
  await listener.query('UNLISTEN *')
})

test('replicas that are killed cost no client an error on its reads', async t => {
  const cluster = await startCluster(t)
  const router = await routerOf(t, cluster, 'fresh')
  await warm(router)
  const ledger = new Ledger()
  let over = false
  const clients = await Promise.all(Array.from({ length: 6 }, () => router.client()))
  const work = clients.map(async (client, index) => {
    while (!over) {
      if (index === 0) await ledger.write(client, 0)
      await ledger.read(client, 0)
    }
  })
  for (let round = 0; round < 6; round++) {
    const replica = cluster.replicas[round % 2]!
    await replica.kill()
    await sleep(50)
    await replica.start()
    const before = router.status().servers.find(one => one.id === replica.name)
    await until(() => router.status().servers.some(one => one.id === replica.name && one.lagBytes !== null))
    assert.ok(before)
  }
  over = true
  await Promise.all(work)
  assert.equal(ledger.stale, 0)
  assert.ok(ledger.reads > 200)
})

test('a router that is new asks first: it never serves less than what another one acknowledged', async t => {
  const cluster = await startCluster(t)
  const ledger = new Ledger()
  const former = await routerOf(t, cluster, 'fresh')
  await warm(former)
  const writer = await former.client()
  for (let round = 0; round < 5; round++) {
    for (const replica of cluster.replicas) await replica.pause()
    for (let i = 0; i < 10; i++) await ledger.write(writer, 0)
    const next = await routerOf(t, cluster, 'fresh')
    const client = await next.client()
    for (let i = 0; i < 50; i++) await ledger.read(client, 0)
    await client.end()
    for (const replica of cluster.replicas) await replica.resume()
    await next.idle()
  }
  assert.equal(ledger.stale, 0)
})
