// Copies by another key in a whole system: filled and followed while a service writes, over a resharding and the end of the supervisor,
// and gone with everything on the servers when the file does not say them any more.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Project, project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sharded-service.mjs')

const all = {
  by_name: { of: 'customers', by: 'name', type: 'text' },
  orders_of: { of: 'orders', by: 'customer_id', count: 'orders' },
}

function describe(shop: Project, count: number, copies: object): void {
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
          copies,
        },
      },
    },
  })
}

test('copies follow what a service writes, over a resharding and ends of the supervisor', async t => {
  const shop = project(t)
  describe(shop, 2, {})
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  const ask = async (sql: string): Promise<Record<string, string>[]> => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`)
    const text = await answer.text()
    assert.equal(answer.status, 200, `${sql}: ${text}`)
    return JSON.parse(text)
  }
  for (let id = 1; id <= 40; id++) await ask(`INSERT INTO customers VALUES (${id}, 'c${id % 7}')`)
  assert.match((await shop.run('db', 'copies')).out, /the file says no `copies`/)
  describe(shop, 2, all)
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)

  let orders = 0
  let goesOn = true
  const writer = async (): Promise<void> => {
    for (let n = 0; goesOn; n++) {
      const id = (n % 40) + 1
      const sql = [
        `INSERT INTO orders (customer_id) VALUES (${id})`,
        `UPDATE customers SET name = 'c${n % 9}' WHERE id = ${id}`,
      ][n % 2] as string
      if (sql.startsWith('INSERT')) orders++
      await ask(sql)
    }
  }
  const writing = writer()
  const fresh = async (): Promise<void> =>
    until('copies are fresh', async () => {
      const { copies } = JSON.parse((await shop.run('db', 'copies', '--json')).out) as {
        copies: { state: string }[]
      }
      return copies.length === 2 && copies.every(({ state }) => state === 'fresh')
    })
  const alike = async (): Promise<void> => {
    const pairs = [
      [
        'SELECT id, name FROM tenfold_copies.by_name ORDER BY id',
        'SELECT id, name FROM customers ORDER BY id',
      ],
      [
        'SELECT customer_id, orders::text AS n FROM tenfold_copies.orders_of ORDER BY customer_id',
        'SELECT customer_id, count(*)::text AS n FROM orders GROUP BY customer_id ORDER BY customer_id',
      ],
      [
        `SELECT count(*)::text AS n FROM tenfold_copies.by_name WHERE name = 'c3'`,
        `SELECT count(*)::text AS n FROM customers WHERE name = 'c3'`,
      ],
    ] as const
    for (const [copy, source] of pairs) {
      const wanted = JSON.stringify(await ask(source))
      let got = ''
      await until(`${copy} is ${wanted}`, async () => {
        got = JSON.stringify(await ask(copy))
        return got === wanted
      }).catch(error => assert.fail(`${error.message}; it is ${got}`))
    }
  }
  await fresh()
  describe(shop, 3, all)
  assert.equal((await shop.run('reload')).code, 0)
  const moved = await shop.run('db', 'reshard', 'main', '--finish-at-once')
  assert.match(moved.out, /main: done/, moved.out + moved.error)
  await fresh()
  up.child.kill('SIGKILL')
  await up.exited
  await shop.up('--no-watch')
  await fresh()
  goesOn = false
  await writing
  await alike()
  assert.ok(orders > 20)

  const unknown = await shop.run('db', 'copies', '--rebuild', 'nothing')
  assert.match(unknown.error, /has no copy 'nothing'; there is 'by_name', 'orders_of'.*SYSTEM_COPY_UNKNOWN/s)
  const again = await shop.run('db', 'copies', '--rebuild', 'orders_of')
  assert.equal(again.code, 0, again.error)
  await fresh()
  await alike()
  const text = await shop.run('db', 'copies')
  assert.match(text.out, /tenfold_copies\.by_name of public\.customers: fresh, at most \d+/)

  describe(shop, 3, {})
  assert.equal((await shop.run('reload')).code, 0)
  await until('nothing is left', async () => {
    const sql =
      "SELECT 1 / (count(*) = 0)::int FROM (SELECT slot_name::text FROM pg_replication_slots WHERE slot_name LIKE 'tenfold_copy%' UNION ALL SELECT name FROM tenfold.copies) AS x"
    const shards = ['1', '2', '3'].map(id =>
      shop.run('db', 'psql', `main-s${id}`, '--primary', '--command', sql),
    )
    return (await Promise.all(shards)).every(({ code }) => code === 0)
  })
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.out + stopped.error)
})
