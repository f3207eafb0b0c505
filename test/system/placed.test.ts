// Where keys are, changed by commands in a whole system: keys of a directory are listed, set and moved; a family goes to the rule
// that a changed file says, also when the supervisor is killed amid it.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Project, project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sharded-service.mjs')

function describe(shop: Project, customers: object): void {
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
          count: 2,
          slots: 64,
          tables: { customers, orders: { by: 'customer_id', with: 'customers' }, films: 'everywhere' },
        },
      },
    },
  })
}

type Ask = (sql: string) => Promise<Record<string, string>[]>

function asker(url: string): Ask {
  return async sql => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`)
    const text = await answer.text()
    assert.equal(answer.status, 200, `${sql}: ${text}`)
    return JSON.parse(text)
  }
}

/** Orders of all customers, one after another; every one that was acknowledged must be there in the end, once. */
function load(ask: Ask, customers: number) {
  let goesOn = true
  let orders = 0
  const failed: string[] = []
  const work = (async () => {
    for (let customer = 1; goesOn; customer = (customer % customers) + 1)
      try {
        await ask(`INSERT INTO orders (customer_id) VALUES (${customer})`)
        orders++
      } catch (error) {
        failed.push((error as Error).message)
        goesOn = false
      }
  })()
  return async (): Promise<void> => {
    goesOn = false
    await work
    assert.deepEqual(failed, [])
    assert.deepEqual(await ask('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM orders'), [
      { n: orders, ids: orders },
    ])
  }
}

/** By shard, how many rows a table has there. */
async function rowsOf(shop: Project, table: string): Promise<number[]> {
  const ran = await shop.run('db', 'shards', 'main', '--json')
  const view = JSON.parse(ran.out) as { shards: { tables: { table: string; rows: number }[] }[] }
  return view.shards.map(({ tables }) => tables.find(one => one.table === table)?.rows ?? 0)
}

test('keys of a directory are listed, set and moved while a service writes', async t => {
  const shop = project(t)
  describe(shop, { by: 'id', strategy: 'directory', assign: 'round-robin' })
  const up = await shop.up('--no-watch')
  const ask = asker(up.status.edge.listeners[0]?.url ?? '')
  for (let id = 1; id <= 10; id++) await ask(`INSERT INTO customers VALUES (${id}, 'c${id}')`)

  const listed = await shop.run('db', 'directory', 'customers')
  assert.match(listed.out, /public\.customers: keys: 5 on shard 1, 5 on shard 2\n {2}1 /, listed.error)
  const shardOf = async (key: string): Promise<string> => {
    const ran = await shop.run('db', 'directory', 'orders', '--key', key, '--json')
    return JSON.parse(ran.out).keys[0]?.shard
  }
  const was = await shardOf('1')
  const other = was === '1' ? '2' : '1'
  const there = await shop.run('db', 'directory', 'customers', '--set', '1', '--into', other)
  assert.equal(there.code, 1)
  assert.match(
    there.error,
    /'1' is on shard \d already, and its rows with it: move it.*SYSTEM_DIRECTORY_REFUSED/s,
  )
  const set = await shop.run('db', 'directory', 'customers', '--set', '99', '--into', '2')
  assert.equal(set.code, 0, set.error)
  const before = await rowsOf(shop, 'public.customers')
  await ask("INSERT INTO customers VALUES (99, 'set')")
  assert.deepEqual(await rowsOf(shop, 'public.customers'), [before[0], (before[1] as number) + 1])
  const none = await shop.run('db', 'directory', 'films')
  assert.match(none.error, /'public\.films' is no family of tables/)
  const nobody = await shop.run('db', 'directory', 'customers', '--move', '4711', '--into', '2')
  assert.match(nobody.error, /'4711' has no place, and so no rows: set it/)

  const stop = load(ask, 10)
  const dry = await shop.run('db', 'directory', 'customers', '--move', '1', '--into', other, '--dry-run')
  assert.match(
    dry.out,
    new RegExp(`rows of the key '1' of public.customers from shard ${was} to ${other}`),
    dry.error,
  )
  const moved = await shop.run(
    'db',
    'directory',
    'customers',
    '--move',
    '1',
    '--into',
    other,
    '--finish-at-once',
  )
  assert.match(moved.out, /main: done/, moved.error)
  assert.equal(await shardOf('1'), other)
  // The next move makes the last one a row of the directory.
  const back = await shop.run(
    'db',
    'reshard',
    'main',
    '--isolate',
    'customers=1',
    '--into',
    was,
    '--finish-at-once',
  )
  assert.match(back.out, /main: done/, back.error)
  assert.equal(await shardOf('1'), was)
  await stop()
  const all = await rowsOf(shop, 'public.customers')
  assert.equal((all[0] as number) + (all[1] as number), 11)
})

test('a family goes to the rule that the changed file says, with another supervisor half way', async t => {
  const shop = project(t)
  describe(shop, { by: 'id' })
  const up = await shop.up('--no-watch')
  const ask = asker(up.status.edge.listeners[0]?.url ?? '')
  for (let id = 1; id <= 20; id++) await ask(`INSERT INTO customers VALUES (${id}, 'c${id}')`)
  const values = Array.from({ length: 8 }, (_, at) => String(at + 1))
  describe(shop, { by: 'id', strategy: 'list', lists: [{ values, shard: 2 }] })
  const partial = await shop.run('db', 'reshard', 'main', '--rule', 'customers')
  assert.match(partial.error, /key the rule does not name would have no place/)
  describe(shop, { by: 'id', strategy: 'list', lists: [{ values, shard: 2 }], otherwise: 1 })
  const refused = await shop.run('reload')
  assert.match(
    refused.error,
    /another rule already \(`tenfold db reshard --rule public\.customers` moves them\)/,
  )
  const stop = load(ask, 20)
  const begun = shop.run('db', 'reshard', 'main', '--rule', 'customers')
  await until('it has begun', async () => {
    const ran = await shop.run('db', 'reshard', 'main', '--status', '--json')
    return JSON.parse(ran.out.trim().split('\n').at(-1) as string).current !== null
  })
  up.child.kill('SIGKILL')
  await up.exited
  await begun
  // The file says the new rule, the rows lie by the old one still.
  await shop.up('--no-watch')
  const finished = await shop.run('db', 'reshard', 'main', '--finish')
  assert.match(finished.out, /main: done/, finished.error)
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)
  await stop()
  assert.deepEqual(await rowsOf(shop, 'public.customers'), [12, 8])
})
