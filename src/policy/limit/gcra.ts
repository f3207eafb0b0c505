// GCRA (ITU-T I.371): a rate with a burst and no window, so no edge at which a client gets twice its share. The state is the
// theoretical arrival time in ticks: when a client that keeps the even flow would come next. A past one is worth 0.

import type { LimitOutcome, LimitRule } from './rule.ts'

/** `floor(now x ticks / perTicks)` without leaving what doubles hold exactly; grows with `now`, and errs by a tick at most. */
export function ticksAt(rule: LimitRule, nowUs: number): number {
  const { ticks, perTicks } = rule
  if (ticks === perTicks) return nowUs
  const whole = Math.floor(nowUs / perTicks)
  const rest = nowUs - whole * perTicks
  const times = Math.floor(ticks / perTicks)
  const fraction = ticks - times * perTicks
  return whole * ticks + rest * times + Math.floor((rest * fraction) / perTicks)
}

/** Microseconds after which so many ticks have passed for certain. */
function usOf(rule: LimitRule, ticks: number): number {
  if (ticks <= 0) return 0
  return rule.ticks === rule.perTicks ? ticks : Math.ceil((ticks * rule.perTicks) / rule.ticks) + 1
}

/**
 * @param cost in the amount's unit. One above the burst passes when nothing is owed, and then owes all of it.
 * @param share 0..1 of rate and burst that is left
 * @returns the new state; the old one when nothing passes
 */
export function gcraNext(
  rule: LimitRule,
  state: number,
  nowUs: number,
  cost: number,
  share: number,
  out: LimitOutcome,
): number {
  const now = ticksAt(rule, nowUs)
  const debt = state > now ? state - now : 0
  const price = priceOf(rule, cost, share)
  const needed = Math.min(price, rule.ticksMax)
  out.allowed = share > 0 && debt + needed <= rule.ticksMax
  const after = out.allowed ? debt + price : debt
  out.remaining = share > 0 ? roomOf(rule, rule.ticksMax - after, share) : 0
  out.retryAfterUs = out.allowed ? 0 : share > 0 ? usOf(rule, debt + needed - rule.ticksMax) : rule.perUs
  out.resetAfterUs = usOf(rule, after)
  return out.allowed ? now + after : state
}

function priceOf(rule: LimitRule, cost: number, share: number): number {
  return Math.ceil((Math.ceil(cost / rule.unit) * rule.ticksPerUnit) / (share > 0 ? share : 1))
}

function roomOf(rule: LimitRule, ticks: number, share: number): number {
  return ticks <= 0 ? 0 : Math.floor((ticks / rule.ticksPerUnit) * rule.unit * share)
}

/** What has passed already is counted (or, below zero, given back) whether there is room or not. */
export function gcraDebit(rule: LimitRule, state: number, nowUs: number, cost: number): number {
  const now = ticksAt(rule, nowUs)
  const units = cost < 0 ? -Math.ceil(-cost / rule.unit) : Math.ceil(cost / rule.unit)
  const tat = Math.max(state, now) + units * rule.ticksPerUnit
  return Math.max(tat, 0)
}

/** Gives back what one decision took, exactly, whatever came between. */
export function gcraRefund(rule: LimitRule, state: number, cost: number, share: number): number {
  return Math.max(0, state - priceOf(rule, cost, share))
}

/** Microseconds until nothing of the state counts any more. */
export function gcraResetUs(rule: LimitRule, state: number, nowUs: number): number {
  return usOf(rule, state - ticksAt(rule, nowUs))
}

/** What a state of another time axis (another host's, a former life's) means on ours, if it owes more than ours. */
export function gcraMirror(
  rule: LimitRule,
  state: number,
  nowUs: number,
  theirs: number,
  theirNowUs: number,
): number {
  const debt = theirs - ticksAt(rule, theirNowUs)
  return debt <= 0 ? state : Math.max(state, ticksAt(rule, nowUs) + debt)
}
