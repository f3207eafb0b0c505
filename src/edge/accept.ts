// A stream that a listener has accepted, until a protocol speaks on it: plain HTTP/1.1 at once; what a listener asks for
// before that (a PROXY header, a TLS handshake, the choice of HTTP/2) is done here.

import type { Stream, StreamHandler } from '../io/net.ts'
import type { WorkerContext } from './context.ts'
import { Http1Client } from './http1-client.ts'
import { acceptHttp2 } from './http2-client.ts'
import type { ListenerSpec } from './snapshot.ts'

/** What hears the stream from now on; it has said `worker.keepClient(...)` of itself. */
export function acceptHttp(
  worker: WorkerContext,
  spec: Extract<ListenerSpec, { kind: 'http' }>,
  stream: Stream,
): StreamHandler {
  const client = new Http1Client(worker, stream)
  if (spec.http2 !== false && worker.net.detachSupported) client.http2Door = goOnAsHttp2
  worker.keepClient(client)
  return client
}

/** By prior knowledge (RFC 9113 3.3). */
function goOnAsHttp2(client: Http1Client): void {
  acceptHttp2(client.worker, client.stream, client)
}
