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
import { type Peer, peers, type StartedPeer } from './peers.ts'
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

async function idleTable(runners: Runners, rounds: number, setting: Setting): Promise<string> {
  const count = 10_000
  const results = await alternate(runners, Math.min(rounds, 3), 'idle connections', peer =>
    measureIdle(peer, count, setting),
  )
  const rows = [...results].map(([name, list]) => [
    name,
    figure(median(list.map(one => one.bytesPerConnection)) / 1024),
    figure(median(list.map(one => one.connections))),
  ])
  return `### Memory of 10,000 idle keep-alive connections\n\n${table(['', 'KB a connection', 'connections held'], rows)}`
}

async function manyTable(runners: Runners, requests: number, setting: Setting): Promise<string> {
  const results = await alternate(runners, 1, `${requests} requests`, peer =>
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

async function startPeers(
  chosen: readonly Peer[],
  folder: string,
  originPort: number,
): Promise<Map<string, StartedPeer>> {
  const runners = new Map<string, StartedPeer>()
  for (const peer of chosen) {
    if (peer.version() === undefined) console.error(`${peer.name} is not there: left out`)
    else runners.set(peer.name, await peer.start({ folder, core: proxyCore, originPort }))
  }
  return runners
}

async function report(runners: Runners, options: BenchOptions, folder: string): Promise<string> {
  const rounds = options.quick ? 1 : 5
  const setting: Setting = { folder, core: loadCore, seconds: options.quick ? 2 : 4 }
  const wanted = (name: string): boolean => options.scenarios.length === 0 || options.scenarios.includes(name)
  const parts: string[] = []

  await alternate(runners, 1, 'warming up', peer => measureLoad(peer, loads[0]!, { ...setting, seconds: 4 }))
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
  const lasting = new Map([...runners].filter(([name]) => !name.startsWith('bare')))
  if (wanted('idle') && !options.quick) parts.push(await idleTable(lasting, rounds, setting))
  if (wanted('many') && !options.quick) {
    const few = new Map([...runners].filter(([name]) => name === 'tenfold' || name === 'nginx'))
    parts.push(await manyTable(few, 1_000_000, { ...setting, seconds: 10 }))
  }
  return parts.join('\n\n')
}

export async function run(options: BenchOptions): Promise<string> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for the proxy, one for the rest')
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  // nginx's workers run as another user and read the origin's files.
  chmodSync(folder, 0o755)
  const chosen = peers.filter(
    peer => options.only.length === 0 || options.only.includes(peer.name.replace(' ', '-')),
  )
  const origin = await startOrigin(folder, loadCore)
  const runners = await startPeers(chosen, folder, origin.port)
  try {
    const versions = chosen.map(peer => `${peer.name} ${peer.version() ?? '(absent)'}`).join(', ')
    const rounds = options.quick ? 'one short round' : 'medians of 5 alternating rounds of 4 s'
    return `${await report(runners, options, folder)}\n\n${versions}; ${rounds}.`
  } finally {
    for (const peer of runners.values()) await peer.stop()
    await end(origin.running)
    rmSync(folder, { recursive: true, force: true })
  }
}
