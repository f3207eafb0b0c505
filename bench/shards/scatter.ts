// Statements over four shards. How many round trips more than a statement of one shard they take: the server is 50 ms away, so
// that nothing else counts. How many rows of each shard a sorted page takes. What the router holds of many rows while a client
// reads them, fast and slowly.

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { RoutedDatabase, RouterSnapshot } from '../../src/database/router/snapshot.ts'
import { firstMap } from '../../src/policy/shard/map.ts'
import { queryMessage } from '../../src/wire/postgres/index.ts'
import { table } from '../lib/markdown.ts'
import type { StartedPeer } from '../lib/peers.ts'
import { privateBytes } from '../lib/processes.ts'
import { inFolder, peerCore } from '../lib/rounds.ts'
import { figure, median } from '../lib/statistics.ts'
import { type Cluster, withCluster } from '../router/cluster.ts'
import { targetOf, tenfold } from '../router/peers.ts'
import type { BenchOptions } from '../run.ts'
import { startFarServer } from './far-server.ts'

const shards = ['1', '2', '3', '4']
const roundTripMs = 50
/** Connections are opened in them. */
const warmUps = 5
const mb = 1 << 20

/** Four shards that are one server, at this port: a table's rows come from each of them. */
function fourOver(port: number) {
  return (snapshot: RouterSnapshot): RouterSnapshot => {
    const [plain] = snapshot.databases as [RoutedDatabase]
    const own = { kind: 'sharded', key: ['id'], types: ['bigint'], with: null, rule: { by: 'hash' } } as const
    const map = firstMap({ shards, slots: 1_024, tables: { 'public.lines': own } })
    const servers = plain.servers.map(one => ({ ...one, port }))
    const groups = shards.map(id => ({ ...plain, servers, name: `${plain.name}-s${id}` }))
    const front = { ...plain, primary: null, servers: [], shards: { map, groups, systemId: 'bench' } }
    return { ...snapshot, databases: [front] }
  }
}

async function connected(port: number, cluster: Cluster): Promise<pg.Client> {
  const { user, password, database } = targetOf(port, cluster)
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database })
  // The router ends before its clients where a statement fails: that one is the news.
  client.on('error', () => {})
  await client.connect()
  return client
}

async function withRouter<T>(
  folder: string,
  cluster: Cluster,
  serverPort: number,
  work: (router: StartedPeer) => Promise<T>,
): Promise<T> {
  const spot = { folder, core: peerCore, cluster }
  const router = await tenfold('tenfold four', { kind: 'primary' }, fourOver(serverPort)).start(spot)
  try {
    return await work(router)
  } finally {
    await router.stop()
  }
}

async function fill(cluster: Cluster, rows: number): Promise<void> {
  const client = await connected(cluster.primary.port, cluster)
  await client.query('CREATE TABLE lines (id bigint PRIMARY KEY, price integer, line text)')
  await client.query(
    `INSERT INTO lines SELECT n, (n::bigint * 7919) % 1000003, repeat('x', 20) FROM generate_series(1, ${rows}) AS n`,
  )
  await client.query('CREATE INDEX ON lines (price)')
  await client.query('VACUUM ANALYZE lines')
  await client.end()
}

const statements: readonly (readonly [string, string])[] = [
  ['one shard', 'SELECT line FROM lines WHERE id = $1'],
  ['rows one after another', 'SELECT id FROM lines WHERE price = $1'],
  ['merged: ORDER BY, LIMIT 100', 'SELECT id, price FROM lines WHERE price > $1 ORDER BY price LIMIT 100'],
  ['added up: sum, count', 'SELECT count(*), sum(id) FROM lines WHERE price < $1'],
]

export function scatter({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? 5 : 15
  return inFolder(folder =>
    withCluster(folder, 0, async cluster => {
      await fill(cluster, 1_000_000)
      const far = await startFarServer(cluster.primary.port, roundTripMs)
      try {
        return await withRouter(folder, cluster, far.port, async router => {
          const client = await connected(router.port, cluster)
          const times = new Map<string, number[]>(statements.map(([name]) => [name, []]))
          const bytes = new Map<string, number>()
          for (let round = -warmUps; round < rounds; round++)
            for (const [name, text] of statements) {
              far.received()
              const start = performance.now()
              await client.query(text, [1_000 + round])
              const took = performance.now() - start
              bytes.set(name, far.received())
              if (round >= 0) times.get(name)?.push(took)
            }
          await client.end()
          const one = median(times.get('one shard') ?? [])
          const rows = [...times].map(([name, list]) => [
            name,
            figure(median(list)),
            ((median(list) - one) / roundTripMs).toFixed(2),
            figure((bytes.get(name) ?? 0) / 1_024),
          ])
          const head = ['4 shards of 10^6 rows', 'ms', 'round trips more', 'KB from all servers']
          return `${table(head, rows)}\n\nA round trip is ${roundTripMs} ms; medians of ${rounds}.`
        })
      } finally {
        far.close()
      }
    }),
  )
}

/** @param pauseMs after each piece; 0: none */
async function drain(port: number, cluster: Cluster, sql: string, pauseMs: number): Promise<number> {
  const client = await connected(port, cluster)
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  stream.removeAllListeners('data')
  let bytes = 0
  let [sinceRest, end] = [0, Buffer.alloc(0)]
  const over = Promise.withResolvers<void>()
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length
    sinceRest += piece.length
    end = Buffer.concat([end, piece.subarray(-6)]).subarray(-6)
    // ReadyForQuery, idle.
    if (end.length === 6 && end.equals(Buffer.from('Z\0\0\0\x05I', 'latin1'))) over.resolve()
    else if (pauseMs > 0 && sinceRest > mb) {
      sinceRest = 0
      stream.pause()
      setTimeout(() => stream.resume(), pauseMs)
    }
  })
  stream.write(queryMessage(sql))
  await over.promise
  const closed = once(stream, 'close')
  stream.destroy()
  await closed
  return bytes
}

export function memory({ quick }: BenchOptions): Promise<string> {
  const rowsEach = quick ? 500_000 : 2_500_000
  return inFolder(folder =>
    withCluster(folder, 0, async cluster => {
      await fill(cluster, rowsEach)
      const rows: string[][] = []
      for (const [name, sql] of [
        ['as they come', 'SELECT id, line FROM lines'],
        ['ORDER BY id', 'SELECT id, line FROM lines ORDER BY id'],
      ] as const)
        for (const [pace, pauseMs] of [
          ['as fast as it can', 0],
          ['1 MB, then 20 ms nothing', 20],
        ] as const)
          await withRouter(folder, cluster, cluster.primary.port, async router => {
            await drain(router.port, cluster, 'SELECT id FROM lines LIMIT 1000', 0)
            const before = privateBytes(router.pids)
            let most = before
            let reading = true
            const watch = (async () => {
              while (reading) {
                most = Math.max(most, privateBytes(router.pids))
                await sleep(50)
              }
            })()
            const start = performance.now()
            const bytes = await drain(router.port, cluster, sql, pauseMs)
            const seconds = (performance.now() - start) / 1_000
            reading = false
            await watch
            const shown = [before, most, bytes].map(one => figure(one / mb))
            rows.push([name, pace, ...shown, figure(bytes / mb / seconds)])
          })
      const head = [
        `4 x ${figure(rowsEach)} rows`,
        'the client reads',
        'MB before',
        'MB at most',
        'MB sent',
        'MB/s',
      ]
      return `${table(head, rows)}\n\nPrivate memory of the router's process, each in a process of its own.`
    }),
  )
}
