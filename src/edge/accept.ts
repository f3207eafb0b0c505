// A stream that a listener has accepted, until a protocol speaks on it: plain HTTP/1.1 at once; what a listener asks for
// before that (a PROXY header, a TLS handshake, the choice of HTTP/2) is done here.

import type { Stream, StreamHandler } from '../io/net.ts'
import type { ClientHello } from './client-hello.ts'
import { type ConnectionPlace, takePlace } from './connection-place.ts'
import type { WorkerContext } from './context.ts'
import { awaitHandshake } from './handshake.ts'
import { Http1Client } from './http1-client.ts'
import { acceptHttp2 } from './http2-client.ts'
import { awaitProxyHeader, mustSendProxyHeader } from './proxy-header.ts'
import type { ListenerSpec } from './snapshot.ts'

type HttpSpec = Extract<ListenerSpec, { kind: 'http' }>

const deaf: StreamHandler = { opened() {}, data() {}, ended() {}, drained() {}, closed() {} }

/** What hears the stream from now on; it has said `worker.keepClient(...)` of itself. */
export function acceptHttp(worker: WorkerContext, spec: HttpSpec, stream: Stream): StreamHandler {
  if (mustSendProxyHeader(spec, stream))
    return awaitProxyHeader(worker, stream, header =>
      begin(worker, spec, stream, header.source?.address ?? stream.remoteAddress),
    )
  return begin(worker, spec, stream, stream.remoteAddress)
}

/** @param address The client's, as the PROXY header says or the connection. */
function begin(worker: WorkerContext, spec: HttpSpec, stream: Stream, address: string): StreamHandler {
  const place = takePlace(worker, stream, () => plain(address))
  if (place === null) return refuse(worker, stream)
  if (spec.tls !== true) return http1(worker, spec, stream, address, null, place)
  const server = worker.tls.server(speaksHttp2(worker, spec) ? 'http2' : 'http1')
  const next = (hello: ClientHello | null): StreamHandler =>
    stream.tls?.protocol === 'h2'
      ? http2(worker, spec, stream, address, hello, place)
      : http1(worker, spec, stream, address, hello, place)
  return awaitHandshake(worker, stream, server, next, place, worker.guard?.wantsHello === true)
}

/** The guard does not want it: too many of its address, or it is banned. */
export function refuse(worker: WorkerContext, stream: Stream): StreamHandler {
  worker.cells.worker.refused[worker.index]!++
  stream.destroy()
  return deaf
}

function speaksHttp2(worker: WorkerContext, spec: HttpSpec): boolean {
  return spec.http2 !== false && worker.net.detachSupported
}

function http1(
  worker: WorkerContext,
  spec: HttpSpec,
  stream: Stream,
  address: string,
  hello: ClientHello | null,
  place: ConnectionPlace,
): StreamHandler {
  const client = new Http1Client(worker, stream, spec.id, address, hello, place)
  // By prior knowledge only without TLS, where ALPN has the word (RFC 9113 3.3).
  if (spec.tls !== true && speaksHttp2(worker, spec)) client.http2Door = goOnAsHttp2
  worker.keepClient(client)
  return client
}

function http2(
  worker: WorkerContext,
  spec: HttpSpec,
  stream: Stream,
  address: string,
  hello: ClientHello | null,
  place: ConnectionPlace,
): StreamHandler {
  const { tls } = stream
  acceptHttp2(worker, stream, { remoteAddress: plain(address), tls, listener: spec.id, hello, place })
  return deaf
}

function goOnAsHttp2(client: Http1Client): void {
  acceptHttp2(client.worker, client.stream, client)
}

function plain(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
