// How long somebody waits who has so many people ahead. Two things hold people up: the people a minute, and that somebody
// must leave before the next one enters. How long people stay is estimated with those who are still there counted in
// (total time on test over departures: a mean of those who have left would be too short), and once at `sessionMs`.

import { flowOf } from './admission.ts'

export interface StayRecord {
  /** Milliseconds that people who have left were in the room, all together. */
  goneMs: number
  gone: number
}

/** Older departures count half when there are so many: a crowd changes. */
const goneMax = 2_000
/** On top, because an estimate that is too short is worse than one that is too long. */
const safety = 1.1

export function recordStay(stays: StayRecord, stayMs: number): void {
  stays.goneMs += stayMs
  stays.gone++
  if (stays.gone < goneMax) return
  stays.goneMs /= 2
  stays.gone /= 2
}

export interface EstimateFacts {
  readonly ahead: number
  readonly perMinute: number
  readonly activeMax: number
  readonly active: number
  /** Milliseconds that the people inside have been there, all together. */
  readonly insideMs: number
  readonly stays: StayRecord
  readonly sessionMs: number
}

/** Milliseconds, rounded up to 5 seconds. */
export function estimateMs(facts: EstimateFacts): number {
  const { ahead, activeMax, stays } = facts
  const byRate = ((ahead + 1) * 60_000) / flowOf(facts.perMinute)
  const seenMs = (facts.sessionMs + stays.goneMs + facts.insideMs) / (stays.gone + 1)
  // Nobody stays longer.
  const meanStayMs = Math.min(seenMs, facts.sessionMs)
  const mustLeave = Math.max(0, ahead + 1 - Math.max(0, activeMax - facts.active))
  const byLeaving = (mustLeave * meanStayMs) / activeMax
  return Math.ceil((Math.max(byRate, byLeaving) * safety) / 5_000) * 5_000
}

/**
 * When somebody who waits asks again: about a quarter of what is left, never so rarely that the place or an unused
 * admission could be lost by it, and with jitter, so that a crowd does not ask in step.
 * @param jitter 0..1
 */
export function nextAskMs(
  leftMs: number,
  bounds: { readonly graceMs: number; readonly grantMs: number },
  jitter: number,
): number {
  const most = Math.min(30_000, bounds.graceMs / 3, bounds.grantMs / 3)
  const least = Math.min(2_000, most)
  return Math.round(Math.min(most, Math.max(least, leftMs / 4)) * (0.75 + jitter / 4))
}
