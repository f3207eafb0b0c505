// Spans of exchanges and their attempts, with the names of the semantic conventions for HTTP.

import { reasonText } from '../policy/reason.ts'
import { hostOf } from '../policy/route.ts'
import { fieldId } from '../wire/fields.ts'
import {
  integerAttribute,
  type SpanParts,
  spanKind,
  spanText,
  textAttribute,
  truthAttribute,
} from '../wire/otlp.ts'
import type { Exchange } from './exchange.ts'
import type { AttemptTimes, Watch } from './watch.ts'

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

function spanOf(watch: Watch, parts: Omit<SpanParts, 'traceId' | 'traceState'>): string {
  const { traceId, traceState } = watch.trace as NonNullable<Watch['trace']>
  return spanText({ traceId, traceState, ...parts })
}

function methodAttributes(method: string): string {
  if (knownMethods.has(method)) return textAttribute('http.request.method', method)
  return (
    textAttribute('http.request.method', '_OTHER') + textAttribute('http.request.method_original', method)
  )
}

const shownMethod = (method: string): string => (knownMethods.has(method) ? method : 'HTTP')

function authorityAttributes(authority: string): string {
  if (authority === '') return ''
  const port = /:(\d{1,5})$/.exec(authority)?.[1]
  const address = textAttribute('server.address', hostOf(authority))
  return port === undefined ? address : address + integerAttribute('server.port', Number(port))
}

/** The exchange as its client sees it. `offset`: from monotonic to wall time. */
export function serverSpan(exchange: Exchange, watch: Watch, offset: number, aborted: boolean): string {
  const { head, route, status, error } = exchange
  const agent = head.value(fieldId['user-agent'])
  const failed = status >= 500 || (aborted && error !== 'client-gone')
  const { path } = route === null ? { path: '' } : route.spec.match
  const attributes =
    methodAttributes(head.method) +
    textAttribute('url.path', exchange.path) +
    textAttribute('url.scheme', watch.secure ? 'https' : 'http') +
    (path === '' ? '' : textAttribute('http.route', path)) +
    (status > 0 ? integerAttribute('http.response.status_code', status) : '') +
    authorityAttributes(head.authority) +
    textAttribute('client.address', watch.clientAddress) +
    textAttribute('network.peer.address', exchange.remoteAddress) +
    textAttribute('network.protocol.name', 'http') +
    textAttribute('network.protocol.version', watch.httpVersion) +
    (agent === undefined ? '' : textAttribute('user_agent.original', agent)) +
    integerAttribute('http.request.body.size', exchange.bytesIn) +
    integerAttribute('http.response.body.size', exchange.bytesOut) +
    (failed || aborted ? textAttribute('error.type', error === '' ? `${status}` : error) : '') +
    textAttribute('tenfold.request.id', exchange.requestId)
  return spanOf(watch, {
    spanId: watch.spanId,
    parentId: watch.trace?.parentId ?? '',
    name: path === '' ? shownMethod(head.method) : `${shownMethod(head.method)} ${path}`,
    kind: spanKind.server,
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
    textAttribute('url.full', `${spec.tls === undefined ? 'http' : 'https'}://${shown}:${port}${path}`) +
    textAttribute('server.address', host) +
    integerAttribute('server.port', port) +
    textAttribute('network.protocol.name', 'http') +
    textAttribute('network.protocol.version', spec.protocol === 'h2' ? '2' : '1.1') +
    (attempt.status > 0 ? integerAttribute('http.response.status_code', attempt.status) : '') +
    (index > 0 ? integerAttribute('http.request.resend_count', index) : '') +
    (attempt.error === '' ? '' : textAttribute('error.type', attempt.error)) +
    textAttribute('tenfold.upstream', spec.name) +
    textAttribute('tenfold.member', attempt.member) +
    textAttribute('tenfold.chosen_by', reasonText(attempt.why)) +
    truthAttribute('tenfold.connection.reused', attempt.reused)
  return spanOf(watch, {
    spanId: attempt.spanId,
    parentId: watch.spanId,
    name: shownMethod(head.method),
    kind: spanKind.client,
    start: attempt.startedAt + offset,
    end: attempt.endedAt + offset,
    attributes,
    failed,
  })
}
