// How long to wait before trying again: exponential with jitter. Decides nothing else.

import type { Random } from '../kit/random.ts'

/** Microseconds: base x 2^attempt, at most max. `attempt` counts from 0. */
export function backoffCeilingUs(attempt: number, baseMs: number, maxMs: number): number {
  const ceilingMs = Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(attempt, 0), 52))
  return Math.round(ceilingMs * 1_000)
}

/**
 * Full jitter (Brooker, "Exponential backoff and jitter", 2015): uniform in [0, ceiling], which spreads clients that
 * failed together better than any fixed share of jitter. Integer microseconds.
 */
export function backoffUs(attempt: number, baseMs: number, maxMs: number, random: Random): number {
  return Math.round(backoffCeilingUs(attempt, baseMs, maxMs) * random.float())
}
