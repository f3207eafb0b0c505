// Heat as a router counts it over real servers: by the shard, slot and key of each statement, however it came; once each.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import type { RoutedShards } from '../../src/database/router/snapshot.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { shardAdvice } from '../../src/policy/shard/advice.ts'
import { planReshard } from '../../src/policy/shard/changes.ts'
import type { HeatReport } from '../../src/policy/shard/heat-contract.ts'
import { firstMap } from '../../src/policy/shard/map.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const ids = ['1', '2']
const map = firstMap({
  shards: ids,
  slots: 16,
  tables: {
    'public.orders': {
      kind: 'sharded',
      key: ['customer'],
      types: ['bigint'],
      with: null,
      rule: { by: 'hash' },
    },
    'public.notes': { kind: 'sharded', key: ['name'], types: ['text'], with: null, rule: { by: 'hash' } },
    'public.films': { kind: 'everywhere' },
  },
})

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let router: Router
let client: pg.Client

before(async () => {
  const settings = { max_prepared_transactions: '20', shared_buffers: '16MB', fsync: 'off' }
  const servers = await Promise.all(ids.map(() => startPostgres(scope, { settings })))
  for (const [index, { host, port }] of servers.entries()) {
    const operator = new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' }))
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[index] as string, map })
    await operator.query(
      `CREATE TABLE public.orders (customer bigint, n int); CREATE TABLE public.notes (name text, n int); CREATE TABLE public.films (id int);
       ALTER TABLE public.orders OWNER TO app; ALTER TABLE public.notes OWNER TO app; ALTER TABLE public.films OWNER TO app`,
      20_000,
    )
    operator.close()
  }
  const groups = servers.map((server, index) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[index]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'heat' } }
  router = await createRouter({ snapshot: { format: 1, version: 1, databases: [whole] }, tell: () => {} })
  endings.push(() => router.close())
  const port = router.portOf('main')
  client = new pg.Client({ host: '127.0.0.1', port, user: 'app', password: 'secret', database: 'app' })
  await client.connect()
  endings.push(() => client.end())
})

test.after(async () => {
  for (const end of endings.reverse()) await end()
})

function heat(): HeatReport {
  const report = router.heatOf('main')
  assert.ok(report !== null)
  return report
}

/** What these statements add, about: what was there before fades meanwhile. */
async function added(say: () => Promise<unknown>): Promise<Record<string, number>> {
  const counts = ({ families, shards }: HeatReport): Record<string, number> => {
    const all = Object.fromEntries(
      Object.entries(families).flatMap(([name, one]) => [
        [`${name} reads`, one.reads],
        [`${name} writes`, one.writes],
      ]),
    )
    return { ...all, shards: shards.reduce((sum, one) => sum + one.reads + one.writes, 0) }
  }
  const was = counts(heat())
  await say()
  const is = counts(heat())
  return Object.fromEntries(
    Object.entries(is).flatMap(([name, count]) => {
      const more = Math.round(count - (was[name] ?? 0))
      return more === 0 ? [] : [[name, more]]
    }),
  )
}

test('each key of a statement counts once, however it came', async () => {
  const orders = 'public.orders'
  assert.deepEqual(await added(() => client.query('SELECT FROM orders WHERE customer = 7')), {
    [`${orders} reads`]: 1,
    shards: 1,
  })
  assert.deepEqual(await added(() => client.query('SELECT FROM orders WHERE customer = $1', [7])), {
    [`${orders} reads`]: 1,
    shards: 1,
  })
  const named = { name: 'one', text: 'UPDATE orders SET n = n WHERE customer = $1', values: [8] }
  for (let round = 0; round < 3; round++)
    assert.deepEqual(await added(() => client.query(named)), { [`${orders} writes`]: 1, shards: 1 })
  const four = 'INSERT INTO orders VALUES (1, 1), (2, 1), (3, 1), (4, 1)'
  assert.deepEqual(await added(() => client.query(four)), { [`${orders} writes`]: 4, shards: 4 })
  assert.deepEqual(
    await added(() => client.query('SELECT FROM orders WHERE customer = ANY($1)', [[1, 2, 3]])),
    { [`${orders} reads`]: 3, shards: 3 },
  )
  assert.deepEqual(await added(() => client.query("SELECT FROM notes WHERE name = 'a'")), {
    'public.notes reads': 1,
    shards: 1,
  })
  assert.deepEqual(
    await added(async () => {
      await client.query('BEGIN')
      await client.query('SELECT FROM orders WHERE customer = $1', [7])
      await client.query('UPDATE orders SET n = 2 WHERE customer = $1', [7])
      await client.query('UPDATE orders SET n = 2 WHERE customer = 1')
      await client.query('COMMIT')
    }),
    { [`${orders} reads`]: 1, [`${orders} writes`]: 2, shards: 3 },
  )
})

test('what has no key counts on each of its shards; what is refused, nowhere', async () => {
  assert.deepEqual(await added(() => client.query('SELECT count(*) FROM orders')), { shards: 2 })
  assert.deepEqual(await added(() => client.query('SELECT count(*) FROM films')), { shards: 1 })
  assert.deepEqual(await added(() => client.query('INSERT INTO films VALUES (1)')), { shards: 2 })
  assert.deepEqual(await added(() => client.query('DELETE FROM orders').catch(() => {})), {})
  await client.query('SET tenfold.dry_run = on')
  assert.deepEqual(await added(() => client.query('SELECT FROM orders WHERE customer = 7')), {})
  await client.query('SET tenfold.dry_run = off')
})

test('a hot key is found, its isolation advised, and the heat goes with it', async () => {
  for (let at = 0; at < 1_500; at++) {
    await client.query('UPDATE orders SET n = $2 WHERE customer = $1', [at % 5 === 0 ? at : 4711, at])
  }
  const report = heat()
  const [hottest] = report.families['public.orders']?.keys ?? []
  assert.deepEqual(hottest?.key, ['4711'])
  assert.ok(hottest.count - hottest.error > 1_000)
  const [advice] = shardAdvice(report, [{ shard: '1' }, { shard: '2' }], map, 0)
  assert.ok(advice?.kind === 'isolate', JSON.stringify(advice))
  assert.deepEqual(advice.command?.slice(0, 3), ['reshard', '--isolate', 'public.orders=4711'])
  const into = ids.find(id => id !== hottest.shard) as string
  const plan = planReshard(map, { kind: 'isolate', family: 'public.orders', key: ['4711'], into })
  assert.ok(plan.kind === 'change')
  const [one] = router.snapshot.databases
  const shards = { ...(one?.shards as RoutedShards), map: plan.next }
  await router.apply({ format: 1, version: 2, databases: [{ ...one, shards } as never] })
  assert.equal(heat().families['public.orders']?.keys[0]?.shard, into)
  const before = heat().shards.find(({ shard }) => shard === into)?.writes ?? 0
  for (let at = 0; at < 100; at++)
    await client.query('UPDATE orders SET n = $2 WHERE customer = $1', [4711, at])
  const after = heat().shards.find(({ shard }) => shard === into)?.writes ?? 0
  assert.ok(after - before > 90, `${before} -> ${after}`)
  const text = router.metricsText()
  const counts = [...text.matchAll(/database_shards_statements_total\{[^}]*kind="write"[^}]*\} (\d+)/g)]
  assert.equal(counts.length, 2)
  assert.ok(counts.reduce((sum, [, count]) => sum + Number(count), 0) >= 1_500)
})
