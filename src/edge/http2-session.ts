// Connections to one member that speak HTTP/2, per worker: few sessions with many streams each. Opens one more when all
// are full, up to a bound; leaves one that says GOAWAY; asks silent ones by PING whether they still live. A session:
// connecting (until the instance's SETTINGS have come) -> open -> leaving (no new streams) -> closed.

import { type ClientHttp2Session, type ClientHttp2Stream, speakHttp2 } from '../io/http2.ts'
import type { Stream, StreamHandler } from '../io/net.ts'
import { Timed } from '../kit/timer-wheel.ts'
import type { WorkerContext } from './context.ts'
import { Http2Upstream } from './http2-upstream.ts'
import type { MemberPool } from './pools.ts'

/** Sessions of one worker with one member; beyond it streams wait in the session that has the fewest. */
const sessionsMax = 16
/** Streams of one session at once, where the instance allows more or has not said yet. */
const streamsMax = 100
/** Before stream ids come near their end (RFC 9113 5.1.1). */
const requestsMax = 1_000_000_000
const pingUs = 15_000_000
/** A PING that is not answered for this long: the instance, or the way to it, is gone. */
const pongUs = 10_000_000

export class Http2Session extends Timed implements StreamHandler {
  readonly scheme: 'http' | 'https'
  readonly #worker: WorkerContext
  readonly #pool: MemberPool
  readonly #sessions: Http2Sessions
  readonly #stream: Stream
  #session: ClientHttp2Session | null = null
  /** The instance's SETTINGS have come: it speaks HTTP/2, and how many streams it takes is known. */
  #spoken = false
  readonly #waiting: Http2Upstream[] = []
  /** Requests that were taken and are not over. */
  inUse = 0
  served = 0
  #leaving = false
  #closed = false
  #lastAccepted = Infinity
  #idleAt: number
  #askedAt = 0
  #heardAt: number

  constructor(worker: WorkerContext, pool: MemberPool, sessions: Http2Sessions) {
    super()
    this.#worker = worker
    this.#pool = pool
    this.#sessions = sessions
    this.scheme = pool.spec.tls === undefined ? 'http' : 'https'
    this.#idleAt = this.#heardAt = worker.now
    this.#stream = worker.net.connect(pool.host, pool.port, this, pool.tlsClient)
    worker.wheel.set(this, worker.now + pool.spec.connectTimeoutMs * 1000)
  }

  get isOpen(): boolean {
    return this.#spoken && !this.#leaving
  }
  /** Beside `isUsable`: is there a place for one more request? */
  get hasRoom(): boolean {
    return this.served < requestsMax && this.inUse < this.#streamsMax
  }
  get isUsable(): boolean {
    return !this.#leaving && !this.#closed && !(this.#session?.destroyed ?? false)
  }

  get #streamsMax(): number {
    return Math.min(this.#sessions.streamsSaid, streamsMax)
  }

