// A sharded database in a whole system: real groups of servers, the router before them, a service on one DATABASE_URL.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sharded-service.mjs')
const tables = {
  customers: { by: 'id' },
  orders: { by: 'customer_id', with: 'customers' },
  films: 'everywhere',
}

test('one DATABASE_URL over two shards: rows are spread, a shard fails over, the map outlives everybody', async t => {
  const shop = project(t)
  const describe = (shards: object): void =>
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
      databases: { main: { replicas: 1, durability: 'one-replica', shards } },
    })
  describe({ count: 2, slots: 64, tables })
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  const ask = async (sql: string): Promise<unknown> => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`)
    const text = await answer.text()
    assert.equal(answer.status, 200, `${sql}: ${text}`)
    return JSON.parse(text)
  }
  assert.deepEqual(
    up.status.databases.map(one => one.name),
    ['main-s1', 'main-s2'],
  )

  for (let id = 1; id <= 20; id++) {
    await ask(`INSERT INTO customers VALUES (${id}, 'c${id}')`)
    await ask(`INSERT INTO orders (customer_id) VALUES (${id})`)
  }
  await ask(
    "INSERT INTO films (title) VALUES ('Metropolis'), ('M') RETURNING id".replace(' RETURNING id', ''),
  )
  assert.deepEqual(await ask('SELECT count(*)::int AS n, count(DISTINCT o.id)::int AS ids FROM orders o'), [
    { n: 20, ids: 20 },
  ])
  assert.deepEqual(await ask('SELECT id, title FROM films ORDER BY id'), [
    { id: '1', title: 'Metropolis' },
    { id: '2', title: 'M' },
  ])

  // Each shard has a part of them, and both have all films.
  const counts: number[] = []
  for (const shard of ['main-s1', 'main-s2']) {
    const primary = up.status.databases
      .find(one => one.name === shard)
      ?.servers.find(one => one.role === 'primary')
    assert.ok(primary)
    const ran = await shop.run('db', 'shards', 'main', '--json')
    assert.equal(ran.code, 0, ran.error)
    const view = JSON.parse(ran.out) as {
      shards: { group: string; tables: { table: string; rows: number }[] }[]
    }
    const mine = view.shards.find(one => one.group === shard)?.tables ?? []
    counts.push(mine.find(one => one.table === 'public.customers')?.rows ?? -1)
    assert.equal(mine.find(one => one.table === 'public.films')?.rows, 2)
  }
  assert.equal(counts[0]! + counts[1]!, 20)
  assert.ok(Math.min(...counts) > 0, `rows by shard: ${counts}`)

  const hot = await shop.run('db', 'shards', 'main', '--keys')
  assert.match(hot.out, /heat, as the router counted it lately:\n +SHARD +READS\/S.*\n +1 .*%\n +2 .*%/)
  assert.match(hot.out, /the hottest of \d+ slots with any:/)
  assert.match(hot.out, /the hottest keys:\n.*\n +customers +\d+ /)
  const advised = await shop.run('db', 'advise')
  assert.match(advised.out, /^nothing to do about hot spots: only \d+ statements were counted lately/)

  const drift = await shop.run('db', 'drift')
  assert.equal(drift.code, 0, drift.out + drift.error)
  assert.match(drift.out, /the schemas of 2 shards are the same: \d+ objects/)
  const dangling = await shop.run('db', 'dangling', 'main')
  assert.equal(dangling.code, 0, dangling.out + dangling.error)
  assert.match(dangling.out, /looked for on 2 shards: all are there/)

  const folder = join(shop.directory, 'exports', 'first')
  const exported = await shop.run('db', 'export', '--to', folder)
  assert.equal(exported.code, 0, exported.out + exported.error)
  assert.match(exported.out, /main as of \S+ is in \S+: \d+ rows in \d+ files, .*; clients waited for \d+ ms/)
  const { tables: files } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
    tables: { table: string; rows: number }[]
  }
  const rowsOf = (table: string): number =>
    files.filter(one => one.table === table).reduce((sum, one) => sum + one.rows, 0)
  assert.deepEqual([rowsOf('public.customers'), rowsOf('public.films')], [20, 2])
  const again = await shop.run('db', 'export', 'main', '--to', folder)
  assert.match(again.error, /first is not empty\..*SYSTEM_EXPORT_REFUSED/s)

  // The router looks through every shard for what commits have left behind.
  const token = readFileSync(join(shop.directory, '.tenfold', 'token'), 'utf8').trim()
  const metrics = await fetch(`${up.status.controlUrl}/metrics`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const lines = (await metrics.text()).split('\n').filter(line => line.startsWith('database_shards_'))
  assert.ok(lines.includes('database_shards_unreachable{database="main"} 0'), lines.join('\n'))
  assert.ok(lines.includes('database_shards_prepared{database="main"} 0'), lines.join('\n'))

  const other = await shop.run('db', 'shards', 'other')
  assert.match(other.error, /'other' has no shards; 'main' has\..*SYSTEM_DATABASE_UNSHARDED/s)
  // The primary of one shard is killed: a replica takes over, the other shard never notices.
  const before = (await shop.status()).databases.find(one => one.name === 'main-s1')
  process.kill(before?.servers.find(one => one.role === 'primary')?.pid as number, 'SIGKILL')
  await until('the shard has another primary', async () => {
    const now = (await shop.status()).databases.find(one => one.name === 'main-s1')
    return now !== undefined && now.epoch > (before?.epoch ?? 0) && now.state !== 'failing-over'
  })
  await until('all rows are there', async () => {
    const rows = (await ask('SELECT count(*)::int AS n FROM customers').catch(() => [])) as { n?: number }[]
    return rows[0]?.n === 20
  })

  // The supervisor is killed; the next one finds the shards as they are.
  up.child.kill('SIGKILL')
  await up.exited
  assert.deepEqual(await ask('SELECT count(*)::int AS n FROM customers'), [{ n: 20 }])
  const next = await shop.up('--no-watch')
  assert.equal(next.status.router?.adopted, true)
  assert.deepEqual(await ask('SELECT count(*)::int AS n FROM customers'), [{ n: 20 }])

  // A file that would move rows is refused, and changes nothing; one that adds a table is not.
  describe({ count: 2, slots: 64, tables: { ...tables, customers: { by: 'name', type: 'text' } } })
  const moved = await shop.run('reload')
  assert.notEqual(moved.code, 0)
  assert.match(moved.error, /Not applied.*public\.customers.*rows move by resharding only/s)
  describe({ count: 2, slots: 64, tables: { ...tables, log: 'round-robin' } })
  const added = await shop.run('reload')
  assert.equal(added.code, 0, added.error)
  await ask('CREATE TABLE log (line text)')
  await ask("INSERT INTO log VALUES ('one')")
  assert.deepEqual(await ask('SELECT line FROM log'), [{ line: 'one' }])

  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.error)
  const file = join(shop.directory, '.tenfold', 'shard-maps', 'main.json')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.slice(0, 50))
  const broken = await shop.run('up', '--no-watch')
  assert.notEqual(broken.code, 0)
  assert.match(broken.error, /SYSTEM_SHARD_MAP_BROKEN/)
})
