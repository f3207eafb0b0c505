// One client connection that speaks HTTP/1.x: heads in, bodies in, responses out, one exchange at a time and in order.
// Owns framing, keep-alive, pipelining, lingering close and the client's time-outs; decides nothing about where a
// request goes (exchange.ts).
//
// States (`#state`), each a place that a connection is in:
//   idle    between requests; deadline: idle time-out          -> head (bytes), closed
//   head    part of a head has come; deadline: head time-out   -> busy (complete), lingering (refused)
//   busy    an exchange is under way                            -> idle, lingering, tunnel, closed
//   tunnel  upgraded: bytes go to the tunnel                    -> closed
//   linger  all is said and FIN sent; input is dropped, so that the answer is not lost to a reset (RFC 9112 9.6) -> closed
//   closed

import type { Stream, StreamHandler } from '../io/net.ts'
import type { TlsInfo } from '../io/tls.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { isInBlocks } from '../policy/address.ts'
import type { ResponseHead } from '../wire/head.ts'
import {
  ChunkedDecoder,
  chunkLine,
  chunkProblemText,
  framing,
  type Http1RequestHead,
  lastChunk,
  problemOf,
  reasonOf,
  responseDrop,
} from '../wire/http1/index.ts'
import { connectionPreface } from '../wire/http2/index.ts'
import { type BodyPace, paceOf } from './body-pace.ts'
import type { ExchangeClient } from './client.ts'
import type { ClientHello } from './client-hello.ts'
import type { CompiledRules } from './compile.ts'
import type { ConnectionPlace } from './connection-place.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { type ClientFailure, clientFailures } from './failures.ts'
import type { Tunnel } from './tunnel.ts'

/** Takes a connection over that turns out to speak HTTP/2. */
export type Http2Door = (client: Http1Client) => void

const place = { idle: 0, head: 1, busy: 2, tunnel: 3, linger: 4, closed: 5 } as const

/** A head that is read whole with what follows it, instead of being looked for first. */
const smallReadBytes = 4_096
/** A body that has arrived in one piece with its head, up to this size, is kept and can be sent again. */
export const replayBytesMax = 16_384
/** A client that has ended its side and takes nothing of an answer that has begun for this long has gone. */
const halfClosedMs = 10_000
/** A connection that ends waits for a pause this long in what the peer still sends, at most `lingerMaxMs` and as many bytes. */
const lingerMs = 2_000
const lingerMaxMs = 30_000
const lingerBytesMax = 64 << 20

export class Http1Client extends Timed implements StreamHandler, ExchangeClient {
  readonly worker: WorkerContext
  readonly stream: Stream
  readonly remoteAddress: string
  readonly tls: TlsInfo | null
  readonly hello: ClientHello | null
  readonly listener: string
  readonly place: ConnectionPlace
  /** The peer is a trusted proxy (of the snapshot in use when it connected). */
  readonly trusted: boolean
  exchange: Exchange | null = null
  /** What instances are told about the client, where it is not a trusted proxy. */
  readonly forwardedText: string
  #aboutAuthority = ''
  #about = ''
  /** The connection ends after the exchange under way. */
  closing = false
  /** Where HTTP/2 by prior knowledge is spoken on this listener. */
  http2Door: Http2Door | null = null
  #state: number = place.idle
  #pending = ''
  /** Bytes that came while nobody could take them: of the body, or of the next request. */
  #backlog: Buffer | null = null
  #requests = 0
  #out = ''
  #bodyFraming: number = framing.none
  #bodyLeft = 0
  #bodyOpen = false
  #bodyPaused = false
  #pace: BodyPace | null = null
  #decoder: ChunkedDecoder | null = null
  #ownBuffer: Buffer | null = null
  #lent: Buffer[] | null = null
  #blocked = false
  #lingered = 0
  #inputEnded = false
  #outSeen = 0
  #lingerUntil = 0
  #chunkedOut = false
  #tunnel: Tunnel | null = null
  #next = false

