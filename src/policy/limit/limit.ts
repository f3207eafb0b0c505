// One face for all limits that are kept as one integer. `concurrency` is counted, not timed: its state is how many are
// under way.

import { gcraDebit, gcraMirror, gcraNext, gcraRefund, gcraResetUs } from './gcra.ts'
import type { LimitOutcome, LimitRule } from './rule.ts'
import { windowDebit, windowMirror, windowNext, windowRefund, windowResetUs } from './window.ts'

/**
 * May it pass? Writes `out`. Whoever only looks keeps the old state. `concurrency`: the new state less the old one is what
 * was taken, and has to be given back with `limitDebit(..., -taken)`.
 * @param state what the last decision gave; 0 at first, and again once `resetAfterUs` of the last one is over
 * @returns the state to keep; the same number when nothing changed
 */
export function limitNext(
  rule: LimitRule,
  state: number,
  nowUs: number,
  cost: number,
  share: number,
  out: LimitOutcome,
): number {
  if (rule.algorithm === 'gcra') return gcraNext(rule, state, nowUs, cost, share, out)
  if (rule.algorithm === 'concurrency') return concurrencyNext(rule, state, cost, share, out)
  return windowNext(rule, state, nowUs, cost, share, out)
}

/** Counts what has passed, room or not; below zero it is given back. */
export function limitDebit(rule: LimitRule, state: number, nowUs: number, cost: number): number {
  if (rule.algorithm === 'gcra') return gcraDebit(rule, state, nowUs, cost)
  if (rule.algorithm === 'concurrency') return Math.max(0, state + cost)
  return windowDebit(rule, state, nowUs, cost)
}

/** Microseconds after which a state may be forgotten; 0 for `concurrency`: when it is 0. */
export function limitResetUs(rule: LimitRule, state: number, nowUs: number): number {
  if (rule.algorithm === 'gcra') return gcraResetUs(rule, state, nowUs)
  return rule.algorithm === 'concurrency' ? 0 : windowResetUs(rule, state, nowUs)
}

/** Undoes the decision of `thenUs` that allowed, because another one of the same request did not. Not of `concurrency`. */
export function limitRefund(
  rule: LimitRule,
  state: number,
  thenUs: number,
  cost: number,
  share: number,
): number {
  if (rule.algorithm === 'gcra') return gcraRefund(rule, state, cost, share)
  return windowRefund(rule, state, thenUs, cost)
}

/** The stricter of our state and another one, which is of another host or life and was read at `theirNowUs` there. */
export function limitMirror(
  rule: LimitRule,
  state: number,
  nowUs: number,
  theirs: number,
  theirNowUs: number,
): number {
  if (rule.algorithm === 'gcra') return gcraMirror(rule, state, nowUs, theirs, theirNowUs)
  return windowMirror(rule, state, nowUs, theirs, theirNowUs)
}

function concurrencyNext(
  rule: LimitRule,
  state: number,
  cost: number,
  share: number,
  out: LimitOutcome,
): number {
  const room = Math.floor(rule.amount * share)
  const taken = Math.min(cost, Math.max(room, 1))
  out.allowed = state + taken <= room
  const after = out.allowed ? state + taken : state
  out.remaining = Math.max(0, room - after)
  // Nobody knows when one of them ends.
  out.retryAfterUs = out.allowed ? 0 : 1_000_000
  out.resetAfterUs = 0
  return after
}

/** The share of an amount that risk (0-100) and load (0..1) leave: all of it at none, `share` of it at the worst. */
export function adaptiveShare(share: number, risk: number, load: number): number {
  if (share >= 1) return 1
  const worst = Math.min(1, Math.max(risk / 100, load, 0))
  // So written that nothing is lost at either end.
  return worst === 0 ? 1 : share + (1 - share) * (1 - worst)
}
