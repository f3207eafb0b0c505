// One stream of the Node driver by documented means only: `node:net`'s Socket for reading, writing and the life of the
// connection. What `net-node-direct.ts` builds on, and all there is where its doors are missing.
//
// Bytes given to the socket are counted by it (`writableLength`); `end` waits until it has none left, so that a FIN is
// never queued behind unsent bytes: a reset could not overtake it.

//
// Under TLS `socket` is the TLSSocket and `under` the TCP socket beneath it. Every write to a TLSSocket completes in a later
// turn, so that what is little is taken by copy: an answer of `false` says that the peer is slow, as it does without TLS.

import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { assert } from '../kit/failure.ts'
import type { Stream, StreamHandler } from './net.ts'
import { ReadingSide } from './net-reading.ts'
import { type TlsInfo, type TlsServer, tlsInfo } from './tls.ts'

const nothing = Buffer.alloc(0)

/** Bytes that a stream under TLS takes by copy while a write is under way. */
export const secureCopyBytesMax = 65_536

type ServerSecured = TLSSocket & { _releaseControl?(): boolean; secureConnecting: boolean }

export type StreamSocket = Socket & { tenfold: PlainStream }

export class PlainStream extends ReadingSide implements Stream {
  protected socket: StreamSocket
  /** The TCP socket under TLS; null on plain connections. */
  protected under: Socket | null = null
  protected handshaking = false
  tls: TlsInfo | null = null
  /** `end` was called. */
  protected finishing = false
  /** A write answered `false`, and `drained` has not followed yet. */
  protected drainOwed = false
  #failure = ''
  #finPending = false
  /** The handshake is done; `handshaking` stays until that is told. */
  #established = false
  /** Servers always show theirs. */
  #certificateAsked = true
  #certificateRequired = false

  constructor(socket: Socket, handler: StreamHandler) {
    super(handler)
    this.socket = socket as StreamSocket
    this.adopt(this.socket)
  }

