// One connection to an instance, HTTP/1.1: sends a request's ready text, reads the response, goes back to its pool.
// Owns framing of the response and the instance-side time-outs; what a failure means decides the exchange.
//
// States: connecting -> busy -> (idle <-> busy)* -> closed; busy -> tunnel -> closed. Deadlines: connect time-out;
// response time-out from the request's end to the response's head; idle time-out between reads of a body; keep-alive.

import type { Stream, StreamHandler } from '../io/net.ts'
import { Timed } from '../kit/timer-wheel.ts'
import {
  ChunkedDecoder,
  chunkLine,
  framing,
  type HeadLimits,
  Http1ResponseHead,
  lastChunk,
} from '../wire/http1/index.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import type { MemberPool } from './pools.ts'
import type { Tunnel } from './tunnel.ts'
import { attemptEnd, connectEnd, type UpstreamConnection } from './upstream.ts'

const place = { connecting: 0, idle: 1, busy: 2, tunnel: 3, closed: 4 } as const

/** Instances are ours: their heads may be larger than a client's. */
const responseLimits: HeadLimits = {
  requestLineBytesMax: 65_536,
  headerBytesMax: 262_144,
  headerCountMax: 1_000,
}
const smallReadBytes = 4_096
const interimMax = 16

/** Heads are parsed here unless one comes in pieces: then the connection keeps the object, and a new one is made. */
let spareHead = new Http1ResponseHead(responseLimits)

export class Http1Upstream extends Timed implements StreamHandler, UpstreamConnection {
  readonly worker: WorkerContext
  readonly pool: MemberPool
  readonly stream: Stream
  exchange: Exchange | null = null
  /** Index of the member in the exchange's group, while busy. */
  member = -1
  /** Row of the member in the worker's cells, while busy. */
  row = 0
  placeRow = -1
  placeAt = 0
  startedAt = 0
  connectedAt = 0
  sentAt = 0
  /** Requests served before this one. */
  served = 0
  /** Nothing was given to the system for this request yet. */
  unsent = true
  #state: number = place.connecting
  #text = ''
  #bytesRead = 0
  #requestDone = false
  #pending = ''
  #head: Http1ResponseHead | null = null
  #interims = 0
  #bodyFraming: number = framing.none
  #bodyLeft = 0
  #inBody = false
  #keepAlive = true
  #decoder: ChunkedDecoder | null = null
  #ownBuffer: Buffer | null = null
  #blocked = false
  #chunkedOut = false
  #tunnel: Tunnel | null = null
  /** The last response here did not fit one read: the next one is read into an own buffer from the start. */
  #large = false

  constructor(worker: WorkerContext, pool: MemberPool) {
    super()
    this.worker = worker
    this.pool = pool
    this.stream = worker.net.connect(pool.host, pool.port, this, pool.tlsClient)
  }

  get isClosed(): boolean {
    return this.#state === place.closed
  }
  get blocked(): boolean {
    return this.#blocked
  }
  get side(): Stream {
    return this.stream
  }

  /** Takes the connection for an exchange and sends what is ready of the request. `more`: a body follows. */
  send(exchange: Exchange, text: string, more: boolean, chunked: boolean): void {
    const { worker } = this
    this.exchange = exchange
    this.startedAt = this.connectedAt = this.sentAt = worker.now
    this.#requestDone = !more
    this.#chunkedOut = chunked
    this.#interims = 0
    this.#inBody = false
    this.#bytesRead = 0
    this.#keepAlive = true
    this.unsent = true
    if (this.#state === place.connecting) {
      this.#text = text
      worker.wheel.set(this, this.startedAt + this.pool.spec.connectTimeoutMs * 1000)
      return
    }
    this.#state = place.busy
    if (this.#large) this.#takeBuffer()
    this.#write(text)
    this.#armResponse()
  }

  get isConnecting(): boolean {
    return this.#state === place.connecting
  }

  opened(): void {
    this.worker.refresh()
    if (this.exchange === null) {
      this.#state = place.idle
      this.pool.giveBack(this)
      return
    }
    this.#state = place.busy
    const text = this.#text
    this.#text = ''
    this.connectedAt = this.worker.now
    this.worker.wheel.set(this, Infinity)
    this.#write(text)
    this.#armResponse()
    this.exchange.attempts.connected(this)
  }

  #write(text: string): void {
    this.unsent = false
    if (!this.stream.write(text)) this.#blocked = true
  }

