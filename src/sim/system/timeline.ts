// What happened and why, in the words that production logs: kept up to a bound, counted beyond it.

import type { Engine } from '../core/engine.ts'
import { type DecisionResult, decisionsMax } from '../result.ts'

export class Timeline {
  readonly decisions: DecisionResult[] = []
  leftOut = 0
  readonly counts: Map<string, number> = new Map<string, number>()
  readonly #engine: Engine
  readonly #fromUs: number

  constructor(engine: Engine, fromUs: number) {
    this.#engine = engine
    this.#fromUs = fromUs
  }

  /** @param kind `fault`, `health`, `ejection`, `scale`, `failover`, `restart` */
  add(kind: string, part: string, what: string, why: string): void {
    this.#engine.note(this.decisions.length + 1)
    const atUs = this.#engine.now - this.#fromUs
    if (this.decisions.length < decisionsMax) this.decisions.push({ atUs, part, kind, what, why })
    else this.leftOut++
    if (atUs < 0) return
    const name = `${part} ${kind}`
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }
}
