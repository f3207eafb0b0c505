// Resharding by commands in a whole system: one shard becomes two and four while a service writes; the supervisor is killed amid
// it, a source fails over amid it; it goes back, and it is merged.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/kit/random.ts'
import { type Project, project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sharded-service.mjs')
const tables = {
  customers: { by: 'id' },
  orders: { by: 'customer_id', with: 'customers' },
  films: 'everywhere',
}

interface Current {
  readonly step: string
  readonly joining: readonly string[]
  readonly state: string
  readonly pauseMs: number
  readonly trouble: string
  readonly wayBack: string
}

function describe(shop: Project, count: number, replicas = 0): void {
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
        replicas,
        ...(replicas > 0 ? { durability: 'one-replica' } : {}),
        shards: { count, slots: 64, tables },
      },
    },
  })
}

/** Null: nothing was resharded yet. */
async function statusOf(shop: Project): Promise<Current | null> {
  const ran = await shop.run('db', 'reshard', 'main', '--status', '--json')
  assert.equal(ran.code, 0, ran.error)
  return JSON.parse(ran.out.trim().split('\n').at(-1) as string).current
}

/** One client that adds an order at a time, and reads over all shards: every acknowledged order is there, once. */
function load(ask: (sql: string) => Promise<unknown>, first: number) {
  let goesOn = true
  let orders = first
  let reads = 0
  let longestMs = 0
  const failed: string[] = []
  const work = (async () => {
    for (let customer = 1; goesOn; customer = (customer % 40) + 1) {
      const begun = Date.now()
      try {
        await ask(`INSERT INTO orders (customer_id) VALUES (${customer})`)
        orders++
        const [row] = (await ask(
          'SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM orders',
        )) as { n: number; ids: number }[]
        assert.deepEqual(row, { n: orders, ids: orders })
        reads++
      } catch (error) {
        failed.push((error as Error).message)
        goesOn = false
      }
      longestMs = Math.max(longestMs, Date.now() - begun)
    }
  })()
  return {
    stop: async () => {
      goesOn = false
      await work
      assert.deepEqual(failed, [])
      return { orders, reads, longestMs }
    },
  }
}