  take(): Http2Upstream {
    this.inUse++
    return new Http2Upstream(this.#worker, this.#pool, this)
  }

  awaitOpen(upstream: Http2Upstream): void {
    if (this.#closed || this.#leaving) queueMicrotask(() => upstream.notOpened())
    else this.#waiting.push(upstream)
  }

  /** Null: the session takes no more. */
  request(
    list: readonly string[],
    options: { endStream: boolean; waitForTrailers: boolean },
  ): ClientHttp2Stream | null {
    const session = this.#session
    if (session === null || this.#leaving || session.closed || session.destroyed) return null
    this.served++
    return session.request(list, options)
  }

  /** Did the instance say that it has not looked at this stream? One without an id was never sent. */
  refuses(stream: ClientHttp2Stream): boolean {
    return stream.id === undefined || stream.id > this.#lastAccepted
  }

  done(upstream: Http2Upstream): void {
    const at = this.#waiting.indexOf(upstream)
    if (at >= 0) this.#waiting.splice(at, 1)
    if (--this.inUse > 0) return
    this.#idleAt = this.#worker.now
    if (this.#leaving || this.#sessions.ends) this.#close()
  }

  // --- the connection -----------------------------------------------------------------------------------------

  opened(): void {
    const { tls } = this.#stream
    this.#worker.refresh()
    if (this.scheme === 'https' && tls?.protocol !== 'h2') {
      // Without ALPN's word the instance would take our frames for HTTP/1.1.
      this.#stream.destroy()
      this.closed()
      return
    }
    // Not from inside `opened`: the socket begins to be read behind it, and the session relies on that.
    queueMicrotask(() => this.#speak())
  }

  #speak(): void {
    if (this.#closed || this.#leaving) return
    const session = speakHttp2(this.#stream.detach(), this.scheme)
    this.#session = session
    session.on('goaway', (_code: number, last: number) => {
      this.#lastAccepted = last
      this.#leaving = true
    })
    session.on('error', () => {})
    session.on('close', () => this.closed())
    session.on('remoteSettings', settings => this.#settled(settings.maxConcurrentStreams))
    this.#heardAt = this.#worker.now
  }

  #settled(streamsSaid: number | undefined): void {
    this.#worker.refresh()
    this.#sessions.streamsSaid = streamsSaid ?? streamsMax
    if (this.#spoken) return
    this.#spoken = true
    this.#worker.wheel.set(this, this.#worker.now + pingUs)
    for (const upstream of this.#waiting.splice(0)) upstream.opened()
  }

  data(): void {}
  ended(): void {}
  drained(): void {}

  closed(): void {
    if (this.#closed) return
    this.#worker.refresh()
    this.#closed = this.#leaving = true
    this.#worker.wheel.remove(this)
    this.#sessions.removed(this)
    for (const upstream of this.#waiting.splice(0)) upstream.notOpened()
  }

  /** Streams under way go on. */
  #close(): void {
    this.#leaving = true
    if (this.#session === null) this.#stream.destroy()
    else if (!this.#session.closed && !this.#session.destroyed) this.#session.close()
  }

  /** No new streams; an idle one ends now. */
  leave(): void {
    if (this.inUse === 0) this.#close()
    else this.#leaving = this.#spoken
  }

  #giveUp(): void {
    this.#leaving = true
    if (this.#session === null) {
      this.#stream.destroy()
      this.closed()
    } else this.#session.destroy()
  }

  override expired(now: number): void {
    const session = this.#session
    if (
      session === null ||
      session.destroyed ||
      (this.#askedAt > this.#heardAt && now - this.#askedAt >= pongUs)
    ) {
      this.#giveUp()
      return
    }
    const idleUs = this.#pool.spec.keepAlive.timeoutMs * 1000
    if (this.inUse === 0 && now - this.#idleAt >= idleUs) {
      if (session.closed) {
        this.#giveUp()
        return
      }
      this.#close()
    } else if (this.inUse > 0) this.#ask(session)
    this.#worker.wheel.set(this, now + Math.min(this.inUse > 0 ? pongUs : idleUs, pingUs))
  }

  /** RFC 9113 6.7: does anybody still answer? */
  #ask(session: ClientHttp2Session): void {
    if (this.#askedAt > this.#heardAt || session.closed) return
    this.#askedAt = this.#worker.now
    session.ping(() => {
      this.#worker.refresh()
      this.#heardAt = this.#worker.now
    })
  }
}

/** The sessions of one worker with one member. */
export class Http2Sessions {
  readonly #worker: WorkerContext
  readonly #pool: MemberPool
  readonly #open: Http2Session[] = []
  /** Streams of one session at once, as the instance last said: also what a new session counts on. */
  streamsSaid: number = streamsMax

  constructor(worker: WorkerContext, pool: MemberPool) {
    this.#worker = worker
    this.#pool = pool
  }

  /** The member is gone or drains: nothing is kept. */
  get ends(): boolean {
    return !this.#pool.current || this.#pool.draining
  }
  get idleCount(): number {
    return this.#open.length > 0 ? 1 : 0
  }

  /** `fresh`: over a session that has not served yet. */
  take(fresh: boolean): Http2Upstream {
    let fewest: Http2Session | null = null
    for (const session of this.#open) {
      if (!session.isUsable || (fresh && session.served > 0)) continue
      if (session.hasRoom) return session.take()
      if (fewest === null || session.inUse < fewest.inUse) fewest = session
    }
    if (fewest !== null && this.#open.length >= sessionsMax) return fewest.take()
    const session = new Http2Session(this.#worker, this.#pool, this)
    this.#open.push(session)
    this.#pool.sharedOpened()
    return session.take()
  }

  removed(session: Http2Session): void {
    const at = this.#open.indexOf(session)
    if (at < 0) return
    this.#open.splice(at, 1)
    this.#pool.sharedClosed()
  }

  closeIdle(): void {
    for (const session of [...this.#open]) session.leave()
  }
}
