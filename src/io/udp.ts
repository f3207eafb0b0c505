// UDP sockets with plain callbacks: one that hears everybody on a port, and connected ones that talk to one address.
// Datagrams go through whole or not at all; what the system does not take soon is dropped and said. Owns no time-outs.
//
// Sending is bounded here: beyond `sendQueueBytesMax` waiting in a socket, datagrams are refused, since UDP has nobody who
// could be told to wait.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'

export interface UdpListener {
  readonly port: number
  /** False: dropped. `bytes` must stay as they are (what a callback brought is the caller's). */
  send(bytes: Buffer, port: number, address: string): boolean
  /** Idempotent; hears nothing from now on. */
  close(): void
}

export interface UdpListenOptions {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** Several threads hear the port; the kernel gives all datagrams of one client to one of them. */
  readonly reusePort: boolean
  readonly received: (bytes: Buffer, address: string, port: number) => void
  /** A datagram that had been taken was not sent after all (too large, no route). */
  readonly lost: (code: string) => void
}

export interface UdpPeer {
  send(bytes: Buffer): boolean
  close(): void
}

export interface UdpPeerHandler {
  received(bytes: Buffer): void
  /** ECONNREFUSED: nobody hears that port (ICMP). Others: EMSGSIZE, ENETUNREACH... May come more than once. */
  failed(code: string): void
}

const sendQueueBytesMax = 1 << 20
/** What the kernel keeps for a socket until we read; it may give less. */
const receiveBufferBytes = 1 << 20
/** Datagrams that wait for a socket to be connected: a turn of the loop. */
const waitingMax = 64

/** A host that is an address already needs no looking up, and no later turn. */
const asItIs = (host: string, _options: unknown, done: (...answer: unknown[]) => void): void =>
  done(null, host, host.includes(':') ? 6 : 4)

function familyOf(host: string): 'udp4' | 'udp6' {
  return host.includes(':') ? 'udp6' : 'udp4'
}

/** Rejects with the system's code: EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOTSUP (`reusePort` where there is none). */
export function listenUdp(options: UdpListenOptions): Promise<UdpListener> {
  const { host, port, reusePort, received, lost } = options
  const socket = createSocket({
    type: familyOf(host),
    reusePort,
    recvBufferSize: receiveBufferBytes,
    lookup: asItIs as never,
  })
  return new Promise((resolve, reject) => {
    socket.once('error', error => {
      socket.close()
      reject(error)
    })
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error')
      // An ICMP answer to one client's datagram ends nothing for the others.
      socket.on('error', error => lost((error as NodeJS.ErrnoException).code ?? 'ERROR'))
      socket.on('message', (bytes: Buffer, from: RemoteInfo) => received(bytes, from.address, from.port))
      resolve(listenerOver(socket, lost))
    })
  })
}

function listenerOver(socket: Socket, lost: (code: string) => void): UdpListener {
  let closed = false
  const sent = (error: Error | null): void => {
    if (error !== null && !closed) lost((error as NodeJS.ErrnoException).code ?? 'ERROR')
  }
  return {
    port: socket.address().port,
    send: (bytes, port, address) => {
      if (closed || socket.getSendQueueSize() > sendQueueBytesMax) return false
      socket.send(bytes, port, address, sent)
      return true
    },
    close: () => {
      if (closed) return
      closed = true
      socket.close()
    },
  }
}

/** `host` is an IP address. Never throws: what is wrong is told by `failed`. */
export function connectUdp(host: string, port: number, handler: UdpPeerHandler): UdpPeer {
  const socket = createSocket({ type: familyOf(host), lookup: asItIs as never })
  let closed = false
  const failed = (error: Error): void => {
    if (!closed) handler.failed((error as NodeJS.ErrnoException).code ?? 'ERROR')
  }
  const sent = (error: Error | null): void => {
    if (error !== null) failed(error)
  }
  socket.on('error', failed)
  socket.on('message', bytes => handler.received(bytes))
  let waiting: Buffer[] | null = []
  const connected = (error?: Error): void => {
    const held = waiting ?? []
    waiting = null
    if (error !== undefined && error !== null) {
      failed(error)
      closed = true
      socket.close()
      return
    }
    for (const bytes of held) if (!closed) socket.send(bytes, sent)
  }
  socket.connect(port, host, connected as () => void)
  return {
    send: bytes => {
      if (closed) return false
      if (waiting !== null) return waiting.length < waitingMax && waiting.push(bytes) > 0
      if (socket.getSendQueueSize() > sendQueueBytesMax) return false
      socket.send(bytes, sent)
      return true
    },
    close: () => {
      if (closed) return
      closed = true
      socket.close()
    },
  }
}
