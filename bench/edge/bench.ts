// The front door against nginx, HAProxy and what npm offers, all in front of the same nginx origin in one alternating
// run. Origin and load generator share core 0, the proxy has core 1 for itself. See README.md for how to read it.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { table } from '../lib/markdown.ts'
import type { OpenLoopResult } from '../lib/open-loop.ts'
import { end } from '../lib/processes.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { startOrigin } from './origin.ts'
import { type Peer, type Place, peers, type StartedPeer } from './peers.ts'
import {
  fixedRate,
  type Load,
  type LoadFigures,
  loads,
  measureFixedRate,
  measureIdle,
  measureLoad,
  measureMany,
  type Setting,
} from './scenarios.ts'

type Runners = ReadonlyMap<string, StartedPeer>

const loadCore = 0
const proxyCore = 1

/** One line that is written over; nothing where nobody watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

/** Every proxy in turn, `rounds` times, so that what else the machine does hits all alike. */
async function alternate<T>(
  runners: Runners,
  rounds: number,
  title: string,
  measure: (peer: StartedPeer) => Promise<T>,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>([...runners.keys()].map(name => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const [name, peer] of runners) {
      progress(`${title}: round ${round} of ${rounds}, ${name}`)
      results.get(name)!.push(await measure(peer))
    }
  }
  progress('')
  return results
}

function loadTable({ title }: Load, results: ReadonlyMap<string, readonly LoadFigures[]>): string {
  const medianOf = (name: string, key: keyof LoadFigures): number =>
    median((results.get(name) ?? []).map(one => one[key]))
  const head = [
    '',
    'CPU us a request',
    'spread',
    'to nginx',
    'to HAProxy',
    'requests/s',
    'p50 us',
    'p99 us',
    'errors',
  ]
  const rows = [...results].map(([name, list]) => {
    const cpu = medianOf(name, 'cpuUsPerRequest')
    return [
      name,
      figure(cpu),
      percent(spread(list.map(one => one.cpuUsPerRequest))),
      ratio(cpu, medianOf('nginx', 'cpuUsPerRequest')),
      ratio(cpu, medianOf('haproxy', 'cpuUsPerRequest')),
      figure(medianOf(name, 'requestsPerSecond')),
      figure(medianOf(name, 'p50Us')),
      figure(medianOf(name, 'p99Us')),
      String(list.reduce((sum, one) => sum + one.errors, 0)),
    ]
  })
  return `### ${title}\n\n${table(head, rows)}`
}

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

/** A new process for each measurement: memory that an earlier one left behind would hide what the next one takes. */
async function freshly<T>(
  chosen: readonly Peer[],
  rounds: number,
  title: string,
  place: Place,
  measure: (peer: StartedPeer) => Promise<T>,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(chosen.map(peer => [peer.name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const peer of chosen) {
      progress(`${title}: round ${round} of ${rounds}, ${peer.name}`)
      const started = await peer.start(place)
      results.get(peer.name)!.push(await measure(started))
      await started.stop()
    }
  }
  progress('')
  return results
}

async function idleTable(
  chosen: readonly Peer[],
  rounds: number,
  place: Place,
  setting: Setting,
): Promise<string> {
  const count = 10_000
  const results = await freshly(chosen, Math.min(rounds, 3), 'idle connections', place, async peer => {
    await measureLoad(peer, loads[0]!, setting)
    return measureIdle(peer, count, setting)
  })
  const rows = [...results].map(([name, list]) => [
    name,
    figure(median(list.map(one => one.bytesPerConnection)) / 1024),
    figure(median(list.map(one => one.connections))),
  ])
  return `### Memory of 10,000 idle keep-alive connections\n\n${table(['', 'KB a connection', 'connections held'], rows)}`
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

async function startPeers(chosen: readonly Peer[], place: Place): Promise<Map<string, StartedPeer>> {
  const runners = new Map<string, StartedPeer>()
  for (const peer of chosen) runners.set(peer.name, await peer.start(place))
  return runners
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
    parts.push(
      loadTable(load, await alternate(runners, rounds, load.name, peer => measureLoad(peer, load, setting))),
    )
  }
  if (wanted('rate')) {
    parts.push(
      rateTable(await alternate(runners, rounds, 'fixed rate', peer => measureFixedRate(peer, setting))),
    )
  }
  return parts
}

type Wanted = (scenario: string) => boolean

async function report(chosen: readonly Peer[], options: BenchOptions, place: Place): Promise<string> {
  const rounds = options.quick ? 1 : 5
  const setting: Setting = { folder: place.folder, core: loadCore, seconds: options.quick ? 2 : 4 }
  const named = (scenario: string): boolean => options.scenarios.includes(scenario)
  const wanted: Wanted = scenario => options.scenarios.length === 0 || named(scenario)
  const parts: string[] = []

  if ([...loads.map(one => one.name), 'rate'].some(wanted)) {
    const runners = await startPeers(chosen, place)
    try {
      parts.push(...(await loadTables(runners, wanted, rounds, setting)))
    } finally {
      for (const peer of runners.values()) await peer.stop()
    }
  }
  // A floor has no limits to keep; a quick run is over before these begin.
  const whole = chosen.filter(peer => !peer.name.startsWith('bare'))
  if (options.quick ? named('idle') : wanted('idle'))
    parts.push(await idleTable(whole, rounds, place, setting))
  if (options.quick ? named('many') : wanted('many')) {
    const few = whole.filter(peer => peer.name === 'tenfold' || peer.name === 'nginx')
    parts.push(await manyTable(few, 1_000_000, place, { ...setting, seconds: 10 }))
  }
  return parts.join('\n\n')
}

function choose(options: BenchOptions): Peer[] {
  const named = peers.filter(
    peer => options.only.length === 0 || options.only.includes(peer.name.replaceAll(' ', '-')),
  )
  const there = named.filter(peer => peer.version() !== undefined)
  for (const peer of named) if (!there.includes(peer)) console.error(`${peer.name} is not there: left out`)
  return there
}

export async function run(options: BenchOptions): Promise<string> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for the proxy, one for the rest')
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  // nginx's workers run as another user and read the origin's files.
  chmodSync(folder, 0o755)
  const chosen = choose(options)
  const origin = await startOrigin(folder, loadCore)
  try {
    const tables = await report(chosen, options, { folder, core: proxyCore, originPort: origin.port })
    const versions = chosen.map(peer => `${peer.name} ${peer.version()}`).join(', ')
    const rounds = options.quick ? 'one short round' : 'medians of 5 alternating rounds of 4 s (idle: 3)'
    return `${tables}\n\n${versions}; ${rounds}.`
  } finally {
    await end(origin.running)
    rmSync(folder, { recursive: true, force: true })
  }
}
