// Layer 4: HAProxy, nginx's stream module and Tenfold in front of one origin, in one alternating run. Origin and load are on
// core 0, the proxy has core 1. CPU a unit of work is what counts; see README.md.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { table } from '../lib/markdown.ts'
import { cpuUs, end, freePort, listening, start } from '../lib/processes.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import { peers, type StartedPeer } from './peers.ts'
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

export const loadCore = 0
const proxyCore = 1
const node = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'node')
const program = (name: string): string => join(import.meta.dirname, name)

interface Figures {
  readonly cpuUs: number
  readonly perSecond: number
  readonly errors: number
}

export async function measure(peer: StartedPeer, scenario: Scenario, seconds: number): Promise<Figures> {
  const before = cpuUs(peer.pids)
  const numbers = [String(peer.port), scenario.wish, String(seconds), String(scenario.connections)]
  const one = start('load', [node, program('load.ts'), ...numbers], { core: loadCore })
  await new Promise(resolve => one.child.once('close', resolve))
  const result = JSON.parse(one.output().trim().split('\n').at(-1) ?? '') as LoadResult
  const units = result.count / scenario.per
  return {
    cpuUs: (cpuUs(peer.pids) - before) / units,
    perSecond: units / seconds,
    errors: result.errors,
  }
}

function tableOf(scenario: Scenario, results: ReadonlyMap<string, readonly Figures[]>): string {
  const medianOf = (name: string, key: keyof Figures): number =>
    median((results.get(name) ?? []).map(one => one[key]))
  const head = ['', `CPU us a ${scenario.unit}`, 'spread', 'to HAProxy', `${scenario.unit}s/s`, 'errors']
  const rows = [...results].map(([name, list]) => [
    name,
    figure(medianOf(name, 'cpuUs')),
    percent(spread(list.map(one => one.cpuUs))),
    ratio(medianOf(name, 'cpuUs'), medianOf('haproxy', 'cpuUs')),
    figure(medianOf(name, 'perSecond')),
    String(list.reduce((sum, one) => sum + one.errors, 0)),
  ])
  return `### ${scenario.title}\n\n${table(head, rows)}`
}

export async function startOrigin(core: number): Promise<{ port: number; stop(): Promise<void> }> {
  const port = await freePort()
  const origin = start('origin', [node, program('origin.ts'), String(port)], { core })
  await listening(origin, port)
  return { port, stop: () => end(origin) }
}

export async function run(options: BenchOptions): Promise<string> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for the proxy, one for the rest')
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  chmodSync(folder, 0o755)
  const named = peers.filter(
    peer => options.only.length === 0 || options.only.includes(peer.name.replaceAll(' ', '-')),
  )
  const chosen = named.filter(peer => peer.version() !== undefined)
  for (const peer of named) if (!chosen.includes(peer)) console.error(`${peer.name} is not there: left out`)
  const wanted = scenarios.filter(
    ({ wish }) => options.scenarios.length === 0 || options.scenarios.includes(wish),
  )
  const [rounds, seconds] = options.quick ? [1, 3] : [5, 4]
  const origin = await startOrigin(loadCore)
  const running = new Map<string, StartedPeer>()
  try {
    for (const peer of chosen)
      running.set(peer.name, await peer.start({ folder, core: proxyCore, originPort: origin.port }))
    for (const peer of running.values()) await measure(peer, scenarios[0] as Scenario, 2)
    const tables: string[] = []
    for (const scenario of wanted) {
      const results = new Map<string, Figures[]>(chosen.map(({ name }) => [name, []]))
      for (let round = 0; round < rounds; round++)
        for (const [name, peer] of running) results.get(name)?.push(await measure(peer, scenario, seconds))
      tables.push(tableOf(scenario, results))
    }
    const versions = chosen.map(peer => `${peer.name} ${peer.version()}`).join(', ')
    const told = options.quick ? 'one short round' : `medians of ${rounds} alternating rounds of ${seconds} s`
    return `${tables.join('\n\n')}\n\n${versions}; ${told}.`
  } finally {
    for (const peer of running.values()) await peer.stop()
    await origin.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
