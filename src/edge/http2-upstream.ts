// One request to an instance over HTTP/2: a stream of a session that it shares with others (http2-session.ts). The ready
// HTTP/1.1 text becomes a field list, the answer's list an HTTP/1.1 head; both bodies and both trailers flow. What a
// failure means decides the exchange; that the instance did not process the request at all (REFUSED_STREAM, a GOAWAY
// below it) is said as `unsent`.
//
// States: waiting (the session connects) -> busy -> done. Deadlines as for HTTP/1.1.

import { type ClientHttp2Stream, endStreamFlag, http2Code, wholeness } from '../io/http2.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { framing, type HeadLimits, Http1ResponseHead } from '../wire/http1/index.ts'
import { requestListOf, responseHeadText, trailerFields, trailerLines } from '../wire/http2/index.ts'
import type { TunnelSide } from './client.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import type { Http2Session } from './http2-session.ts'
import type { MemberPool } from './pools.ts'
import { attemptEnd, type UpstreamConnection } from './upstream.ts'

const place = { waiting: 0, busy: 1, done: 2 } as const

const responseLimits: HeadLimits = {
  requestLineBytesMax: 65_536,
  headerBytesMax: 262_144,
  headerCountMax: 1_000,
}
const interimMax = 16
/** Heads are read whole and at once: one object serves all. */
const responseHead = new Http1ResponseHead(responseLimits)

/** No instance is upgraded over HTTP/2: the attempt is refused before it gets here. */
const noSide: TunnelSide = {
  write: () => true,
  writeBytes: () => true,
  pause() {},
  resume() {},
  end() {},
  destroy() {},
}

export class Http2Upstream extends Timed implements UpstreamConnection {
  readonly worker: WorkerContext
  readonly pool: MemberPool
  readonly #session: Http2Session
  exchange: Exchange | null = null
  member = -1
  row = 0
  placeRow = -1
  placeAt = 0
  startedAt = 0
  connectedAt = 0
  sentAt = 0
  served = 0
  unsent = true
  #state: number = place.waiting
  #stream: ClientHttp2Stream | null = null
  #text = ''
  #chunked = false
  #requestDone = false
  #blocked = false
  #paused = false
  #inBody = false
  #interims = 0
  #trailers: string[] | null = null
  #outTrailers: readonly string[] | null = null

  constructor(worker: WorkerContext, pool: MemberPool, session: Http2Session) {
    super()
    this.worker = worker
    this.pool = pool
    this.#session = session
  }

  get isConnecting(): boolean {
    return this.#state === place.waiting
  }
  get blocked(): boolean {
    return this.#blocked
  }
  get side(): TunnelSide {
    return noSide
  }

  // --- the request --------------------------------------------------------------------------------------------

