// Coordinated omission: what a client that waits for each answer reports of a stall, and what those who wanted to come in
// that time saw. Source: Tene, "How NOT to Measure Latency" (2013). Times in seconds.

import { type Answer, firstWrong, given, inside, positive } from './answer.ts'

/** A server that answers at once for a while, then stands still. */
export interface Stall {
  readonly goodSeconds: number
  readonly latencySeconds: number
  readonly stallSeconds: number
  /** Requests per second that were to be sent, evenly. */
  readonly rate: number
}

export interface SeenLatency {
  readonly samples: number
  readonly mean: number
  /** By nearest rank. @param q above 0, below 1 */
  readonly quantile: (q: number) => Answer<number>
}

function wrongStall(stall: Stall): ReturnType<typeof firstWrong> {
  return firstWrong(
    positive('good seconds', stall.goodSeconds),
    positive('latency', stall.latencySeconds),
    positive('stall', stall.stallSeconds),
    positive('rate', stall.rate),
    stall.rate * (stall.goodSeconds + stall.stallSeconds) > 1e12
      ? 'rate is too high; it must be at most 1e12 in all'
      : null,
  )
}

/** By a client that sends the next request when the last one was answered: one slow sample for the whole stall. */
export function closedLoopView(stall: Stall): Answer<SeenLatency> {
  const wrong = wrongStall(stall)
  if (wrong) return wrong
  const good = Math.round(stall.goodSeconds * stall.rate)
  const samples = good + 1
  return given({
    samples,
    mean: (good * stall.latencySeconds + stall.stallSeconds) / samples,
    quantile: q => ranked(q, samples, rank => (rank <= good ? stall.latencySeconds : stall.stallSeconds)),
  })
}

/** From the times at which requests were to be sent: each of those of the stall waits for its end. */
export function intendedView(stall: Stall): Answer<SeenLatency> {
  const wrong = wrongStall(stall)
  if (wrong) return wrong
  const good = Math.round(stall.goodSeconds * stall.rate)
  const held = Math.round(stall.stallSeconds * stall.rate)
  const samples = good + held
  // The k-th from the end of the stall waits k intervals.
  const heldMean = held === 0 ? 0 : (held + 1) / (2 * stall.rate)
  return given({
    samples,
    mean: (good * stall.latencySeconds + held * heldMean) / samples,
    quantile: q =>
      ranked(q, samples, rank => (rank <= good ? stall.latencySeconds : (rank - good) / stall.rate)),
  })
}

/** Ranks rise with the latency as long as an interval is not shorter than the usual latency. */
function ranked(q: number, samples: number, latencyOf: (rank: number) => number): Answer<number> {
  const wrong = firstWrong(inside('quantile', q))
  return wrong ?? given(latencyOf(Math.max(1, Math.ceil(q * samples * (1 - 1e-12)))))
}
