// A million rows (or TENFOLD_TEST_ROWS) of two shards to a client that reads as fast as it can, and to one that stops amid them: the router holds a
// little of them, never what the client has not taken. Both shards are the one server: each row comes from both.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { before, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { until } from '../tools/project.ts'
import { databaseOf } from '../tools/router-harness.ts'

/** TENFOLD_TEST_ROWS: of all shards. */
const rowsEach = Number(process.env.TENFOLD_TEST_ROWS ?? 1_000_000) / 2
/** Of a row on its way: 400 MB of a million. */
const rowBytes = 400
/** Garbage that nobody has collected yet and what kernels and streams hold, of both the router and the client, are in it. */
const growthMax = 160 << 20
/** What is held, garbage aside, while nobody reads: pieces on their way. */
const heldMax = 8 << 20

const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2'],
  families: { lines: { types: ['bigint'], rule: { by: 'hash', slots: [0, 1] } } },
  tables: { 'public.lines': { kind: 'sharded', family: 'lines', key: ['id'] } },
}

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let server: PostgresServer
let operator: Session
let router: Router
let url = ''

before(async () => {
  server = await startPostgres(scope, { settings: { max_prepared_transactions: '10', fsync: 'off' } })
  const { host, port } = server
  operator = new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' }))
  await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: '1', map })
  await operator.query(
    `CREATE TABLE public.lines (id bigint PRIMARY KEY);
     INSERT INTO public.lines SELECT generate_series(1, ${rowsEach});
     ALTER TABLE public.lines OWNER TO app`,
    300_000,
  )
  const groups = map.shards.map(id => ({ ...databaseOf({ servers: [server] }), name: `main.${id}` }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  router = await createRouter({ snapshot: { format: 1, version: 1, databases: [whole] }, tell: () => {} })
  url = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`
})

test.after(async () => {
  router.close()
  operator.close()
  for (const end of endings.reverse()) await end()
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Of buffers and objects, without what is garbage. */
function heldBytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

interface Read {
  readonly rows: number
  readonly ordered: boolean
  /** The most at any time, over what was there before. */
  readonly grown: number
  /** While nothing was read. */
  readonly held: number
}

/** @param pauseAt the row behind which nothing is read until both servers wait for somebody to take what they have */
async function read(sql: string, pauseAt: number): Promise<Read> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { stream } = (client as unknown as { connection: { stream: import('node:net').Socket } }).connection
  const before = heldBytes()
  const start = process.memoryUsage.rss()
  let [rows, last, grown, held] = [0, 0, 0, 0]
  let ordered = true
  const look = (): void => {
    grown = Math.max(grown, process.memoryUsage.rss() - start)
  }
  const query = client.query(new pg.Query(sql))
  const over = once(query, 'end')
  query.on('row', ({ id }: { id: string }) => {
    rows++
    if (rows % 20_000 === 0) look()
    ordered &&= Number(id) >= last
    last = Number(id)
    if (rows === pauseAt) stream.pause()
  })
  if (pauseAt > 0) {
    await until('both servers wait for a reader', async () => {
      const [row] = await operator.query(
        `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%lines%'`,
        5_000,
      )
      return row?.[0] === '2'
    })
    assert.ok(rows < rowsEach, `${rows} rows were read while nothing was`)
    held = heldBytes() - before
    look()
    stream.resume()
  }
  await over
  look()
  await client.end()
  return { rows, ordered, grown, held }
}

const everything = `SELECT id, repeat('x', ${rowBytes}) AS line FROM lines`

for (const [pace, pauseAt] of [
  ['that reads on', 0],
  ['that stops amid them', 1_000],
] as const)
  for (const [order, sql] of [
    ['as they come', everything],
    ['in their order', `${everything} ORDER BY id`],
  ] as const)
    test(`many rows ${order} to a client ${pace} are never in memory`, async t => {
      const { rows, ordered, grown, held } = await read(sql, pauseAt)
      t.diagnostic(`${Math.round(grown / 2 ** 20)} MB more in all, ${Math.round(held / 2 ** 20)} MB held`)
      assert.equal(rows, 2 * rowsEach)
      if (order === 'in their order') assert.ok(ordered)
      assert.ok(grown < growthMax, `${grown} bytes more`)
      assert.ok(held < heldMax, `${held} bytes held`)
    })