  send(exchange: Exchange, text: string, more: boolean, chunked: boolean): void {
    const { worker } = this
    this.exchange = exchange
    this.startedAt = this.connectedAt = this.sentAt = worker.now
    this.#text = text
    this.#requestDone = !more
    this.#chunked = chunked
    if (this.#session.isOpen) this.#begin()
    else {
      this.#session.awaitOpen(this)
      worker.wheel.set(this, worker.now + this.pool.spec.connectTimeoutMs * 1000)
    }
  }

  /** The session is there. */
  opened(): void {
    if (this.exchange === null) return
    this.connectedAt = this.worker.now
    this.worker.wheel.set(this, Infinity)
    this.#begin()
    this.exchange?.attempts.connected(this)
  }

  #begin(): void {
    const exchange = this.exchange as Exchange
    const text = this.#text
    this.#text = ''
    this.#state = place.busy
    const wantsTrailers = exchange.head.find('te')?.includes('trailers') ?? false
    const { list, after } = requestListOf(text, this.#session.scheme, wantsTrailers)
    const body = after < text.length ? text.slice(after) : ''
    const endStream = this.#requestDone && body === ''
    const stream = this.#session.request(list, {
      endStream,
      waitForTrailers: !this.#requestDone && this.#chunked,
    })
    if (stream === null) {
      // Never from inside `send`: who called it is not done.
      queueMicrotask(() => this.#fail(attemptEnd.refused))
      return
    }
    this.#stream = stream
    // Only an idle connection can have been given up by the instance as we wrote.
    this.served = this.#session.inUse === 1 ? this.#session.served : 1
    this.unsent = false
    this.#listen(stream)
    if (this.#requestDone && body !== '') stream.end(body, 'latin1')
    this.#armResponse()
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('headers', (_byName, _flags, list) => this.#interim(list as unknown as string[]))
    stream.on('response', (_byName, flags, list) => this.#response(list as unknown as string[], flags))
    stream.on('trailers', (_byName, _flags, list) => this.#takeTrailers(list as unknown as string[]))
    stream.on('data', (bytes: Buffer) => this.#data(bytes))
    const isWhole = wholeness(stream)
    stream.on('end', () => this.#end(isWhole()))
    stream.on('error', () => {})
    stream.on('close', () => this.#closed(stream))
    if (!this.#requestDone && this.#chunked)
      stream.on('wantTrailers', () => {
        if (!stream.closed && !stream.destroyed) stream.sendTrailers(trailerFields(this.#outTrailers))
      })
  }

  /** Copied: after a reset nobody would say when the bytes are free again. */
  body(bytes: Buffer, from: number, to: number): boolean {
    const stream = this.#stream
    if (stream === null || this.#state !== place.busy || from === to || !canWrite(stream))
      return !this.#blocked
    const taken = stream.write(Buffer.from(bytes.subarray(from, to)))
    if (!taken && !this.#blocked) {
      this.#blocked = true
      stream.once('drain', () => this.#drained())
      this.worker.wheel.set(this, this.worker.now + this.pool.spec.idleTimeoutMs * 1000)
    }
    return !this.#blocked
  }

  bodyEnd(trailers: readonly string[] | null): void {
    this.#requestDone = true
    this.#outTrailers = trailers
    this.exchange?.attempts.sent(this)
    if (this.#stream !== null && canWrite(this.#stream)) this.#stream.end()
    if (this.#state === place.busy && !this.#inBody) this.#armResponse()
  }

  #drained(): void {
    const { worker } = this
    worker.refresh()
    this.#blocked = false
    if (this.#state !== place.busy) return
    if (this.#inBody) this.#armBody()
    else {
      worker.wheel.set(this, Infinity)
      this.#armResponse()
    }
    this.exchange?.attempts.drained(this)
  }

  #armResponse(): void {
    if (!this.#requestDone || this.exchange === null) return
    const { worker } = this
    worker.wheel.set(this, worker.now + this.exchange.attempts.responseTimeoutMs * 1000)
  }

  // --- the response -------------------------------------------------------------------------------------------

  /** The head for the exchange, valid until the next one is read; null when it is malformed. */
  #read(list: readonly string[], ended: boolean): Http1ResponseHead | null {
    const method = (this.exchange as Exchange).head.method
    const text = responseHeadText(list, ended, method)
    if (text === null) return null
    responseHead.reset(responseLimits)
    return responseHead.parse(text, method) > 0 ? responseHead : null
  }

  #interim(list: readonly string[]): void {
    this.worker.refresh()
    if (this.exchange === null || this.#inBody) return
    const head = this.#read(list, false)
    if (head === null || head.status === 101 || ++this.#interims > interimMax) this.#fail(attemptEnd.bad)
    else this.exchange.interim(head)
  }

  #response(list: readonly string[], flags: number): void {
    const { exchange } = this
    this.worker.refresh()
    if (exchange === null) return
    const ended = (flags & endStreamFlag) !== 0
    const head = this.#read(list, ended)
    if (head === null || head.status < 200) {
      this.#fail(attemptEnd.bad)
      return
    }
    const bodiless = head.framing === framing.none
    if (!exchange.response(this, head)) return
    this.#inBody = true
    if (bodiless || ended) this.#complete(null)
    else {
      exchange.client?.flush()
      this.#armBody()
    }
  }

  #takeTrailers(list: readonly string[]): void {
    const lines = trailerLines(list)
    if (lines === null) this.#fail(attemptEnd.bad)
    else this.#trailers = lines
  }

  #data(bytes: Buffer): void {
    const { exchange } = this
    if (exchange === null) return
    this.worker.refresh()
    exchange.responseBytes(this, bytes, 0, bytes.length)
    this.#armBody()
  }

  #armBody(): void {
    const { worker } = this
    if (this.exchange !== null && !this.#paused && !this.#blocked)
      worker.wheel.set(this, worker.now + this.pool.spec.idleTimeoutMs * 1000)
  }

  #end(whole: boolean): void {
    this.worker.refresh()
    // Before a head came, `close` says why there is none.
    if (this.exchange === null || !this.#inBody) return
    if (whole) this.#complete(this.#trailers)
    else this.#fail(attemptEnd.lost)
  }

  pause(): void {
    this.#paused = true
    this.#stream?.pause()
    this.worker.wheel.set(this, Infinity)
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#stream?.resume()
    this.#armBody()
  }

  // --- the end ------------------------------------------------------------------------------------------------

  #complete(trailers: readonly string[] | null): void {
    const exchange = this.exchange as Exchange
    const stream = this.#stream as ClientHttp2Stream
    const whole = this.#requestDone
    this.#release()
    // RFC 9113 8.1: the answer is whole; the rest of the request is not wanted any more.
    if (!whole && !stream.closed) stream.close(http2Code.cancel)
    else stream.resume()
    exchange.responseEnd(trailers)
  }

  cancel(): void {
    this.#release()
    this.#drop()
  }

  #drop(): void {
    const stream = this.#stream
    if (stream !== null && !stream.destroyed && !stream.closed) stream.close(http2Code.cancel)
    stream?.resume()
  }

  #release(): void {
    const { exchange, worker } = this
    if (exchange === null) return
    this.exchange = null
    this.#state = place.done
    worker.wheel.remove(this)
    this.#session.done(this)
    worker.cells.memberWorker.inFlight[this.row]!--
    if (this.placeRow >= 0) exchange.attempts.gaveUp(this)
    exchange.attempts.group?.freed()
  }

  #fail(end: number): void {
    const { exchange } = this
    if (exchange === null) return
    const begun = this.#inBody
    this.#release()
    this.#drop()
    exchange.attempts.failed(this, end, begun)
  }

  #closed(stream: ClientHttp2Stream): void {
    this.worker.refresh()
    if (this.exchange === null) return
    // RFC 9113 8.7: both say that nothing was done with the request.
    const refused = stream.rstCode === http2Code.refusedStream || this.#session.refuses(stream)
    // The connection is alive: it is this request that was given up.
    if (this.#session.isOpen || refused) this.served = 1
    if (refused && !this.#inBody) {
      this.unsent = true
      this.#fail(attemptEnd.refused)
    } else this.#fail(attemptEnd.lost)
  }

  /** There will be no session. */
  notOpened(): void {
    this.#fail(attemptEnd.connectFailed)
  }

  override expired(): void {
    if (this.#state === place.waiting) this.#fail(attemptEnd.connectTimeout)
    else this.#fail(attemptEnd.timeout)
  }

  becomeTunnel(): void {
    this.cancel()
  }
  tunnelDone(): void {
    this.cancel()
  }
}

function canWrite(stream: ClientHttp2Stream): boolean {
  return !stream.writableEnded && !stream.destroyed && !stream.closed
}
