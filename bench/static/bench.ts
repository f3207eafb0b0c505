// Static files: nginx with sendfile and its cache of open files, and Tenfold, serve the same folder in one alternating
// run. The load generator has core 0, the server core 1. CPU a request is what counts; see README.md.

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { table } from '../lib/markdown.ts'
import { cpuUs } from '../lib/processes.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import { wrk } from '../lib/wrk.ts'
import type { BenchOptions } from '../run.ts'
import { peers, type StartedPeer } from './peers.ts'

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly connections: number
}

export const scenarios: readonly Scenario[] = [
  { name: '1k.txt', title: '1 KB from hot memory, 64 connections', connections: 64 },
  { name: '100k.bin', title: '100 KB from hot memory, 64 connections', connections: 64 },
  { name: '10m.bin', title: '10 MB from the page cache, 8 connections', connections: 8 },
]
const sizes: Readonly<Record<string, number>> = { '1k.txt': 1024, '100k.bin': 100 << 10, '10m.bin': 10 << 20 }

interface Figures {
  readonly cpuUs: number
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly errors: number
}

/** A folder with the files, readable by nginx's workers; times in the past, as of files that were deployed. */
export async function makeFolder(): Promise<{ folder: string; root: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  const root = join(folder, 'files')
  chmodSync(folder, 0o755)
  mkdirSync(root)
  for (const [name, size] of Object.entries(sizes)) writeFileSync(join(root, name), randomBytes(size))
  await sleep(2_500)
  return { folder, root }
}

export async function measure(
  peer: StartedPeer,
  { name, connections }: Scenario,
  seconds: number,
  folder: string,
): Promise<Figures> {
  const before = cpuUs(peer.pids)
  const url = `http://127.0.0.1:${peer.port}/${name}`
  const result = await wrk({ url, connections, seconds, core: 0 }, folder)
  const used = cpuUs(peer.pids) - before
  const expected = result.requests * (sizes[name] as number)
  if (result.bytes < expected * 0.9)
    throw new Error(`${url} gave ${result.bytes} bytes for ${result.requests} requests`)
  return { ...result, cpuUs: used / result.requests, perSecond: result.requestsPerSecond }
}

function tableOf({ title }: Scenario, results: ReadonlyMap<string, readonly Figures[]>): string {
  const medianOf = (name: string, key: keyof Figures): number =>
    median((results.get(name) ?? []).map(one => one[key]))
  const head = ['', 'CPU us a request', 'spread', 'to nginx', 'requests/s', 'p50 us', 'p99 us', 'errors']
  const rows = [...results].map(([name, list]) => [
    name,
    figure(medianOf(name, 'cpuUs')),
    percent(spread(list.map(one => one.cpuUs))),
    ratio(medianOf(name, 'cpuUs'), medianOf('nginx', 'cpuUs')),
    figure(medianOf(name, 'perSecond')),
    figure(medianOf(name, 'p50Us')),
    figure(medianOf(name, 'p99Us')),
    String(list.reduce((sum, one) => sum + one.errors, 0)),
  ])
  return `### ${title}\n\n${table(head, rows)}`
}

export async function run(options: BenchOptions): Promise<string> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for the server, one for the load')
  const { folder, root } = await makeFolder()
  const chosen = peers.filter(
    peer => peer.version() !== undefined && (options.only.length === 0 || options.only.includes(peer.name)),
  )
  const wanted = scenarios.filter(
    ({ name }) => options.scenarios.length === 0 || options.scenarios.some(one => name.startsWith(one)),
  )
  const [rounds, seconds] = options.quick ? [1, 3] : [5, 4]
  const running = new Map<string, StartedPeer>()
  try {
    for (const peer of chosen) running.set(peer.name, await peer.start({ folder, root, core: 1 }))
    const tables: string[] = []
    for (const scenario of wanted) {
      const results = new Map<string, Figures[]>(chosen.map(({ name }) => [name, []]))
      for (const peer of running.values()) await measure(peer, scenario, 1, folder)
      for (let round = 0; round < rounds; round++)
        for (const [name, peer] of running)
          results.get(name)?.push(await measure(peer, scenario, seconds, folder))
      tables.push(tableOf(scenario, results))
    }
    const versions = chosen.map(peer => `${peer.name} ${peer.version()}`).join(', ')
    const how = options.quick ? 'one short round' : `medians of ${rounds} alternating rounds of ${seconds} s`
    return `${tables.join('\n\n')}\n\n${versions}; ${how}.`
  } finally {
    for (const peer of running.values()) await peer.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
