// What a round yields and how the rounds of all programs become a table: medians, how far they disagree, ratios in the same
// run. Figures of memory from a warm process to one that holds many idle connections are here too.

import { table } from './markdown.ts'
import type { StartedPeer } from './peers.ts'
import { cpuUs, end, privateBytes, start, until } from './processes.ts'
import { loadCore } from './rounds.ts'
import { figure, median, percent, ratio, spread } from './statistics.ts'
import { type WrkLoad, type WrkResult, wrk } from './wrk.ts'

export interface Figures {
  /** CPU microseconds a unit of work. */
  readonly cpuUs: number
  readonly perSecond: number
  readonly errors: number
  readonly p50Us?: number
  readonly p99Us?: number
  readonly meanUs?: number
}
type Time = 'p50Us' | 'p99Us' | 'meanUs'

export interface TableForm {
  readonly title: string
  /** Of work: `request`. */
  readonly unit: string
  readonly comparedTo: readonly ('nginx' | 'haproxy' | 'varnish')[]
  readonly times: readonly Time[]
}

const written = { nginx: 'nginx', haproxy: 'HAProxy', varnish: 'Varnish' }

export function figuresTable(form: TableForm, results: ReadonlyMap<string, readonly Figures[]>): string {
  const { title, unit, comparedTo, times } = form
  const medianOf = (name: string, key: keyof Figures): number =>
    median((results.get(name) ?? []).map(one => one[key] ?? Number.NaN))
  const head = [
    '',
    `CPU us a ${unit}`,
    'spread',
    ...comparedTo.map(name => `to ${written[name]}`),
    `${unit}s/s`,
    ...times.map(time => time.replace('Us', ' us')),
    'errors',
  ]
  const rows = [...results].map(([name, list]) => [
    name,
    figure(medianOf(name, 'cpuUs')),
    percent(spread(list.map(one => one.cpuUs))),
    ...comparedTo.map(other => ratio(medianOf(name, 'cpuUs'), medianOf(other, 'cpuUs'))),
    figure(medianOf(name, 'perSecond')),
    ...times.map(time => figure(medianOf(name, time))),
    String(list.reduce((sum, one) => sum + one.errors, 0)),
  ])
  return `### ${title}\n\n${table(head, rows)}`
}

/** What the work gives, and the CPU microseconds that the peer ran meanwhile. */
export async function withCpu<T>(peer: StartedPeer, work: () => Promise<T>): Promise<readonly [T, number]> {
  const before = cpuUs(peer.pids)
  const result = await work()
  return [result, cpuUs(peer.pids) - before]
}

/** wrk against a URL of the peer. */
export async function measureWrk(
  peer: StartedPeer,
  load: Omit<WrkLoad, 'core'>,
  folder: string,
): Promise<Figures & WrkResult> {
  const [result, used] = await withCpu(peer, () => wrk({ ...load, core: loadCore }, folder))
  return { ...result, cpuUs: used / result.requests, perSecond: result.requestsPerSecond }
}

export interface IdleFigures {
  readonly connections: number
  readonly bytesPerConnection: number
}

/** How much private memory grows from a warm peer to one with the idle connections of `holder`, who says `open N`. */
export async function measureIdle(
  peer: StartedPeer,
  holder: readonly string[],
  settle: (peer: StartedPeer) => Promise<unknown>,
): Promise<IdleFigures> {
  await settle(peer)
  const before = privateBytes(peer.pids)
  const one = start('idle holder', holder, { core: loadCore })
  await until('the connections are open', () => /^open \d+$/m.test(one.output()), 120_000)
  await settle(peer)
  const connections = Number(/^open (\d+)$/m.exec(one.output())?.[1])
  const bytesPerConnection = (privateBytes(peer.pids) - before) / connections
  await end(one)
  return { connections, bytesPerConnection }
}

/** @param unit of what is held: `socket`. */
export function idleTable(
  title: string,
  unit: string,
  results: ReadonlyMap<string, readonly IdleFigures[]>,
): string {
  const rows = [...results].map(([name, list]) => [
    name,
    figure(median(list.map(one => one.bytesPerConnection)) / 1024),
    figure(median(list.map(one => one.connections))),
  ])
  return `### ${title}\n\n${table(['', `KB a ${unit}`, `${unit}s held`], rows)}`
}
