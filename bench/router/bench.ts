// The router beside PgBouncer and beside nothing: pgbench's scripts in three protocols and three numbers of clients, in one
// alternating run. Servers and pgbench are on core 0, what is measured has core 1; see README.md for what is counted.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { idleTable, measureIdle, withCpu } from '../lib/figures.ts'
import { table } from '../lib/markdown.ts'
import type { Peer, StartedPeer } from '../lib/peers.ts'
import { program, treeOf } from '../lib/processes.ts'
import {
  alternate,
  choosePeers,
  type Effort,
  freshly,
  inFolder,
  isWanted,
  peerCore,
  told,
  withPeers,
} from '../lib/rounds.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { type Cluster, database, withCluster } from './cluster.ts'
import { peers, type RouterSpot, targetOf } from './peers.ts'
import { initialise, type PgbenchWish, pgbench } from './pgbench.ts'

type Wish = Omit<PgbenchWish, 'seconds'>
interface Scenario extends Wish {
  readonly name: string
}

export const scenarios: readonly Scenario[] = (['select', 'tpcb'] as const).flatMap(script =>
  (['simple', 'extended', 'prepared'] as const).flatMap(protocol =>
    [1, 16, 256].map(clients => ({ name: `${script}-${protocol}-${clients}`, script, protocol, clients })),
  ),
)
/** 95 reads of 100: what replicas are for. */
const mix: Scenario = { name: 'mix-prepared-16', script: 'mix', protocol: 'prepared', clients: 16 }

interface Round {
  /** CPU microseconds a transaction. */
  readonly routerUs: number
  readonly serversUs: number
  readonly perSecond: number
  readonly p50Us: number
}

/** Ticks of the process, and of its children that have ended. */
function ticks(pid: number, withEnded: boolean): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const [user, system, endedUser, endedSystem] = fields.slice(11, 15) as [number, number, number, number]
  return user + system + (withEnded ? endedUser + endedSystem : 0)
}

/** CPU microseconds of servers so far: their postmasters wait for each backend that ends, so none is lost. */
function serversUs(cluster: Cluster): number {
  const tickUs = 10_000
  let sum = 0
  for (const { pid } of cluster.servers) {
    for (const one of treeOf(pid)) {
      try {
        sum += ticks(one, one === pid)
      } catch {
        // It ended meanwhile: its postmaster has it.
      }
    }
  }
  return sum * tickUs
}

export async function measure(
  peer: StartedPeer,
  wish: PgbenchWish,
  { folder, cluster }: RouterSpot,
): Promise<Round | { readonly why: string }> {
  const before = serversUs(cluster)
  const [result, used] = await withCpu(peer, () => pgbench(targetOf(peer.port, cluster), wish, folder))
  if ('why' in result) return result
  const { transactions, perSecond, p50Us } = result
  return {
    routerUs: used / transactions,
    serversUs: (serversUs(cluster) - before) / transactions,
    perSecond,
    p50Us: p50Us ?? Number.NaN,
  }
}

function rows(results: ReadonlyMap<string, readonly (Round | { readonly why: string })[]>): string[][] {
  const good = (name: string): Round[] =>
    (results.get(name) ?? []).filter((one): one is Round => !('why' in one))
  const of = (name: string, value: (round: Round) => number): number => median(good(name).map(value))
  const total = (round: Round): number => round.routerUs + round.serversUs
  return [...results].map(([name, list]) => {
    const refused = list.find(one => 'why' in one)
    if (good(name).length === 0 && refused !== undefined && 'why' in refused) {
      return [`${name}: ${refused.why.replaceAll('|', '/').slice(0, 100)}`, ...Array<string>(8).fill('-')]
    }
    const added = of(name, one => one.p50Us) - of('direct', one => one.p50Us)
    return [
      name,
      figure(of(name, one => one.routerUs)),
      percent(spread(good(name).map(one => one.routerUs))),
      ratio(
        of(name, one => one.routerUs),
        of('pgbouncer', one => one.routerUs),
      ),
      figure(of(name, one => one.serversUs)),
      figure(of(name, total)),
      ratio(of(name, total), of('pgbouncer', total)),
      figure(of(name, one => one.perSecond)),
      name === 'direct'
        ? figure(of(name, one => one.p50Us))
        : Number.isFinite(added)
          ? `+${figure(added)}`
          : '-',
    ]
  })
}

const head = [
  '',
  'CPU us a transaction: it',
  'spread',
  'to PgBouncer',
  'servers',
  'both',
  'to PgBouncer',
  'transactions/s',
  'p50 us',
]

/** Session pooling only where the other kind can't do it, and where a connection for each client can be had. */
function fits(peer: string, { protocol, clients }: Wish): boolean {
  return peer !== 'pgbouncer session' || (protocol === 'prepared' && clients <= 16)
}

async function tables(
  chosen: readonly Peer<RouterSpot>[],
  options: BenchOptions,
  effort: Effort,
  spot: RouterSpot,
): Promise<string[]> {
  const { rounds, seconds } = effort
  const made: string[] = []
  await withPeers(chosen, spot, async runners => {
    for (const scenario of [...scenarios, mix].filter(({ name }) => isWanted(options, name))) {
      const fitting = new Map([...runners].filter(([name]) => fits(name, scenario)))
      await alternate(fitting, 1, 'warming up', peer => measure(peer, { ...scenario, seconds: 2 }, spot))
      const results = await alternate(fitting, rounds, scenario.name, peer =>
        measure(peer, { ...scenario, seconds }, spot),
      )
      made.push(`### ${scenario.name}\n\n${table(head, rows(results))}`)
    }
  })
  return made
}

const idleClients = 5_000

async function idle(chosen: readonly Peer<RouterSpot>[], rounds: number, spot: RouterSpot): Promise<string> {
  const { name, password } = spot.cluster.user
  const login = ['env', `PGUSER=${name}`, `PGPASSWORD=${password}`, `PGDATABASE=${database}`]
  const holder = join(import.meta.dirname, 'idle.ts')
  const poolers = chosen.filter(({ name }) => name === 'pgbouncer' || name === 'tenfold')
  const results = await freshly(poolers, rounds, 'idle clients', spot, async peer => {
    await pgbench(
      targetOf(peer.port, spot.cluster),
      { script: 'select', protocol: 'simple', clients: 16, seconds: 2 },
      spot.folder,
    )
    return measureIdle(peer, [...login, ...program(holder, peer.port, idleClients)], () => sleep(3_000))
  })
  return idleTable(`Memory of ${idleClients.toLocaleString('en')} idle clients`, 'client', results)
}

export function run(options: BenchOptions): Promise<string> {
  const effort = options.quick ? { rounds: 1, seconds: 3 } : { rounds: 3, seconds: 4 }
  return inFolder(folder =>
    withCluster(folder, 2, async cluster => {
      const chosen = choosePeers(peers, options)
      const spot: RouterSpot = { folder, core: peerCore, cluster }
      await initialise(targetOf(cluster.primary.port, cluster), 10)
      const made = await tables(chosen, options, effort, spot)
      if (isWanted(options, 'idle')) made.push(await idle(chosen, options.quick ? 1 : 3, spot))
      return `${made.join('\n\n')}\n\n${told(options, effort, chosen)}`
    }),
  )
}
