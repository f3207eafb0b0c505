// What clients see, counted: a row for each action and one for all. A request belongs to the moment when its client first
// asked, also when it is answered later, on a second try or never; throughput alone counts answers when they come.

import { BatchedValues, type Estimate, estimate, Sketch } from '../core/statistics.ts'
import type { Window } from '../models/window.ts'
import type { BatchResult, LatencyResult, TrafficResult } from '../result.ts'

export const Outcome = { answered: 0, failed: 1, refused: 2, abandoned: 3 } as const
export type OutcomeCode = (typeof Outcome)[keyof typeof Outcome]

const curvePoints = 120

class Row {
  readonly id: string
  readonly latency: BatchedValues
  readonly arrived: Float64Array
  readonly bad: Float64Array
  readonly done: Float64Array
  readonly ends: [number, number, number, number] = [0, 0, 0, 0]
  finished = 0
  clientRetries = 0
  edgeRetries = 0
  hedges = 0
  readonly #window: Window

  constructor(id: string, window: Window) {
    this.id = id
    this.#window = window
    this.latency = new BatchedValues(window.fromUs, window.toUs, window.batches)
    this.arrived = new Float64Array(window.batches)
    this.bad = new Float64Array(window.batches)
    this.done = new Float64Array(window.batches)
  }

  batchOf(at: number): number {
    const { fromUs, toUs, batches } = this.#window
    return at < fromUs ? -1 : Math.floor(((at - fromUs) / (toUs - fromUs)) * batches)
  }

  ended(firstAt: number, now: number, outcome: OutcomeCode): void {
    if (outcome === Outcome.answered) {
      const answeredIn = this.batchOf(now)
      if (answeredIn >= 0 && answeredIn < this.done.length) this.done[answeredIn]!++
    }
    const batch = this.batchOf(firstAt)
    if (batch < 0 || batch >= this.bad.length) return
    this.finished++
    this.ends[outcome]++
    if (outcome === Outcome.answered) this.latency.add(firstAt, now - firstAt)
    else this.bad[batch]!++
  }

  result(unstable: boolean): TrafficResult {
    const arrived = this.arrived.reduce((a, b) => a + b, 0)
    const seconds = (this.#window.toUs - this.#window.fromUs) / 1e6
    const perBatch = seconds / this.done.length
    const answers = Array.from(this.done, count => count / perBatch)
    const errors = Array.from(this.bad, (count, at) => count / Math.max(1, this.arrived[at] as number))
    const bad = this.ends[1] + this.ends[2] + this.ends[3]
    return {
      id: this.id,
      arrived,
      answered: this.ends[0],
      failed: this.ends[1],
      refused: this.ends[2],
      abandoned: this.ends[3],
      unfinished: arrived - this.finished,
      clientRetries: this.clientRetries,
      edgeRetries: this.edgeRetries,
      hedges: this.hedges,
      throughput: estimate(this.done.reduce((a, b) => a + b, 0) / seconds, answers),
      latency: unstable || this.ends[0] === 0 ? null : latencyOf(this.latency),
      errorShare: estimate(arrived === 0 ? 0 : bad / arrived, errors),
      batches: this.latency.batches.map((batch, at): BatchResult => {
        const isSeen = !unstable && batch.count > 0
        return {
          meanUs: isSeen ? batch.mean : null,
          p50Us: isSeen ? batch.quantile(0.5) : null,
          p99Us: isSeen ? batch.quantile(0.99) : null,
          errorShare: errors[at] as number,
          throughput: answers[at] as number,
        }
      }),
    }
  }
}

function latencyOf(values: BatchedValues): LatencyResult {
  const { whole } = values
  const at = (q: number): Estimate => values.quantile(q)
  const curve: [number, number][] = []
  for (let point = 0; point <= curvePoints; point++) {
    // Closer together towards the slow end: 0, 0.5, 0.9, 0.99, 0.999, 0.9999.
    const share = 1 - 10 ** ((-4 * point) / curvePoints)
    curve.push([Math.round(whole.quantile(share)), share])
  }
  return {
    mean: values.mean(),
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    p999: at(0.999),
    max: whole.max,
    curve,
  }
}

export class Traffic {
  readonly #rows: readonly Row[]
  readonly #all: Row
  /** Of the step that runs: what the series take, and begin anew. */
  readonly stepLatency: Sketch = new Sketch()
  stepArrived = 0
  stepAnswered = 0
  stepBad = 0

  constructor(ids: readonly string[], window: Window) {
    this.#all = new Row('system', window)
    this.#rows = ids.map(id => new Row(id, window))
  }

  arrived(action: number, now: number): void {
    this.stepArrived++
    for (const row of [this.#all, this.#rows[action] as Row]) {
      const batch = row.batchOf(now)
      if (batch >= 0 && batch < row.arrived.length) row.arrived[batch]!++
    }
  }

  /** @param firstAt when the client first asked */
  ended(action: number, firstAt: number, now: number, outcome: OutcomeCode): void {
    if (outcome === Outcome.answered) {
      this.stepAnswered++
      this.stepLatency.add(now - firstAt)
    } else this.stepBad++
    this.#all.ended(firstAt, now, outcome)
    ;(this.#rows[action] as Row).ended(firstAt, now, outcome)
  }

  tried(action: number, firstAt: number, what: 'clientRetries' | 'edgeRetries' | 'hedges'): void {
    const row = this.#rows[action] as Row
    if (row.batchOf(firstAt) < 0) return
    row[what]++
    this.#all[what]++
  }

  beginStep(): void {
    this.stepLatency.clear()
    this.stepArrived = this.stepAnswered = this.stepBad = 0
  }

  /** All actions together, then each. */
  results(unstable: boolean): TrafficResult[] {
    return [this.#all, ...this.#rows].map(row => row.result(unstable))
  }
}
