// Statements of one shard through the router of a sharded database and of one that is not: the same server behind both, so
// that all that differs is the router's own work.

import type { RoutedDatabase, RouterSnapshot } from '../../src/database/router/snapshot.ts'
import { firstMap } from '../../src/policy/shard/map.ts'
import { withCpu } from '../lib/figures.ts'
import { table } from '../lib/markdown.ts'
import type { Peer, StartedPeer } from '../lib/peers.ts'
import { alternate, choosePeers, type Effort, inFolder, peerCore, told, withPeers } from '../lib/rounds.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import { withCluster } from '../router/cluster.ts'
import { type RouterSpot, targetOf, tenfold } from '../router/peers.ts'
import { initialise, type PgbenchWish, pgbench } from '../router/pgbench.ts'
import type { BenchOptions } from '../run.ts'

const primary = { kind: 'primary' } as const
const own = (key: string) =>
  ({ kind: 'sharded', key: [key], types: ['integer'], with: null, rule: { by: 'hash' } }) as const

/** Both shards are the one server: a statement of one shard is the same work wherever its shard is. */
export function spreadOver(snapshot: RouterSnapshot): RouterSnapshot {
  const [plain] = snapshot.databases as [RoutedDatabase]
  const map = firstMap({
    shards: ['1', '2'],
    slots: 1_024,
    tables: {
      'public.pgbench_accounts': own('aid'),
      'public.pgbench_tellers': own('tid'),
      'public.pgbench_branches': own('bid'),
      'public.pgbench_history': { kind: 'round-robin' },
    },
  })
  const groups = map.shards.map(id => ({ ...plain, name: `${plain.name}-s${id}` }))
  const front = { ...plain, primary: null, servers: [], shards: { map, groups, systemId: 'bench' } }
  return { ...snapshot, databases: [front] }
}

interface Scenario extends Omit<PgbenchWish, 'seconds'> {
  readonly name: string
}

const peers: readonly Peer<RouterSpot>[] = [
  tenfold('tenfold', primary),
  tenfold('tenfold sharded', primary, spreadOver),
]

const scenarioOf = (script: PgbenchWish['script'], protocol: PgbenchWish['protocol']): Scenario => ({
  name: `${script}-${protocol}-16`,
  script,
  protocol,
  clients: 16,
})
export const scenarios: readonly Scenario[] = [
  scenarioOf('select', 'simple'),
  scenarioOf('select', 'extended'),
  scenarioOf('select', 'prepared'),
  scenarioOf('account', 'simple'),
  scenarioOf('account', 'prepared'),
]

export async function measure(
  peer: StartedPeer,
  wish: PgbenchWish,
  { folder, cluster }: RouterSpot,
): Promise<number> {
  const [result, used] = await withCpu(peer, () => pgbench(targetOf(peer.port, cluster), wish, folder))
  if ('why' in result) throw new Error(result.why)
  return used / result.transactions
}

export function single(options: BenchOptions): Promise<string> {
  const effort: Effort = options.quick ? { rounds: 3, seconds: 3 } : { rounds: 7, seconds: 4 }
  return inFolder(folder =>
    withCluster(folder, 0, async cluster => {
      const chosen = choosePeers(peers, options)
      const spot: RouterSpot = { folder, core: peerCore, cluster }
      await initialise(targetOf(cluster.primary.port, cluster), 1)
      const rows: string[][] = []
      await withPeers(chosen, spot, async runners => {
        for (const { name, ...wish } of scenarios) {
          await alternate(runners, 1, 'warming up', peer => measure(peer, { ...wish, seconds: 2 }, spot))
          const results = await alternate(runners, effort.rounds, name, peer =>
            measure(peer, { ...wish, seconds: effort.seconds }, spot),
          )
          const plain = results.get('tenfold') ?? []
          const sharded = results.get('tenfold sharded') ?? []
          rows.push([
            name,
            figure(median(plain)),
            percent(spread(plain)),
            figure(median(sharded)),
            percent(spread(sharded)),
            ratio(median(sharded), median(plain)),
          ])
        }
      })
      const head = ['CPU us a transaction', 'not sharded', 'spread', 'sharded', 'spread', 'sharded to it']
      return `${table(head, rows)}\n\n${told(options, effort, chosen)}`
    }),
  )
}
