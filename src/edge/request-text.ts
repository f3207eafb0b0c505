// The request as an instance gets it over HTTP/1.1: the client's fields without what is hop-by-hop or not to be believed,
// and what the edge says about the client (RFC 9110 7.6, RFC 7239). Made once per exchange; a retry sends the same text.

import { isInBlocks } from '../policy/address.ts'
import { fieldId, knownIds } from '../wire/fields.ts'
import { framing, withDropped } from '../wire/http1/index.ts'
import type { ExchangeClient } from './client.ts'
import { identityFields } from './client-identity.ts'
import type { CompiledRoute, CompiledSnapshot } from './compile.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { isTraceparent } from './request-ids.ts'

export function requestText(exchange: Exchange): string {
  const { head } = exchange
  const client = exchange.client as ExchangeClient
  const route = exchange.route as CompiledRoute
  const snapshot = exchange.snapshot as CompiledSnapshot
  const own = client.trusted ? route.trusted : route.untrusted
  // Another edge of ours sets the instances' Host itself, and finds the route by the client's.
  const rules = exchange.toParent && own.host !== null ? { ...own, host: null } : own
  exchange.upgrading = wantsUpgrade(exchange, route)
  const target = rewritten(exchange, route)
  // Mostly the line and Host go on as they came, and are one piece of text with the fields around them.
  const asSent = rules.host === null && head.versionMinor === 1 && head.originForm && target === head.target
  let drop = asSent ? rules.dropButHost : rules.drop
  const traceAt = head.firstOf(fieldId.traceparent)
  const trace = traceAt < 0 ? '' : head.valueAt(traceAt)
  // Where the edge traces, what is traced is decided by those it trusts.
  const believed = client.trusted || snapshot.spec.tracing === undefined
  const keepTrace = trace !== '' && believed && isTraceparent(trace)
  if (!keepTrace && head.firstOf(fieldId.tracestate) >= 0) {
    drop = drop.slice()
    drop[fieldId.tracestate] = 1
  }
  // It has been asked for here already.
  if (exchange.bodyHeld && head.expectContinue) drop = withDropped(drop, [fieldId.expect])
  const edits = exchange.requestEdits
  let also = rules.alsoDrop
  if (edits !== null) {
    drop = withDropped(drop, knownIds(edits.drop))
    also = also === null ? edits.drop : [...also, ...edits.drop]
  }
  if (head.connectionNames !== null)
    also = also === null ? head.connectionNames : [...also, ...head.connectionNames]
  let text = asSent
    ? head.copyWithLine(drop, also)
    : `${head.method} ${target} HTTP/1.1\r\nHost: ${rules.host ?? head.authority}\r\n${head.copyFields(drop, also)}`
  if (rules.add !== '') text += rules.add
  if (edits !== null) text += edits.add
  if (exchange.bodyHeld) text += `Content-Length: ${exchange.bodyText.length}\r\n`
  else if (head.framing === framing.chunked) text += 'Transfer-Encoding: chunked\r\n'
  else if (head.firstOf(fieldId['content-length']) >= 0) text += `Content-Length: ${head.contentLength}\r\n`
  if (client.tls !== null && snapshot.spec.identitySecret !== undefined)
    text += identityFields(client.tls, snapshot.spec.identitySecret, exchange.worker.clock.wall() / 1000)
  text += aboutClient(exchange, client, snapshot)
  text += `\r\ntraceparent: ${exchange.watcher?.traceparent || (keepTrace ? trace : exchange.worker.ids.traceparent(exchange.idSuffix))}\r\n`
  const hops = head.firstOf(fieldId['max-forwards'])
  if (hops >= 0 && head.method === 'OPTIONS') text += `Max-Forwards: ${hopsLeft(head.valueAt(hops))}\r\n`
  if (exchange.upgrading) text += `Connection: upgrade\r\nUpgrade: ${head.value(fieldId.upgrade)}\r\n`
  return `${text}\r\n`
}

function hopsLeft(value: string): number {
  const hops = /^\d{1,4}$/.test(value) ? Number(value) : 10
  return Math.max(0, hops - 1)
}

