// One request that asks many leaves, and waits for the slowest; and what a second ask (a hedge) changes.
// Source: Dean & Barroso, "The Tail at Scale", CACM 56(2), 2013. Leaves are independent.

import { type Answer, firstWrong, given, inside, share, whole } from './answer.ts'

const leavesMax = 1_000_000_000

/** P(at least one of n leaves is slow): 1 − (1 − p)ⁿ. */
export function anySlow(leafSlow: number, leaves: number): Answer<number> {
  const wrong = firstWrong(share('share of slow leaves', leafSlow), whole('leaves', leaves, 1, leavesMax))
  if (wrong) return wrong
  return given(leafSlow === 1 ? 1 : -Math.expm1(leaves * Math.log1p(-leafSlow)))
}

/** The share of slow leaves that keeps P(any slow) at `target`: the inverse of `anySlow`. */
export function leafSlowFor(target: number, leaves: number): Answer<number> {
  const wrong = firstWrong(inside('target', target), whole('leaves', leaves, 1, leavesMax))
  return wrong ?? given(-Math.expm1(Math.log1p(-target) / leaves))
}

/** The quantile of a leaf that is the quantile `quantile` of the whole: q^(1/n). The median of 100 leaves is the leaf's p99.3. */
export function leafQuantile(quantile: number, leaves: number): Answer<number> {
  const wrong = firstWrong(inside('quantile', quantile), whole('leaves', leaves, 1, leavesMax))
  return wrong ?? given(quantile ** (1 / leaves))
}

export interface HedgeFigures {
  /** Share of leaves that are slow although asked twice. */
  readonly leafSlow: number
  readonly anySlow: number
  /** Further requests by requests. */
  readonly extraLoad: number
}

/**
 * Each leaf that has not answered by the quantile `trigger` is asked a second time elsewhere, and the faster answer counts:
 * slow only when both are. @param leafSlow above the trigger's tail it makes no sense: p <= 1 − trigger
 */
export function hedged(leafSlow: number, leaves: number, trigger: number): Answer<HedgeFigures> {
  const wrong = firstWrong(inside('trigger', trigger), share('share of slow leaves', leafSlow))
  if (wrong) return wrong
  const both = leafSlow * leafSlow
  const any = anySlow(both, leaves)
  return any.ok ? given({ leafSlow: both, anySlow: any.value, extraLoad: 1 - trigger }) : any
}
