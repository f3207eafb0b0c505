// Adaptive limits on the edge's main thread: reads what the workers summed up of each upstream, asks policy/concurrency,
// writes the limit that all of them obey. Alone in writing it; the sweeper calls it a few times a second.

import { seededRandom } from '../kit/random.ts'
import { type LimitState, moveLimit, newLimitState } from '../policy/concurrency/index.ts'
import { type EdgeCells, sumOver, upstreamSlots } from './cells.ts'
import type { SnapshotSlots } from './slots.ts'
import type { AdaptiveSpec, EdgeSnapshot } from './snapshot.ts'

interface Sums {
  readonly answers: number
  readonly logs: number
  readonly logSquares: number
  readonly failures: number
}

interface Limiter {
  readonly slot: number
  /** Of the settings that it obeys: others begin anew. */
  readonly settings: string
  state: LimitState
  sums: Sums
  lookedAtUs: number
}

export class Limiters {
  readonly #cells: EdgeCells
  readonly #random = seededRandom(0x11a17)
  #byName = new Map<string, Limiter>()

  constructor(cells: EdgeCells) {
    this.#cells = cells
  }

  move(snapshot: EdgeSnapshot, slots: SnapshotSlots, nowUs: number): void {
    const kept = new Map<string, Limiter>()
    for (const { name, limits } of snapshot.upstreams) {
      if (limits.adaptive === undefined) continue
      const slot = slots.upstreams.get(name) as number
      const limiter = this.#limiter(name, slot, limits.adaptive, nowUs)
      kept.set(name, limiter)
      this.#move(limiter, limits.adaptive, nowUs)
    }
    for (const [name, { slot }] of this.#byName) if (!kept.has(name)) this.#cells.upstream.limit[slot] = 0
    this.#byName = kept
  }

  #limiter(name: string, slot: number, adaptive: AdaptiveSpec, nowUs: number): Limiter {
    const settings = JSON.stringify(adaptive)
    const known = this.#byName.get(name)
    if (known?.slot === slot && known.settings === settings) return known
    return { slot, settings, state: newLimitState(adaptive), sums: this.#sums(slot), lookedAtUs: nowUs }
  }

  #sums(slot: number): Sums {
    const { upstreamWorker, workers } = this.#cells
    const sum = (column: Float64Array): number => sumOver(column, workers, upstreamSlots, slot)
    return {
      answers: sum(upstreamWorker.answers),
      logs: sum(upstreamWorker.latencyLogs),
      logSquares: sum(upstreamWorker.latencyLogSquares),
      failures: sum(upstreamWorker.overloads),
    }
  }

  #move(limiter: Limiter, adaptive: AdaptiveSpec, nowUs: number): void {
    const { slot, sums: before, lookedAtUs } = limiter
    const { upstreamWorker, upstream, workers } = this.#cells
    const sums = this.#sums(slot)
    let fullAtUs = 0
    for (let row = slot; row < workers * upstreamSlots; row += upstreamSlots)
      fullAtUs = Math.max(fullAtUs, upstreamWorker.fullAtUs[row] as number)
    const sample = {
      nowUs,
      answers: sums.answers - before.answers,
      logs: sums.logs - before.logs,
      logSquares: sums.logSquares - before.logSquares,
      failures: sums.failures - before.failures,
      inFlight: sumOver(upstreamWorker.awaiting, workers, upstreamSlots, slot),
      full: fullAtUs > lookedAtUs,
    }
    const state = moveLimit(limiter.state, sample, adaptive, this.#random)
    limiter.state = state
    limiter.sums = sums
    limiter.lookedAtUs = nowUs
    upstream.limit[slot] = state.allowed
    upstream.baselineUs[slot] = microseconds(state.baselineLog)
    upstream.recentUs[slot] = microseconds(state.recentLog)
    upstream.why[slot] = state.why
    upstream.whyA[slot] = state.a
    upstream.whyB[slot] = state.b
  }
}

const microseconds = (log: number): number => (Number.isNaN(log) ? 0 : Math.round(Math.exp(log)))
