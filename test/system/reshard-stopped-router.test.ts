// A router that stops answering amid a resharding (SIGSTOP), and comes back with the map of before: nothing that it still has
// reaches a place that is given away.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Project, project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sharded-service.mjs')
const customers = 40
const stoppedMs = 20_000

function describe(shop: Project, count: number): void {
  shop.configure({
    name: 'shop',
    control: { listen: 0 },
    edge: { listen: { http: '127.0.0.1:0' }, workers: 1, routes: [{ path: '/*', to: 'api' }] },
    services: {
      api: {
        command: [process.execPath, serviceFile],
        health: { path: '/healthz' },
        ready: { timeout: '60s' },
      },
    },
    databases: {
      main: {
        replicas: 0,
        shards: {
          count,
          slots: 64,
          tables: {
            customers: { by: 'id' },
            orders: { by: 'customer_id', with: 'customers' },
            films: 'everywhere',
          },
        },
      },
    },
  })
}

async function stepOf(shop: Project): Promise<string> {
  const ran = await shop.run('db', 'reshard', 'main', '--status', '--json')
  return JSON.parse(ran.out.trim().split('\n').at(-1) ?? '{}').current?.step ?? ''
}

test('trap: a router is stopped amid a resharding and comes back 20 s later: no write goes to an old place, none is lost', async t => {
  const shop = project(t)
  describe(shop, 1)
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  const ask = async (sql: string): Promise<unknown> => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`, {
      signal: AbortSignal.timeout(60_000),
    })
    const text = await answer.text()
    if (answer.status !== 200) throw new Error(text)
    return JSON.parse(text)
  }
  for (let id = 1; id <= customers; id++)
    await ask(`INSERT INTO customers VALUES (${id}, '${'x'.repeat(500)}')`)
  for (let id = 1; id <= customers; id++)
    await ask(`INSERT INTO orders (customer_id) SELECT ${id} FROM generate_series(1, 500)`)
  describe(shop, 2)
  assert.equal((await shop.run('reload')).code, 0)

  const acknowledged = new Set<number>()
  const unknown = new Set<number>()
  let goesOn = true
  let number = 0
  const writers = Array.from({ length: 4 }, async () => {
    while (goesOn) {
      const id = ++number
      await ask(`INSERT INTO orders (customer_id, id) VALUES (${(id % customers) + 1}, ${id})`).then(
        () => acknowledged.add(id),
        () => unknown.add(id),
      )
    }
  })
  const begun = shop.run('db', 'reshard', 'main')
  await until('rows are copied', async () => !['', 'checking', 'preparing'].includes(await stepOf(shop)))
  const stopped = (await shop.status()).router?.pid as number
  process.kill(stopped, 'SIGSTOP')
  await sleep(stoppedMs)
  try {
    process.kill(stopped, 'SIGCONT')
    t.diagnostic('it was there still')
  } catch {
    t.diagnostic('another has taken its place')
  }
  const moved = await begun
  assert.equal(moved.code, 0, moved.out + moved.error)
  await sleep(1_000)
  const finished = await shop.run('db', 'reshard', 'main', '--finish')
  assert.match(finished.out, /main: done/, finished.error)
  const after = acknowledged.size
  await until('clients write again', async () => acknowledged.size > after)
  goesOn = false
  await Promise.all(writers)
  t.diagnostic(`${acknowledged.size} acknowledged, ${unknown.size} unknown`)
  const rows = (await ask(`SELECT id::int AS id FROM orders WHERE id <= ${number}`)) as { id: number }[]
  const found = new Set(rows.map(row => row.id))
  assert.equal(found.size, rows.length, 'a row is there twice')
  for (const id of acknowledged) assert.ok(found.has(id), `${id} was acknowledged, and is lost`)
  for (const id of found) assert.ok(acknowledged.has(id) || unknown.has(id), `${id} was never written`)
  // Each where its key says: by the shard alone.
  for (const { customer, n } of (await ask(
    `SELECT customer_id::int AS customer, count(*)::int AS n FROM orders WHERE id <= ${number} GROUP BY customer_id`,
  )) as { customer: number; n: number }[]) {
    const [one] = (await ask(
      `SELECT count(*)::int AS n FROM orders WHERE customer_id = ${customer} AND id <= ${number}`,
    )) as { n: number }[]
    assert.equal(one?.n, n, `rows of customer ${customer} lie elsewhere`)
  }
  const ended = await shop.run('stop')
  assert.equal(ended.code, 0, ended.out + ended.error)
})
