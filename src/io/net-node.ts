// The Node driver of the seam in `net.ts`: listens and connects. Streams go through the socket's handle
// (`net-node-direct.ts`) where this Node has the doors for it, else by documented means (`net-node-plain.ts`).

import net from 'node:net'
import type { Listener, ListenOptions, Net, Stream, StreamHandler } from './net.ts'
import { acceptDirect, connectDirect } from './net-node-direct.ts'
import { directWorks, doors, type Handle } from './net-node-doors.ts'
import { acceptLean, connectLean } from './net-node-lean.ts'
import { PlainStream } from './net-node-plain.ts'
import type { TlsClient } from './tls.ts'

const noHandler: StreamHandler = { opened() {}, data() {}, ended() {}, drained() {}, closed() {} }

type Accepted = Stream & { attach(): void }

function start(stream: Accepted, options: ListenOptions): void {
  stream.handler = options.handlerOf(stream)
  stream.attach()
}

function acceptPlain(socket: net.Socket): Accepted {
  socket.setNoDelay(true)
  return new PlainStream(socket, noHandler)
}

function connectPlain(host: string, port: number, handler: StreamHandler, client?: TlsClient): Stream {
  const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true })
  if (client !== undefined)
    return new PlainStream(client.wrap(socket, host, port), handler).secure(socket, 'secureConnect')
  const stream = new PlainStream(socket, handler).connecting()
  stream.attach()
  return stream
}

function listen(options: ListenOptions, direct: boolean): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true }, socket => start(acceptPlain(socket), options))
    server.once('error', reject)
    const { host, port, reusePort, backlog } = options
    server.listen({ host, port, reusePort, backlog, exclusive: true }, () => {
      server.removeListener('error', reject)
      // Too many open files: that connection is lost, the listener goes on.
      server.on('error', () => {})
      if (direct) acceptThroughHandle(server, options)
      resolve({ port: (server.address() as net.AddressInfo).port, close: () => server.close() })
    })
  })
}

/** A Server makes its sockets without a way to say where they read into. */
function acceptThroughHandle(server: net.Server, options: ListenOptions): void {
  const handle = (server as unknown as { _handle: Handle | null })._handle
  if (typeof handle?.onconnection !== 'function') return
  const accept = options.lean && doors?.lean != null ? acceptLean : acceptDirect
  handle.onconnection = (error, client) => {
    if (error === 0) start(accept(client, noHandler), options)
  }
}

/**
 * @param choice `direct: false`: by documented means only, whatever this Node offers; `lean`: all streams without a socket,
 * so that nobody can begin TLS on them
 */
export function createNodeNet(choice: { readonly direct?: boolean; readonly lean?: boolean } = {}): Net {
  const direct = directWorks && choice.direct !== false
  const plainly = direct && doors?.lean != null ? connectLean : connectPlain
  const { lean = false } = choice
  return {
    name: 'node',
    reusePortSupported: process.platform === 'linux' || process.platform === 'freebsd',
    tlsSupported: !lean,
    detachSupported: !lean,
    listen: options => listen(lean ? { ...options, lean } : options, direct),
    connect: lean ? plainly : direct ? connectDirect : connectPlain,
    connectLean: plainly,
  }
}

export const nodeNet: Net = createNodeNet()