  /** @param address The client's: the connection's own, or what a PROXY header said. */
  constructor(
    worker: WorkerContext,
    stream: Stream,
    listener: string,
    address: string,
    hello: ClientHello | null,
    connection: ConnectionPlace,
  ) {
    super()
    this.place = connection
    this.hello = hello
    this.worker = worker
    this.stream = stream
    this.listener = listener
    this.tls = stream.tls
    this.remoteAddress = address.startsWith('::ffff:') ? address.slice(7) : address
    const { snapshot, cells, index } = worker
    this.forwardedText = `X-Forwarded-For: ${this.remoteAddress}\r\nX-Forwarded-Proto: ${this.tls === null ? 'http' : 'https'}\r\n`
    this.trusted = isInBlocks(this.remoteAddress, snapshot.trustedProxies)
    cells.worker.connections[index]!++
    cells.worker.accepted[index]!++
    worker.wheel.set(this, worker.now + snapshot.spec.limits.idleTimeoutMs * 1000)
  }

  /** The same with the host, our Via and the start of the request's id: nearly every request of a connection has one host. */
  aboutText(authority: string): string {
    if (authority !== this.#aboutAuthority || this.#about === '') {
      const { viaText, ids } = this.worker
      // A slice would keep the whole head that it was cut from alive.
      this.#aboutAuthority = Buffer.from(authority, 'latin1').latin1Slice()
      this.#about = `${this.forwardedText}X-Forwarded-Host: ${authority}\r\n${viaText}${ids.prefix}`
    }
    return this.#about
  }

  /** The request body is still to be read, at least in part. */
  get bodyOpen(): boolean {
    return this.#bodyOpen
  }
  get httpVersion(): string {
    return this.exchange?.head.versionMinor === 0 ? '1.0' : '1.1'
  }
  get side(): Stream {
    return this.stream
  }
  /** The last write has not been taken yet. */
  get blocked(): boolean {
    return this.#blocked
  }

  opened(): void {}

  data(_stream: Stream, bytes: Buffer, length: number): void {
    this.worker.refresh()
    switch (this.#state) {
      case place.idle:
      case place.head:
        this.#readHead(bytes, 0, length)
        return
      case place.busy:
        if (this.#bodyOpen && !this.#bodyPaused) this.#readBody(bytes, 0, length)
        else this.#keep(bytes, 0, length)
        return
      case place.tunnel:
        this.#tunnel?.fromClient(bytes, length)
        return
      case place.linger:
        this.#lingered += length
        // Not ended at once: the peer may still read the answer, which a reset would take from it.
        if (this.#lingered > lingerBytesMax) this.stream.pause()
        else if (!this.#blocked) this.#armLinger()
    }
  }

  /** Bytes that can't be taken now wait here, and the peer is told to wait by TCP. */
  #keep(bytes: Buffer, from: number, to: number): void {
    const copy = Buffer.from(bytes.subarray(from, to))
    this.#backlog = this.#backlog === null ? copy : Buffer.concat([this.#backlog, copy])
    this.stream.pause()
  }

  // --- the head -----------------------------------------------------------------------------------------------

  #readHead(bytes: Buffer, from: number, to: number): void {
    const { worker } = this
    const limits = worker.snapshot.spec.limits
    let end = to
    if (to - from > smallReadBytes) {
      // Do not make text of a large body that came with its head.
      const blank = bytes.subarray(from, to).indexOf('\r\n\r\n')
      end =
        blank < 0
          ? Math.min(to, from + limits.requestLineBytesMax + limits.headerBytesMax + 4)
          : from + blank + 4
    }
    const before = this.#pending.length
    const text = before === 0 ? bytes.latin1Slice(from, end) : this.#pending + bytes.latin1Slice(from, end)
    let exchange = this.exchange
    if (exchange === null) {
      exchange = this.exchange = worker.takeExchange()
      exchange.head.reset(limits)
    }
    const after = exchange.head.parse(text, before === 0 && from === 0 ? bytes : null)
    if (after > 0) {
      this.#pending = ''
      this.#headDone(exchange, text, after, bytes, from + after - before, to)
    } else if (after === 0) this.#waitForHead(text)
    else if (this.http2Door !== null && this.#isPreface(text)) {
      this.#becomeHttp2(this.http2Door, text.slice(0, before), bytes.subarray(from, to))
    } else this.#refuseHead(exchange, after)
  }

  #waitForHead(text: string): void {
    this.#pending = text
    if (this.#state === place.head) return
    this.#state = place.head
    const { worker } = this
    const timeoutMs = worker.snapshot.spec.limits.headTimeoutMs
    worker.wheel.set(this, worker.now + timeoutMs * 1000)
  }

  /** RFC 9113 3.4: a client that knows that HTTP/2 is spoken here. Asked only of what is no HTTP/1.1. */
  #isPreface(text: string): boolean {
    return this.#requests === 0 && connectionPreface.startsWith(text.slice(0, connectionPreface.length))
  }

