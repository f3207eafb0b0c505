// How loaded a worker is, 0..1, and who is refused at that load. Load is the worse of two: the event loop (late and busy at
// once: a pause alone is no overload, and a busy loop that is on time is a good one) and the queues before instances.

import type { Random } from '../../kit/random.ts'
import { Importance, type ImportanceCode } from './importance.ts'

/** Delays of the event loop, microseconds, at which its load is 0 and 1. */
const lateFromUs = 20_000
const lateToUs = 200_000
const busyFrom = 0.7
const busyTo = 0.95

const between = (value: number, from: number, to: number): number =>
  Math.min(1, Math.max(0, (value - from) / (to - from)))

/** @param delayUs how late the loop came to a timer @param utilisation share of the time it did not wait, 0..1 */
export function loopLoad(delayUs: number, utilisation: number): number {
  return Math.min(between(delayUs, lateFromUs, lateToUs), between(utilisation, busyFrom, busyTo))
}

/**
 * How much of an upstream is used: 0.5 when all its places are, and beyond that what the wait for one is of the longest
 * that is allowed.
 */
export function upstreamLoad(inFlight: number, limit: number, waitUs: number, waitMaxUs: number): number {
  return 0.5 * between(inFlight, 0, limit) + 0.5 * between(waitUs, 0, waitMaxUs)
}

/** Up at once by half of the difference, down slowly: who was refused must not all come back at the first lull. */
export function smoothedLoad(before: number, load: number): number {
  return before + (load > before ? 0.5 : 0.1) * (load - before)
}

/** Load from which some, and at which all of a class are refused. */
const ramps: Readonly<Record<ImportanceCode, { readonly from: number; readonly to: number }>> = {
  [Importance.sheddable]: { from: 0.5, to: 0.75 },
  [Importance.normal]: { from: 0.7, to: 0.95 },
  // Never: connection limits and the places of services bound them.
  [Importance.critical]: { from: 2, to: 3 },
}
/** A score of 100 counts as so much more load. */
const riskWeight = 0.2

/** Share of such requests that is refused, 0..1. */
export function shedShare(load: number, importance: ImportanceCode, risk: number): number {
  const { from, to } = ramps[importance]
  // Where there is no load nobody is refused for their risk.
  const felt = load < from / 2 ? load : load + (riskWeight * Math.min(100, Math.max(0, risk))) / 100
  return between(felt, from, to)
}

export function isShed(load: number, importance: ImportanceCode, risk: number, random: Random): boolean {
  const share = shedShare(load, importance, risk)
  return share > 0 && random.float() < share
}