  #armResponse(): void {
    if (!this.#requestDone) return
    const { worker } = this
    const timeoutMs = this.exchange?.attempts.responseTimeoutMs ?? this.pool.spec.responseTimeoutMs
    worker.wheel.set(this, worker.now + timeoutMs * 1000)
  }

  /** A piece of the request body. False: keep `bytes` unchanged and wait for `upstreamDrained`. */
  body(bytes: Buffer, from: number, to: number): boolean {
    // What comes after the end would be read as the next request.
    if (this.#state !== place.busy || this.#requestDone || from === to) return !this.#blocked
    let taken = true
    if (to - from <= smallReadBytes) {
      const text = bytes.latin1Slice(from, to)
      taken = this.stream.write(this.#chunkedOut ? `${chunkLine(to - from) + text}\r\n` : text)
    } else {
      if (this.#chunkedOut) this.stream.write(chunkLine(to - from))
      taken = this.stream.writeBytes(bytes, from, to)
      if (this.#chunkedOut) taken = this.stream.write('\r\n') && taken
    }
    if (!taken) this.#blockedByPeer()
    return !this.#blocked
  }

  /** An instance that does not take the request has as long as it may be silent in a response. */
  #blockedByPeer(): void {
    if (this.#blocked) return
    this.#blocked = true
    this.worker.wheel.set(this, this.worker.now + this.pool.spec.idleTimeoutMs * 1000)
  }

  bodyEnd(trailers: readonly string[] | null): void {
    this.#requestDone = true
    this.exchange?.attempts.sent(this)
    if (this.#state !== place.busy) return
    if (this.#chunkedOut && !this.stream.write(lastChunk(trailers))) this.#blocked = true
    if (!this.#inBody) this.#armResponse()
  }

  drained(): void {
    this.worker.refresh()
    this.#blocked = false
    if (this.#state === place.tunnel) this.#tunnel?.upstreamDrained()
    else if (this.#state === place.busy) {
      if (this.#inBody) this.#armBody()
      else {
        this.worker.wheel.set(this, Infinity)
        this.#armResponse()
      }
      this.exchange?.attempts.drained(this)
    }
  }

  // --- the response -------------------------------------------------------------------------------------------

  data(_stream: Stream, bytes: Buffer, length: number): void {
    this.worker.refresh()
    if (this.#state === place.tunnel) {
      this.#tunnel?.fromUpstream(bytes, length)
      return
    }
    if (this.#state !== place.busy || this.exchange === null) {
      // Nobody asked: whatever this is, it must not become the answer to the next request.
      this.destroy()
      return
    }
    this.#bytesRead += length
    if (this.#inBody) {
      this.#readBody(bytes, 0, length)
      if (this.#inBody) this.#armBody()
    } else this.#readHead(bytes, 0, length)
  }

  #readHead(bytes: Buffer, start: number, to: number): void {
    let from = start
    for (;;) {
      let end = to
      if (to - from > smallReadBytes) {
        const blank = bytes.subarray(from, to).indexOf('\r\n\r\n')
        end = blank < 0 ? to : from + blank + 4
      }
      const before = this.#pending.length
      const text = before === 0 ? bytes.latin1Slice(from, end) : this.#pending + bytes.latin1Slice(from, end)
      const head = this.#head ?? spareHead
      if (this.#head === null) head.reset(responseLimits)
      const same = before === 0 && from === 0 ? bytes : null
      const after = head.parse(text, this.exchange?.head.method as string, same)
      if (after < 0) {
        this.#fail(attemptEnd.bad, 'malformed response head')
        return
      }
      if (after === 0) {
        this.#pending = text
        if (this.#head === null) {
          this.#head = head
          spareHead = new Http1ResponseHead(responseLimits)
        }
        return
      }
      this.#pending = ''
      this.#head = null
      from += after - before
      if (head.status >= 200 || head.status === 101) {
        this.#final(head, text, after, bytes, from, to)
        return
      }
      if (++this.#interims > interimMax) {
        this.#fail(attemptEnd.bad, 'too many interim responses')
        return
      }
      this.exchange?.interim(head)
      if (from >= to || this.exchange === null) return
    }
  }

  #final(
    head: Http1ResponseHead,
    text: string,
    after: number,
    bytes: Buffer,
    from: number,
    to: number,
  ): void {
    const exchange = this.exchange as Exchange
    if (head.status === 101) {
      exchange.switched(this, head, bytes, from, to)
      return
    }
    this.#keepAlive = !head.close
    this.#bodyFraming = head.framing
    this.#bodyLeft = head.contentLength
    if (head.framing === framing.chunked) {
      this.#decoder ??= new ChunkedDecoder()
      this.#decoder.reset()
    }
    if (!exchange.response(this, head)) return
    this.#inBody = true
    if (head.framing === framing.none) {
      if (from < to) this.#keepAlive = false // bytes beyond the response: nothing here can be trusted
      this.#complete(null)
      return
    }
    if (
      head.framing === framing.length &&
      head.contentLength <= to - from &&
      text.length >= after + head.contentLength
    ) {
      exchange.responseText(text.slice(after, after + head.contentLength))
      if (from + head.contentLength < to) this.#keepAlive = false
      this.#complete(null)
      return
    }
    this.#firstOfBody(bytes, from, to)
  }

  /** The response goes beyond this read: what came with the head is copied, what follows lands in an own buffer. */
  #firstOfBody(bytes: Buffer, from: number, to: number): void {
    const { exchange } = this
    if (from < to) {
      if (this.#ownBuffer !== null || to - from <= smallReadBytes) this.#readBody(bytes, from, to)
      else {
        // The client of now: the exchange may be over when the body is read, and its client still writing from the copy.
        const client = exchange?.client
        const copy = this.worker.buffers.take(to - from)
        bytes.copy(copy, 0, from, to)
        this.#readBody(copy, 0, to - from)
        if (client) client.lend(copy)
        else this.worker.buffers.give(copy)
      }
    }
    if (!this.#inBody || this.exchange !== exchange || exchange === null) return
    exchange.client?.flush()
    if (this.#ownBuffer === null) this.#takeBuffer()
    if (this.#bytesRead + this.#bodyLeft > 32_768) this.#large = true
    this.#armBody()
  }

  #takeBuffer(): void {
    if (this.#ownBuffer !== null) return
    this.#ownBuffer = this.worker.buffers.take()
    this.stream.readInto(this.#ownBuffer)
  }

  #armBody(): void {
    const { worker } = this
    if (!this.stream.paused) worker.wheel.set(this, worker.now + this.pool.spec.idleTimeoutMs * 1000)
  }

  #readBody(bytes: Buffer, from: number, to: number): void {
    const exchange = this.exchange as Exchange
    if (this.#bodyFraming === framing.length) {
      const end = Math.min(to, from + this.#bodyLeft)
      this.#bodyLeft -= end - from
      exchange.responseBytes(this, bytes, from, end)
      if (this.#bodyLeft > 0 || this.exchange !== exchange) return
      if (end < to) this.#keepAlive = false
      this.#complete(null)
    } else if (this.#bodyFraming === framing.chunked) this.#readChunked(exchange, bytes, from, to)
    else exchange.responseBytes(this, bytes, from, to)
  }

  #readChunked(exchange: Exchange, bytes: Buffer, from: number, to: number): void {
    const decoder = this.#decoder as ChunkedDecoder
    const end = decoder.scan(bytes, from, to)
    if (end < 0) {
      this.#fail(attemptEnd.bad, 'malformed chunk')
      return
    }
    for (let i = 0; i < decoder.rangeCount && this.exchange === exchange; i++)
      exchange.responseBytes(this, bytes, decoder.rangeFrom(i), decoder.rangeTo(i))
    if (!decoder.done || this.exchange !== exchange) return
    if (end < to) this.#keepAlive = false
    this.#complete(decoder.trailers)
  }

  pause(): void {
    this.stream.pause()
    this.worker.wheel.set(this, Infinity)
  }

  resume(): void {
    if (!this.stream.paused) return
    this.stream.resume()
    this.#armBody()
  }

  #complete(trailers: readonly string[] | null): void {
    const exchange = this.exchange as Exchange
    const reusable = this.#keepAlive && this.#requestDone && !this.#blocked
    this.#release()
    if (reusable && !this.isClosed) {
      this.#state = place.idle
      this.stream.resume()
      this.pool.giveBack(this)
    } else this.destroy()
    exchange.responseEnd(trailers)
  }

  /** The exchange is off: the connection can't be used again, because the answer to it may still come. */
  cancel(): void {
    this.#release()
    this.destroy()
  }

  #release(): void {
    const { exchange, worker } = this
    if (exchange === null) return
    this.exchange = null
    this.served++
    this.#inBody = false
    this.#pending = ''
    this.#head = null
    worker.wheel.set(this, Infinity)
    if (this.#ownBuffer !== null) {
      this.stream.readInto(null)
      if (exchange.client === null) worker.buffers.give(this.#ownBuffer)
      else exchange.client.lend(this.#ownBuffer)
      this.#ownBuffer = null
    }
    worker.cells.memberWorker.inFlight[this.row]!--
    if (this.placeRow >= 0) exchange.attempts.gaveUp(this)
    exchange.attempts.group?.freed()
  }

  #fail(end: number, _why: string): void {
    const { exchange } = this
    if (exchange === null) {
      this.destroy()
      return
    }
    const begun = this.#inBody
    this.#release()
    this.destroy()
    exchange.attempts.failed(this, end, begun)
  }

  becomeTunnel(tunnel: Tunnel): void {
    if (this.placeRow >= 0) this.exchange?.attempts.answered(this)
    this.#state = place.tunnel
    this.#tunnel = tunnel
    this.worker.wheel.set(this, Infinity)
  }

  /** The tunnel is over: the member's place is free again. */
  tunnelDone(): void {
    this.#release()
    this.destroy()
  }

  // --- the end ------------------------------------------------------------------------------------------------

  ended(): void {
    this.worker.refresh()
    switch (this.#state) {
      case place.tunnel:
        this.#tunnel?.upstreamEnded()
        return
      case place.busy:
        if (this.#inBody && this.#bodyFraming === framing.untilClose) {
          this.#keepAlive = false
          this.#complete(null)
        } else this.#fail(attemptEnd.lost, 'connection closed by the instance')
        return
      default:
        this.destroy()
    }
  }

  closed(_stream: Stream, code: string): void {
    this.worker.refresh()
    const state = this.#state
    if (state === place.closed && this.exchange === null) {
      this.pool.removed(this)
      return
    }
    this.#state = place.closed
    this.worker.wheel.remove(this)
    if (state === place.tunnel) {
      this.#tunnel?.upstreamClosed()
      this.#release()
    } else if (this.exchange !== null) {
      const connecting = state === place.connecting
      if (connecting) this.pool.notConnected(code)
      this.#fail(connecting ? connectEnd(code) : attemptEnd.lost, code === '' ? 'closed' : code)
    }
    this.pool.removed(this)
  }

  destroy(): void {
    if (this.#state === place.closed) return
    if (this.#state === place.idle) this.pool.forget(this)
    this.#state = place.closed
    this.worker.wheel.remove(this)
    this.stream.destroy()
  }

  override expired(): void {
    switch (this.#state) {
      case place.connecting:
        this.#fail(attemptEnd.connectTimeout, 'no connection in time')
        return
      case place.busy:
        this.#fail(attemptEnd.timeout, this.#inBody ? 'response stalled' : 'no response in time')
        return
      default:
        this.destroy()
    }
  }
}