/** RFC 9110 7.8: only where the route allows it, HTTP/1.1, without a body; h2c is never passed on (it would hide requests). */
function wantsUpgrade(exchange: Exchange, route: CompiledRoute): boolean {
  const { head } = exchange
  const { action } = route.spec
  if (!head.connectionUpgrade || action.kind !== 'proxy' || !action.upgrade) return false
  if (head.method !== 'GET' || head.versionMinor !== 1 || head.framing !== framing.none) return false
  const protocol = head.value(fieldId.upgrade)
  return protocol !== undefined && /^[\w.+-]+(?:\/[\w.+-]+)?$/.test(protocol) && !/^h2c?$/i.test(protocol)
}

function rewritten(exchange: Exchange, route: CompiledRoute): string {
  const { action } = route.spec
  const { target } = exchange
  if (action.kind !== 'proxy' || action.rewritePrefix === undefined || exchange.toParent) return target
  const { from, to } = action.rewritePrefix
  if (!target.startsWith(from)) return target
  const rest = target.slice(from.length)
  const joined = to.endsWith('/') && rest.startsWith('/') ? to + rest.slice(1) : to + rest
  return joined.startsWith('/') ? joined : `/${joined}`
}

/** Who the client is, our Via, and the request's id without its line end. */
function aboutClient(exchange: Exchange, client: ExchangeClient, snapshot: CompiledSnapshot): string {
  const { head, worker } = exchange
  if (snapshot.spec.forwarded === 'x-forwarded' && !client.trusted && head.versionMinor === 1)
    return client.aboutText(head.authority) + exchange.idSuffix
  const via = viaOf(client, worker)
  return forwardedFields(exchange, client, snapshot) + via + exchange.requestId
}

function viaOf({ httpVersion }: ExchangeClient, worker: WorkerContext): string {
  if (httpVersion === '1.1') return worker.viaText
  return httpVersion === '1.0' ? worker.viaTextOld : worker.viaTextTwo
}

function forwardedFields(exchange: Exchange, client: ExchangeClient, snapshot: CompiledSnapshot): string {
  const mode = snapshot.spec.forwarded
  const host = exchange.head.authority
  if (mode === 'none') return ''
  let text = ''
  if (mode !== 'forwarded') text = xForwarded(exchange, client, host)
  if (mode !== 'x-forwarded') text += forwarded(exchange, client, host)
  return text
}

function xForwarded(exchange: Exchange, client: ExchangeClient, host: string): string {
  const { head } = exchange
  if (!client.trusted) return `${client.forwardedText}X-Forwarded-Host: ${host}\r\n`
  const before = head.find('x-forwarded-for')
  const addresses = before === undefined ? client.remoteAddress : `${before}, ${client.remoteAddress}`
  const proto = head.value(fieldId['x-forwarded-proto'])
  const known = proto === 'https' || proto === 'http' ? proto : protoOf(client)
  const given = head.value(fieldId['x-forwarded-host']) ?? host
  return `X-Forwarded-For: ${addresses}\r\nX-Forwarded-Proto: ${known}\r\nX-Forwarded-Host: ${given}\r\n`
}

function protoOf(client: ExchangeClient): 'http' | 'https' {
  return client.tls === null ? 'http' : 'https'
}

/** A further element in a field line of its own: lists may be split over lines (RFC 9110 5.3, RFC 7239 4). */
function forwarded(_exchange: Exchange, client: ExchangeClient, host: string): string {
  const address = client.remoteAddress.includes(':') ? `"[${client.remoteAddress}]"` : client.remoteAddress
  const quoted = /^[\w.-]+$/.test(host) ? host : `"${host}"`
  return `Forwarded: for=${address};host=${quoted};proto=${protoOf(client)}\r\n`
}

/** The client's address for keys and logs: the nearest one that is not a trusted proxy's. */
export function clientAddress(exchange: Exchange): string {
  const client = exchange.client as ExchangeClient
  if (!client.trusted) return client.remoteAddress
  const list =
    exchange.head
      .find('x-forwarded-for')
      ?.split(',')
      .map(part => withoutPort(part.trim())) ?? []
  const blocks = (exchange.snapshot as CompiledSnapshot).trustedProxies
  for (const address of list.reverse()) if (!isInBlocks(address, blocks)) return address
  return list.at(-1) ?? client.remoteAddress
}

const addressWithPort = /^(?:\[([^\]]+)\]|(\d+(?:\.\d+){3}))(?::\d+)?$/

/** `192.0.2.7:4711`, `[2001:db8::1]:4711`: some balancers add the port, which tells clients apart that are one. */
function withoutPort(part: string): string {
  const found = addressWithPort.exec(part)
  return found === null ? part : (found[1] ?? (found[2] as string))
}
