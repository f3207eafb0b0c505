// The way of an accepted connection of a TCP listener to its session: the PROXY header of a listed peer, a TLS handshake,
// then a member.

import type { Stream, StreamHandler } from '../io/net.ts'
import type { ProxyHeader } from '../wire/proxy-protocol.ts'
import { refuse } from './accept.ts'
import { takePlace } from './connection-place.ts'
import type { WorkerContext } from './context.ts'
import { awaitHandshake } from './handshake.ts'
import { awaitProxyHeader, mustSendProxyHeader, plainAddress } from './proxy-header.ts'
import { TcpSession, type TcpSpec } from './tcp-session.ts'

export function acceptTcp(worker: WorkerContext, spec: TcpSpec, stream: Stream): StreamHandler {
  if (!mustSendProxyHeader(spec, stream)) return begin(worker, spec, stream, null)
  return awaitProxyHeader(worker, stream, header => begin(worker, spec, stream, header))
}

function begin(
  worker: WorkerContext,
  spec: TcpSpec,
  stream: Stream,
  header: ProxyHeader | null,
): StreamHandler {
  const place = takePlace(worker, stream, () => header?.source?.address ?? plainAddress(stream.remoteAddress))
  if (place === null) return refuse(worker, stream)
  const start = (): StreamHandler => new TcpSession(worker, spec, stream, header, place).start()
  return spec.tls === true ? awaitHandshake(worker, stream, worker.tls.server('none'), start, place) : start()
}
