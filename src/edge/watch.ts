// What is noted of one exchange while it runs, where its snapshot traces, logs slow requests or tells timings: when its
// phases began and how its attempts went. Costs an exchange nothing where none of these is on (`watcher` is null then).
// Never changes what happens. Times are monotonic microseconds.

import type { Exchange, ExchangeWatcher } from './exchange.ts'
import type { MemberPool } from './pools.ts'
import { clientAddress } from './request-text.ts'
import { slowLine } from './slow-log.ts'
import { attemptSpan, serverSpan } from './span-text.ts'
import { newSpanId, type TraceContext } from './trace.ts'
import { attemptEnd, type UpstreamConnection } from './upstream.ts'

/** One attempt of a traced exchange. */
export interface AttemptTimes {
  readonly connection: UpstreamConnection
  readonly pool: MemberPool
  readonly spanId: string
  readonly member: string
  readonly why: number
  readonly reused: boolean
  readonly startedAt: number
  /** 0: it is still under way. */
  endedAt: number
  status: number
  /** `error.type`; '' when it was the answer. */
  error: string
}

/** Microseconds of a request's phases; they add up to `total` with what is the edge's own. */
export interface Phases {
  readonly total: number
  /** Gates before the action: a guard, a hook. */
  readonly gates: number
  /** For a place at an instance. */
  readonly queue: number
  /** Attempts before the one that answered (or was the last). */
  readonly retry: number
  readonly connect: number
  /** From the connection being there to the first byte of the answer: sending the request is in it. */
  readonly firstByte: number
  /** From the first byte of the answer to the end. */
  readonly body: number
}

const endNames: Readonly<Record<number, string>> = {
  [attemptEnd.connectFailed]: 'connect-failed',
  [attemptEnd.connectTimeout]: 'connect-timeout',
  [attemptEnd.lost]: 'connection-lost',
  [attemptEnd.timeout]: 'response-timeout',
  [attemptEnd.bad]: 'bad-response',
  [attemptEnd.refused]: 'refused',
  [attemptEnd.noRoom]: 'no-room',
}

export class Watch implements ExchangeWatcher {
  traceparent = ''
  readonly trace: TraceContext | null
  /** Of the server's span. */
  readonly spanId: string
  readonly clientAddress: string
  readonly httpVersion: string
  readonly secure: boolean
  readonly #slowUs: number
  readonly #tellsTiming: boolean
  #attempts: AttemptTimes[] | null = null
  #actedAt = 0
  #firstAttemptAt = 0
  #attemptAt = 0
  #connectedAt = 0
  #connecting: UpstreamConnection | null = null

  constructor(exchange: Exchange, trace: TraceContext | null, slowUs: number, tellsTiming: boolean) {
    this.trace = trace
    this.#slowUs = slowUs
    this.#tellsTiming = tellsTiming
    const { client, worker } = exchange
    this.secure = client?.tls != null
    this.httpVersion = (client?.httpVersion ?? '1.1').replace('2.0', '2')
    this.spanId = trace === null ? '' : newSpanId(worker.random)
    this.clientAddress = trace === null ? '' : clientAddress(exchange)
  }

  acted(exchange: Exchange): void {
    this.#actedAt = exchange.worker.now
  }