test('one shard becomes two and four while a service writes; the supervisor is killed amid it; it goes back', async t => {
  const shop = project(t)
  describe(shop, 1)
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  const ask = async (sql: string): Promise<unknown> => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`)
    const text = await answer.text()
    assert.equal(answer.status, 200, `${sql}: ${text}`)
    return JSON.parse(text)
  }
  for (let id = 1; id <= 40; id++) await ask(`INSERT INTO customers VALUES (${id}, 'c${id}')`)
  await ask("INSERT INTO films (title) VALUES ('Metropolis'), ('M')")

  const nothing = await shop.run('db', 'reshard', 'main')
  assert.notEqual(nothing.code, 0)
  assert.match(nothing.error, /Nothing would move.*SYSTEM_RESHARD_REFUSED/s)
  const unknown = await shop.run('db', 'reshard', 'main', '--split', '1', '--into', '2')
  assert.match(unknown.error, /The file has no shard 2: raise `shards.count`/)

  describe(shop, 2)
  const more = await shop.run('reload')
  assert.equal(more.code, 0, more.error)
  const idle = await shop.run('db', 'shards', 'main')
  assert.match(idle.out, /shard 2 \(main-s2\).*it holds nothing yet: `tenfold db reshard`/)
  const drift = await shop.run('db', 'drift', 'main')
  assert.match(drift.out, /the schemas of 1 shards are the same/)
  const dry = await shop.run('db', 'reshard', 'main', '--dry-run')
  assert.equal(dry.code, 0, dry.out + dry.error)
  assert.match(
    dry.out,
    /shard 2 joins; 32 slots of public.customers from shard 1 to 2 \(50.0 % of the slots\)/,
  )
  const first = load(ask, 0)
  const two = await shop.run('db', 'reshard', 'main')
  assert.equal(two.code, 0, two.out + two.error)
  assert.match(two.out, /clients waited for \d+ ms/)
  assert.match(two.out, /tenfold db reshard --finish/)
  const recopy = await shop.run('db', 'reshard', 'main', '--recopy')
  assert.match(recopy.error, /no rows are known to differ.*SYSTEM_RESHARD_REFUSED/s)
  const both = await shop.run('db', 'reshard', 'main', '--recopy', '--cancel')
  assert.match(both.error, /--cancel and --recopy can't be asked for together/)
  const finished = await shop.run('db', 'reshard', 'main', '--finish')
  assert.match(finished.out, /main: done/, finished.error)
  const one = await first.stop()
  t.diagnostic(`1 -> 2: ${JSON.stringify(one)}; ${two.out.match(/clients waited for \d+ ms.*/)?.[0]}`)
  assert.ok(one.reads > 5)
  assert.deepEqual(await ask('SELECT id, title FROM films ORDER BY id'), [
    { id: '1', title: 'Metropolis' },
    { id: '2', title: 'M' },
  ])

  // To four: the supervisor is killed amid it, and the next one goes on.
  describe(shop, 4)
  assert.equal((await shop.run('reload')).code, 0)
  const second = load(ask, one.orders)
  const begun = shop.run('db', 'reshard', 'main')
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  await until('it has begun', async () => (await statusOf(shop))?.joining.includes('3') === true)
  await sleep(seededRandom(seed).float() * 1_500)
  up.child.kill('SIGKILL')
  await up.exited
  await begun
  const next = await shop.up('--no-watch')
  assert.equal(next.status.router?.adopted, true)
  let current: Current | null = null
  await until('rows have moved', async () => {
    current = await statusOf(shop)
    return current?.state === 'moved'
  }).catch(error => assert.fail(`${error.message}: ${JSON.stringify(current)}`))
  describe(shop, 3)
  const fewer = await shop.run('reload')
  assert.notEqual(fewer.code, 0, fewer.out)
  assert.match(fewer.error, /shard 4 takes part in a resharding/)
  describe(shop, 4)
  const back = await shop.run('db', 'reshard', 'main', '--rollback')
  assert.match(back.out, /rolled back: rows are where they were/, back.error)
  const again = await shop.run('db', 'reshard', 'main', '--finish-at-once')
  assert.match(again.out, /main: done/, again.error)
  const four = await second.stop()
  t.diagnostic(`2 -> 4: ${JSON.stringify(four)}; ${again.out.match(/clients waited for \d+ ms.*/)?.[0]}`)
  const view = JSON.parse((await shop.run('db', 'shards', 'main', '--json')).out) as {
    shards: { id: string; slots: { held: number }; tables: { table: string; rows: number }[] }[]
  }
  assert.deepEqual(
    view.shards.map(shard => [shard.id, shard.slots.held]),
    [
      ['1', 16],
      ['2', 16],
      ['3', 16],
      ['4', 16],
    ],
  )
  const rows = view.shards.map(shard => shard.tables.find(one => one.table === 'public.orders')?.rows ?? 0)
  assert.equal(
    rows.reduce((sum, count) => sum + count, 0),
    four.orders,
  )

  // A shard is emptied, and then the file may do without it.
  const merged = await shop.run('db', 'reshard', 'main', '--merge', '4', '--into', '3', '--finish-at-once')
  assert.match(merged.out, /main: done/, merged.error)
  describe(shop, 3)
  const gone = await shop.run('reload')
  assert.equal(gone.code, 0, gone.error)
  assert.deepEqual(
    (await shop.status()).databases.map(({ name }) => name),
    ['main-s1', 'main-s2', 'main-s3'],
  )
  const [sum] = (await ask('SELECT count(*)::int AS n FROM orders')) as { n: number }[]
  assert.equal(sum?.n, four.orders)
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.out + stopped.error)
})

test('a source fails over while its rows are copied, and after the switch: it begins again, and the way back is lost', async t => {
  const shop = project(t)
  describe(shop, 1, 1)
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  const ask = async (sql: string): Promise<unknown> => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`)
    const text = await answer.text()
    assert.equal(answer.status, 200, `${sql}: ${text}`)
    return JSON.parse(text)
  }
  for (let id = 1; id <= 40; id++) await ask(`INSERT INTO customers VALUES (${id}, '${'x'.repeat(1_000)}')`)
  for (let id = 1; id <= 40; id++)
    await ask(`INSERT INTO orders (customer_id) SELECT ${id} FROM generate_series(1, 1000)`)
  describe(shop, 2, 1)
  assert.equal((await shop.run('reload')).code, 0)
  const begun = shop.run('db', 'reshard', 'main')
  await until('rows move', async () =>
    ['copying', 'catching-up', 'comparing', 'holding'].includes((await statusOf(shop))?.step ?? ''),
  )
  const killPrimary = async (name: string): Promise<void> => {
    const before = (await shop.status()).databases.find(one => one.name === name)
    process.kill(before?.servers.find(one => one.role === 'primary')?.pid as number, 'SIGKILL')
    await until('the shard has another primary', async () => {
      const now = (await shop.status()).databases.find(one => one.name === name)
      return now !== undefined && now.epoch > (before?.epoch ?? 0) && now.state !== 'failing-over'
    })
  }
  await killPrimary('main-s1')
  const moved = await begun
  assert.equal(moved.code, 0, moved.out + moved.error)
  t.diagnostic(moved.out.split('\n').slice(-12).join('\n'))
  assert.deepEqual(await ask('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM orders'), [
    { n: 40_000, ids: 40_000 },
  ])
  const before = await statusOf(shop)
  assert.equal(before?.step, 'reversible')
  await killPrimary('main-s2')
  await until('the way back is lost', async () =>
    /was replaced|no slot/.test((await statusOf(shop))?.wayBack ?? ''),
  )
  const back = await shop.run('db', 'reshard', 'main', '--rollback')
  assert.match(back.error, /there is no way back.*SYSTEM_RESHARD_REFUSED/s)
  const finished = await shop.run('db', 'reshard', 'main', '--finish')
  assert.match(finished.out, /main: done/, finished.error)
  assert.deepEqual(await ask('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM orders'), [
    { n: 40_000, ids: 40_000 },
  ])
  await until('every server is back', async () =>
    (await shop.status()).databases.every(({ servers }) =>
      servers.every(one => one.lagBytes === 0 || one.role === 'primary'),
    ),
  )
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.out + stopped.error)
})
