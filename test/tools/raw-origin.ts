// An origin that does exactly what a test scripts, byte by byte: a TCP server that knows no HTTP beyond `RawPeer`'s reader,
// keeps what it received, and counts. Ends with its test.

import { createServer, type Socket } from 'node:net'
import { type RawMessage, RawPeer } from './raw-peer.ts'

export interface RawOrigin {
  readonly port: number
  /** Requests read so far, in the order in which they came. */
  readonly requests: RawMessage[]
  readonly connections: RawPeer[]
  /** Connections that are open now. */
  readonly open: ReadonlySet<RawPeer>
  /** No more connections, as when a process has died; those that are open are reset. */
  close(): Promise<void>
}

/** What happens on one connection, from its beginning to its end; `number` counts from 0. */
export type Script = (peer: RawPeer, number: number, origin: RawOrigin) => Promise<void>

/** Reads a request and notes it; null when the connection is over. */
export async function readRequest(peer: RawPeer, origin: RawOrigin): Promise<RawMessage | null> {
  const request = await peer.request()
  if (request !== null) origin.requests.push(request)
  return request
}

/**
 * A script that answers each request on each connection with what `answer` gives: text, bytes, or nothing when it has
 * done all itself. `index` counts over all connections.
 */
export function answering(
  answer: (
    request: RawMessage,
    peer: RawPeer,
    index: number,
  ) => string | Buffer | undefined | Promise<string | Buffer | undefined>,
): Script {
  return async (peer, _number, origin) => {
    for (;;) {
      const request = await readRequest(peer, origin)
      if (request === null) return
      const text = await answer(request, peer, origin.requests.length - 1)
      if (text !== undefined) peer.write(text)
    }
  }
}

/** A response with Content-Length. */
export function ok(body = 'ok', fields = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}\r\n${fields}\r\n${body}`
}

export async function startRawOrigin(
  context: { after(end: () => Promise<void>): void },
  script: Script = answering(() => ok()),
  port = 0,
): Promise<RawOrigin> {
  const connections: RawPeer[] = []
  const open = new Set<RawPeer>()
  const failures: Error[] = []
  const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    const peer = new RawPeer(socket)
    connections.push(peer)
    open.add(peer)
    socket.on('close', () => open.delete(peer))
    script(peer, connections.length - 1, origin).then(
      () => peer.socket.end(),
      (error: Error) => {
        failures.push(error)
        peer.destroy()
      },
    )
  })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    const closed = new Promise(resolve => server.close(resolve))
    for (const peer of open) peer.reset()
    await closed
  }
  const origin: RawOrigin = {
    port: (server.address() as { port: number }).port,
    requests: [],
    connections,
    open,
    close,
  }
  context.after(async () => {
    await close()
    if (failures.length > 0) throw failures[0]
  })
  return origin
}

/** A port of this machine where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}