  /** All that came is given back, and this object is done: another speaks on the connection. */
  #becomeHttp2(door: Http2Door, before: string, bytes: Buffer): void {
    const { worker, stream, exchange } = this
    this.#state = place.closed
    this.#pending = ''
    this.exchange = null
    if (exchange !== null) worker.giveExchange(exchange)
    worker.wheel.remove(this)
    worker.forgetClient(this)
    worker.cells.worker.connections[worker.index]!--
    worker.cells.worker.accepted[worker.index]!--
    stream.unshift(before === '' ? bytes : Buffer.concat([Buffer.from(before, 'latin1'), bytes]))
    door(this)
  }

  #refuseHead(exchange: Exchange, code: number): void {
    this.#pending = ''
    this.#state = place.busy
    this.closing = true
    // What follows a head that was not understood has no meaning: none of it is read.
    const { status, code: name, text } = problemOf(code)
    exchange.refuseUnread(this, { status, code: name, text })
  }

  #headDone(exchange: Exchange, text: string, after: number, bytes: Buffer, from: number, to: number): void {
    const { worker } = this
    const { head } = exchange
    this.#state = place.busy
    this.#requests++
    const limits = worker.snapshot.spec.limits
    if (head.close || worker.draining || this.#requests >= limits.requestsPerConnectionMax)
      this.closing = true
    this.#bodyFraming = head.framing
    let bodyText = ''
    let bodyFrom = from
    if (head.framing === framing.none) this.#bodyOpen = false
    else if (
      head.framing === framing.length &&
      head.contentLength <= to - from &&
      head.contentLength <= replayBytesMax
    ) {
      bodyFrom = from + head.contentLength
      bodyText =
        text.length >= after + head.contentLength
          ? text.slice(after, after + head.contentLength)
          : bytes.latin1Slice(from, bodyFrom)
      this.#bodyOpen = false
    } else this.#openBody(head)
    if (bodyFrom < to) this.#keep(bytes, bodyFrom, to)
    exchange.begin(this, bodyText)
  }

  #openBody(head: Http1RequestHead): void {
    this.#bodyOpen = true
    this.#bodyPaused = true
    // The deadline of the head, or of an idle connection, says nothing about a body that is not asked for yet.
    this.worker.wheel.set(this, Infinity)
    this.#bodyLeft = head.contentLength
    if (head.framing !== framing.chunked) return
    this.#decoder ??= new ChunkedDecoder()
    this.#decoder.reset()
  }

  // --- the request body ---------------------------------------------------------------------------------------

  /** The exchange can take the body from now on; what has come already is given to it at once. */
  startBody(): void {
    if (!this.#bodyOpen || !this.#bodyPaused) return
    this.#bodyPaused = false
    this.#pace = this.exchange === null ? null : paceOf(this.exchange)
    if (this.#ownBuffer === null) {
      this.#ownBuffer = this.worker.buffers.take()
      this.stream.readInto(this.#ownBuffer)
    }
    this.#armBody()
    this.stream.resume()
    const backlog = this.#backlog
    if (backlog === null) return
    this.#backlog = null
    this.#readBody(backlog, 0, backlog.length)
  }

  /**
   * The exchange can't take more for now. Holds after the last piece too: the instance's connection still writes from
   * the buffer into which the next request would be read.
   */
  pauseBody(): void {
    this.stream.pause()
    if (!this.#bodyOpen) return
    this.#pace?.waits(this.worker.now)
    this.worker.wheel.set(this, Infinity)
  }

  resumeBody(): void {
    if (this.#bodyOpen) {
      if (this.#bodyPaused) return
      this.#armBody()
    } else if (this.#backlog !== null) return
    this.stream.resume()
  }

  #armBody(): void {
    const { worker } = this
    this.#pace?.reads(worker.now)
    worker.wheel.set(this, worker.now + worker.snapshot.spec.limits.bodyTimeoutMs * 1000)
  }

  #readBody(bytes: Buffer, from: number, to: number): void {
    if (this.#bodyFraming === framing.length) this.#readLengthBody(bytes, from, to)
    else this.#readChunkedBody(bytes, from, to)
    if (!this.#bodyOpen || this.stream.paused) return
    const { exchange } = this
    if (exchange !== null && this.#pace?.isSlow(this.worker.now, exchange.bytesIn) === true)
      exchange.requestBodyBad(clientFailures.bodyTooSlow)
    else this.#armBody()
  }

  #readLengthBody(bytes: Buffer, from: number, to: number): void {
    const end = Math.min(to, from + this.#bodyLeft)
    this.#bodyLeft -= end - from
    const last = this.#bodyLeft === 0
    if (last) this.#closeBody(bytes, end, to)
    this.exchange?.requestBody(bytes, from, end)
    if (last) this.exchange?.requestBodyEnd(null)
  }

  #readChunkedBody(bytes: Buffer, from: number, to: number): void {
    const decoder = this.#decoder as ChunkedDecoder
    const end = decoder.scan(bytes, from, to)
    const { exchange } = this
    if (end < 0) {
      exchange?.requestBodyBad({ ...clientFailures.badChunk, text: chunkProblemText(end) })
      return
    }
    const { done } = decoder
    if (done) this.#closeBody(bytes, end, to)
    for (let i = 0; i < decoder.rangeCount && this.exchange === exchange; i++)
      exchange?.requestBody(bytes, decoder.rangeFrom(i), decoder.rangeTo(i))
    if (done && this.exchange === exchange) exchange?.requestBodyEnd(decoder.trailers)
  }

  #closeBody(bytes: Buffer, end: number, to: number): void {
    this.#bodyOpen = false
    this.worker.wheel.set(this, Infinity)
    if (end < to) this.#keep(bytes, end, to)
  }

  // --- the response -------------------------------------------------------------------------------------------

  /** An interim answer (RFC 9110 15.2); HTTP/1.0 clients get none. */
  sendInterim(head: ResponseHead, rules: CompiledRules): void {
    if (this.exchange?.head.versionMinor === 0) return
    const fields = head.copyFields(rules.drop, rules.alsoDrop)
    this.#write(`HTTP/1.1 ${head.status} ${head.reason}\r\n${fields}\r\n`)
  }

  /**
   * Begins the response; nothing is written before `flush` or a body. `bodyFraming` is how the instance framed it,
   * `extra` ready field lines.
   */
  beginResponse(
    head: ResponseHead,
    bodyFraming: number,
    drop: Uint8Array,
    alsoDrop: readonly string[] | null,
    extra: string,
  ): void {
    const modern = this.exchange?.head.versionMinor === 1
    const endless = bodyFraming === framing.chunked || bodyFraming === framing.untilClose
    this.#chunkedOut = endless && modern
    if (endless && !modern) this.closing = true
    const line =
      head.versionMinor === 1
        ? head.copyWithLine(drop, alsoDrop)
        : `HTTP/1.1 ${head.status} ${head.reason}\r\n${head.copyFields(drop, alsoDrop)}`
    const connection = this.#connectionFields()
    this.#out = extra === '' && connection === '' ? `${line}\r\n` : `${line}${extra}${connection}\r\n`
  }

  beginOwnResponse(status: number, fields: string, chunked = false, dated = false): void {
    const modern = this.exchange?.head.versionMinor === 1
    this.#chunkedOut = chunked && modern
    if (chunked && !modern) this.closing = true
    const dateText = dated ? '' : this.worker.dateText
    this.#out = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${dateText}${fields}${this.#connectionFields()}\r\n`
  }

  #connectionFields(): string {
    const chunked = this.#chunkedOut ? 'Transfer-Encoding: chunked\r\n' : ''
    if (this.closing) return `${chunked}Connection: close\r\n`
    return this.exchange?.head.versionMinor === 0 ? `${chunked}Connection: keep-alive\r\n` : chunked
  }

  bodyText(text: string): void {
    if (text === '') return
    if (this.#chunkedOut) this.#out += `${chunkLine(text.length) + text}\r\n`
    else this.#out += text
  }

  /**
   * Writes a piece of the body, without a copy where it is large. False: `bytes` must stay as they are, and no more
   * should come, until the exchange hears `clientDrained`.
   */
  bodyBytes(bytes: Buffer, from: number, to: number): boolean {
    if (from === to) return !this.#blocked
    if (to - from <= smallReadBytes) {
      this.bodyText(bytes.latin1Slice(from, to))
      return this.flush()
    }
    if (this.#chunkedOut) this.#out += chunkLine(to - from)
    let taken = this.#writeOutAnd(bytes, from, to)
    if (this.#chunkedOut) taken = this.stream.write('\r\n') && taken
    return this.#took(taken)
  }

  /** What waits to go out, mostly a head, and a large piece after it. */
  #writeOutAnd(bytes: Buffer, from: number, to: number): boolean {
    const text = this.#out
    this.#out = ''
    const { stream } = this
    if (text === '') return stream.writeBytes(bytes, from, to)
    if (stream.writeBoth !== undefined) return stream.writeBoth(text, bytes, from, to)
    const taken = stream.write(text)
    return stream.writeBytes(bytes, from, to) && taken
  }

  endResponse(trailers: readonly string[] | null): void {
    if (this.#chunkedOut) this.#out += lastChunk(trailers)
    this.flush()
  }

  flush(): boolean {
    if (this.#out === '') return !this.#blocked
    const text = this.#out
    this.#out = ''
    return this.#write(text)
  }

  #write(text: string): boolean {
    return this.#took(this.stream.write(text))
  }

  #took(taken: boolean): boolean {
    if (taken) return !this.#blocked
    if (!this.#blocked) {
      this.#blocked = true
      const { worker } = this
      worker.wheel.set(this, worker.now + worker.snapshot.spec.limits.sendTimeoutMs * 1000)
    }
    return false
  }

  drained(): void {
    this.worker.refresh()
    this.#blocked = false
    this.#giveBackLent()
    if (this.#state === place.tunnel) this.#tunnel?.clientDrained()
    else if (this.#state === place.busy) {
      if (this.#bodyOpen && !this.stream.paused) this.#armBody()
      else if (this.#inputEnded) this.worker.wheel.set(this, this.worker.now + halfClosedMs * 1000)
      else this.worker.wheel.set(this, Infinity)
      this.exchange?.clientDrained()
    } else if (this.#state === place.idle) this.#awaitRequest()
    else if (this.#state === place.linger) this.#armLinger()
  }

  /** `buffer` is what the last write still reads from: it goes back to the pool when that is over. */
  lend(buffer: Buffer): void {
    if (this.#blocked && this.#state !== place.closed) (this.#lent ??= []).push(buffer)
    else this.worker.buffers.give(buffer)
  }

  #giveBackLent(): void {
    const lent = this.#lent
    if (lent === null) return
    this.#lent = null
    for (const buffer of lent) this.worker.buffers.give(buffer)
  }

  // --- between exchanges --------------------------------------------------------------------------------------

  /** The exchange is over and complete. Its object must not be used afterwards. */
  exchangeDone(): void {
    this.exchange = null
    this.#returnBuffer()
    if (this.#bodyOpen) {
      // The answer came before the whole request: the rest is not worth reading (RFC 9112 9.3).
      this.#bodyOpen = false
      this.closing = true
    }
    if (this.closing || this.worker.draining) {
      this.#finish()
      return
    }
    this.#state = place.idle
    // Who does not read answers gets no further ones: they would gather here. The send time-out goes on.
    if (this.#blocked) this.stream.pause()
    else this.#awaitRequest()
  }

  /** The response is over and it is not: no FIN may come before the reset, or the client takes it for whole (RFC 9112 8). */
  exchangeCut(): void {
    this.exchange = null
    this.#bodyOpen = false
    this.#state = place.linger
    this.#backlog = null
    this.#returnBuffer()
    this.stream.reset()
  }

  #awaitRequest(): void {
    const { worker } = this
    const idleUs = worker.snapshot.spec.limits.idleTimeoutMs * 1000
    worker.wheel.set(this, worker.now + idleUs)
    if (this.#backlog === null) {
      if (this.stream.paused) this.stream.resume()
    } else if (!this.#next) {
      this.#next = true
      setImmediate(nextRequest, this)
    }
  }

  nextRequest(): void {
    this.worker.refresh()
    this.#next = false
    const backlog = this.#backlog
    if (backlog === null || this.#state !== place.idle) return
    this.#backlog = null
    this.stream.resume()
    this.#readHead(backlog, 0, backlog.length)
  }

  #returnBuffer(): void {
    if (this.#ownBuffer === null) return
    this.stream.readInto(null)
    this.worker.buffers.give(this.#ownBuffer)
    this.#ownBuffer = null
  }

  /** FIN, then drop what still comes until the peer closes too or the time is over. */
  #finish(): void {
    this.#state = place.linger
    this.#backlog = null
    this.stream.end()
    this.stream.resume()
    const { worker } = this
    this.#lingerUntil = worker.now + lingerMaxMs * 1000
    // What is written goes first, in the time that a client has to take it.
    if (this.#blocked) worker.wheel.set(this, worker.now + worker.snapshot.spec.limits.sendTimeoutMs * 1000)
    else this.#armLinger()
  }

  #armLinger(): void {
    const { worker } = this
    worker.wheel.set(this, Math.min(worker.now + lingerMs * 1000, this.#lingerUntil))
  }

  /** The client takes nothing: it must see that what it has is not all. */
  abort(): void {
    if (this.#state !== place.closed) this.stream.reset()
  }

  /** Draining: an idle connection ends after `idleMs`, a busy one after its exchange. */
  drain(idleMs: number): void {
    this.closing = true
    if (this.#state !== place.idle) return
    if (idleMs === 0) this.#finish()
    else if (!this.#blocked) this.worker.wheel.set(this, this.worker.now + idleMs * 1000)
  }

  /** The drain's time is over: a stream of events ends as if it were complete, a tunnel politely, others are cut. */
  endNow(): void {
    if (this.#state === place.tunnel) this.#tunnel?.endPolitely()
    else if (this.exchange !== null && this.#state === place.busy) this.exchange.endNow()
    else this.stream.destroy()
  }

  becomeTunnel(tunnel: Tunnel, head: ResponseHead, protocol: string): void {
    const fields = head.copyFields(responseDrop, null)
    this.#state = place.tunnel
    this.#tunnel = tunnel
    this.exchange = null
    this.worker.wheel.set(this, Infinity)
    this.worker.cells.worker.tunnels[this.worker.index]!++
    this.#write(
      `HTTP/1.1 101 Switching Protocols\r\n${fields}Connection: upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
    )
    const backlog = this.#backlog
    this.#backlog = null
    if (backlog !== null) tunnel.fromClient(backlog, backlog.length)
    // Its end came before the instance agreed, and is not told a second time.
    if (this.#inputEnded) tunnel.clientEnded()
    else this.stream.resume()
  }

  // --- the end ------------------------------------------------------------------------------------------------

  ended(): void {
    this.worker.refresh()
    switch (this.#state) {
      case place.busy:
        // A client may half-close after its request (RFC 9112 9.6); it still waits for the answer.
        this.closing = true
        if (this.#bodyOpen) this.#halfRequest()
        else this.#halfClosed()
        return
      case place.tunnel:
        this.#tunnel?.clientEnded()
        return
      case place.linger:
        // Both sides have ended: the stream closes when what was written is gone.
        if (this.#blocked) return
        this.stream.destroy()
        return
      default:
        this.stream.destroy()
    }
  }

  /**
   * FIN after a whole request: a client may do that and still want its answer (RFC 9112 9.6), or it has gone, which looks
   * the same. Nobody half-closes an event stream; others are given up when an answer that has begun stands still. Before
   * it begins, the instance's time-outs are the bound.
   */
  #halfClosed(): void {
    const { exchange, worker } = this
    if (exchange === null) return
    // Who closes while it stands in a line has most probably left, and others wait behind it.
    if (exchange.streamsEvents || exchange.attempts.inLine) this.#halfRequest()
    else {
      this.#inputEnded = true
      this.#outSeen = exchange.bytesOut
      if (!this.#blocked) worker.wheel.set(this, worker.now + halfClosedMs * 1000)
    }
  }

  /** Time is over for a client that ended its side: gone, unless the answer moved meanwhile. */
  #stillThere(exchange: Exchange, now: number): void {
    if (exchange.responding && exchange.bytesOut === this.#outSeen) {
      this.#halfRequest()
      return
    }
    this.#outSeen = exchange.bytesOut
    this.worker.wheel.set(this, now + halfClosedMs * 1000)
  }

  /** FIN amid the request body: it can't be completed any more. */
  #halfRequest(): void {
    const { exchange } = this
    this.exchange = null
    exchange?.clientGone()
    this.stream.destroy()
  }

  closed(): void {
    if (this.#state === place.closed) return
    const { worker } = this
    worker.refresh()
    worker.cells.worker.connections[worker.index]!--
    if (this.#state === place.tunnel) worker.cells.worker.tunnels[worker.index]!--
    this.place.leave()
    const { exchange } = this
    const wasBusy = this.#state === place.busy
    this.#state = place.closed
    worker.wheel.remove(this)
    worker.forgetClient(this)
    this.#giveBackLent()
    this.#returnBuffer()
    this.#backlog = null
    this.#tunnel?.clientClosed()
    this.exchange = null
    if (exchange === null) return
    if (wasBusy) exchange.clientGone()
    else worker.giveExchange(exchange)
  }

  override expired(now: number): void {
    const limits = this.worker.snapshot.spec.limits
    switch (this.#state) {
      case place.idle:
        if (this.#blocked) this.abort()
        else this.#finish()
        return
      case place.head:
        this.#refuse(clientFailures.headTimeout)
        return
      case place.busy:
        if (this.#blocked) this.abort()
        else if (this.#bodyOpen) this.exchange?.requestBodyBad(clientFailures.bodyTimeout)
        else if (this.#inputEnded && this.exchange !== null) this.#stillThere(this.exchange, now)
        else this.worker.wheel.set(this, now + limits.idleTimeoutMs * 1000)
        return
      case place.tunnel:
        if (this.#blocked) this.abort()
        return
      default:
        this.stream.destroy()
    }
  }

  #refuse(failure: ClientFailure): void {
    this.#state = place.busy
    this.closing = true
    this.exchange?.refuseUnread(this, failure)
  }
}

function nextRequest(client: Http1Client): void {
  client.nextRequest()
}
