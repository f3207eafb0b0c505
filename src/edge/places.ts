// The places of one upstream whose limit is adaptive, as one worker sees them: how many there are (`limiters.ts` says),
// how many are used over all workers, who may have one. A place is held from the moment an instance has the whole request
// until the head of its answer: a slow upload, a slow reader, a WebSocket holds none. Lives as long as its group.

import { isSafeMethod } from '../policy/methods.ts'
import {
  Importance,
  type ImportanceCode,
  type LineSettings,
  lineSettings,
  placesFor,
  reserveHeldUs,
} from '../policy/shed/index.ts'
import { type EdgeCells, sumOver, upstreamSlots } from './cells.ts'
import type { AdaptiveSpec, UpstreamSpec } from './snapshot.ts'
import type { UpstreamConnection } from './upstream.ts'

/** An instance works on for a client that has left: at most for so long its place counts as used. */
const abandonedUsMax = 5_000_000
/** Long bodies under way at once, of those that are not critical: so many for each place, and never fewer than. */
const uploadsPerPlace = 4
const uploadsMin = 256
/** Weight of the newest wait in the average. */
const waitWeight = 0.1

const shedColumns = ['shedSheddable', 'shedNormal', 'shedCritical'] as const

export class Places {
  readonly row: number
  readonly #spec: AdaptiveSpec
  readonly #own: LineSettings
  readonly #slot: number
  readonly #cells: EdgeCells
  #line: LineSettings
  #lineBaselineUs = 0

  constructor({ limits }: UpstreamSpec, adaptive: AdaptiveSpec, slot: number, row: number, cells: EdgeCells) {
    this.#spec = adaptive
    this.#slot = slot
    this.row = row
    this.#cells = cells
    this.#own = this.#line = {
      targetUs: adaptive.queueTargetMs * 1_000,
      intervalUs: adaptive.queueIntervalMs * 1_000,
      patienceUs: limits.pendingTimeoutMs * 1_000,
    }
  }

  get limit(): number {
    return (this.#cells.upstream.limit[this.#slot] as number) || this.#spec.limitStart
  }

  /** Over all workers. */
  get used(): number {
    const { upstreamWorker, workers } = this.#cells
    return sumOver(upstreamWorker.awaiting, workers, upstreamSlots, this.#slot)
  }

  /** How those who wait are treated. */
  get line(): LineSettings {
    const baselineUs = this.#cells.upstream.baselineUs[this.#slot] as number
    if (baselineUs !== this.#lineBaselineUs) {
      this.#lineBaselineUs = baselineUs
      this.#line = lineSettings(this.#own, baselineUs)
    }
    return this.#line
  }

  /** For somebody of this class. */
  #share(importance: ImportanceCode, now: number): number {
    const { upstream } = this.#cells
    if (importance === Importance.critical) return this.limit
    const criticalAt = upstream.criticalAtUs[this.#slot] as number
    const held = criticalAt > 0 && now - criticalAt < reserveHeldUs
    return placesFor(importance, this.limit, held ? this.#spec.reserveShare : 0)
  }

  hasRoom(importance: ImportanceCode, now: number): boolean {
    return this.used < this.#share(importance, now)
  }

  /** Who asks, whether there is room or not: places are held for the critical as long as some come. */
  asked(importance: ImportanceCode, now: number): void {
    if (importance === Importance.critical) this.#cells.upstream.criticalAtUs[this.#slot] = now
  }

  /** False: another worker took the last place at the same moment. */
  take(importance: ImportanceCode, now: number): boolean {
    const { awaiting } = this.#cells.upstreamWorker
    awaiting[this.row]!++
    if (this.used <= this.#share(importance, now)) return true
    awaiting[this.row]!--
    return false
  }

  giveBack(): void {
    giveBackPlace(this.#cells, this.row)
  }

  /**
   * May one more send a long body? It has no place until its end, and yet an instance may be at work on it from its head
   * on. Methods that have no use for a body get as many as there are places.
   */
  takesUpload(importance: ImportanceCode, method: string): boolean {
    if (importance === Importance.critical) return true
    const { upstreamWorker, workers } = this.#cells
    const under = sumOver(upstreamWorker.uploads, workers, upstreamSlots, this.#slot)
    return under < (isSafeMethod(method) ? this.limit : Math.max(uploadsMin, uploadsPerPlace * this.limit))
  }

  beginUpload(): number {
    this.#cells.upstreamWorker.uploads[this.row]!++
    return this.row
  }

  /** The instance has all of a request whose body came in pieces: counted, whether there is room or not. */
  hold(connection: UpstreamConnection, now: number): void {
    this.#cells.upstreamWorker.awaiting[this.row]!++
    connection.placeRow = this.row
    connection.placeAt = now
  }

  /** Latency lately; 0 = unknown. */
  get recentUs(): number {
    return this.#cells.upstream.recentUs[this.#slot] as number
  }

  /** How long the instance may be at work on a request that nobody waits for any more. */
  get abandonedUs(): number {
    return Math.min(abandonedUsMax, this.recentUs)
  }

  wasFull(now: number): void {
    this.#cells.upstreamWorker.fullAtUs[this.row] = now
  }

  waited(us: number): void {
    const { waitUs } = this.#cells.upstreamWorker
    waitUs[this.row]! += waitWeight * (us - (waitUs[this.row] as number))
  }

  shed(importance: ImportanceCode): void {
    this.#cells.upstreamWorker[shedColumns[importance]][this.row]!++
  }
}

/** The head of an answer is there, or the instance has switched protocols. */
export function countAnswer(cells: EdgeCells, { placeRow, placeAt }: UpstreamConnection, now: number): void {
  const { answers, latencyLogs, latencyLogSquares } = cells.upstreamWorker
  const log = Math.log(Math.max(1, now - placeAt))
  answers[placeRow]!++
  latencyLogs[placeRow]! += log
  latencyLogSquares[placeRow]! += log * log
}

export function endUpload({ upstreamWorker: { uploads } }: EdgeCells, row: number): void {
  uploads[row] = Math.max(0, (uploads[row] as number) - 1)
}

export function giveBackPlace({ upstreamWorker: { awaiting } }: EdgeCells, row: number): void {
  // The upstream may have left the snapshot, and its row been used anew, while an abandoned place was held.
  awaiting[row] = Math.max(0, (awaiting[row] as number) - 1)
}
