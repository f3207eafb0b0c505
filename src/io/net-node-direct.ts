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
import { PlainStream, part } from './net-node-plain.ts'

export interface Handle {
  reading: boolean
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Buffer): void
  writeLatin1String(request: WriteRequest, text: string): number
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
  onconnection?: (error: number, handle: Handle) => void
}

interface WriteRequest {
  oncomplete?: (status: number) => void
  stream?: DirectStream
  bytes?: Buffer | null
}

interface Doors {
  readonly WriteRequest: new () => WriteRequest
  readonly state: Int32Array
  readonly lastWriteWasAsync: number
}

/** Listeners that `useUserBuffer` leaves behind on a handle until it closes; some 50 bytes each. */
const bufferSwitchesMax = 1000

const handleMethods = ['readStart', 'readStop', 'useUserBuffer', 'writeLatin1String', 'writeBuffer'] as const

const doors: Doors | null = process.versions.bun || process.platform === 'win32' ? null : findDoors()
const shared = Buffer.allocUnsafeSlow(sharedReadBytes)
const sharedMemory = shared.buffer

/** Does this runtime have every door that this file goes through? */
export const directWorks: boolean = doors !== null

function findDoors(): Doors | null {
  const flags = process as { noDeprecation?: boolean | undefined }
  const before = flags.noDeprecation
  try {
    // `process.binding` is deprecated in the documentation only; what it says under --pending-deprecation is for
    // programs that have no other way, and we have one.
    flags.noDeprecation = true
    const binding = (process as unknown as { binding(name: string): Record<string, unknown> }).binding
    return checkedDoors(binding('stream_wrap'), binding('tcp_wrap'))
  } catch {
    return null
  } finally {
    flags.noDeprecation = before
  }
}

function checkedDoors(streams: Record<string, unknown>, tcp: Record<string, unknown>): Doors | null {
  const { WriteWrap: WriteRequest, streamBaseState: state, kLastWriteWasAsync: index } = streams
  const prototype = (tcp.TCP as { prototype: Record<string, unknown> }).prototype
  if (typeof WriteRequest !== 'function' || !(state instanceof Int32Array)) return null
  if (typeof index !== 'number' || index >= state.length) return null
  if (!handleMethods.every(name => typeof prototype[name] === 'function')) return null
  return { WriteRequest: WriteRequest as Doors['WriteRequest'], state, lastWriteWasAsync: index }
}

/** One spare request object: a write that the system takes at once never uses it up. */
let spareRequest: WriteRequest | null = null

function takeRequest(): WriteRequest {
  return spareRequest ?? new (doors as Doors).WriteRequest()
}

function writeCompleted(this: WriteRequest, status: number): void {
  this.bytes = null
  ;(this.stream as DirectStream).writeEnded(status)
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

export class DirectStream extends PlainStream {
  /** Null: writes go through the socket (not connected yet, its own writes are not done, or no more writes come). */
  #handle: Handle | null = null
  #writesPending = 0
  /** What the handle reads into. */
  #native: Buffer = shared
  #target: Buffer = shared
  #bufferSwitches = 0
  #inData = false

  override attach(): void {
    if (this.dead) return
    this.#handle = this.finishing || !this.settled ? null : this.#socketHandle
    if (this.open) this.startReading()
  }

  get #socketHandle(): Handle | null {
    return (this.socket as unknown as { _handle: Handle | null })._handle
  }

  /** Answers the buffer to read into from now on, if it is another. */
  received(length: number): Buffer | undefined {
    if (this.#native === this.#target && this.open) {
      this.#inData = true
      this.handler.data(this, this.#native, length)
      this.#inData = false
    } else this.deliver(this.#native, length)
    if (this.#native === this.#target || this.#bufferSwitches > bufferSwitchesMax) return undefined
    return (this.#native = this.#target)
  }

  override write(text: string): boolean {
    const handle = this.#handle
    if (handle === null) return this.writeThroughSocket(text)
    if (text.length === 0) return !this.drainOwed
    const request = takeRequest()
    return this.#written(request, handle.writeLatin1String(request, text), null)
  }

  override writeBytes(bytes: Buffer, from: number, to: number): boolean {
    const whole = part(bytes, from, to)
    const stable = bytes.buffer === sharedMemory ? Buffer.from(whole) : whole
    const handle = this.#handle
    if (handle === null) return this.writeThroughSocket(stable)
    if (to <= from) return !this.drainOwed
    const request = takeRequest()
    return this.#written(request, handle.writeBuffer(request, stable), stable)
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
    request.stream = this
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

  protected override get settled(): boolean {
    return this.#writesPending === 0 && this.socket.writableLength === 0
  }

  protected override settle(): void {
    if (!this.finishing && !this.dead && this.settled && !this.socket.connecting)
      this.#handle = this.#socketHandle
    super.settle()
  }

  protected override startReading(): void {
    const handle = this.#socketHandle
    if (this.dead || handle === null || handle.reading || this.socket.connecting) return
    handle.reading = true
    const error = handle.readStart()
    if (error !== 0) this.fail(getSystemErrorName(error))
  }

  protected override stopReading(): void {
    const handle = this.#socketHandle
    if (handle === null || !handle.reading || this.socket.connecting) return
    handle.reading = false
    handle.readStop()
  }

  override readInto(buffer: Buffer | null): void {
    this.wanted = buffer
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
    super.end()
  }

  override socketConnected(): void {
    if (this.socket.writableLength === 0 && !this.finishing) this.#handle = this.#socketHandle
    super.socketConnected()
    // The socket begins to read after this unless it thinks itself paused; the handle is ours from then on.
    if (!this.open) this.socket.pause()
  }

  protected override dropHeld(): void {
    this.#handle = null
    super.dropHeld()
  }

  override socketClosed(): void {
    this.#handle = null
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

export function connectDirect(host: string, port: number, handler: StreamHandler): Stream {
  nextBuffer = shared
  const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true, onread } as net.NetConnectOpts)
  nextBuffer = undefined
  return new DirectStream(socket, handler)
}
