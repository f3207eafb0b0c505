// An overloaded upstream in virtual time: clients that come at random and have patience, the line and the limit as the
// edge uses them, and a server with a fixed number of slots and a queue of its own that nobody bounds. M/M/c, and what
// real servers make of it: other service times, slots that come and go, services that become slow.

import { type Random, seededRandom } from '../../kit/random.ts'
import { type LimitSettings, type LimitState, moveLimit, newLimitState } from '../concurrency/index.ts'
import {
  Importance,
  type ImportanceCode,
  type LineSettings,
  lineSettings,
  placesFor,
  type Waiting,
  WaitingLine,
} from '../shed/index.ts'

export interface OverloadOptions {
  readonly seed: number
  /** Requests that the server works on at once. */
  readonly slots: number
  /** Microseconds that one takes. */
  service(random: Random): number
  readonly arrivalsPerSecond: number
  /** Who gets an answer later than this has left: it counts for nothing. */
  readonly patienceUs: number
  /** Null: as many as come go to the server at once. A number: a fixed limit. */
  readonly limit: LimitSettings | number | null
  /** `fifo`: first come, first served, and who waits does so for `patienceUs` of the line. */
  readonly line: LineSettings & { readonly kind: 'adaptive' | 'fifo'; readonly lengthMax: number }
  readonly reserve?: number
  /** Of each class of the arrivals; all are normal when absent. Sheddable, normal, critical. */
  readonly shares?: readonly [number, number, number]
}

export interface ClassCount {
  arrived: number
  /** Answered within their patience. */
  good: number
  /** Answered too late. */
  late: number
  shed: number
}

interface Request {
  readonly importance: ImportanceCode
  readonly arrivedUs: number
  placedUs: number
}

interface Event {
  readonly atUs: number
  readonly serial: number
  run(): void
}

const tickUs = 250_000
const pollUs = 2_000

export class OverloadRehearsal {
  now = 0
  slots: number
  arrivalsPerSecond: number
  /** All service times are multiplied by it. */
  slowness = 1
  limitState: LimitState | null
  counts: ClassCount[] = freshCounts()
  /** Waits in the line of those who were served, microseconds. */
  waits: number[] = []
  /** Allowed by the limit, each tick. */
  limits: number[] = []
  readonly #options: OverloadOptions
  readonly #random: Random
  readonly #events: Event[] = []
  #serial = 0
  readonly #line = new WaitingLine<Request>()
  #inFlight = 0
  #working = 0
  #inServer: Request[] = []
  #serverAt = 0
  #answers = 0
  #logs = 0
  #logSquares = 0
  #full = false

  constructor(options: OverloadOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.slots = options.slots
    this.arrivalsPerSecond = options.arrivalsPerSecond
    this.limitState =
      options.limit === null || typeof options.limit === 'number' ? null : newLimitState(options.limit)
    this.#at(0, () => this.#arrivals())
    this.#at(tickUs, () => this.#tick())
    this.#at(pollUs, () => this.#poll())
  }

  /** Virtual seconds go by; what was counted before is forgotten. */
  run(seconds: number): this {
    this.counts = freshCounts()
    this.waits = []
    this.limits = []
    const end = this.now + seconds * 1_000_000
    for (let next = this.#events[0]; next !== undefined && next.atUs <= end; next = this.#events[0]) {
      this.#pop()
      this.now = next.atUs
      next.run()
    }
    this.now = end
    return this
  }

  get inFlight(): number {
    return this.#inFlight
  }
  get total(): ClassCount {
    const sum = (of: (one: ClassCount) => number): number =>
      this.counts.reduce((all, one) => all + of(one), 0)
    return {
      arrived: sum(one => one.arrived),
      good: sum(one => one.good),
      late: sum(one => one.late),
      shed: sum(one => one.shed),
    }
  }
  /** The middle of the limits that were in force. */
  get limitMedian(): number {
    return quantile(this.limits, 0.5)
  }
  waitQuantile(q: number): number {
    return quantile(this.waits, q)
  }

  // --- clients ----------------------------------------------------------------------------------------------------

  #arrivals(): void {
    this.#arrive()
    const gapUs = (-Math.log(1 - this.#random.float()) * 1_000_000) / this.arrivalsPerSecond
    this.#at(this.now + gapUs, () => this.#arrivals())
  }

  #arrive(): void {
    const importance = this.#importance()
    const request: Request = { importance, arrivedUs: this.now, placedUs: 0 }
    this.#count(request).arrived++
    const free = this.#hasRoom(importance) && !this.#line.isBehind(importance, this.now, this.#lineSettings)
    if (free && !(this.#options.line.kind === 'fifo' && this.#line.count > 0)) this.#place(request)
    else this.#wait(request)
  }

  #importance(): ImportanceCode {
    const { shares } = this.#options
    if (shares === undefined) return Importance.normal
    const at = this.#random.float()
    if (at < shares[0]) return Importance.sheddable
    return at < shares[0] + shares[1] ? Importance.normal : Importance.critical
  }

  #wait(request: Request): void {
    this.#full = true
    const { lengthMax } = this.#options.line
    if (this.#line.count >= lengthMax) {
      const other = this.#line.givesWay(request.importance)
      if (other === null) {
        this.#count(request).shed++
        return
      }
      this.#shed(other)
    }
    this.#line.enter(request, request.importance, this.now)
  }

