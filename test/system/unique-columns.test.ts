// Columns become unique over all shards in a whole system: with rows that are there already, with duplicates that are named, while a
// service writes, over a resharding and ends of router and supervisor; and an operator finds what somebody has broken.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Project, project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sharded-service.mjs')

function describe(
  shop: Project,
  count: number,
  unique: readonly string[] | undefined,
  environment: object = {},
): void {
  shop.configure({
    name: 'shop',
    control: { listen: 0 },
    edge: { listen: { http: '127.0.0.1:0' }, workers: 1, routes: [{ path: '/*', to: 'api' }] },
    services: {
      api: {
        command: [process.execPath, serviceFile],
        env: environment,
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
            customers: { by: 'id', unique },
            orders: { by: 'customer_id', with: 'customers' },
            films: 'everywhere',
          },
        },
      },
    },
  })
}

type Ask = (sql: string) => Promise<{ readonly status: number; readonly text: string }>

function asker(url: string): Ask {
  return async sql => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`)
    return { status: answer.status, text: await answer.text() }
  }
}

/** Customers with names of a small range: a ledger of who has which, as it was acknowledged. */
function load(ask: Ask, names: number, first: number) {
  const owners = new Map<string, number>()
  const wrong: string[] = []
  let goesOn = true
  let refused = 0
  let unknown = 0
  const writer = async (from: number): Promise<void> => {
    for (let turn = 0; goesOn; turn++) {
      const id = first + ((turn * 7 + from * 13) % 60) * 4 + from
      const name = `name ${(turn * 11 + from * 5) % names}`
      const held = [...owners].find(([, owner]) => owner === id)?.[0]
      const sql =
        held === undefined
          ? `INSERT INTO customers VALUES (${id}, '${name}')`
          : turn % 3 === 0
            ? `DELETE FROM customers WHERE id = ${id}`
            : `UPDATE customers SET name = '${name}' WHERE id = ${id}`
      const { status, text } = await ask(sql).catch(error => ({ status: 0, text: String(error) }))
      if (status === 200) {
        const other = owners.get(name)
        if (held !== undefined) owners.delete(held)
        if (!sql.startsWith('DELETE')) {
          // Who had it may have been told just now that he lost it: only his own writer changes him.
          if (other !== undefined && other !== id && other % 4 === from)
            wrong.push(`${name}: ${other} and ${id}`)
          owners.set(name, id)
        }
      } else if (text.startsWith('23505')) refused++
      else unknown++
    }
  }
  const work = Promise.all([0, 1, 2, 3].map(writer))
  return async (): Promise<{ refused: number; unknown: number }> => {
    goesOn = false
    await work
    assert.deepEqual(wrong, [])
    return { refused, unknown }
  }
}

test('columns become unique with rows that are there; duplicates are named; what somebody broke is found', async t => {
  const shop = project(t)
  describe(shop, 2, undefined)
  const up = await shop.up('--no-watch')
  const ask = asker(up.status.edge.listeners[0]?.url ?? '')
  for (let id = 1; id <= 40; id++) await ask(`INSERT INTO customers VALUES (${id}, 'c${id % 39}')`)
  assert.match((await shop.run('db', 'unique')).out, /says 'unique' of no table/)

  describe(shop, 2, ['name'])
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)
  const without = await shop.run('db', 'unique')
  assert.equal(without.code, 1)
  assert.match(
    without.out,
    /public\.customers \(name\): public\.customers has no unique constraint on \(name\)/,
  )
  const added = await ask('ALTER TABLE customers ADD UNIQUE (name)')
  assert.equal(added.status, 200, added.text)
  const twice = await shop.run('db', 'unique')
  assert.match(twice.out, /same values: \(c1\) has the keys \(id\) = \((1|40)\) and \((1|40)\)/)
  assert.equal((await ask('DELETE FROM customers WHERE id = 40')).status, 200)
  const kept = await shop.run('db', 'unique', 'main')
  assert.equal(kept.code, 0, kept.out)
  assert.match(kept.out, /public\.customers \(name\): unique over all shards/)
  assert.match((await ask(`INSERT INTO customers VALUES (41, 'c7')`)).text, /^23505 .*"customers_name_key"/)
  const compared = await shop.run('db', 'unique', '--verify')
  assert.match(compared.out, /public\.customers \(name\): 39 rows compared/, compared.error)

  // Somebody who is superuser of a server.
  const lookup = 'tenfold_unique."public$customers$name"'
  const onServer = async (shard: string, sql: string): Promise<void> => {
    const ran = await shop.run('db', 'psql', `main-s${shard}`, '--primary', '--command', sql)
    assert.equal(ran.code, 0, ran.error)
  }
  await onServer('1', `DELETE FROM ${lookup}`)
  await onServer('2', `INSERT INTO ${lookup} VALUES ('nobody', 4711)`)
  const broken = await shop.run('db', 'unique', '--verify')
  assert.equal(broken.code, 1)
  assert.match(broken.out, /\d+ values were not in the look-up table; they are now/)
  assert.match(broken.out, /1 values of the look-up table were no row's; they are gone/)
  assert.equal((await shop.run('db', 'unique', '--verify')).code, 0)

  // No more: look-up tables and triggers go.
  describe(shop, 2, undefined)
  assert.equal((await shop.run('reload')).code, 0)
  const { text } = await ask(`INSERT INTO customers VALUES (42, 'c7')`)
  // Only where the shard has it by chance.
  assert.match(text, /^(\[\]|23505)/)
  await onServer('1', `SELECT 1 / (to_regclass('${lookup}') IS NULL)::int`)
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.error)
})

test('a resharding, and ends of the router and the supervisor, while a service writes: no value is there twice', async t => {
  const shop = project(t)
  const asked = { UNIQUE: '1' }
  describe(shop, 2, ['name'], asked)
  const up = await shop.up('--no-watch')
  const ask = asker(up.status.edge.listeners[0]?.url ?? '')
  // Without its constraint the service could not have made its table.
  const made = await ask('SELECT count(*) FROM customers')
  assert.equal(made.status, 200, made.text)
  const stop = load(ask, 50, 1)
  await until(
    'some are refused',
    async () => (await ask('SELECT count(*)::int AS n FROM customers')).text !== '[{"n":0}]',
  )
  describe(shop, 3, ['name'], asked)
  assert.equal((await shop.run('reload')).code, 0)
  const moved = await shop.run('db', 'reshard', 'main')
  assert.equal(moved.code, 0, moved.out + moved.error)
  const early = await shop.run('db', 'unique', '--verify')
  assert.match(early.error, /are being moved between shards.*SYSTEM_UNIQUE_REFUSED/s)
  const finished = await shop.run('db', 'reshard', 'main', '--finish')
  assert.match(finished.out, /main: done/, finished.out + finished.error)
  const { router } = await shop.status()
  process.kill(router?.pid as number, 'SIGKILL')
  await until('another router serves', async () => (await ask('SELECT 1')).status === 200)
  up.child.kill('SIGKILL')
  await up.exited
  await shop.up('--no-watch')
  await new Promise(resolve => setTimeout(resolve, 1_000))
  const told = await stop()
  t.diagnostic(JSON.stringify(told))
  assert.ok(told.refused > 10)
  const rows = await ask('SELECT count(name)::int AS n, count(DISTINCT name)::int AS names FROM customers')
  const [count] = JSON.parse(rows.text) as { n: number; names: number }[]
  assert.equal(count?.n, count?.names, rows.text)
  // Recovery has brought what the router left to its end: what is missing then was lost, and is not put right in silence.
  await until('nothing is prepared', async () => {
    const sql = 'SELECT 1 / (count(*) = 0)::int FROM pg_prepared_xacts'
    const shards = ['1', '2', '3'].map(id =>
      shop.run('db', 'psql', `main-s${id}`, '--primary', '--command', sql),
    )
    return (await Promise.all(shards)).every(({ code }) => code === 0)
  })
  const verified = await shop.run('db', 'unique', '--verify')
  assert.equal(verified.code, 0, verified.out)
  assert.match(verified.out, new RegExp(`${count?.n} rows compared`), verified.out)
  assert.equal((await shop.run('stop')).code, 0)
})
