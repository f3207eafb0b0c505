// One client connection that speaks HTTP/2: its streams, their bound, its drain, and what it may cost. Each stream is an
// exchange's client of its own (http2-exchange-client.ts). Frames, HPACK and flow control are `node:http2`'s; what that
// lets pass is bounded here: resets, PING and SETTINGS by count, everything that is no payload by bytes.
//
// States: open -> leaving (GOAWAY without a last stream, streams still accepted until its PING is answered) -> closing
// (GOAWAY; what is under way ends) -> closed. Idle, and after the last stream, the socket has a deadline.

import type { Duplex } from 'node:stream'
import {
  http2Code,
  lastStreamIdMax,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  serveHttp2,
} from '../io/http2.ts'
import type { Stream } from '../io/net.ts'
import type { TlsInfo } from '../io/tls.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { isInBlocks } from '../policy/address.ts'
import type { ClientHello } from './client-hello.ts'
import type { ConnectionPlace } from './connection-place.ts'
import type { Drainable, WorkerContext } from './context.ts'
import { Http2ExchangeClient } from './http2-exchange-client.ts'

const streamsMaxDefault = 128
/** A closed session's peer has this long to close its side. */
const lingerUs = 10_000_000
/** Streams accepted after the first GOAWAY end with this even if nobody answers the PING. */
const calmedUs = 1_000_000
const leavingUs = 1_000_000
const lookUs = 1_000_000
/** Fields beyond the limit that are still read, so that the answer is a 431 and not a reset: pseudo-header fields, crumbs. */
const fieldsBeyond = 40

/** What a client may do without purpose: resets, PINGs, SETTINGS, malformed streams; at once, and each second. */
const troubleMax = 400
const troublePerSecond = 50
const settingsTrouble = 4

/**
 * Bytes that are neither payload nor a request's fields (frame headers, WINDOW_UPDATE, PRIORITY, empty or tiny DATA): at
 * once, and each second. Payload earns as much: messages of 9 bytes pay for their frames themselves. A download of
 * 100 MB/s is acknowledged with some 40 KB/s.
 */
const overheadMax = 512 << 10
const overheadPerSecond = 64 << 10
/** Framing of a request's fields, and what HPACK and the stream's end cost. */
const requestOverhead = 256

export interface Http2Peer {
  readonly remoteAddress: string
  readonly tls: TlsInfo | null
  readonly hello: ClientHello | null
  readonly listener: string
  readonly place: ConnectionPlace
}

export class Http2Client extends Timed implements Drainable {
  readonly worker: WorkerContext
  readonly remoteAddress: string
  readonly tls: TlsInfo | null
  readonly hello: ClientHello | null
  readonly listener: string
  readonly trusted: boolean
  readonly forwardedText: string
  readonly #place: ConnectionPlace
  readonly #socket: Duplex
  readonly #session: ServerHttp2Session
  readonly #streams = new Set<Http2ExchangeClient>()
  #aboutAuthority = ''
  #about = ''
  #requests = 0
  #leaving = false
  #idleAt: number
  #trouble = 0
  #troubleAt: number
  #overhead = 0
  #seenBytes = 0
  #gone = false
  #calmed = false

