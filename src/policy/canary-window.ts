// The sliding window over which a canary is judged: running sums go in, what the last `windowMs` brought comes out. Keeps
// a bounded number of earlier sums (a tenth of the window apart), so a window is at most a tenth longer than asked for.
// Knows no clock; never decides (canary.ts).

import type { CanaryObservation, SideCounts } from './canary.ts'

const stepsPerWindow = 10

interface Kept {
  readonly at: number
  readonly sums: CanaryObservation
}

export class CanaryWindow {
  readonly #windowUs: number
  readonly #kept: Kept[] = []

  constructor(windowMs: number) {
    this.#windowUs = windowMs * 1_000
  }

  /** `sums`: of everything since the canary began. The first call begins the window. */
  observe(now: number, sums: CanaryObservation): CanaryObservation {
    const kept = this.#kept
    const last = kept.at(-1)
    if (last === undefined || now - last.at >= this.#windowUs / stepsPerWindow) kept.push({ at: now, sums })
    while (kept.length > 1 && now - kept[1]!.at >= this.#windowUs) kept.shift()
    const from = kept[0]!.sums
    return { canary: since(sums.canary, from.canary), others: since(sums.others, from.others) }
  }

  /** What was seen before says nothing any more. */
  restart(): void {
    this.#kept.length = 0
  }
}

function since(sums: SideCounts, earlier: SideCounts): SideCounts {
  return {
    requests: Math.max(0, sums.requests - earlier.requests),
    errors: Math.max(0, sums.errors - earlier.errors),
    latency: sums.latency.since(earlier.latency),
  }
}
