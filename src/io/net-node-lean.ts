// A stream of the Node driver over TCP's handle alone, without a socket above it: for whoever never begins TLS on it nor
// gives it up. Making and ending a connection costs a third of what it costs with a socket, and nearly all of that is the
// system's (bench/tcp); everything else is as in `net-node-direct.ts`, and the same contract holds it.
//
// States: connecting -> open -> closing -> closed. `closing` is when the handle has been told to close: nothing is asked of
// it any more. It closes by itself once the peer has ended and our FIN is sent; a FIN after the peer's own is the close.
//
// Further facts of Node and libuv that this relies on: a write while connecting waits for the connection; a reset is
// refused while a shutdown is under way; a close cancels what waits, and calls back in a later turn.

import type { Duplex } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { Fault } from '../kit/failure.ts'
import { type Stream, type StreamHandler, sharedReadBytes } from './net.ts'
import {
  type Address,
  type Doors,
  doors,
  type LeanDoors,
  sharedBuffer,
  type TcpHandle,
  type WriteRequest,
} from './net-node-doors.ts'
import { ReadingSide } from './net-reading.ts'

/** Listeners that `useUserBuffer` leaves behind on a handle until it closes; some 50 bytes each. */
const bufferSwitchesMax = 1000
/** libuv's, the same on every system. */
const endOfFile = -4095

/** One spare request object: a write that the system takes at once never uses it up. */
let spareRequest: WriteRequest | null = null

function writeCompleted(this: WriteRequest, status: number): void {
  this.bytes = null
  this.owner?.writeEnded(status)
}

function onRead(this: TcpHandle<LeanStream>): Buffer | undefined {
  const { state, readBytesOrError } = doors as Doors
  const length = state[readBytesOrError] as number
  if (length > 0) return this.tenfold.received(length)
  if (length < 0) this.tenfold.readEnded(length)
  return undefined
}

export class LeanStream extends ReadingSide implements Stream {
  readonly tls = null
  readonly #handle: TcpHandle<LeanStream>
  #connecting = false
  #closing = false
  #reading = false
  /** `end` was called; it waits for writes; its shutdown is under way; it is done. */
  #finishing = false
  #finPending = false
  #shutting = false
  #finSent = false
  #sawEnd = false
  #resetPending = false
  #drainOwed = false
  #writesPending = 0
  #failure = ''
  #peer: Address | null = null
  #own: Address | null = null
  /** What the handle reads into. */
  #native: Buffer = sharedBuffer
  #target: Buffer = sharedBuffer
  #bufferSwitches = 0
  #inData = false

  constructor(handle: TcpHandle<LeanStream>, handler: StreamHandler) {
    super(handler)
    this.#handle = handle
    handle.tenfold = this
    handle.onread = onRead
    handle.useUserBuffer(sharedBuffer)
    handle.setNoDelay(true)
  }

  /** From now on what arrives is delivered. */
  attach(): void {
    if (this.open) this.startReading()
  }

  connect(host: string, port: number): this {
    const { ConnectRequest } = (doors as Doors).lean as LeanDoors
    const request = new ConnectRequest()
    request.oncomplete = status => this.#connected(status)
    this.#connecting = true
    const handle = this.#handle
    const error = host.includes(':')
      ? handle.connect6(request, host, port)
      : handle.connect(request, host, port)
    if (error !== 0) this.#fail(getSystemErrorName(error))
    return this
  }

  #connected(status: number): void {
    this.#connecting = false
    if (this.dead) return
    if (status !== 0) {
      this.#fail(getSystemErrorName(status))
      return
    }
    this.handler.opened(this)
    if (this.dead) return
    if (this.#finPending && this.#writesPending === 0) this.#finish()
    if (this.open) this.startReading()
  }

  // --- addresses ----------------------------------------------------------------------------------------------

  get remoteAddress(): string {
    return this.#peerAddress().address ?? ''
  }
  get remotePort(): number {
    return this.#peerAddress().port ?? 0
  }
  get localAddress(): string {
    return this.#ownAddress().address ?? ''
  }
  get localPort(): number {
    return this.#ownAddress().port ?? 0
  }

  #peerAddress(): Address {
    if (this.#peer !== null || this.#connecting || this.#closing) return this.#peer ?? {}
    const found: Address = {}
    return this.#handle.getpeername(found) === 0 ? (this.#peer = found) : found
  }

  #ownAddress(): Address {
    if (this.#own !== null || this.#connecting || this.#closing) return this.#own ?? {}
    const found: Address = {}
    return this.#handle.getsockname(found) === 0 ? (this.#own = found) : found
  }

  // --- writing ------------------------------------------------------------------------------------------------

