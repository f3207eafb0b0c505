// The cache's part in one exchange that goes to an instance: what it fills, what is stale and may be served instead, what
// waits for it. And in one that waits for another's answer. Made by the gate; the step (cache-step.ts) does what comes of
// the answer. Let go of exactly once, by `over`.

import { mayServeOnError, type RequestDirectives } from '../../policy/freshness/index.ts'
import type { CacheWork, Exchange } from '../exchange.ts'
import { cacheResult } from '../exchange-record.ts'
import { type ClientFailure, clientFailures } from '../failures.ts'
import type { MemberGroup } from '../group.ts'
import { NoClient } from '../no-client.ts'
import type { Fill, StoredEntry, Wait } from '../store/contract.ts'
import type { CachedRoute } from './cached-route.ts'
import { withoutEdits } from './request-edits.ts'
import { answerStored } from './stored-answer.ts'
import type { TeeSink } from './tee-sink.ts'
import { ttlText } from './told.ts'

/** Exchanges of a worker that may go on without their clients, and for how long. */
const detachedMax = 256
const detachedUs = 30_000_000

export class Work implements CacheWork {
  readonly route: CachedRoute
  /** Without what Vary adds. */
  readonly baseKey: string
  /** What `fill` leads. */
  readonly key: string
  fill: Fill | null
  /** What is stored, and can't be served without being asked for. */
  stale: StoredEntry | null
  readonly asked: RequestDirectives
  /** Why it goes on, as Cache-Status has it: `uri-miss`, `stale`, ... */
  readonly forward: string
  /** The request carries the validators of what is stored instead of the client's conditions. */
  validates = false
  tee: TeeSink | null = null
  /** Why the answer is not stored; ''. */
  why = ''
  /** The route's own, while the parent is asked. */
  ownGroup: MemberGroup | null = null

  constructor(
    route: CachedRoute,
    baseKey: string,
    key: string,
    fill: Fill | null,
    stale: StoredEntry | null,
    asked: RequestDirectives,
    forward: string,
  ) {
    this.route = route
    this.baseKey = baseKey
    this.key = key
    this.fill = fill
    this.stale = stale
    this.asked = asked
    this.forward = forward
  }

  instead(exchange: Exchange, failure: ClientFailure): boolean {
    if (exchange.responding) return false
    if (this.ownGroup !== null && failure !== clientFailures.routeTimeout) {
      exchange.group = this.ownGroup
      this.ownGroup = null
      exchange.toParent = false
      exchange.requestEdits = withoutEdits(exchange.requestEdits, 'CDN-Loop')
      exchange.askAgain()
      return true
    }
    if (!this.mayServeStale(exchange, 0)) return false
    exchange.error = failure.code
    this.serveStale(exchange, 0)
    return true
  }

  /** `status`: of the instance's answer; 0: there was none. */
  mayServeStale(exchange: Exchange, status: number): boolean {
    if (this.stale === null) return false
    return mayServeOnError(this.stale.meta, exchange.worker.now, this.asked, status)
  }

  serveStale(exchange: Exchange, status: number): void {
    const entry = this.stale as StoredEntry
    this.stale = null
    exchange.giveUpAnswer()
    this.endFill()
    if (exchange.background) {
      entry.release()
      exchange.respond(304, '', '')
      return
    }
    exchange.cacheResult = cacheResult.stale
    const answered = status === 0 ? '' : `; fwd-status=${status}`
    const said = `fwd=stale${answered}; ttl=${ttlText(entry.meta, exchange.worker.now)}; detail=stale-if-error`
    answerStored(exchange, this.route, entry, entry.meta, entry.fields, said)
  }

  outlives(exchange: Exchange): boolean {
    const { worker, loads } = this.route
    const filling = this.tee === null ? this.fill !== null : this.tee.filling
    const { client } = exchange
    if (!filling || client === null || worker.draining || loads.detached >= detachedMax) return false
    loads.detached++
    exchange.client = new NoClient(worker, client, () => {
      loads.detached--
    })
    worker.wheel.set(exchange, worker.now + detachedUs)
    this.tee?.detach()
    exchange.resumeResponse()
    return true
  }

  /** Nothing comes of it: who waits may try. */
  endFill(): void {
    const { fill } = this
    this.fill = null
    fill?.abort()
  }

  over(): void {
    this.endFill()
    this.stale?.release()
    this.stale = null
  }
}

/** Of a POST: what came between its being asked and its answer is not known to what is stored of that. */
export class Posting implements CacheWork {
  readonly purges: number

  constructor(purges: number) {
    this.purges = purges
  }

  instead(): boolean {
    return false
  }
  outlives(): boolean {
    return false
  }
  over(): void {}
}

/** Of an exchange that waits for the answer to another one. */
export class Waiting implements CacheWork {
  wait: Wait | null = null
  /** What is served when that one fails. */
  stale: StoredEntry | null

  constructor(stale: StoredEntry | null) {
    this.stale = stale
  }

  instead(): boolean {
    return false
  }
  outlives(): boolean {
    return false
  }
  over(): void {
    this.wait?.cancel()
    this.wait = null
    this.stale?.release()
    this.stale = null
  }
}
