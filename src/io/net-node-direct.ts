// One stream of the Node driver through the socket's handle: reads land in one buffer for the whole thread, and writes
// go straight to the system with one reusable request object while it takes them at once. The socket stays in charge of
// connecting, ending, closing and errors. Why this is worth it, and what keeps it safe: docs/decisions/0010-io-seam.md.
//
// Facts of Node (24 to 26) that this relies on, each held by a case of the contract: a handle's write tries the system
// first and queues the rest behind what is queued already; a request that was queued is kept alive by it, and its bytes by
// the request; a handle ignores reads into JavaScript once its socket is destroyed; a shutdown waits for the queue.

import net from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { Stream, StreamHandler } from './net.ts'
import { sharedReadBytes } from './net.ts'
import {
  type Doors,
  doors,
  type Handle,
  type SecureHandle,
  sharedBuffer,
  type WriteRequest,
} from './net-node-doors.ts'
import { PlainStream, part } from './net-node-plain.ts'
import { SecureWriter } from './net-node-secure.ts'
import type { TlsClient } from './tls.ts'

/** Listeners that `useUserBuffer` leaves behind on a handle until it closes; some 50 bytes each. */
const bufferSwitchesMax = 1000

const shared = sharedBuffer
const sharedMemory = shared.buffer

/** One spare request object: a write that the system takes at once never uses it up. */
let spareRequest: WriteRequest | null = null

function takeRequest(): WriteRequest {
  return spareRequest ?? new (doors as Doors).WriteRequest()
}

function writeCompleted(this: WriteRequest, status: number): void {
  this.bytes = null
  this.owner?.writeEnded(status)
}

/** The next buffer of the stream whose read was just delivered; undefined: no change. */
let nextBuffer: Buffer | undefined

const onread = {
  buffer: () => nextBuffer as Buffer,
  callback(this: { tenfold: DirectStream }, length: number): boolean {
    nextBuffer = this.tenfold.received(length)
    return true
  },
} as unknown as { buffer: Uint8Array; callback: () => boolean }

/** libuv's UV_EOF, the same on every system. */
const endOfFile = -4095

/** What Node's sockets do with a read: ends and errors stay theirs. */
let socketRead: SecureHandle['onread'] | null = null

function secureRead(this: SecureHandle, memory: ArrayBuffer): Buffer | undefined {
  const { state, readBytesOrError } = doors as Doors
  const length = state[readBytesOrError] as number
  if (length > 0) return this.tenfold.received(length)
  if (length < 0 && length !== endOfFile) {
    this.tenfold.readFailed(length)
    return undefined
  }
  return (socketRead as SecureHandle['onread']).call(this, memory)
}

export class DirectStream extends PlainStream {
  /** Null: writes go through the socket (not connected yet, its own writes are not done, or no more writes come). */
  #handle: Handle | null = null
  #writesPending = 0
  /** Writes under TLS, once the handshake is done; `#secure` is it while writes may go through it. */
  #writer: SecureWriter | null = null
  #secure: SecureWriter | null = null
  /** What the handle reads into. */
  #native: Buffer = shared
  #target: Buffer = shared
  #bufferSwitches = 0
  #inData = false

  override attach(): void {
    if (this.dead || this.under !== null) return
    this.#handle = this.finishing || !this.settled ? null : this.#socketHandle
    if (this.open) this.startReading()
  }

