// Tables split by columns, by commands in a whole system: the supervisor is killed amid it while a service writes, a primary
// fails over, it goes back and it is finished; with shards the file must say where the halves lie.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/kit/random.ts'
import { type Project, project, until } from '../tools/project.ts'

const serviceFile = join(import.meta.dirname, '../tools/sql-service.mjs')

function describe(shop: Project, database: object): void {
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
    databases: { main: database },
  })
}

type Ask = (sql: string) => Promise<readonly Record<string, unknown>[]>

function asker(url: string): Ask {
  return async sql => {
    const answer = await fetch(`${url}/query?sql=${encodeURIComponent(sql)}`)
    const text = await answer.text()
    if (answer.status !== 200) throw new Error(text)
    return JSON.parse(text)
  }
}

async function stepOf(shop: Project): Promise<string> {
  const ran = await shop.run('db', 'split-columns', '--status', '--json')
  assert.equal(ran.code, 0, ran.error)
  return JSON.parse(ran.out.trim().split('\n').at(-1) as string).current?.step ?? 'none'
}

/** Inserts, and a counter: what was acknowledged is there. */
function load(ask: Ask) {
  let goesOn = true
  let added = 0
  let hits = 0
  const failed: string[] = []
  const work = (async () => {
    while (goesOn) {
      try {
        await ask(`INSERT INTO films (id, title, plot) VALUES (${100_000 + added}, 'new', 'plot ${added}')`)
        added++
        await ask(`UPDATE films SET hits = hits + 1, plot = 'hit' WHERE id = 1`)
        hits++
      } catch (error) {
        failed.push((error as Error).message)
        goesOn = false
      }
    }
  })()
  return {
    stop: async () => {
      goesOn = false
      await work
      assert.deepEqual(failed, [])
      assert.ok(added > 10)
      const [row] = await ask(
        `SELECT count(*)::int AS n, count(DISTINCT plot)::int AS plots, (SELECT hits FROM films WHERE id = 1) AS hits FROM films WHERE id >= 100000`,
      )
      assert.deepEqual(row, { n: added, plots: added, hits })
    },
  }
}

test('a table is split while a service writes and the supervisor is killed amid it; it goes back, and is finished', async t => {
  const shop = project(t)
  describe(shop, {})
  const up = await shop.up('--no-watch')
  const ask = asker(up.status.edge.listeners[0]?.url ?? '')
  await ask('CREATE TABLE films (id bigint PRIMARY KEY, title text, hits int NOT NULL DEFAULT 0, plot text)')
  await ask(
    `INSERT INTO films SELECT g, 'Film ' || g, 0, repeat(md5(g::text), 20) FROM generate_series(1, 40000) g`,
  )

  const nothing = await shop.run('db', 'split-columns', '--status')
  assert.match(nothing.out, /no table of main was ever split/)
  const refused = await shop.run('db', 'split-columns', 'films', '--cold', 'id,nowhere')
  assert.notEqual(refused.code, 0)
  assert.match(refused.error, /'id' is in the primary key.*no column 'nowhere'.*SYSTEM_SPLIT_REFUSED/s)
  const dry = await shop.run('db', 'split-columns', 'films', '--cold', 'plot', '--dry-run', '--db', 'main')
  assert.equal(dry.code, 0, dry.error)
  assert.match(
    dry.out,
    /'films' \(about .* rows, .*\): plot in 'films_cold', the rest in 'films_hot'; needs about/,
  )
  assert.match(dry.out, /note: INSERT ... ON CONFLICT/)
  const bad = await shop.run('db', 'split-columns', 'films', '--cold', 'id', '--dry-run')
  assert.equal(bad.code, 1)

  const writes = load(ask)
  const begun = shop.run('db', 'split-columns', 'films', '--cold', 'plot')
  await until('it has begun', async () => (await stepOf(shop)) !== 'none')
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  await sleep(seededRandom(seed).float() * 1_500)
  up.child.kill('SIGKILL')
  await up.exited
  await begun
  const next = await shop.up('--no-watch')
  assert.equal(next.status.router?.adopted, true)
  await until('it is split', async () => (await stepOf(shop)) === 'split')
  const twice = await shop.run('db', 'split-columns', 'films', '--cold', 'title')
  assert.match(twice.error, /'films' of 'main' is being split already \(split\)/)
  const back = await shop.run('db', 'split-columns', '--undo')
  assert.match(back.out, /undone: the table is one again/, back.error)
  const [one] = await ask(
    `SELECT count(*)::int AS n FROM pg_class WHERE relname IN ('films_hot', 'films_cold')`,
  )
  assert.equal(one?.n, 0)

  const again = await shop.run('db', 'split-columns', 'films', '--cold', 'plot')
  assert.equal(again.code, 0, again.out + again.error)
  assert.match(
    again.out,
    /split; it can still go back at once.*clients waited for [\d.]+ ms at most.*--finish/s,
  )
  t.diagnostic(again.out.split('\n').find(line => /waited/.test(line)) ?? '')
  const finished = await shop.run('db', 'split-columns', '--finish', '--rewrite')
  assert.match(finished.out, /main, public.films: done/, finished.error)
  await writes.stop()
  const gone = await shop.run('db', 'split-columns', '--undo')
  assert.match(
    gone.error,
    /is over already \(done\): the columns are in 'films_cold' alone.*SYSTEM_SPLIT_REFUSED/s,
  )
  const [size] = await ask(`SELECT pg_table_size('films_hot') * 4 < pg_table_size('films_cold') AS small`)
  assert.equal(size?.small, true)
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.out + stopped.error)
})

