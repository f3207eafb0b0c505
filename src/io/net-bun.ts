// The Bun driver of the seam in `net.ts`: `Bun.listen` and `Bun.connect`. Bun's sockets queue nothing: a write says how
// many bytes the system took, and the rest waits here, by reference for bytes and by copy for text, until Bun says that
// there is room.

import { assert, Fault } from '../kit/failure.ts'
import type { Listener, ListenOptions, Net, Stream, StreamHandler } from './net.ts'
import { ReadingSide } from './net-reading.ts'
import type { TlsClient } from './tls.ts'

// What is used of Bun's API (1.4); the package that declares all of it would replace Node's own types.
interface Socket {
  data: BunStream
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  /** How many bytes were taken; below 0: the connection is gone. */
  write(bytes: Uint8Array, from: number, length: number): number
  setNoDelay(on: boolean): boolean
  pause(): void
  resume(): void
  /** FIN; reading goes on. */
  shutdown(): void
  end(): void
  /** RST. */
  terminate(): void
}
interface SocketHandler {
  open(socket: Socket): void
  data(socket: Socket, bytes: Buffer): void
  drain(socket: Socket): void
  end(socket: Socket): void
  close(socket: Socket, error?: { code?: string }): void
  error(socket: Socket, error: { code?: string; syscall?: string }): void
  connectError?(socket: Socket, error: { code?: string }): void
}
interface SocketOptions {
  hostname: string
  port: number
  allowHalfOpen: boolean
  socket: SocketHandler
}
interface BunApi {
  listen(options: SocketOptions & { reusePort: boolean }): { readonly port: number; stop(): void }
  connect(options: SocketOptions & { data: BunStream }): Promise<Socket>
}

const api = (globalThis as { Bun?: BunApi }).Bun as BunApi
const noHandler: StreamHandler = { opened() {}, data() {}, ended() {}, drained() {}, closed() {} }

const scratchBytes = 65_536
/** Text becomes bytes here; what the system does not take at once is copied out of it. */
const scratch = Buffer.allocUnsafeSlow(scratchBytes)

class BunStream extends ReadingSide implements Stream {
  readonly tls = null
  /** Null until connected. */
  #socket: Socket | null = null
  #waiting: Buffer[] = []
  #finishing = false
  /** `end` was called before all that was written had been taken. */
  #finPending = false
  #drainOwed = false
  #sawEnd = false
  #failure = ''

  get remoteAddress(): string {
    return this.#socket?.remoteAddress ?? ''
  }
  get remotePort(): number {
    return this.#socket?.remotePort ?? 0
  }
  get localAddress(): string {
    return this.#socket?.localAddress ?? ''
  }
  get localPort(): number {
    return this.#socket?.localPort ?? 0
  }

