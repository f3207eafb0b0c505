// What one sink has still to hear: commits that wait are merged, one call at a time, tried again with growing pauses. A sink
// that stays away holds the log only so long; from then on it is owed `everything`, which is remembered over restarts, and
// it gets that before anything else when it is back.

import type { Clock } from '../../kit/clock.ts'
import { MS } from '../../kit/clock.ts'
import { backoffCeilingUs } from '../../policy/backoff.ts'
import type { Lsn } from '../contract.ts'
import type { Invalidation, InvalidationSink } from './contract.ts'
import { Names } from './names.ts'

/** A sink that has not acknowledged in this time has failed; what it does later does no harm. */
const answerMsMax = 15_000
const pauseMsMin = 50
const pauseMsMax = 5_000
export const awayMsDefault = 30_000

export interface LaneOptions {
  readonly name: string
  readonly sink: InvalidationSink
  readonly database: string
  readonly clock: Clock
  /** How long it may hold the log. */
  readonly awayMs: number
  /** It was owed everything when this process began. */
  readonly owed: boolean
  /** Durable when it returns: it is owed everything, or has got it. */
  remember(owed: boolean): void
  /** It has acknowledged, or holds the log no more. */
  moved(): void
  tell(text: string): void
}

export interface LaneStatus {
  readonly name: string
  /** `heard`: everything so far; `busy`; `away`: it fails, and the log waits; `owed`: everything, when it is back. */
  readonly state: 'heard' | 'busy' | 'away' | 'owed'
  /** Why its last call failed; ''. */
  readonly problem: string
  readonly told: number
}

interface Waiting {
  readonly names: Names
  lsn: Lsn
  timeline: number
  /** Everything up to here was done before the first of these commits. */
  before: Lsn
  /** Monotonic. */
  sinceUs: number
}

export class Lane {
  readonly #options: LaneOptions
  #waiting: Waiting | null = null
  #running: Waiting | null = null
  #owed: boolean
  #failingSinceUs: number | null = null
  #attempts = 0
  #problem = ''
  #told = 0
  #pause: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: LaneOptions) {
    this.#options = options
    this.#owed = options.owed
  }

  /** The log may be let go up to here, as far as this sink is concerned. */
  get before(): Lsn {
    if (this.#owed) return Number.POSITIVE_INFINITY
    return Math.min(this.#waiting?.before ?? Infinity, this.#running?.before ?? Infinity)
  }

  /** Since when the oldest of what it has not heard waits; null: it has heard everything. */
  get sinceUs(): number | null {
    return this.#running?.sinceUs ?? this.#waiting?.sinceUs ?? null
  }

  get status(): LaneStatus {
    const idle = this.#running === null && this.#waiting === null
    const state = this.#owed ? 'owed' : idle ? 'heard' : this.#failingSinceUs === null ? 'busy' : 'away'
    return { name: this.#options.name, state, problem: this.#problem, told: this.#told }
  }

  push(names: Names, lsn: Lsn, timeline: number, before: Lsn, sinceUs: number): void {
    const waiting = this.#waiting ?? { names: new Names(), lsn, timeline, before, sinceUs }
    waiting.names.addAll(names)
    waiting.lsn = lsn
    waiting.timeline = timeline
    waiting.before = Math.min(waiting.before, before)
    this.#waiting = waiting
    this.#next()
  }

  #next(): void {
    if (this.#closed || this.#running !== null || this.#pause !== undefined || this.#waiting === null) return
    const running = this.#waiting
    this.#waiting = null
    this.#running = running
    if (this.#owed) running.names.forgetAll()
    void this.#call(running.names.invalidation(this.#options.database, running.timeline, running.lsn)).then(
      () => this.#heard(),
      (cause: Error) => this.#failed(cause, running),
    )
  }

  async #call(invalidation: Invalidation): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${answerMsMax} ms`)), answerMsMax)
    })
    try {
      await Promise.race([this.#options.sink(invalidation), late])
    } finally {
      clearTimeout(timer)
    }
  }

  #heard(): void {
    if (this.#closed) return
    this.#running = null
    this.#told++
    this.#attempts = 0
    this.#failingSinceUs = null
    if (this.#problem !== '') this.#options.tell(`${this.#options.name} hears of changes again`)
    this.#problem = ''
    if (this.#owed) {
      this.#owed = false
      this.#options.remember(false)
    }
    this.#options.moved()
    this.#next()
  }

  #failed(cause: Error, running: Waiting): void {
    if (this.#closed) return
    const { clock, name, awayMs, tell } = this.#options
    this.#running = null
    const later = this.#waiting
    this.#waiting = running
    if (later !== null) {
      running.names.addAll(later.names)
      running.lsn = later.lsn
      running.timeline = later.timeline
      running.before = Math.min(running.before, later.before)
    }
    const now = clock.monotonic()
    this.#failingSinceUs ??= now
    if (this.#problem === '') tell(`${name} can't be told of changes: ${cause.message}`)
    this.#problem = cause.message
    if (!this.#owed && now - this.#failingSinceUs >= awayMs * MS) this.#owe()
    const pauseMs = backoffCeilingUs(this.#attempts++, pauseMsMin, pauseMsMax) / MS
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      this.#next()
    }, pauseMs)
  }

  #owe(): void {
    const { name, awayMs, tell, remember, moved } = this.#options
    remember(true)
    this.#owed = true
    tell(`${name} was away for ${awayMs / 1_000} s: it forgets everything when it is back`)
    moved()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#pause)
  }
}
