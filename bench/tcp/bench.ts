// Layer 4: HAProxy, nginx's stream module and Tenfold in front of one origin, in one alternating run. Origin and load are on
// core 0, the proxy has core 1. CPU a unit of work is what counts; see README.md.

import { join } from 'node:path'
import { type Figures, figuresTable, withCpu } from '../lib/figures.ts'
import { type Origin, startProgramOrigin, withOrigin } from '../lib/origin.ts'
import type { StartedPeer } from '../lib/peers.ts'
import { answerOf, program } from '../lib/processes.ts'
import { alternate, choosePeers, effortOf, isWanted, loadCore, told, withPeers } from '../lib/rounds.ts'
import type { BenchOptions } from '../run.ts'
import { peers } from './peers.ts'
import type { LoadResult, Wish } from './talk.ts'

export interface Scenario {
  readonly wish: Wish
  readonly title: string
  readonly connections: number
  /** Divides what was counted, e.g. bytes to MB. */
  readonly per: number
  readonly unit: string
}

export const scenarios: readonly Scenario[] = [
  {
    wish: 'short',
    title: 'Short connections: 100 bytes there, 200 back, 64 at once',
    connections: 64,
    per: 1,
    unit: 'connection',
  },
  {
    wish: 'trips',
    title: 'Round trips of 64 KB on 16 lasting connections',
    connections: 16,
    per: 1,
    unit: 'round trip',
  },
  { wish: 'down', title: 'To the client, 4 connections', connections: 4, per: 2 ** 20, unit: 'MB' },
  { wish: 'up', title: 'To the origin, 4 connections', connections: 4, per: 2 ** 20, unit: 'MB' },
]

export function startOrigin(): Promise<Origin> {
  return startProgramOrigin(join(import.meta.dirname, 'origin.ts'))
}

export async function measure(peer: StartedPeer, scenario: Scenario, seconds: number): Promise<Figures> {
  const load = join(import.meta.dirname, 'load.ts')
  const command = program(load, peer.port, scenario.wish, seconds, scenario.connections)
  const [result, used] = await withCpu(peer, () => answerOf<LoadResult>('load', command, loadCore))
  const units = result.count / scenario.per
  return { cpuUs: used / units, perSecond: units / seconds, errors: result.errors }
}

export function run(options: BenchOptions): Promise<string> {
  const effort = effortOf(options, 3)
  const { rounds, seconds } = effort
  return withOrigin(async place => {
    const chosen = choosePeers(peers, options)
    const tables: string[] = []
    await withPeers(chosen, place, async runners => {
      await alternate(runners, 1, 'warming up', peer => measure(peer, scenarios[0] as Scenario, 2))
      for (const scenario of scenarios.filter(({ wish }) => isWanted(options, wish))) {
        const { wish, title, unit } = scenario
        const results = await alternate(runners, rounds, wish, peer => measure(peer, scenario, seconds))
        tables.push(figuresTable({ title, unit, comparedTo: ['haproxy'], times: [] }, results))
      }
    })
    return `${tables.join('\n\n')}\n\n${told(options, effort, chosen)}`
  }, startOrigin)
}