  write(text: string): boolean {
    if (this.dead || this.#finishing) return true
    if (text.length > scratchBytes || this.#waiting.length > 0 || this.#socket === null)
      return this.#send(Buffer.from(text, 'latin1'))
    const length = scratch.write(text, 'latin1')
    const taken = this.#taken(scratch, 0, length)
    return taken === length ? !this.#drainOwed : this.#wait(Buffer.from(scratch.subarray(taken, length)))
  }

  writeBytes(bytes: Buffer, from: number, to: number): boolean {
    if (this.dead || this.#finishing) return true
    return this.#send(bytes.subarray(from, to))
  }

  #send(bytes: Buffer): boolean {
    if (bytes.length === 0) return !this.#drainOwed
    if (this.#waiting.length > 0 || this.#socket === null) return this.#wait(bytes)
    const taken = this.#taken(bytes, 0, bytes.length)
    return taken === bytes.length ? !this.#drainOwed : this.#wait(bytes.subarray(taken))
  }

  /** Of a connection that is gone all is taken: `closed` follows. */
  #taken(bytes: Buffer, from: number, length: number): number {
    const taken = (this.#socket as Socket).write(bytes, from, length)
    return taken < 0 ? length : taken
  }

  #wait(bytes: Buffer): boolean {
    this.#waiting.push(bytes)
    this.#drainOwed = true
    return false
  }

  /** There is room: what waits goes first, then the end that waits behind it. */
  flush(): void {
    let sent = 0
    for (const bytes of this.#waiting) {
      const taken = this.#taken(bytes, 0, bytes.length)
      if (this.dead) return
      if (taken < bytes.length) {
        this.#waiting[sent] = bytes.subarray(taken)
        break
      }
      sent++
    }
    this.#waiting.splice(0, sent)
    if (this.#waiting.length > 0) return
    if (this.#finPending) this.#socket?.shutdown()
    this.#finPending = false
    if (!this.#drainOwed) return
    this.#drainOwed = false
    this.handler.drained(this)
  }

  protected startReading(): void {
    if (!this.dead) this.#socket?.resume()
  }
  protected stopReading(): void {
    if (!this.dead) this.#socket?.pause()
  }

  /** Bun reads into memory of its own: bytes are copied into the wanted buffer. */
  readInto(buffer: Buffer | null): void {
    this.wanted = buffer
  }

  end(): void {
    if (this.dead || this.#finishing) return
    this.#finishing = true
    if (this.#socket === null || this.#waiting.length > 0) this.#finPending = true
    else this.#socket.shutdown()
  }

  destroy(): void {
    this.#leave(socket => socket.end())
  }

  reset(): void {
    this.#leave(socket => socket.terminate())
  }

  startTls(): never {
    throw new Fault('this driver has no TLS: see Net.tlsSupported')
  }

  detach(): never {
    throw new Fault('this driver gives up no sockets: see Net.detachSupported')
  }

  /** Bun calls `close` from inside; the handler hears of it when the caller has returned. */
  #leave(how: (socket: Socket) => void): void {
    if (this.dead) return
    this.dropHeld()
    this.#waiting = []
    if (this.#socket === null) queueMicrotask(() => this.callClosed())
    else how(this.#socket)
  }

  protected callData(bytes: Buffer, length: number): void {
    this.handler.data(this, bytes, length)
  }
  protected callEnded(): void {
    this.handler.ended(this)
  }
  protected callClosed(): void {
    this.handler.closed(this, this.#failure)
  }

  accepted(socket: Socket): void {
    this.#socket = socket
    socket.setNoDelay(true)
  }

  connected(socket: Socket): void {
    if (this.dead) {
      socket.terminate()
      return
    }
    this.accepted(socket)
    if (this.paused) socket.pause()
    this.handler.opened(this)
    if (!this.dead && (this.#waiting.length > 0 || this.#finPending)) this.flush()
  }

  refused(code: string): void {
    if (this.dead || this.#socket !== null) return
    this.#failure = code
    this.dropHeld()
    this.callClosed()
  }

  arrived(bytes: Buffer): void {
    this.deliver(bytes, bytes.length)
  }

  peerEnded(): void {
    this.#sawEnd = true
    this.deliverEnd()
  }

  /** Bun calls this from inside its own methods too. */
  socketClosed(code: string): void {
    // A stream that was given up before it connected has said so already.
    if (this.#socket !== null) queueMicrotask(() => this.#gone(code))
  }

  #gone(code: string): void {
    if (this.dead) {
      this.callClosed()
      return
    }
    this.#failure = code
    // Where we had ended first, Bun tells of the peer's end only by closing.
    if (code === '' && !this.#sawEnd) this.peerEnded()
    this.deliverClose(code === '')
  }
}

const streamEvents: Omit<SocketHandler, 'open'> = {
  data: (socket, bytes) => socket.data.arrived(bytes),
  drain: socket => socket.data.flush(),
  end: socket => socket.data.peerEnded(),
  close: (socket, error) => socket.data?.socketClosed(error ? (error.code ?? 'ERROR') : ''),
  // What the system reports is told by `close`; what a handler of ours threw is a fault and must not end here.
  error: (_socket, error) => {
    if (error.syscall !== undefined) return
    setImmediate(() => {
      throw error
    })
  },
}

async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, reusePort } = options
  const open = (socket: Socket): void => {
    const stream = new BunStream(noHandler)
    socket.data = stream
    stream.accepted(socket)
    stream.handler = options.handlerOf(stream)
  }
  const socket = { ...streamEvents, open }
  const server = api.listen({ hostname: host, port, reusePort, allowHalfOpen: true, socket })
  return { port: server.port, close: () => server.stop() }
}

const outgoing: SocketHandler = {
  ...streamEvents,
  open: socket => socket.data.connected(socket),
  connectError: (socket, error) => socket.data.refused(error.code ?? 'ERROR'),
}

function connect(host: string, port: number, handler: StreamHandler, tls?: TlsClient): Stream {
  assert(tls === undefined, 'this driver has no TLS: see Net.tlsSupported')
  const stream = new BunStream(handler)
  api
    .connect({ hostname: host, port, allowHalfOpen: true, data: stream, socket: outgoing })
    .catch((error: { code?: string }) => stream.refused(error.code ?? 'ERROR'))
  return stream
}

export const bunNet: Net = {
  name: 'bun',
  reusePortSupported: process.platform === 'linux' || process.platform === 'freebsd',
  tlsSupported: false,
  detachSupported: false,
  listen,
  connect,
  connectLean: connect,
}