  protected adopt(socket: StreamSocket): void {
    this.socket = socket
    socket.tenfold = this
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  /** `opened` follows. */
  connecting(): this {
    this.socket.once('connect', onConnect)
    return this
  }

  /** `socket` is a TLSSocket over that one, and its handshake is to come. */
  secure(under: Socket, done: 'secure' | 'secureConnect'): this {
    this.under = under
    this.handshaking = true
    this.socket.once(done, onSecure)
    return this
  }

  startTls(server: TlsServer): void {
    assert(this.under === null && !this.handshaking, 'TLS begins once on a stream')
    assert(!this.drainOwed, 'TLS begins when nothing waits to be written')
    if (this.dead || this.finishing || this.socket.destroyed) return
    const { socket: under, ended } = this.letGo()
    const secured = server.wrap(under) as unknown as StreamSocket
    this.adopt(secured)
    this.secure(under, 'secure')
    this.#certificateAsked = server.clientsAsked
    this.#certificateRequired = server.clientsRequired
    // The bytes of a client that has ended already are no handshake; and no end would be told any more.
    if (ended || under.readableEnded) this.fail('ECONNRESET')
  }

  detach(): Duplex {
    assert(!this.drainOwed && !this.handshaking, 'a stream is given up when nothing waits to be written')
    const { socket } = this.letGo()
    this.dead = true
    // Node's HTTP/2 sessions expect a socket that closes when its peer has ended.
    socket.allowHalfOpen = false
    return socket
  }

  /** The socket without us; what we hold is in its own read buffer. */
  protected letGo(): { socket: Socket; ended: boolean } {
    const socket = this.socket
    socket.removeListener('end', onEnd)
    socket.removeListener('error', onError)
    socket.removeListener('close', onClose)
    socket.removeListener('data', onData)
    const { bytes, ended } = this.takeHeld()
    // A socket that flows would give what is put back to nobody.
    socket.pause()
    if (bytes !== null) socket.unshift(bytes)
    return { socket, ended }
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? ''
  }
  get remotePort(): number {
    return this.socket.remotePort ?? 0
  }
  get localAddress(): string {
    return this.socket.localAddress ?? ''
  }
  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  /** From now on what arrives is delivered. */
  attach(): void {
    if (this.under !== null) return
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
    const little = this.under !== null && socket.writableLength + data.length <= secureCopyBytesMax
    if (typeof data === 'string') socket.write(data, 'latin1')
    else socket.write(little ? Buffer.from(data) : data)
    if (socket.writableLength === 0 || little) return !this.drainOwed
    this.drainOwed = true
    // The socket tells of a drain only above its high-water mark; an empty write's callback tells of every one.
    socket.write(nothing, () => this.settle())
    return false
  }

  /** Is nothing of ours waiting for the system? */
  protected get settled(): boolean {
    return this.socket.writableLength === 0
  }

  /** Must a FIN wait? One during the handshake would end that. */
  protected get unsent(): boolean {
    return this.drainOwed || this.handshaking
  }

  protected override get open(): boolean {
    return super.open && !this.handshaking
  }

  /** Called whenever a write has completed. */
  protected settle(): void {
    if (this.dead || this.socket.destroyed || !this.settled) return
    if (this.#finPending) this.socket.end()
    this.#finPending = false
    if (!this.drainOwed) return
    this.drainOwed = false
    this.handler.drained(this)
  }

  // A handshake needs its reads, paused or not.
  protected startReading(): void {
    if (!this.dead && !this.handshaking) this.socket.resume()
  }

  protected stopReading(): void {
    if (!this.handshaking) this.socket.pause()
  }

  readInto(buffer: Buffer | null): void {
    this.wanted = buffer
  }

  end(): void {
    if (this.dead || this.finishing) return
    this.finishing = true
    if (this.unsent) this.#finPending = true
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
    const under = this.under ?? socket
    if (socket.connecting || under.connecting) socket.destroy()
    // A shutdown that is under way refuses a reset; it has nothing left to send and is over in the next turn.
    else if (socket.writableEnded && !socket.writableFinished)
      socket.once('finish', () => under.resetAndDestroy())
    else under.resetAndDestroy()
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

  socketSecured(): void {
    this.#established = true
    // We are inside OpenSSL here: what is written now would not be with the system when the write returns.
    setImmediate(tellSecured, this)
  }

  tellSecured(): void {
    if (this.dead) return
    const secured = this.socket as unknown as ServerSecured
    // What `tls.Server` does for its sockets: else errors of TLS itself are not told after the handshake, and a session of
    // HTTP/2 waits for it.
    secured._releaseControl?.()
    secured.secureConnecting = false
    const info = tlsInfo(secured, this.#certificateAsked)
    if (this.#certificateRequired && !info.authorized) {
      this.fail(info.authorizationError || 'CERT_REJECTED')
      return
    }
    this.tls = info
    this.handshaking = false
    this.securedReading()
    this.handler.opened(this)
    if (this.dead) return
    // An end that waited for the handshake alone.
    if (this.#finPending && !this.drainOwed) this.socket.end()
    this.deliverWaiting()
  }

  protected securedReading(): void {
    if (!this.open) this.socket.pause()
    this.socket.on('data', onData)
  }

  socketData(bytes: Buffer): void {
    this.deliver(bytes, bytes.length)
  }

  socketEnded(): void {
    if (this.handshaking && !this.#established) this.fail('ECONNRESET')
    else this.deliverEnd()
  }

  socketFailed(error: NodeJS.ErrnoException): void {
    if (this.dead) return
    this.#failure = error.code ?? 'ERROR'
    this.dropHeld()
    // A broken TLS record is told without an end of the socket.
    if (this.#established) this.socket.destroy()
  }

  socketClosed(): void {
    const broken = this.handshaking && !this.#established
    if (broken && !this.dead) this.#failure = 'ECONNRESET'
    this.deliverClose(!this.dead && !broken)
  }
}

export function part(bytes: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
}

function onConnect(this: StreamSocket): void {
  this.tenfold.socketConnected()
}
function onSecure(this: StreamSocket): void {
  this.tenfold.socketSecured()
}
function tellSecured(stream: PlainStream): void {
  stream.tellSecured()
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
