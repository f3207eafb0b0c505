// The way of an accepted connection of a TCP listener to its session: the PROXY header of a listed peer, a TLS handshake,
// then a member.

import type { Stream, StreamHandler } from '../io/net.ts'
import type { WorkerContext } from './context.ts'
import { awaitProxyHeader, mustSendProxyHeader } from './proxy-header.ts'
import { TcpSession, type TcpSpec } from './tcp-session.ts'

export function acceptTcp(worker: WorkerContext, spec: TcpSpec, stream: Stream): StreamHandler {
  if (!mustSendProxyHeader(spec, stream)) return new TcpSession(worker, spec, stream, null).start()
  return awaitProxyHeader(worker, stream, header => new TcpSession(worker, spec, stream, header).start())
}
