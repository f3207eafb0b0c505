// Hedging (Dean & Barroso, "The tail at scale", 2013): a second attempt of a safe request once it takes longer than
// most do; the first answer wins. Decides when and whether; counted in the retry budget.

import type { Distribution } from '../kit/histogram.ts'
import { Reason } from './reason.ts'
import type { HedgeSettings } from './settings.ts'

/** Fewer latencies than this say nothing about a percentile. */
export const hedgeSamplesMin = 100

/**
 * After how many microseconds the second attempt starts; -1 when too few latencies are known.
 * @param latencies of the member group, microseconds, over a recent window
 */
export function hedgeDelayUs(latencies: Distribution, settings: HedgeSettings): number {
  if (latencies.count < hedgeSamplesMin) return -1
  return Math.max(Math.round(latencies.quantile(settings.percentile / 100)), settings.delayMinMs * 1_000)
}

/** `hedge`, or why not. A safe method with a body is rare enough to be left alone. */
export function decideHedge(
  delayUs: number,
  safe: boolean,
  bodyEmpty: boolean,
  already: boolean,
  withinBudget: boolean,
): number {
  if (already) return Reason.noHedgeAlready
  if (!safe) return Reason.noHedgeUnsafe
  if (!bodyEmpty) return Reason.noHedgeBody
  if (delayUs < 0) return Reason.noHedgeLatencyUnknown
  return withinBudget ? Reason.hedge : Reason.noHedgeBudget
}
