// After how long an exchange is hedged, from the latencies that all workers saw: looked up at most once a second an
// upstream, because it sums histograms.

import { hedgeDelayUs } from '../policy/hedge.ts'
import { upstreamSlots } from './cells.ts'
import type { WorkerContext } from './context.ts'
import type { MemberGroup } from './group.ts'
import type { HedgeSpec } from './snapshot.ts'

const keptUs = 1_000_000

export class HedgeDelays {
  readonly #worker: WorkerContext
  readonly #known = new Map<string, { delayUs: number; until: number }>()

  constructor(worker: WorkerContext) {
    this.#worker = worker
  }

  /** Microseconds, or -1 when too little is known. */
  of(group: MemberGroup, spec: HedgeSpec): number {
    const now = this.#worker.now
    const key = `${group.slot}:${spec.percentile}:${spec.delayMinMs}`
    const known = this.#known.get(key)
    if (known !== undefined && known.until > now) return known.delayUs
    const { cells } = this.#worker
    const rows = Array.from({ length: cells.workers }, (_, worker) => worker * upstreamSlots + group.slot)
    const seen = cells.upstreamLatency.read(rows)
    const delayUs = hedgeDelayUs(seen, spec)
    if (this.#known.size > 1_000) this.#known.clear()
    this.#known.set(key, { delayUs, until: now + keptUs })
    return delayUs
  }
}
