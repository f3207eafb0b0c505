// One stream of a client's HTTP/2 connection as an exchange's client: its fields become an HTTP/1.1 head that the same
// strict reader judges, the answer's lines become a field list, bodies flow by the stream's own flow control. Owns the
// stream's end: whole, cut (RST_STREAM), or taken back by the client.
//
// States by what is there: reading (a body may still come whole, no exchange yet) -> busy (exchange) -> ending (the answer
// is written and leaves at the client's pace) -> closed; busy -> tunnel (RFC 8441) -> closed.

import { createHash, randomBytes } from 'node:crypto'
import { endStreamFlag, http2Code, type ServerHttp2Stream } from '../io/http2.ts'
import type { TlsInfo } from '../io/tls.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { fieldId } from '../wire/fields.ts'
import type { ResponseHead } from '../wire/head.ts'
import { framing, problemOf, responseDrop, withDropped } from '../wire/http1/index.ts'
import {
  isExtendedConnect,
  requestHeadText,
  responseFields,
  responseList,
  trailerFields,
  trailerLines,
} from '../wire/http2/index.ts'
import { type BodyPace, paceOf } from './body-pace.ts'
import type { ExchangeClient, TunnelSide } from './client.ts'
import type { ClientHello } from './client-hello.ts'
import type { CompiledRules } from './compile.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { clientFailures } from './failures.ts'
import { replayBytesMax } from './http1-client.ts'
import type { Http2Client } from './http2-client.ts'
import type { Tunnel } from './tunnel.ts'

/** Text of a body that waits for more of it, at most. */
const textBytesMax = 16_384
const smallBytes = 4_096
/** A malformed request costs us more than a reset that the client asked for. */
const malformedTrouble = 4
/** RFC 6455 4.2.2. */
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
/** Bytes of an answer that waits in memory, on average over the time to send: drops would hold it for hours. */
const takenPerSecondMin = 240
const noTrailers = { waitForTrailers: false, sendDate: false }
const withTrailers = { waitForTrailers: true, sendDate: false }
const headOnly = { endStream: true, sendDate: false }

export class Http2ExchangeClient extends Timed implements ExchangeClient, TunnelSide {
  readonly worker: WorkerContext
  readonly #connection: Http2Client
  readonly #stream: ServerHttp2Stream
  #exchange: Exchange | null = null
  #tunnel: Tunnel | null = null
  closing = false
  /** The request's fields, until its head is read. */
  #list: readonly string[] | null = null
  #flags = 0
  #webSocketKey = ''
  /** The request body: pieces that came before anybody took them. */
  #early: Buffer[] = []
  #earlyBytes = 0
  #inputEnded = false
  #trailers: string[] | null = null
  #bodyOpen = false
  #bodyPaused = true
  #pace: BodyPace | null | undefined
  /** The answer: fields that are not sent yet, text behind them. */
  #head: string[] | null = null
  #headSent = false
  #waitsForTrailers = false
  #outTrailers: readonly string[] | null = null
  #text = ''
  #bodiless = false
  #blocked = false
  #over = false
  #leftSeen = -1