  get #socketHandle(): Handle | null {
    return (this.socket as unknown as { _handle: Handle | null })._handle
  }

  /** Without the error object, and its trace, that Node would make of each reset. */
  readFailed(error: number): void {
    this.fail(getSystemErrorName(error))
  }

  /** Answers the buffer to read into from now on, if it is another. */
  received(length: number): Buffer | undefined {
    if (this.#native === (this.wanted ?? shared) && this.open) {
      this.#inData = true
      this.handler.data(this, this.#native, length)
      this.#inData = false
    } else this.deliver(this.#native, length)
    if (this.#native === this.#target || this.#bufferSwitches > bufferSwitchesMax) return undefined
    return (this.#native = this.#target)
  }

  override write(text: string): boolean {
    const handle = this.#handle
    if (handle === null)
      return this.#secure === null ? this.writeThroughSocket(text) : this.#writeSecure(text, false)
    if (text.length === 0) return !this.drainOwed
    const request = takeRequest()
    return this.#written(request, handle.writeLatin1String(request, text), null)
  }

  override writeBytes(bytes: Buffer, from: number, to: number): boolean {
    const whole = part(bytes, from, to)
    const handle = this.#handle
    const passing = bytes.buffer === sharedMemory
    if (handle === null && this.#secure !== null) return this.#writeSecure(whole, passing)
    const stable = passing ? Buffer.from(whole) : whole
    if (handle === null) return this.writeThroughSocket(stable)
    if (to <= from) return !this.drainOwed
    const request = takeRequest()
    return this.#written(request, handle.writeBuffer(request, stable), stable)
  }

  writeBoth(text: string, bytes: Buffer, from: number, to: number): boolean {
    const handle = this.#handle
    if (this.#secure !== null && text.length > 0 && to > from) {
      if (!this.#secure.writeBoth(text, part(bytes, from, to), bytes.buffer === sharedMemory))
        this.drainOwed = true
      return !this.drainOwed
    }
    if (handle === null || text.length === 0 || to <= from) {
      const taken = this.write(text)
      return this.writeBytes(bytes, from, to) && taken
    }
    const whole = part(bytes, from, to)
    const stable = bytes.buffer === sharedMemory ? Buffer.from(whole) : whole
    const request = takeRequest()
    return this.#written(request, handle.writev(request, [text, 'latin1', stable, 'buffer'], false), stable)
  }

  #writeSecure(data: string | Buffer, passing: boolean): boolean {
    if (data.length > 0 && !(this.#secure as SecureWriter).write(data, passing)) this.drainOwed = true
    return !this.drainOwed
  }

  #written(request: WriteRequest, error: number, bytes: Buffer | null): boolean {
    const { state, lastWriteWasAsync } = doors as Doors
    if (error !== 0) {
      spareRequest = request
      this.fail(getSystemErrorName(error))
      return true
    }
    if (state[lastWriteWasAsync] === 0) {
      spareRequest = request
      return !this.drainOwed
    }
    spareRequest = null
    request.owner = this
    request.bytes = bytes
    request.oncomplete = writeCompleted
    this.#writesPending++
    this.drainOwed = true
    return false
  }

  writeEnded(status: number): void {
    this.#writesPending--
    if (status < 0) this.fail(getSystemErrorName(status))
    else this.settle()
  }

  /** All that went to the writer under TLS is with the system, or the connection is gone. */
  secureWriteEnded(code: string): void {
    if (code !== '') this.fail(code)
    else if (this.drainOwed || this.finishing) this.settle()
  }

  protected override get unsent(): boolean {
    return super.unsent || this.#writer?.idle === false
  }

  protected override get settled(): boolean {
    return this.#writesPending === 0 && this.socket.writableLength === 0 && (this.#writer?.idle ?? true)
  }

  protected override settle(): void {
    if (!this.finishing && !this.dead && this.settled && !this.socket.connecting) this.#openWrites()
    super.settle()
  }

  #openWrites(): void {
    if (this.under === null) this.#handle = this.#socketHandle
    else this.#secure = this.#writer
  }

  protected override startReading(): void {
    const handle = this.#socketHandle
    if (this.dead || this.handshaking || handle === null || handle.reading || this.socket.connecting) return
    handle.reading = true
    const error = handle.readStart()
    if (error !== 0) this.fail(getSystemErrorName(error))
  }

  protected override stopReading(): void {
    const handle = this.#socketHandle
    if (handle === null || this.handshaking || !handle.reading || this.socket.connecting) return
    handle.reading = false
    handle.readStop()
  }

  override readInto(buffer: Buffer | null): void {
    this.wanted = buffer
    // What TLS has decrypted is delivered also after a pause, over bytes that are still needed: it is copied instead.
    if (this.under !== null) return
    this.#target = buffer ?? shared
    // While a read is being delivered its answer says where the next one goes.
    if (this.#inData || this.#target === this.#native) return
    const handle = this.#socketHandle
    if (handle === null || this.#bufferSwitches > bufferSwitchesMax) return
    // Past the bound the handle keeps a buffer of the stream's own, from which reads are copied.
    this.#native =
      ++this.#bufferSwitches > bufferSwitchesMax ? Buffer.allocUnsafeSlow(sharedReadBytes) : this.#target
    handle.useUserBuffer(this.#native)
  }

  override end(): void {
    this.#handle = null
    this.#secure = null
    super.end()
  }

  override secure(under: net.Socket, done: 'secure' | 'secureConnect'): this {
    super.secure(under, done)
    const handle = this.#socketHandle as SecureHandle
    socketRead ??= handle.onread
    handle.tenfold = this
    handle.onread = secureRead
    this.#native = shared
    this.#target = shared
    handle.useUserBuffer(shared)
    return this
  }

  protected override securedReading(): void {
    const under = (this.under as unknown as { _handle: Handle | null })._handle
    if (under !== null) this.#writer = new SecureWriter(this, this.#socketHandle as SecureHandle, under)
    if (this.socket.writableLength === 0 && !this.finishing) this.#secure = this.#writer
    if (!this.open) this.stopReading()
  }

  protected override letGo(): { socket: net.Socket; ended: boolean } {
    const handle = this.#socketHandle
    const gone = super.letGo()
    this.#handle = null
    this.#secure = null
    if (this.under !== null && handle !== null && socketRead !== null)
      (handle as SecureHandle).onread = socketRead
    // Pausing stopped the handle too: whoever reads next finds it reading.
    if (handle !== null && !handle.reading && !gone.socket.destroyed) {
      handle.reading = true
      handle.readStart()
    }
    return gone
  }

  override socketConnected(): void {
    if (this.socket.writableLength === 0 && !this.finishing) this.#handle = this.#socketHandle
    super.socketConnected()
    // The socket begins to read after this unless it thinks itself paused; the handle is ours from then on.
    if (!this.open) this.socket.pause()
  }

  protected override dropHeld(): void {
    this.#handle = null
    this.#secure = null
    super.dropHeld()
  }

  override socketClosed(): void {
    this.#handle = null
    this.#secure = null
    super.socketClosed()
  }
}

/** A socket over an accepted connection's handle. */
export function acceptDirect(handle: Handle, handler: StreamHandler): Stream & { attach(): void } {
  nextBuffer = shared
  const socket = new net.Socket({
    handle,
    allowHalfOpen: true,
    manualStart: true,
    onread,
  } as unknown as net.SocketConstructorOpts)
  nextBuffer = undefined
  socket.setNoDelay(true)
  return new DirectStream(socket, handler)
}

export function connectDirect(
  host: string,
  port: number,
  handler: StreamHandler,
  client?: TlsClient,
): Stream {
  if (client !== undefined) return connectSecure(host, port, handler, client)
  nextBuffer = shared
  const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true, onread } as net.NetConnectOpts)
  nextBuffer = undefined
  return new DirectStream(socket, handler).connecting()
}

function connectSecure(host: string, port: number, handler: StreamHandler, client: TlsClient): Stream {
  const under = net.connect({ host, port, allowHalfOpen: true, noDelay: true })
  return new DirectStream(client.wrap(under, host, port), handler).secure(under, 'secureConnect')
}
