// Spans as OTLP/HTTP JSON text (OpenTelemetry protocol 1.x, trace.proto in its JSON mapping: ids in hexadecimal, 64-bit
// numbers as strings), with the names of the semantic conventions for HTTP. Made by hand: a span is a few concatenations.

import { reasonText } from '../policy/reason.ts'
import { hostOf } from '../policy/route.ts'
import { fieldId } from '../wire/fields.ts'
import { jsonText } from './access-log.ts'
import type { Exchange } from './exchange.ts'
import type { AttemptTimes, Watch } from './watch.ts'

const kind = { server: 2, client: 3 } as const
const statusError = 2
/** trace.proto, SpanFlags: sampled, and whether the parent is elsewhere is known; and it is. */
const sampled = 0x101
const remote = 0x200
const textCharsMax = 256

/** Others are `_OTHER`: a client could otherwise make any number of names (semantic conventions, http.request.method). */
const knownMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
  'QUERY',
])

const text = (key: string, value: string): string =>
  `{"key":"${key}","value":{"stringValue":${jsonText(value.slice(0, textCharsMax))}}},`
const integer = (key: string, value: number): string => `{"key":"${key}","value":{"intValue":"${value}"}},`
const truth = (key: string, value: boolean): string => `{"key":"${key}","value":{"boolValue":${value}}},`

interface SpanParts {
  readonly spanId: string
  readonly parentId: string
  readonly name: string
  readonly kind: number
  /** Microseconds since 1970. */
  readonly start: number
  readonly end: number
  /** Each with a comma behind. */
  readonly attributes: string
  readonly failed: boolean
}

function spanText(watch: Watch, parts: SpanParts): string {
  const { traceId, traceState } = watch.trace as NonNullable<Watch['trace']>
  const state = traceState === '' ? '' : `"traceState":${jsonText(traceState)},`
  const parent = parts.parentId === '' ? '' : `"parentSpanId":"${parts.parentId}",`
  const flags = parts.kind === kind.server && parts.parentId !== '' ? sampled | remote : sampled
  const status = parts.failed ? `{"code":${statusError}}` : '{}'
  return `{"traceId":"${traceId}","spanId":"${parts.spanId}",${state}${parent}"flags":${flags},"name":${jsonText(parts.name)},"kind":${parts.kind},"startTimeUnixNano":"${parts.start}000","endTimeUnixNano":"${parts.end}000","attributes":[${parts.attributes.slice(0, -1)}],"status":${status}}`
}

function methodAttributes(method: string): string {
  if (knownMethods.has(method)) return text('http.request.method', method)
  return text('http.request.method', '_OTHER') + text('http.request.method_original', method)
}

const shownMethod = (method: string): string => (knownMethods.has(method) ? method : 'HTTP')

function authorityAttributes(authority: string): string {
  if (authority === '') return ''
  const port = /:(\d{1,5})$/.exec(authority)?.[1]
  const address = text('server.address', hostOf(authority))
  return port === undefined ? address : address + integer('server.port', Number(port))
}

/** The exchange as its client sees it. `offset`: from monotonic to wall time. */
export function serverSpan(exchange: Exchange, watch: Watch, offset: number, aborted: boolean): string {
  const { head, route, status, error } = exchange
  const agent = head.value(fieldId['user-agent'])
  const failed = status >= 500 || (aborted && error !== 'client-gone')
  const { path } = route === null ? { path: '' } : route.spec.match
  const attributes =
    methodAttributes(head.method) +
    text('url.path', exchange.path) +
    text('url.scheme', watch.secure ? 'https' : 'http') +
    (path === '' ? '' : text('http.route', path)) +
    (status > 0 ? integer('http.response.status_code', status) : '') +
    authorityAttributes(head.authority) +
    text('client.address', watch.clientAddress) +
    text('network.peer.address', exchange.remoteAddress) +
    text('network.protocol.name', 'http') +
    text('network.protocol.version', watch.httpVersion) +
    (agent === undefined ? '' : text('user_agent.original', agent)) +
    integer('http.request.body.size', exchange.bytesIn) +
    integer('http.response.body.size', exchange.bytesOut) +
    (failed || aborted ? text('error.type', error === '' ? `${status}` : error) : '') +
    text('tenfold.request.id', exchange.requestId)
  return spanText(watch, {
    spanId: watch.spanId,
    parentId: watch.trace?.parentId ?? '',
    name: path === '' ? shownMethod(head.method) : `${shownMethod(head.method)} ${path}`,
    kind: kind.server,
    start: exchange.startedAt + offset,
    end: exchange.worker.now + offset,
    attributes,
    failed,
  })
}

/** One attempt at an instance; `index` counts from 0. */
export function attemptSpan(
  exchange: Exchange,
  watch: Watch,
  attempt: AttemptTimes,
  index: number,
  offset: number,
): string {
  const { head } = exchange
  const { host, port, spec } = attempt.pool
  const shown = host.includes(':') ? `[${host}]` : host
  const mark = exchange.target.indexOf('?')
  const path = mark < 0 ? exchange.target : exchange.target.slice(0, mark)
  const failed = attempt.error !== '' && attempt.error !== 'lost-race'
  const attributes =
    methodAttributes(head.method) +
    text('url.full', `${spec.tls === undefined ? 'http' : 'https'}://${shown}:${port}${path}`) +
    text('server.address', host) +
    integer('server.port', port) +
    text('network.protocol.name', 'http') +
    text('network.protocol.version', spec.protocol === 'h2' ? '2' : '1.1') +
    (attempt.status > 0 ? integer('http.response.status_code', attempt.status) : '') +
    (index > 0 ? integer('http.request.resend_count', index) : '') +
    (attempt.error === '' ? '' : text('error.type', attempt.error)) +
    text('tenfold.upstream', spec.name) +
    text('tenfold.member', attempt.member) +
    text('tenfold.chosen_by', reasonText(attempt.why)) +
    truth('tenfold.connection.reused', attempt.reused)
  return spanText(watch, {
    spanId: attempt.spanId,
    parentId: watch.spanId,
    name: shownMethod(head.method),
    kind: kind.client,
    start: attempt.startedAt + offset,
    end: attempt.endedAt + offset,
    attributes,
    failed,
  })
}