  write(text: string): boolean {
    if (this.dead || this.#finishing) return true
    if (text.length === 0) return !this.#drainOwed
    const request = this.#takeRequest()
    return this.#written(request, this.#handle.writeLatin1String(request, text), null)
  }

  writeBytes(bytes: Buffer, from: number, to: number): boolean {
    if (this.dead || this.#finishing) return true
    if (to <= from) return !this.#drainOwed
    const whole = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
    const stable = bytes.buffer === sharedBuffer.buffer ? Buffer.from(whole) : whole
    const request = this.#takeRequest()
    return this.#written(request, this.#handle.writeBuffer(request, stable), stable)
  }

  #takeRequest(): WriteRequest {
    return spareRequest ?? new (doors as Doors).WriteRequest()
  }

  #written(request: WriteRequest, error: number, bytes: Buffer | null): boolean {
    const { state, lastWriteWasAsync } = doors as Doors
    if (error !== 0) {
      spareRequest = request
      this.#fail(getSystemErrorName(error))
      return true
    }
    if (state[lastWriteWasAsync] === 0) {
      spareRequest = request
      return !this.#drainOwed
    }
    spareRequest = null
    request.owner = this
    request.bytes = bytes
    request.oncomplete = writeCompleted
    this.#writesPending++
    this.#drainOwed = true
    return false
  }

  writeEnded(status: number): void {
    this.#writesPending--
    if (status < 0) this.#fail(getSystemErrorName(status))
    else if (this.#writesPending === 0 && !this.dead && this.#drainOwed) this.#settle()
  }

  #settle(): void {
    this.#drainOwed = false
    if (this.#finPending) this.#finish()
    this.handler.drained(this)
  }

  // --- reading ------------------------------------------------------------------------------------------------

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

  readEnded(status: number): void {
    this.#reading = false
    if (status !== endOfFile) {
      this.#fail(getSystemErrorName(status))
      return
    }
    this.#sawEnd = true
    this.deliverEnd()
    this.#closeWhenDone()
  }

  protected startReading(): void {
    if (this.dead || this.#closing || this.#connecting || this.#reading || this.#sawEnd) return
    this.#reading = true
    const error = this.#handle.readStart()
    if (error !== 0) this.#fail(getSystemErrorName(error))
  }

  protected stopReading(): void {
    if (!this.#reading || this.#closing) return
    this.#reading = false
    this.#handle.readStop()
  }

  readInto(buffer: Buffer | null): void {
    this.wanted = buffer
    this.#target = buffer ?? sharedBuffer
    // While a read is being delivered its answer says where the next one goes.
    if (this.#inData || this.#target === this.#native || this.#closing) return
    if (this.#bufferSwitches > bufferSwitchesMax) return
    // Past the bound the handle keeps a buffer of the stream's own, from which reads are copied.
    this.#native =
      ++this.#bufferSwitches > bufferSwitchesMax ? Buffer.allocUnsafeSlow(sharedReadBytes) : this.#target
    this.#handle.useUserBuffer(this.#native)
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

  // --- the end ------------------------------------------------------------------------------------------------

  end(): void {
    if (this.dead || this.#finishing) return
    this.#finishing = true
    if (this.#writesPending > 0 || this.#connecting) this.#finPending = true
    else this.#finish()
  }

  /** Nothing waits to be written. */
  #finish(): void {
    this.#finPending = false
    if (this.#sawEnd) {
      this.#finSent = true
      this.#closeWhenDone()
      return
    }
    const { ShutdownRequest } = (doors as Doors).lean as LeanDoors
    const request = new ShutdownRequest()
    request.oncomplete = () => this.#finished()
    this.#shutting = this.#handle.shutdown(request) === 0
    // The connection is gone already: the read side tells how.
    if (!this.#shutting) this.#finished()
  }

  #finished(): void {
    this.#shutting = false
    if (this.#resetPending) this.#resetNow()
    if (this.dead) return
    this.#finSent = true
    this.#closeWhenDone()
  }

  #closeWhenDone(): void {
    if (this.#sawEnd && this.#finSent && !this.dead) this.#close()
  }

  destroy(): void {
    if (this.dead) return
    this.dropHeld()
    this.#close()
  }

  reset(): void {
    if (this.dead) return
    this.dropHeld()
    if (this.#connecting) this.#close()
    else if (this.#shutting) this.#resetPending = true
    else this.#resetNow()
  }

  #resetNow(): void {
    this.#resetPending = false
    if (this.#closing) return
    this.#closing = this.#handle.reset(() => this.#closed()) === 0
    if (!this.#closing) this.#close()
  }

  #fail(code: string): void {
    if (this.dead || this.#closing) return
    this.#failure = code
    this.destroy()
  }

  #close(): void {
    if (this.#closing) return
    this.#closing = true
    this.#handle.close(() => this.#closed())
  }

  #closed(): void {
    this.deliverClose(!this.dead)
  }

  startTls(): void {
    throw new Fault('a lean stream has no TLS')
  }
  detach(): Duplex {
    throw new Fault('a lean stream is not given up')
  }
}

/** Over an accepted connection's handle. */
export function acceptLean(handle: unknown, handler: StreamHandler): LeanStream {
  return new LeanStream(handle as TcpHandle<LeanStream>, handler)
}

export function connectLean(host: string, port: number, handler: StreamHandler): Stream {
  const { Tcp, socketKind } = (doors as Doors).lean as LeanDoors
  return new LeanStream(new Tcp(socketKind) as TcpHandle<LeanStream>, handler).connect(host, port)
}
