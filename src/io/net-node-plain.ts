// One stream of the Node driver by documented means only: `node:net`'s Socket for reading, writing and the life of the
// connection. What `net-node-direct.ts` builds on, and all there is where its doors are missing.
//
// Bytes given to the socket are counted by it (`writableLength`); `end` waits until it has none left, so that a FIN is
// never queued behind unsent bytes: a reset could not overtake it.

import type { Socket } from 'node:net'
import type { Stream, StreamHandler } from './net.ts'
import { ReadingSide } from './net-reading.ts'

const nothing = Buffer.alloc(0)

export type StreamSocket = Socket & { tenfold: PlainStream }

export class PlainStream extends ReadingSide implements Stream {
  protected readonly socket: StreamSocket
  /** `end` was called. */
  protected finishing = false
  /** A write answered `false`, and `drained` has not followed yet. */
  protected drainOwed = false
  #failure = ''
  #finPending = false

  constructor(socket: Socket, handler: StreamHandler) {
    super(handler)
    this.socket = socket as StreamSocket
    this.socket.tenfold = this
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
    if (socket.connecting) socket.once('connect', onConnect)
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? ''
  }
  get remotePort(): number {
    return this.socket.remotePort ?? 0
  }
  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  /** From now on what arrives is delivered. */
  attach(): void {
    this.socket.on('data', onData)
  }

  write(text: string): boolean {
    return this.writeThroughSocket(text)
  }

  writeBytes(bytes: Buffer, from: number, to: number): boolean {
    return this.writeThroughSocket(part(bytes, from, to))
  }

  protected writeThroughSocket(data: string | Buffer): boolean {
    const socket = this.socket
    if (this.dead || this.finishing || socket.destroyed) return true
    if (data.length === 0) return !this.drainOwed
    if (typeof data === 'string') socket.write(data, 'latin1')
    else socket.write(data)
    if (socket.writableLength === 0) return !this.drainOwed
    this.drainOwed = true
    // The socket tells of a drain only above its high-water mark; an empty write's callback tells of every one.
    socket.write(nothing, () => this.settle())
    return false
  }

  /** Is nothing of ours waiting for the system? */
  protected get settled(): boolean {
    return this.socket.writableLength === 0
  }

  /** Called whenever a write has completed. */
  protected settle(): void {
    if (!this.drainOwed || this.dead || this.socket.destroyed || !this.settled) return
    this.drainOwed = false
    if (this.#finPending) this.socket.end()
    this.handler.drained(this)
  }

  protected startReading(): void {
    if (!this.dead) this.socket.resume()
  }

  protected stopReading(): void {
    this.socket.pause()
  }

  readInto(buffer: Buffer | null): void {
    this.wanted = buffer
  }

  end(): void {
    if (this.dead || this.finishing) return
    this.finishing = true
    if (this.drainOwed) this.#finPending = true
    else this.socket.end()
  }

  destroy(): void {
    if (this.dead) return
    this.dropHeld()
    this.socket.destroy()
  }

  reset(): void {
    if (this.dead) return
    this.dropHeld()
    const socket = this.socket
    if (socket.connecting) socket.destroy()
    // A shutdown that is under way refuses a reset; it has nothing left to send and is over in the next turn.
    else if (socket.writableEnded && !socket.writableFinished)
      socket.once('finish', () => socket.resetAndDestroy())
    else socket.resetAndDestroy()
  }

  /** The system refused or broke the connection. */
  protected fail(code: string): void {
    if (this.dead || this.socket.destroyed) return
    this.#failure = code
    this.destroy()
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

  socketConnected(): void {
    if (this.dead) return
    this.handler.opened(this)
  }

  socketData(bytes: Buffer): void {
    this.deliver(bytes, bytes.length)
  }

  socketEnded(): void {
    this.deliverEnd()
  }

  socketFailed(error: NodeJS.ErrnoException): void {
    if (this.dead) return
    this.#failure = error.code ?? 'ERROR'
    this.dropHeld()
  }

  socketClosed(): void {
    this.deliverClose(!this.dead)
  }
}

export function part(bytes: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
}

function onConnect(this: StreamSocket): void {
  this.tenfold.socketConnected()
}
function onData(this: StreamSocket, bytes: Buffer): void {
  this.tenfold.socketData(bytes)
}
function onEnd(this: StreamSocket): void {
  this.tenfold.socketEnded()
}
function onError(this: StreamSocket, error: NodeJS.ErrnoException): void {
  this.tenfold.socketFailed(error)
}
function onClose(this: StreamSocket): void {
  this.tenfold.socketClosed()
}
