// A request of our own for a URL: as an exchange that is not begun, to find its route and key, and as what begins one.

import { hostOf, needsNormalising, normalisePath } from '../../policy/route.ts'
import type { CompiledRoute } from '../compile.ts'
import type { WorkerContext } from '../context.ts'
import type { Exchange } from '../exchange.ts'
import { type KnownClient, NoClient } from '../no-client.ts'

const limits = { requestLineBytesMax: 1 << 16, headerBytesMax: 1 << 16, headerCountMax: 64 }
const urlForm = /^(https?):\/\/([^/?#\s@]+)([/?][^#\s]*)?$/i

export interface UrlRequest {
  readonly text: string
  readonly path: string
  readonly target: string
}

/** Null: no URL that a client could ask for. */
export function requestOf(url: string): UrlRequest | null {
  const parts = urlForm.exec(url)
  if (parts === null) return null
  const [, scheme = '', host = '', rest = '/'] = parts
  const sent = rest.startsWith('?') ? `/${rest}` : rest
  const mark = sent.indexOf('?')
  const path = mark < 0 ? sent : sent.slice(0, mark)
  const normal = needsNormalising(path) ? normalisePath(path) : path
  if (normal === null) return null
  const target = mark < 0 ? normal : normal + sent.slice(mark)
  const about = `X-Forwarded-Proto: ${scheme.toLowerCase()}\r\nX-Forwarded-Host: ${host}\r\n`
  return { text: `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${about}\r\n`, path: normal, target }
}

/** We are our own client, and believe ourselves which scheme the URL has. */
export function ourselves(worker: WorkerContext): KnownClient {
  return {
    remoteAddress: '127.0.0.1',
    trusted: true,
    tls: null,
    httpVersion: '1.1',
    forwardedText: '',
    aboutText: () => `${worker.viaText}${worker.ids.prefix}`,
  }
}

/** `see` gets an exchange that knows the request and its route, and was not begun; `null` when no route takes it. */
export function withUnbegun<T>(
  worker: WorkerContext,
  request: UrlRequest,
  see: (exchange: Exchange, route: CompiledRoute) => T,
): T | null {
  const exchange = worker.takeExchange()
  const { table, routes } = worker.snapshot
  exchange.head.reset(limits)
  try {
    if (exchange.head.parse(request.text) <= 0) return null
    const host = table.usesHost ? hostOf(exchange.head.authority) : ''
    const at = table.match(host, request.path, exchange.head)
    const route = routes[at]
    if (route === undefined) return null
    exchange.path = request.path
    exchange.target = request.target
    exchange.snapshot = worker.snapshot
    exchange.route = route
    exchange.client = new NoClient(worker, ourselves(worker), () => {})
    return see(exchange, route)
  } finally {
    exchange.path = exchange.target = ''
    exchange.client = exchange.route = exchange.snapshot = null
    worker.giveExchange(exchange)
  }
}
