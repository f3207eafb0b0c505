// A server that is some milliseconds away: everything to and from it is held for half a round trip. Counts what it sends.

import { connect, createServer, type Socket } from 'node:net'

export interface FarServer {
  readonly port: number
  /** Bytes from the server since the last call. */
  received(): number
  close(): void
}

export async function startFarServer(targetPort: number, roundTripMs: number): Promise<FarServer> {
  let count = 0
  const sockets = new Set<Socket>()
  const later = (from: Socket, to: Socket, counted: boolean): void => {
    from.on('data', bytes => {
      if (counted) count += bytes.length
      setTimeout(() => to.write(bytes), roundTripMs / 2)
    })
    from.on('close', () => setTimeout(() => to.destroy(), roundTripMs / 2))
    from.on('error', () => to.destroy())
    from.setNoDelay(true)
    sockets.add(from)
  }
  const listener = createServer(client => {
    const server = connect(targetPort, '127.0.0.1')
    later(client, server, false)
    later(server, client, true)
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  return {
    port: (listener.address() as { port: number }).port,
    received: () => {
      const bytes = count
      count = 0
      return bytes
    },
    close: () => {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
