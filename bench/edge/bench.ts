// The front door against nginx, HAProxy and what npm offers, all in front of the same nginx origin in one alternating
// run. Origin and load generator share core 0, the proxy has core 1 for itself. See README.md for how to read it.

import { figuresTable, idleTable } from '../lib/figures.ts'
import { table } from '../lib/markdown.ts'
import type { OpenLoopResult } from '../lib/open-loop.ts'
import { withOrigin } from '../lib/origin.ts'
import type { Peer, Place } from '../lib/peers.ts'
import {
  alternate,
  choosePeers,
  type Effort,
  effortOf,
  freshly,
  isWanted,
  type Runners,
  told,
  withPeers,
} from '../lib/rounds.ts'
import { figure, median } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { peers } from './peers.ts'
import {
  fixedRate,
  loads,
  measureFixedRate,
  measureKept,
  measureLoad,
  measureMany,
  type Setting,
} from './scenarios.ts'

function rateTable(results: ReadonlyMap<string, readonly OpenLoopResult[]>): string {
  const rows = [...results].map(([name, list]) => [
    name,
    ...(['p50Us', 'p99Us', 'p999Us', 'maxUs', 'lateP99Us'] as const).map(key =>
      figure(median(list.map(one => one[key]))),
    ),
    String(list.reduce((sum, one) => sum + one.errors + one.unsent, 0)),
  ])
  const head = ['', 'p50 us', 'p99 us', 'p99.9 us', 'max us', 'generator late p99 us', 'lost']
  return `### Latency at ${fixedRate.toLocaleString('en')} small requests/s, open loop, 64 connections\n\n${table(head, rows)}`
}

async function keptTable(
  chosen: readonly Peer[],
  rounds: number,
  place: Place,
  setting: Setting,
): Promise<string> {
  const results = await freshly(chosen, Math.min(rounds, 3), 'idle connections', place, async peer => {
    await measureLoad(peer, loads[0]!, setting)
    return measureKept(peer, 10_000)
  })
  return idleTable('Memory of 10,000 idle keep-alive connections', 'connection', results)
}

async function manyTable(
  chosen: readonly Peer[],
  requests: number,
  place: Place,
  setting: Setting,
): Promise<string> {
  const results = await freshly(chosen, 1, `${requests} requests`, place, peer =>
    measureMany(peer, requests, setting),
  )
  const rows = [...results].map(([name, [one]]) => [
    name,
    figure(one!.requests),
    figure(one!.beforeBytes / 2 ** 20),
    figure(one!.afterBytes / 2 ** 20),
  ])
  const title = `### Private memory before and after ${requests.toLocaleString('en')} small requests`
  return `${title}\n\n${table(['', 'requests', 'MB when warm', 'MB after'], rows)}`
}

/** What is measured while all proxies run beside each other; those that wait cost nothing. */
async function loadTables(
  runners: Runners,
  wanted: Wanted,
  rounds: number,
  setting: Setting,
): Promise<string[]> {
  const parts: string[] = []
  await alternate(runners, 1, 'warming up', peer => measureLoad(peer, loads[0]!, setting))
  for (const load of loads.filter(one => wanted(one.name))) {
    const results = await alternate(runners, rounds, load.name, peer => measureLoad(peer, load, setting))
    const times = ['p50Us', 'p99Us'] as const
    const { title } = load
    parts.push(figuresTable({ title, unit: 'request', comparedTo: ['nginx', 'haproxy'], times }, results))
  }
  if (wanted('rate')) {
    parts.push(
      rateTable(await alternate(runners, rounds, 'fixed rate', peer => measureFixedRate(peer, setting))),
    )
  }
  return parts
}

type Wanted = (scenario: string) => boolean

async function report(
  chosen: readonly Peer[],
  options: BenchOptions,
  place: Place,
  { rounds, seconds }: Effort,
): Promise<string> {
  const setting: Setting = { folder: place.folder, seconds }
  const wanted: Wanted = scenario => isWanted(options, scenario)
  // A quick run is over before these begin, unless they are named.
  const wantedLong: Wanted = scenario =>
    options.quick ? options.scenarios.includes(scenario) : wanted(scenario)
  const parts: string[] = []

  if ([...loads.map(one => one.name), 'rate'].some(wanted))
    parts.push(...(await withPeers(chosen, place, runners => loadTables(runners, wanted, rounds, setting))))
  // A floor has no limits to keep.
  const whole = chosen.filter(peer => !peer.name.startsWith('bare'))
  if (wantedLong('idle')) parts.push(await keptTable(whole, rounds, place, setting))
  if (wantedLong('many')) {
    const few = whole.filter(peer => peer.name === 'tenfold' || peer.name === 'nginx')
    parts.push(await manyTable(few, 1_000_000, place, { ...setting, seconds: 10 }))
  }
  return parts.join('\n\n')
}

export function run(options: BenchOptions): Promise<string> {
  return withOrigin(async place => {
    const chosen = choosePeers(peers, options)
    const effort = effortOf(options, 2)
    const tables = await report(chosen, options, place, effort)
    return `${tables}\n\n${told(options, effort, chosen, { rounds: ' (idle: 3)' })}`
  })
}
