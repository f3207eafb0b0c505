// What is left of an exchange when it is over: counts in the worker's rows and a line in the access log.

import { reasonText } from '../policy/reason.ts'
import { jsonText } from '../wire/otlp.ts'
import type { CompiledSnapshot } from './compile.ts'
import type { Exchange } from './exchange.ts'

export function recordExchange(exchange: Exchange, snapshot: CompiledSnapshot, aborted: boolean): void {
  const { worker, status, attempts } = exchange
  const { routeWorker, routeLatency } = worker.cells
  const now = worker.now
  const row = exchange.route?.row ?? snapshot.unroutedRow
  const took = now - exchange.startedAt
  routeWorker.requests[row]!++
  routeLatency.record(row, took)
  routeWorker.bytesIn[row]! += exchange.bytesIn
  routeWorker.bytesOut[row]! += exchange.bytesOut
  if (aborted) routeWorker.aborted[row]!++
  countStatus(routeWorker, row, status)
  if (exchange.cacheResult !== 0) recordCache(exchange, row)
  const { group, member } = attempts
  if (group?.countsBytes && member >= 0 && exchange.bytesOut > 0)
    group.countBytes(member, exchange.bytesOut, now)
  if (exchange.sideRow >= 0) recordSide(exchange, now, aborted)
  if (worker.log !== null && (exchange.route?.logged ?? true))
    worker.log.add(logLine(exchange, took, aborted))
}

/** What the cache had to do with a request; 0: nothing. */
export const cacheResult = {
  none: 0,
  hit: 1,
  stale: 2,
  revalidated: 3,
  collapsed: 4,
  miss: 5,
  bypass: 6,
} as const

/** By `cacheResult`: its column, and its name in the log. */
const cacheColumns = [
  null,
  'cacheHits',
  'cacheStale',
  'cacheRevalidated',
  'cacheCollapsed',
  'cacheMisses',
  'cacheBypassed',
] as const
const cacheNames: readonly string[] = ['', 'hit', 'stale', 'revalidated', 'collapsed', 'miss', 'bypass']

function recordCache({ worker, cacheResult: result, bytesOut }: Exchange, row: number): void {
  const { routeWorker } = worker.cells
  const column = cacheColumns[result]
  if (column != null) routeWorker[column][row]!++
  if (result < cacheResult.miss) routeWorker.cacheBytes[row]! += bytesOut
}

interface StatusColumns {
  readonly status1xx: Float64Array
  readonly status2xx: Float64Array
  readonly status3xx: Float64Array
  readonly status4xx: Float64Array
  readonly status5xx: Float64Array
}

export function countStatus(columns: StatusColumns, row: number, status: number): void {
  if (status >= 500) columns.status5xx[row]!++
  else if (status >= 400) columns.status4xx[row]!++
  else if (status >= 300) columns.status3xx[row]!++
  else if (status >= 200) columns.status2xx[row]!++
  else if (status > 0) columns.status1xx[row]!++
}

/**
 * What a canary is judged by. Whoever left before an answer began says only that it took at least so long; latencies of
 * errors say nothing.
 */
function recordSide(exchange: Exchange, now: number, aborted: boolean): void {
  const { canaryWorker, canaryLatency } = exchange.worker.cells
  const { sideRow, firstByteAt } = exchange
  const gone = exchange.error === 'client-gone'
  const failed = exchange.status >= 500 || (aborted && !gone)
  canaryWorker.requests[sideRow]!++
  if (failed) canaryWorker.errors[sideRow]!++
  else if (firstByteAt > 0 || gone)
    canaryLatency.record(sideRow, (firstByteAt > 0 ? firstByteAt : now) - exchange.startedAt)
}

const inMs = (us: number): number => Math.round(us / 10) / 100

function logLine(exchange: Exchange, took: number, aborted: boolean): string {
  const { head, attempts, route, worker } = exchange
  const at = new Date(worker.clock.wall() / 1000).toISOString()
  let line = `{"at":"${at}","id":${jsonText(exchange.requestId)},"client":"${exchange.remoteAddress}","method":${jsonText(head.method)},"host":${jsonText(head.authority)},"path":${jsonText(exchange.path)},"protocol":"${exchange.httpVersion}","status":${exchange.status},"bytesIn":${exchange.bytesIn},"bytesOut":${exchange.bytesOut},"ms":${inMs(took)}`
  if (route !== null) line += `,"route":${jsonText(route.spec.id)}`
  if (attempts.member >= 0 && attempts.group !== null) {
    const { id } = attempts.group.member(attempts.member)
    line += `,"member":${jsonText(id)},"chosenBy":${jsonText(reasonText(attempts.why))}`
  }
  if (exchange.cacheResult !== 0) line += `,"cache":"${cacheNames[exchange.cacheResult]}"`
  if (exchange.firstByteAt > 0) line += `,"firstByteMs":${inMs(exchange.firstByteAt - exchange.startedAt)}`
  if (attempts.retryWhy !== 0)
    line += `,"retries":${attempts.retries},"retryReason":${jsonText(reasonText(attempts.retryWhy, attempts.retries))}`
  if (exchange.error !== '') line += `,"error":"${exchange.error}"`
  if (aborted) line += ',"aborted":true'
  return `${line}}\n`
}