test('with shards the file says first where the halves lie; then every shard is split', async t => {
  const shop = project(t)
  const tables = { films: { by: 'id' } }
  describe(shop, { shards: { count: 2, slots: 16, tables } })
  const up = await shop.up('--no-watch')
  const ask = asker(up.status.edge.listeners[0]?.url ?? '')
  await ask('CREATE TABLE films (id bigint PRIMARY KEY, title text, hits int NOT NULL DEFAULT 0, plot text)')
  for (let at = 0; at < 4; at++)
    await ask(
      `INSERT INTO films (id, title, plot) VALUES ${Array.from({ length: 50 }, (_, row) => `(${at * 50 + row}, 't', 'p${at * 50 + row}')`).join(', ')}`,
    )
  const missing = await shop.run('db', 'split-columns', 'films', '--cold', 'plot')
  assert.match(
    missing.error,
    /'films_hot': \{ by: 'id', with: 'films' \}, 'films_cold': \{ by: 'id', with: 'films' \}/,
  )
  const half = { by: 'id', with: 'films' }
  describe(shop, {
    shards: { count: 2, slots: 16, tables: { ...tables, films_hot: half, films_cold: half } },
  })
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)
  const split = await shop.run('db', 'split-columns', 'films', '--cold', 'plot')
  assert.equal(split.code, 0, split.out + split.error)
  assert.match(
    split.out,
    /shard 1: \d+ rows copied; clients waited.*shard 2: \d+ rows copied; clients waited/s,
  )
  const reshard = await shop.run('db', 'reshard', 'main')
  assert.match(reshard.error, /is being split by columns/)
  const finished = await shop.run('db', 'split-columns', '--finish')
  assert.match(finished.out, /main, public.films: done/, finished.error)
  assert.deepEqual(await ask('SELECT count(*)::int AS n, count(DISTINCT plot)::int AS plots FROM films'), [
    { n: 200, plots: 200 },
  ])
  assert.deepEqual(
    await ask(`UPDATE films SET plot = 'x', hits = 2 WHERE id = 7 RETURNING title, hits, plot`),
    [{ title: 't', hits: 2, plot: 'x' }],
  )
  const drift = await shop.run('db', 'drift', 'main')
  assert.equal(drift.code, 0, drift.out)
  const shards = await shop.run('db', 'shards', 'main')
  assert.equal(shards.code, 0, shards.error)
  assert.match(shards.out, /films_cold/)
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.out + stopped.error)
})

test('a primary that fails over while rows are copied: they are copied again, and nothing is lost', async t => {
  const shop = project(t)
  describe(shop, { replicas: 1, durability: 'one-replica' })
  const up = await shop.up('--no-watch')
  const ask = asker(up.status.edge.listeners[0]?.url ?? '')
  await ask('CREATE TABLE films (id bigint PRIMARY KEY, title text, hits int NOT NULL DEFAULT 0, plot text)')
  await ask(
    `INSERT INTO films SELECT g, 'Film ' || g, 0, repeat(md5(g::text), 20) FROM generate_series(1, 60000) g`,
  )
  const begun = shop.run('db', 'split-columns', 'films', '--cold', 'plot')
  await until('rows are copied', async () => (await stepOf(shop)) !== 'none')
  const before = (await shop.status()).databases[0]
  process.kill(before?.servers.find(one => one.role === 'primary')?.pid as number, 'SIGKILL')
  const split = await begun
  assert.equal(split.code, 0, split.out + split.error)
  assert.match(split.out, /split; it can still go back at once/)
  const now = (await shop.status()).databases[0]
  assert.ok((now?.epoch ?? 0) > (before?.epoch ?? 0))
  const finished = await shop.run('db', 'split-columns', '--finish')
  assert.match(finished.out, /main, public.films: done/, finished.error)
  assert.deepEqual(await ask(`SELECT count(*)::int AS n FROM films WHERE plot = repeat(md5(id::text), 20)`), [
    { n: 60_000 },
  ])
  await until('every server is back', async () =>
    (await shop.status()).databases.every(({ servers }) =>
      servers.every(one => one.lagBytes === 0 || one.role === 'primary'),
    ),
  )
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.out + stopped.error)
})
