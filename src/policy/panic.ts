// Which part of a group is used: the tiers (0 first, higher ones when lower ones lack healthy members) and, when too
// few are healthy altogether, everybody: a wrong verdict about health must not take a whole site down, and spreading
// over all loses less than crushing the few. Called when health changes, not per request.

import { Reason, reasonText } from './reason.ts'

/** Members of one tier that are not draining, and how many of them are neither unhealthy nor ejected. */
export interface TierHealth {
  readonly healthy: number
  readonly total: number
}

export interface Rotation {
  /** Tiers 0..tierMax are used together. */
  readonly tierMax: number
  /** Health and ejections are ignored (draining never is). */
  readonly useAll: boolean
  readonly reason: number
  readonly a: number
  readonly b: number
}

/**
 * Tiers join from 0 upward until their healthy shares (healthy / total, each tier by its own size) add up to
 * `panicShare`; with a share of 0 the first healthy member suffices. So tier 0 stays in use while tier 1 helps it, and a
 * small backup tier counts as whole when it is whole. When all tiers together fall short: panic, all are used, unless
 * `panicShare` is 0. An empty tier adds nothing.
 */
export function rotation(tiers: readonly TierHealth[], panicShare: number): Rotation {
  let share = 0
  let healthy = 0
  let total = 0
  for (const [tierMax, tier] of tiers.entries()) {
    const lower = total > 0 ? healthy / total : -1
    share += tier.total > 0 ? tier.healthy / tier.total : 0
    healthy += tier.healthy
    total += tier.total
    if (healthy === 0 || share < panicShare) continue
    if (lower < 0) return { tierMax, useAll: false, reason: Reason.normal, a: healthy, b: total }
    return { tierMax, useAll: false, reason: Reason.tierSpill, a: tierMax, b: lower }
  }
  const useAll = panicShare > 0 && total > 0
  const reason = useAll ? Reason.panic : Reason.noneHealthy
  return { tierMax: Math.max(0, tiers.length - 1), useAll, reason, a: healthy, b: total }
}

/** `normal`, `panic: 2 of 5 healthy`, `tier 1 joins: 33 % of the tiers below are healthy`. */
export function rotationText(use: Rotation): string {
  return reasonText(use.reason, use.a, use.b)
}
