// Commits over shards while the primaries of shards die and replicas take over: what was acknowledged is there, nothing is there
// by half, and no prepared transaction is left behind.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/kit/random.ts'
import { project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sharded-service.mjs')
const customers = 40
const rounds = Number(process.env.TENFOLD_TEST_ROUNDS ?? 2)

test('trap: 2PC over a failover: prepared parts and decisions go with the data, whichever shard fails over', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const shop = project(t)
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
        replicas: 1,
        durability: 'one-replica',
        shards: {
          count: 2,
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
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  const ask = async (sql: string): Promise<unknown> => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`, {
      signal: AbortSignal.timeout(60_000),
    })
    const text = await answer.text()
    if (answer.status !== 200) throw new Error(text)
    return text === '' ? null : JSON.parse(text)
  }
  for (let id = 1; id <= customers; id++) await ask(`INSERT INTO customers VALUES (${id}, 'c')`)
  const acknowledged = new Set<number>()
  const refused = new Set<number>()
  const unknown = new Set<number>()
  let goesOn = true
  let number = 0
  const writers = Array.from({ length: 4 }, async () => {
    while (goesOn) {
      const id = ++number
      const [one, other] = [(id % customers) + 1, ((id * 7 + 3) % customers) + 1]
      const insert = (customer: number, part: number): string =>
        `INSERT INTO orders (customer_id, id) VALUES (${customer}, ${id * 2 + part})`
      await ask(`BEGIN; ${insert(one, 0)}; ${insert(other, 1)}; COMMIT`).then(
        () => acknowledged.add(id),
        // 08007: nobody knows. A lost connection is told so, too.
        error => (/^(08|57P|undefined)/.test(error.message) ? unknown : refused).add(id),
      )
    }
  })
  for (let round = 0; round < rounds; round++) {
    await sleep(500 + random.float() * 1_000)
    const name = `main-s${1 + ((round + Math.floor(random.float() * 2)) % 2)}`
    const before = (await shop.status()).databases.find(one => one.name === name)
    const pid = before?.servers.find(one => one.role === 'primary')?.pid as number
    process.kill(pid, 'SIGKILL')
    // Another one, or the same anew where no replica was whole.
    await until('the shard has another primary', async () => {
      const now = (await shop.status()).databases.find(one => one.name === name)
      const primary = now?.servers.find(one => one.role === 'primary')
      return now?.state === 'ready' && primary !== undefined && primary.pid !== pid
    })
    const reached = acknowledged.size
    await until('commits go on', async () => acknowledged.size > reached + 5)
    await until('every server is back', async () =>
      (await shop.status()).databases.every(({ servers }) =>
        servers.every(
          one => one.state === 'ready' && (one.role === 'primary' || (one.lagBytes ?? 1e9) < 1e6),
        ),
      ),
    )
  }
  const failovers = (await shop.status()).databases.reduce((sum, one) => sum + one.failovers.length, 0)
  t.diagnostic(`${failovers} failovers`)
  assert.ok(failovers > 0)
  goesOn = false
  await Promise.all(writers)
  t.diagnostic(`${acknowledged.size} acknowledged, ${refused.size} refused, ${unknown.size} unknown`)
  assert.ok(acknowledged.size > 20)
  let rows: readonly { move: string; parts: number }[] = []
  // What a commit has left is ended by the router within seconds.
  await until('each is whole, and nothing is prepared any more', async () => {
    rows = (await ask('SELECT id / 2 AS move, count(*)::int AS parts FROM orders GROUP BY 1')) as typeof rows
    const token = readFileSync(join(shop.directory, '.tenfold', 'token'), 'utf8').trim()
    const answer = await fetch(`${up.status.controlUrl}/metrics`, {
      headers: { authorization: `Bearer ${token}` },
    })
    const nothingPrepared = /^database_shards_prepared\{[^}]*\} 0$/m.test(await answer.text())
    return nothingPrepared && rows.every(({ parts }) => parts === 2)
  }).catch(error =>
    assert.fail(`${error.message}: ${JSON.stringify(rows.filter(({ parts }) => parts !== 2))}`),
  )
  const found = new Set(rows.map(row => Number(row.move)))
  for (const id of acknowledged) assert.ok(found.has(id), `${id} was acknowledged, and is lost`)
  for (const id of refused) assert.ok(!found.has(id), `${id} was refused, and is there`)
  const ended = await shop.run('stop')
  assert.equal(ended.code, 0, ended.out + ended.error)
})
