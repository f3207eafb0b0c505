// WebSockets: nginx, HAProxy and Tenfold in front of one echo server, in one alternating run. Load and origin are on core
// 0, the proxy has core 1. CPU a message (there and back) is what counts, and the memory of idle sockets; see README.md.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Figures, figuresTable, idleTable, measureIdle, withCpu } from '../lib/figures.ts'
import { startProgramOrigin, withOrigin } from '../lib/origin.ts'
import type { Peer, Place, StartedPeer } from '../lib/peers.ts'
import { answerOf, program } from '../lib/processes.ts'
import {
  alternate,
  choosePeers,
  effortOf,
  freshly,
  isWanted,
  loadCore,
  told,
  withPeers,
} from '../lib/rounds.ts'
import type { BenchOptions } from '../run.ts'
import type { LoadResult } from './load.ts'
import { peers } from './peers.ts'

const scenarios = [
  { name: 'small', title: 'Messages of 100 bytes, 64 sockets', bytes: 100, connections: 64 },
  { name: 'large', title: 'Messages of 16 KB, 64 sockets', bytes: 16_384, connections: 64 },
] as const
type Scenario = (typeof scenarios)[number]

const idleSockets = 4_000
const load = join(import.meta.dirname, 'load.ts')

async function measure(
  peer: StartedPeer,
  { bytes, connections }: Scenario,
  seconds: number,
): Promise<Figures> {
  const command = program(load, peer.port, bytes, seconds, connections)
  const [result, used] = await withCpu(peer, () => answerOf<LoadResult>('load', command, loadCore))
  return { ...result, cpuUs: used / result.messages, perSecond: result.messages / seconds }
}

async function loadTables(chosen: readonly Peer[], options: BenchOptions, place: Place): Promise<string[]> {
  const { rounds, seconds } = effortOf(options, 3)
  const tables: string[] = []
  await withPeers(chosen, place, async runners => {
    for (const scenario of scenarios.filter(({ name }) => isWanted(options, name))) {
      const { name, title } = scenario
      await alternate(runners, 1, 'warming up', peer => measure(peer, scenario, 2))
      const results = await alternate(runners, rounds, name, peer => measure(peer, scenario, seconds))
      const times = ['p50Us', 'p99Us'] as const
      tables.push(figuresTable({ title, unit: 'message', comparedTo: ['nginx', 'haproxy'], times }, results))
    }
  })
  return tables
}

/** From a warm proxy to one that holds many idle sockets. */
async function idle(chosen: readonly Peer[], rounds: number, place: Place): Promise<string> {
  const results = await freshly(chosen, rounds, 'idle sockets', place, async peer => {
    await measure(peer, scenarios[0], 2)
    return measureIdle(peer, program(load, peer.port, 0, 0, idleSockets), () => sleep(3_000))
  })
  return idleTable(`Memory of ${idleSockets.toLocaleString('en')} idle sockets`, 'socket', results)
}

export function run(options: BenchOptions): Promise<string> {
  const work = async (place: Place): Promise<string> => {
    const chosen = choosePeers(peers, options)
    const tables = await loadTables(chosen, options, place)
    if (isWanted(options, 'idle')) tables.push(await idle(chosen, options.quick ? 1 : 3, place))
    const below = told(options, effortOf(options, 3), chosen, { rounds: ' (idle: 3)' })
    return `${tables.join('\n\n')}\n\n${below}`
  }
  return withOrigin(work, () => startProgramOrigin(join(import.meta.dirname, 'origin.ts')))
}
