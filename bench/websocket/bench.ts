// WebSockets: nginx, HAProxy and Tenfold in front of one echo server, in one alternating run. Load and origin are on core
// 0, the proxy has core 1. CPU a message (there and back) is what counts, and the memory of idle sockets; see README.md.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { table } from '../lib/markdown.ts'
import { cpuUs, end, freePort, listening, privateBytes, start, until } from '../lib/processes.ts'
import { figure, median, percent, ratio, spread } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'
import type { LoadResult } from './load.ts'
import { type Place, peers, type StartedPeer } from './peers.ts'

const scenarios = [
  { name: 'small', title: 'Messages of 100 bytes, 64 sockets', bytes: 100, connections: 64 },
  { name: 'large', title: 'Messages of 16 KB, 64 sockets', bytes: 16_384, connections: 64 },
] as const
type Scenario = (typeof scenarios)[number]

const idleSockets = 4_000
const node = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'node')
const program = (name: string): string => join(import.meta.dirname, name)

interface Figures {
  readonly cpuUs: number
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly errors: number
}

async function measure(
  peer: StartedPeer,
  { bytes, connections }: Scenario,
  seconds: number,
): Promise<Figures> {
  const before = cpuUs(peer.pids)
  const numbers = [peer.port, bytes, seconds, connections].map(String)
  const one = start('load', [node, program('load.ts'), ...numbers], { core: 0 })
  await new Promise(resolve => one.child.once('close', resolve))
  const result = JSON.parse(one.output().trim().split('\n').at(-1) ?? '') as LoadResult
  const used = cpuUs(peer.pids) - before
  return { ...result, cpuUs: used / result.messages, perSecond: result.messages / seconds }
}

function tableOf({ title }: Scenario, results: ReadonlyMap<string, readonly Figures[]>): string {
  const medianOf = (name: string, key: keyof Figures): number =>
    median((results.get(name) ?? []).map(one => one[key]))
  const head = [
    '',
    'CPU us a message',
    'spread',
    'to nginx',
    'to HAProxy',
    'messages/s',
    'p50 us',
    'p99 us',
    'errors',
  ]
  const rows = [...results].map(([name, list]) => [
    name,
    figure(medianOf(name, 'cpuUs')),
    percent(spread(list.map(one => one.cpuUs))),
    ratio(medianOf(name, 'cpuUs'), medianOf('nginx', 'cpuUs')),
    ratio(medianOf(name, 'cpuUs'), medianOf('haproxy', 'cpuUs')),
    figure(medianOf(name, 'perSecond')),
    figure(medianOf(name, 'p50Us')),
    figure(medianOf(name, 'p99Us')),
    String(list.reduce((sum, one) => sum + one.errors, 0)),
  ])
  return `### ${title}\n\n${table(head, rows)}`
}

/** Growth of private memory from a warm proxy to one that holds many idle sockets. */
async function measureIdle(peer: StartedPeer): Promise<{ bytes: number; sockets: number }> {
  await measure(peer, scenarios[0], 2)
  await sleep(3_000)
  const before = privateBytes(peer.pids)
  const numbers = [peer.port, 0, 0, idleSockets].map(String)
  const holder = start('holder', [node, program('load.ts'), ...numbers], { core: 0 })
  await until('the sockets to be open', () => /^open \d+$/m.test(holder.output()), 120_000)
  await sleep(3_000)
  const sockets = Number(/^open (\d+)$/m.exec(holder.output())?.[1])
  const bytes = (privateBytes(peer.pids) - before) / sockets
  await end(holder)
  return { bytes, sockets }
}

async function idleTable(chosen: typeof peers, rounds: number, place: Place): Promise<string> {
  const rows: string[][] = []
  for (const peer of chosen) {
    const all: { bytes: number; sockets: number }[] = []
    for (let round = 0; round < rounds; round++) {
      const started = await peer.start(place)
      all.push(await measureIdle(started))
      await started.stop()
    }
    rows.push([
      peer.name,
      figure(median(all.map(one => one.bytes)) / 1024),
      figure(median(all.map(one => one.sockets))),
    ])
  }
  return `### Memory of ${idleSockets.toLocaleString('en')} idle sockets\n\n${table(['', 'KB a socket', 'sockets held'], rows)}`
}

export async function run(options: BenchOptions): Promise<string> {
  if (availableParallelism() < 2)
    throw new Error('this benchmark needs two cores: one for the proxy, one for the rest')
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'))
  chmodSync(folder, 0o755)
  const chosen = peers.filter(
    peer => peer.version() !== undefined && (options.only.length === 0 || options.only.includes(peer.name)),
  )
  const wanted = (name: string): boolean => options.scenarios.length === 0 || options.scenarios.includes(name)
  const [rounds, seconds] = options.quick ? [1, 3] : [5, 4]
  const originPort = await freePort()
  const origin = start('origin', [node, program('origin.ts'), String(originPort)], { core: 0 })
  await listening(origin, originPort)
  const place: Place = { folder, core: 1, originPort }
  const running = new Map<string, StartedPeer>()
  const tables: string[] = []
  try {
    for (const peer of chosen) running.set(peer.name, await peer.start(place))
    for (const scenario of scenarios.filter(({ name }) => wanted(name))) {
      const results = new Map<string, Figures[]>(chosen.map(({ name }) => [name, []]))
      for (const peer of running.values()) await measure(peer, scenario, 2)
      for (let round = 0; round < rounds; round++)
        for (const [name, peer] of running) results.get(name)?.push(await measure(peer, scenario, seconds))
      tables.push(tableOf(scenario, results))
    }
    for (const peer of running.values()) await peer.stop()
    running.clear()
    if (wanted('idle')) tables.push(await idleTable(chosen, options.quick ? 1 : 3, place))
    const versions = chosen.map(peer => `${peer.name} ${peer.version()}`).join(', ')
    const how = options.quick
      ? 'one short round'
      : `medians of ${rounds} alternating rounds of ${seconds} s (idle: 3)`
    return `${tables.join('\n\n')}\n\n${versions}; ${how}.`
  } finally {
    for (const peer of running.values()) await peer.stop()
    await end(origin)
    rmSync(folder, { recursive: true, force: true })
  }
}