  constructor(worker: WorkerContext, socket: Duplex, peer: Http2Peer) {
    super()
    const { snapshot, cells, index, now } = worker
    const { limits } = snapshot.spec
    this.worker = worker
    this.remoteAddress = peer.remoteAddress
    this.tls = peer.tls
    this.hello = peer.hello
    this.listener = peer.listener
    this.trusted = isInBlocks(this.remoteAddress, snapshot.trustedProxies)
    this.forwardedText = `X-Forwarded-For: ${this.remoteAddress}\r\nX-Forwarded-Proto: ${this.tls === null ? 'http' : 'https'}\r\n`
    this.#socket = socket
    this.#place = peer.place
    this.#place.end = () => socket.destroy()
    this.#idleAt = this.#troubleAt = now
    cells.worker.connections[index]!++
    cells.worker.accepted[index]!++
    this.#session = serveHttp2(socket, {
      streamsMax: limits.http2StreamsMax ?? streamsMaxDefault,
      headerListBytesMax: limits.requestLineBytesMax + limits.headerBytesMax + 32 * limits.headerCountMax,
      headerFieldsMax: limits.headerCountMax + fieldsBeyond,
    })
    this.#listen()
    worker.wheel.set(this, now + lookUs)
  }

  #listen(): void {
    const session = this.#session
    session.on('stream', (stream, _byName, flags, list) => this.#accept(stream, flags, list))
    session.on('ping', () => this.charge(1))
    session.on('remoteSettings', () => this.charge(settingsTrouble))
    // What it says follows in `close`.
    session.on('error', () => {})
    session.on('close', () => this.#closed())
  }

  /** As `Http1Client.aboutText`. */
  aboutText(authority: string): string {
    if (authority !== this.#aboutAuthority || this.#about === '') {
      const { viaTextTwo, ids } = this.worker
      this.#aboutAuthority = Buffer.from(authority, 'latin1').latin1Slice()
      this.#about = `${this.forwardedText}X-Forwarded-Host: ${authority}\r\n${viaTextTwo}${ids.prefix}`
    }
    return this.#about
  }

  // --- streams ------------------------------------------------------------------------------------------------

  #accept(stream: ServerHttp2Stream, flags: number, list: readonly string[]): void {
    const { worker } = this
    worker.refresh()
    const client = new Http2ExchangeClient(this, stream)
    this.#streams.add(client)
    this.#requests++
    let bytes = requestOverhead
    for (let i = 0; i < list.length; i++) bytes += (list[i] as string).length
    this.#overhead -= bytes
    if (this.#requests >= worker.snapshot.spec.limits.requestsPerConnectionMax) this.#leave()
    client.begin(list, flags)
  }

  /** Payload of a request body has come. */
  notePayload(bytes: number): void {
    this.#overhead -= 2 * bytes
  }

  streamClosed(client: Http2ExchangeClient): void {
    this.#streams.delete(client)
    if (this.#streams.size === 0) this.#idleAt = this.worker.now
  }

  // --- what it may cost ---------------------------------------------------------------------------------------

  charge(cost: number): void {
    this.worker.refresh()
    const { now } = this.worker
    const seconds = (now - this.#troubleAt) / 1e6
    this.#troubleAt = now
    this.#trouble = Math.max(0, this.#trouble - seconds * troublePerSecond) + cost
    if (this.#trouble > troubleMax) this.#calm()
  }

  /**
   * RFC 9113 10.5: a peer that asks for work without purpose is cut off, and told why. `close` first: Node then leaves
   * the socket open for a while and drops what still comes, so that the word is not lost to a reset.
   */
  #calm(): void {
    const { worker } = this
    const session = this.#session
    if (this.#calmed || session.destroyed) return
    this.#calmed = true
    worker.cells.worker.refused[worker.index]!++
    session.goaway(http2Code.enhanceYourCalm)
    session.close()
    session.destroy(new Error('this client asks for work without purpose'), http2Code.enhanceYourCalm)
    this.#arm(calmedUs)
  }

  #checkOverhead(seconds: number): void {
    const { bytesRead } = this.#session.socket
    this.#overhead = Math.max(0, this.#overhead + bytesRead - this.#seenBytes - seconds * overheadPerSecond)
    this.#seenBytes = bytesRead
    let waiting = 0
    for (const client of this.#streams) waiting += 2 * client.unreadBytes
    if (this.#overhead - waiting > overheadMax) this.#calm()
  }

  // --- deadlines and the end ----------------------------------------------------------------------------------

  override expired(now: number): void {
    const session = this.#session
    if (session.destroyed) {
      // Both sides have said all, and the peer does not close.
      this.#socket.destroy()
      return
    }
    this.#checkOverhead(lookUs / 1e6)
    if (session.destroyed) return
    const idleUs = this.worker.snapshot.spec.limits.idleTimeoutMs * 1000
    if (this.#leaving || (this.#streams.size === 0 && now - this.#idleAt >= idleUs)) this.#close()
    else this.#arm(lookUs)
  }

  #arm(us: number): void {
    if (!this.#gone) this.worker.wheel.set(this, this.worker.now + us)
  }

  /**
   * RFC 9113 6.8: a stream that is on its way when the GOAWAY arrives is still served; which one is the last is said a
   * round trip later.
   */
  #leave(): void {
    const session = this.#session
    if (this.#leaving || session.destroyed) return
    this.#leaving = true
    session.goaway(http2Code.noError, lastStreamIdMax)
    session.ping(() => this.#close())
    this.#arm(leavingUs)
  }

  /** Streams under way go on; the session ends itself after the last, and then the peer has a while to close. */
  #close(): void {
    const session = this.#session
    this.#leaving = true
    if (!session.closed && !session.destroyed) session.close()
    this.#arm(lingerUs)
  }

  drain(): void {
    this.worker.refresh()
    this.#leave()
  }

  endNow(): void {
    this.#close()
    for (const client of [...this.#streams]) client.endNow()
  }

  cut(): void {
    this.#socket.destroy()
  }

  #closed(): void {
    const { worker } = this
    if (this.#gone) return
    this.#gone = true
    worker.refresh()
    worker.cells.worker.connections[worker.index]!--
    worker.wheel.remove(this)
    worker.forgetClient(this)
    this.#place.leave()
    for (const client of [...this.#streams]) client.gone(false)
  }
}

/** Takes the connection over. From now on nothing of `stream` may be used. */
export function acceptHttp2(worker: WorkerContext, stream: Stream, peer: Http2Peer): Http2Client {
  const client = new Http2Client(worker, stream.detach(), peer)
  worker.keepClient(client)
  return client
}