  attempt(exchange: Exchange, connection: UpstreamConnection): void {
    const { now, random } = exchange.worker
    if (this.#firstAttemptAt === 0) this.#firstAttemptAt = now
    this.#attemptAt = this.#connectedAt = now
    this.#connecting = connection.isConnecting ? connection : null
    if (this.trace === null) return
    const { attempts } = exchange
    const spanId = newSpanId(random)
    this.traceparent = `00-${this.trace.traceId}-${spanId}-01`
    this.#attempts ??= []
    this.#attempts.push({
      connection,
      pool: connection.pool,
      spanId,
      member: attempts.group?.member(attempts.member).id ?? '',
      why: attempts.why,
      reused: !connection.isConnecting,
      startedAt: now,
      endedAt: 0,
      status: 0,
      error: '',
    })
  }

  attemptOver(exchange: Exchange, connection: UpstreamConnection, status: number, end: number): void {
    if (end === attemptEnd.connectFailed || end === attemptEnd.connectTimeout)
      this.#connectedAt = exchange.worker.now
    else this.#noteConnected(connection)
    const attempt = this.#attempts?.find(one => one.connection === connection && one.endedAt === 0)
    if (attempt === undefined) return
    attempt.endedAt = exchange.worker.now
    attempt.status = Math.max(status, 0)
    attempt.error = status < 0 ? 'lost-race' : status > 0 ? `${status}` : (endNames[end] ?? 'lost')
  }

  #noteConnected(connection: UpstreamConnection): void {
    if (connection === this.#connecting && !connection.isConnecting)
      this.#connectedAt = connection.connectedAt
    this.#connecting = null
  }

  /** The phases are those of the attempt that won. */
  answered(exchange: Exchange, connection: UpstreamConnection): void {
    this.#connecting = null
    this.#attemptAt = connection.startedAt
    this.#connectedAt = connection.connectedAt
    const attempt = this.#attempts?.find(one => one.connection === connection && one.endedAt === 0)
    if (attempt !== undefined) attempt.status = exchange.status
  }

  headFields(exchange: Exchange): string {
    if (!this.#tellsTiming) return ''
    exchange.worker.refresh()
    return serverTiming(this.phases(exchange))
  }

  /** Of now. */
  phases(exchange: Exchange): Phases {
    const { startedAt, firstByteAt, worker } = exchange
    const { now } = worker
    const acted = this.#actedAt === 0 ? now : this.#actedAt
    const first = this.#firstAttemptAt
    const answered = firstByteAt === 0 ? now : firstByteAt
    const none = first === 0
    return {
      total: now - startedAt,
      gates: acted - startedAt,
      queue: none ? 0 : first - acted,
      retry: none ? 0 : this.#attemptAt - first,
      connect: none ? 0 : this.#connectedAt - this.#attemptAt,
      firstByte: none ? 0 : Math.max(0, answered - this.#connectedAt),
      body: now - answered,
    }
  }

  ended(exchange: Exchange, aborted: boolean): void {
    const { worker, status } = exchange
    const { now } = worker
    const endless = status === 101 || exchange.streamsEvents
    const took = (endless ? exchange.firstByteAt : now) - exchange.startedAt
    if (took >= this.#slowUs && worker.slowLog !== null) worker.slowLog.add(slowLine(exchange, this, aborted))
    if (this.trace !== null) this.#emit(exchange, aborted)
  }

  #emit(exchange: Exchange, aborted: boolean): void {
    const { worker } = exchange
    const { spans } = worker
    if (spans === null) return
    const offset = worker.clock.wall() - worker.now
    spans.add(serverSpan(exchange, this, offset, aborted))
    const attempts = this.#attempts ?? []
    for (const [index, attempt] of attempts.entries()) {
      if (attempt.endedAt === 0) {
        attempt.endedAt = worker.now
        if (attempt.status === 0) attempt.error = exchange.error === '' ? 'cancelled' : exchange.error
        else if (attempt.status >= 400) attempt.error = `${attempt.status}`
        else if (aborted) attempt.error = exchange.error
      }
      spans.add(attemptSpan(exchange, this, attempt, index, offset))
    }
  }
}

const ms = (us: number): number => Math.round(us) / 1000

/** https://www.w3.org/TR/server-timing/: what had passed when the head went out; a body is not in it. */
function serverTiming({ total, queue, retry, connect, firstByte }: Phases): string {
  const parts = [`edge;dur=${ms(total - queue - retry - connect - firstByte)}`]
  if (firstByte > 0)
    parts.unshift(`queue;dur=${ms(queue)}`, `connect;dur=${ms(connect)}`, `wait;dur=${ms(firstByte)}`)
  if (retry > 0) parts.push(`retry;dur=${ms(retry)}`)
  return `Server-Timing: ${parts.join(', ')}\r\n`
}