  constructor(connection: Http2Client, stream: ServerHttp2Stream) {
    super()
    this.worker = connection.worker
    this.#connection = connection
    this.#stream = stream
    stream.on('error', ignore)
    stream.on('aborted', () => this.gone(true))
    stream.on('close', () => this.#closed())
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress
  }
  get trusted(): boolean {
    return this.#connection.trusted
  }
  get tls(): TlsInfo | null {
    return this.#connection.tls
  }
  get hello(): ClientHello | null {
    return this.#connection.hello
  }
  get listener(): string {
    return this.#connection.listener
  }
  get httpVersion(): string {
    return '2.0'
  }
  get forwardedText(): string {
    return this.#connection.forwardedText
  }
  get bodyOpen(): boolean {
    return this.#bodyOpen
  }
  get side(): TunnelSide {
    return this
  }
  /** Payload that has come and that nobody has taken yet. */
  get unreadBytes(): number {
    return this.#stream.readableLength
  }
  aboutText(authority: string): string {
    return this.#connection.aboutText(authority)
  }

  // --- the request --------------------------------------------------------------------------------------------

  begin(list: readonly string[], flags: number): void {
    const stream = this.#stream
    if (stream.closed || stream.destroyed) {
      this.gone(true)
      return
    }
    this.#list = list
    this.#flags = flags
    if (isExtendedConnect(list)) this.#webSocketKey = randomBytes(16).toString('base64')
    if ((flags & endStreamFlag) !== 0) {
      this.#inputEnded = true
      this.#readHead()
      return
    }
    this.#listenToBody()
    // A tunnel's data is no body; for others a small body has mostly come in the same read, and can then be sent again.
    if (this.#webSocketKey === '') setImmediate(readHead, this)
    else this.#readHead()
  }

  #listenToBody(): void {
    const stream = this.#stream
    stream.on('trailers', (_byName, _flags, list) => this.#takeTrailers(list))
    stream.on('end', () => this.#inputEnd())
    stream.on('data', (bytes: Buffer) => this.#input(bytes))
  }

  #takeTrailers(list: unknown): void {
    if (this.#over) return
    const lines = trailerLines(list as readonly string[])
    if (lines === null) this.#malformed()
    else this.#trailers = lines
  }

  /** What came is looked at as a whole: the head, and the body if all of it is there. */
  readHead(): void {
    if (this.#over || this.#list === null) return
    this.worker.refresh()
    this.#readHead()
  }

  #readHead(): void {
    const { worker } = this
    const list = this.#list as readonly string[]
    this.#list = null
    const none = (this.#flags & endStreamFlag) !== 0
    const whole = this.#inputEnded && this.#trailers === null && this.#earlyBytes <= replayBytesMax
    const text = requestHeadText(list, { none, bytes: whole ? this.#earlyBytes : -1 }, this.#webSocketKey)
    if (text === null) {
      this.#malformed()
      return
    }
    const exchange = (this.#exchange = worker.takeExchange())
    const { head } = exchange
    head.reset(worker.snapshot.spec.limits)
    const after = head.parse(text, null)
    if (after <= 0) {
      const { status, code, text: sentence } = problemOf(after)
      this.#bodyOpen = !this.#inputEnded
      exchange.refuseUnread(this, { status, code, text: sentence })
      return
    }
    this.#bodiless = head.method === 'HEAD'
    let bodyText = ''
    if (head.framing !== framing.none) {
      if (whole) {
        for (const bytes of this.#early) bodyText += bytes.latin1Slice()
        this.#early = []
      } else {
        this.#bodyOpen = true
        this.#stream.pause()
      }
    }
    exchange.begin(this, bodyText)
  }

  /** RFC 9113 8.1.1: a stream error, and no exchange. */
  #malformed(): void {
    const { exchange } = this.#leave()
    this.#connection.charge(malformedTrouble)
    this.#reset(http2Code.protocolError)
    exchange?.clientGone()
  }

  #input(bytes: Buffer): void {
    const { worker } = this
    worker.refresh()
    this.#connection.notePayload(bytes.length)
    if (this.#tunnel !== null) {
      this.#tunnel.fromClient(bytes, bytes.length)
      return
    }
    if (this.#over) return
    if (this.#exchange !== null && this.#bodyOpen && !this.#bodyPaused && this.#early.length === 0) {
      this.#armBody()
      this.#exchange.requestBody(bytes, 0, bytes.length)
      this.#checkPace()
      return
    }
    this.#early.push(bytes)
    this.#earlyBytes += bytes.length
    if (this.#list === null || this.#earlyBytes > replayBytesMax) this.#stream.pause()
  }

  #checkPace(): void {
    const exchange = this.#exchange
    if (exchange === null || !this.#bodyOpen || this.#bodyPaused) return
    if (this.#pace?.isSlow(this.worker.now, exchange.bytesIn) === true)
      exchange.requestBodyBad(clientFailures.bodyTooSlow)
  }

  #inputEnd(): void {
    this.worker.refresh()
    // Node says `end` of a stream that was reset too: half a request must not look whole to an instance.
    if (this.#stream.closed && this.#tunnel === null) {
      this.gone(true)
      return
    }
    this.#inputEnded = true
    if (this.#tunnel !== null) this.#tunnel.clientEnded()
    else this.#endBody()
  }

  startBody(): void {
    if (this.#bodyOpen && this.#bodyPaused) this.resumeBody()
  }

  pauseBody(): void {
    this.#bodyPaused = true
    this.#pace?.waits(this.worker.now)
    this.#stream.pause()
    if (this.#bodyOpen) this.worker.wheel.set(this, Infinity)
  }

  resumeBody(): void {
    if (!this.#bodyOpen || !this.#bodyPaused) return
    this.#bodyPaused = false
    if (this.#pace === undefined && this.#exchange !== null) this.#pace = paceOf(this.#exchange)
    this.#pace?.reads(this.worker.now)
    this.#armBody()
    while (this.#early.length > 0 && !this.#bodyPaused && this.#exchange !== null) {
      const bytes = this.#early.shift() as Buffer
      this.#earlyBytes -= bytes.length
      this.#exchange.requestBody(bytes, 0, bytes.length)
    }
    if (this.#bodyPaused || this.#exchange === null) return
    if (this.#inputEnded) this.#endBody()
    else this.#stream.resume()
  }

  #endBody(): void {
    if (!this.#bodyOpen || this.#bodyPaused || this.#early.length > 0) return
    this.#bodyOpen = false
    this.worker.wheel.set(this, Infinity)
    this.#exchange?.requestBodyEnd(this.#trailers)
  }

  #armBody(): void {
    const { worker } = this
    if (!this.#blocked) worker.wheel.set(this, worker.now + worker.snapshot.spec.limits.bodyTimeoutMs * 1000)
  }

  // --- the response -------------------------------------------------------------------------------------------

  sendInterim(head: ResponseHead, rules: CompiledRules): void {
    const stream = this.#stream
    if (stream.closed || stream.destroyed || this.#headSent) return
    stream.additionalHeaders(responseFields(head.status, head.copyFields(rules.drop, rules.alsoDrop)))
  }

  beginResponse(
    head: ResponseHead,
    bodyFraming: number,
    drop: Uint8Array,
    alsoDrop: readonly string[] | null,
    extra: string,
  ): void {
    // RFC 8441 5: a 2xx would mean that the tunnel stands, and without a 101 it does not.
    if (this.#webSocketKey !== '' && head.status < 300) {
      this.#head = responseList(502, `${this.worker.dateText}Content-Length: 0\r\n`)
      this.#bodiless = true
      return
    }
    this.#waitsForTrailers = bodyFraming === framing.chunked
    this.#head = responseList(head.status, head.copyFields(drop, alsoDrop) + extra)
  }

  beginOwnResponse(status: number, fields: string, _chunked = false, dated = false): void {
    this.#head = responseList(status, dated ? fields : this.worker.dateText + fields)
  }

  bodyText(text: string): void {
    if (this.#bodiless) return
    this.#text += text
    if (this.#text.length > textBytesMax) this.flush()
  }

  /** Always copied: after a reset nobody would say when nghttp2 has let go of the bytes. */
  bodyBytes(bytes: Buffer, from: number, to: number): boolean {
    if (from === to || this.#bodiless) return !this.#blocked
    if (to - from <= smallBytes) {
      this.bodyText(bytes.latin1Slice(from, to))
      return this.flush()
    }
    this.flush()
    const copy = Buffer.allocUnsafeSlow(to - from)
    bytes.copy(copy, 0, from, to)
    return this.#put(copy)
  }

  flush(): boolean {
    this.#sendHead(this.#waitsForTrailers ? withTrailers : noTrailers)
    const text = this.#text
    this.#text = ''
    return text === '' ? !this.#blocked : this.#put(text)
  }

  #sendHead(options: { waitForTrailers?: boolean; endStream?: boolean; sendDate: boolean }): void {
    const head = this.#head
    const stream = this.#stream
    if (head === null) return
    this.#head = null
    this.#headSent = true
    if (stream.closed || stream.destroyed) return
    if (options.waitForTrailers) stream.on('wantTrailers', () => this.#sendTrailers())
    stream.respond(head, options)
  }

  #sendTrailers(): void {
    const stream = this.#stream
    if (!stream.closed && !stream.destroyed) stream.sendTrailers(trailerFields(this.#outTrailers))
  }

  #put(data: string | Buffer): boolean {
    const stream = this.#stream
    if (stream.writableEnded || stream.destroyed) return true
    const taken = typeof data === 'string' ? stream.write(data, 'latin1') : stream.write(data)
    if (taken) return !this.#blocked
    if (!this.#blocked) {
      this.#blocked = true
      stream.once('drain', () => this.#drained())
      this.#armSend()
    }
    return false
  }

  #armSend(): void {
    const { worker } = this
    worker.wheel.set(this, worker.now + worker.snapshot.spec.limits.sendTimeoutMs * 1000)
  }

  #drained(): void {
    const { worker } = this
    worker.refresh()
    this.#blocked = false
    if (this.#tunnel !== null) {
      this.#tunnel.clientDrained()
      return
    }
    if (this.#exchange === null) return
    if (this.#bodyOpen && !this.#bodyPaused) this.#armBody()
    else worker.wheel.set(this, Infinity)
    this.#exchange.clientDrained()
  }

  endResponse(trailers: readonly string[] | null): void {
    const stream = this.#stream
    const text = this.#text
    this.#text = ''
    this.#outTrailers = trailers
    if (this.#head !== null) {
      const without = trailers === null || Object.keys(trailerFields(trailers)).length === 0
      const empty = text === '' && without
      this.#sendHead(empty ? headOnly : without ? noTrailers : withTrailers)
    }
    if (stream.writableEnded || stream.destroyed) return
    if (text === '') stream.end()
    else stream.end(text, 'latin1')
  }

  /** Bytes are copied when they are written. */
  lend(buffer: Buffer): void {
    this.worker.buffers.give(buffer)
  }

  exchangeDone(): void {
    this.#exchange = null
    this.#early = []
    const stream = this.#stream
    if (stream.destroyed) return
    if (!this.#inputEnded) {
      // RFC 9113 8.1: the answer is whole, the rest of the request is not wanted.
      this.#bodyOpen = false
      this.#over = true
      stream.resume()
      stream.close(http2Code.noError)
    }
    this.#over = true
    this.#leftSeen = stream.bufferSize
    this.#armSend()
  }

  exchangeCut(): void {
    this.#leave()
    this.#cut()
  }

  /** RST_STREAM at once: `close` would say END_STREAM before it, and the client would take the answer for whole. */
  #cut(): void {
    if (!this.#stream.destroyed) this.#stream.destroy(cutError)
  }

  #reset(code: number): void {
    const stream = this.#stream
    if (!stream.destroyed && !stream.closed) stream.close(code)
  }

  /** The exchange, if there is one, has nobody here any more. */
  #leave(): { exchange: Exchange | null; tunnel: Tunnel | null } {
    const left = { exchange: this.#exchange, tunnel: this.#tunnel }
    this.#exchange = null
    this.#tunnel = null
    this.#over = true
    this.#bodyOpen = false
    this.#early = []
    return left
  }

  /** The client, or the connection, has given the stream up. */
  gone(counts: boolean): void {
    this.worker.refresh()
    const was = this.#over
    const inTunnel = this.#tunnel !== null
    const { exchange, tunnel } = this.#leave()
    if (inTunnel) this.worker.cells.worker.tunnels[this.worker.index]!--
    tunnel?.clientClosed()
    exchange?.clientGone()
    if (counts && !was && !inTunnel) this.#connection.charge(1)
    // What nobody reads would keep the stream open.
    if (!this.#stream.destroyed) this.#stream.resume()
  }

  #closed(): void {
    this.gone(true)
    this.worker.wheel.remove(this)
    this.#connection.streamClosed(this)
  }

  override expired(): void {
    if (!this.#blocked && !this.#over) {
      if (this.#bodyOpen) this.#exchange?.requestBodyBad(clientFailures.bodyTimeout)
      return
    }
    const left = this.#stream.bufferSize
    const { sendTimeoutMs } = this.worker.snapshot.spec.limits
    if (this.#over && this.#leftSeen - left >= (sendTimeoutMs / 1000) * takenPerSecondMin) {
      this.#leftSeen = left
      this.#armSend()
      return
    }
    // A window that is never opened: the stream is given up. A connection that takes nothing at all becomes idle by it.
    this.gone(true)
    this.#cut()
  }

  endNow(): void {
    if (this.#tunnel !== null) this.#tunnel.endPolitely()
    else if (this.#exchange !== null) this.#exchange.endNow()
    else if (this.#list !== null) {
      this.gone(false)
      this.#reset(http2Code.refusedStream)
    }
  }

  // --- tunnels (RFC 8441) -------------------------------------------------------------------------------------

  becomeTunnel(tunnel: Tunnel, head: ResponseHead): void {
    const { worker } = this
    this.#exchange = null
    worker.wheel.set(this, Infinity)
    const accept = createHash('sha1')
      .update(this.#webSocketKey + acceptSuffix)
      .digest('base64')
    if (head.find('sec-websocket-accept') !== accept) {
      // Nobody else can see that the instance did not mean this handshake.
      this.#over = true
      this.#stream.respond(responseList(502, 'Content-Length: 0\r\n'), headOnly)
      tunnel.clientClosed()
      return
    }
    this.#tunnel = tunnel
    worker.cells.worker.tunnels[worker.index]!++
    const fields = head.copyFields(withDropped(responseDrop, [fieldId['content-length']]), [
      'sec-websocket-accept',
    ])
    this.#head = responseList(200, fields)
    this.flush()
    for (const bytes of this.#early.splice(0)) tunnel.fromClient(bytes, bytes.length)
    if (this.#inputEnded) tunnel.clientEnded()
    else this.#stream.resume()
  }

  write(text: string): boolean {
    return this.#put(text)
  }
  writeBytes(bytes: Buffer, from: number, to: number): boolean {
    return this.#put(bytes.subarray(from, to))
  }
  pause(): void {
    this.#stream.pause()
  }
  resume(): void {
    this.#stream.resume()
  }
  end(): void {
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.end()
  }
  /** The tunnel is over. */
  destroy(): void {
    if (this.#tunnel !== null) this.worker.cells.worker.tunnels[this.worker.index]!--
    this.#leave()
    if (this.#stream.writableEnded) this.#reset(http2Code.noError)
    else this.#cut()
  }
}

/** Becomes INTERNAL_ERROR (RFC 9113 7). */
const cutError = new Error('the answer is not whole')

function ignore(): void {}

function readHead(client: Http2ExchangeClient): void {
  client.readHead()
}