  #shed(waiting: Waiting<Request>): void {
    this.#line.leave(waiting)
    this.#count(waiting.who).shed++
  }

  // --- the edge ---------------------------------------------------------------------------------------------------

  get #lineSettings(): LineSettings {
    const { line } = this.#options
    if (line.kind === 'fifo')
      return { targetUs: line.patienceUs, intervalUs: 1e15, patienceUs: line.patienceUs }
    const known = this.limitState?.baselineLog ?? Number.NaN
    return lineSettings(line, Number.isNaN(known) ? 0 : Math.exp(known))
  }

  #hasRoom(importance: ImportanceCode): boolean {
    const { limit, reserve = 0 } = this.#options
    if (limit === null) return true
    const allowed = this.limitState?.allowed ?? (limit as number)
    return this.#inFlight < placesFor(importance, allowed, reserve)
  }

  #place(request: Request): void {
    request.placedUs = this.now
    this.waits.push(this.now - request.arrivedUs)
    this.#inFlight++
    if (this.#working < this.slots) this.#work(request)
    else this.#inServer.push(request)
  }

  #wake(): void {
    for (;;) {
      const next = this.#line.next(this.now, this.#lineSettings)
      if (next === null || !this.#hasRoom(next.importance)) return
      this.#line.leave(next)
      this.#place(next.who)
    }
  }

  #poll(): void {
    this.#wake()
    for (;;) {
      const late = this.#line.late(this.now, this.#lineSettings)
      if (late === null) break
      this.#shed(late)
    }
    this.#at(this.now + pollUs, () => this.#poll())
  }

  #tick(): void {
    const { limit } = this.#options
    if (this.limitState !== null) {
      const sample = {
        nowUs: this.now,
        answers: this.#answers,
        logs: this.#logs,
        logSquares: this.#logSquares,
        failures: 0,
        inFlight: this.#inFlight,
        full: this.#full,
      }
      this.limitState = moveLimit(this.limitState, sample, limit as LimitSettings, this.#random)
      this.limits.push(this.limitState.allowed)
      this.#wake()
    }
    this.#answers = this.#logs = this.#logSquares = 0
    this.#full = false
    this.#at(this.now + tickUs, () => this.#tick())
  }

  // --- the server -------------------------------------------------------------------------------------------------

  #work(request: Request): void {
    this.#working++
    const tookUs = Math.max(1, this.#options.service(this.#random) * this.slowness)
    this.#at(this.now + tookUs, () => this.#done(request))
  }

  #done(request: Request): void {
    this.#working--
    this.#inFlight--
    const log = Math.log(Math.max(1, this.now - request.placedUs))
    this.#answers++
    this.#logs += log
    this.#logSquares += log * log
    const count = this.#count(request)
    if (this.now - request.arrivedUs <= this.#options.patienceUs) count.good++
    else count.late++
    while (this.#working < this.slots) {
      const next = this.#inServer[this.#serverAt]
      if (next === undefined) break
      this.#serverAt++
      this.#work(next)
    }
    if (this.#serverAt > 1_000) this.#inServer = this.#inServer.slice(this.#serverAt)
    if (this.#serverAt > 1_000) this.#serverAt = 0
    this.#wake()
  }

  #count({ importance }: Request): ClassCount {
    return this.counts[importance] as ClassCount
  }

  // --- time -------------------------------------------------------------------------------------------------------

  #at(atUs: number, run: () => void): void {
    const events = this.#events
    const event = { atUs, serial: this.#serial++, run }
    let at = events.push(event) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(event, events[above] as Event)) break
      events[at] = events[above] as Event
      at = above
    }
    events[at] = event
  }

  #pop(): void {
    const events = this.#events
    const last = events.pop() as Event
    if (events.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= events.length) break
      if (below + 1 < events.length && isBefore(events[below + 1] as Event, events[below] as Event)) below++
      if (!isBefore(events[below] as Event, last)) break
      events[at] = events[below] as Event
      at = below
    }
    events[at] = last
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atUs < other.atUs || (one.atUs === other.atUs && one.serial < other.serial)
}

const freshCounts = (): ClassCount[] =>
  Array.from({ length: 3 }, () => ({ arrived: 0, good: 0, late: 0, shed: 0 }))

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
}

/** Exponential service times: M/M/c. */
export const exponential =
  (meanUs: number) =>
  (random: Random): number =>
    -Math.log(1 - random.float()) * meanUs

/** Each the same. */
export const constant = (us: number) => (): number => us

/** Most take `fastUs`, a share takes `slowUs`. */
export const bimodal =
  (fastUs: number, slowUs: number, slowShare: number) =>
  (random: Random): number =>
    (random.float() < slowShare ? slowUs : fastUs) * (0.9 + 0.2 * random.float())
