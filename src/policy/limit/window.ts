// Counting in windows that begin at the same moments for everybody. `fixed`: what fell into this window; twice the amount
// fits around an edge, which is what calendar quotas mean. `sliding`: this window's count and the last one's by the part of
// it that still lies within one window's length; evenly spread clients are judged exactly, others nearly.
//
// State: window number (mod 4,096), the last window's count (sliding: 20 bits), this window's (sliding: 20 bits, fixed: 40).
// Whoever keeps states must forget one after `resetAfterUs`: the number of a window comes again after 4,096 windows.

import type { LimitOutcome, LimitRule } from './rule.ts'

const numbers = 4_096
const high = 2 ** 40
const low = 2 ** 20
/** Threads differ by microseconds: a state that seems further ahead is one that should have been forgotten. */
const aheadMax = 2

/** `value % of` for a power of two, exactly: `%` of numbers beyond 31 bits is a call of the C library's. */
function rest(value: number, of: number): number {
  return value - Math.floor(value / of) * of
}

/** What a state means now: reused, because decisions make no garbage. */
const read = { window: 0, left: 0, before: 0, within: 0 }

/** A state of a window that has not begun for us comes from a thread whose clock is ahead: then that window is now. */
function readState(rule: LimitRule, state: number, nowUs: number): void {
  const { perUs } = rule
  const now = Math.floor(nowUs / perUs)
  const distance = state === 0 ? 0 : rest(now - Math.floor(state / high) + numbers, numbers)
  const ahead = distance >= numbers - aheadMax ? numbers - distance : 0
  const age = ahead > 0 ? 0 : distance
  read.window = now + ahead
  read.left = ahead > 0 ? perUs : perUs - (nowUs - now * perUs)
  const counts = rest(state, high)
  const sliding = rule.algorithm === 'sliding'
  const within = sliding ? rest(counts, low) : counts
  const before = sliding ? Math.floor(counts / low) : 0
  read.within = age === 0 ? within : 0
  read.before = age === 0 ? before : age === 1 && sliding ? within : 0
}

function stateOf(rule: LimitRule, within: number): number {
  const most = rule.algorithm === 'sliding' ? low - 1 : high - 1
  const count = within < 0 ? 0 : Math.min(within, most)
  return rest(read.window, numbers) * high + (rule.algorithm === 'sliding' ? read.before * low : 0) + count
}

/** As `gcraNext`. */
export function windowNext(
  rule: LimitRule,
  state: number,
  nowUs: number,
  cost: number,
  share: number,
  out: LimitOutcome,
): number {
  const { perUs, unit } = rule
  readState(rule, state, nowUs)
  const { left } = read
  const room = Math.floor((rule.amount * share) / unit)
  const units = Math.ceil(cost / unit)
  const used = read.within + (read.before * left) / perUs
  // One that costs more than there is passes when nothing was used.
  const needed = Math.min(units, Math.max(room, 1))
  out.allowed = used + needed <= room
  const within = out.allowed ? read.within + units : read.within
  const free = room - used - (out.allowed ? units : 0)
  out.remaining = free > 0 ? Math.floor(free) * unit : 0
  out.retryAfterUs = out.allowed ? 0 : waitOf(rule, left, needed, room)
  out.resetAfterUs = resetOf(rule, left, within)
  return out.allowed ? stateOf(rule, within) : state
}

function waitOf(rule: LimitRule, left: number, units: number, room: number): number {
  const { perUs } = rule
  if (rule.algorithm === 'fixed' || units > room) return left
  // Within this window the last one's weight has to fall far enough; else this one's, in the next.
  if (read.within + units <= room)
    return Math.max(1, Math.ceil(left - ((room - read.within - units) * perUs) / read.before) + 1)
  return left + Math.max(0, Math.ceil(perUs - ((room - units) * perUs) / read.within)) + 1
}

function resetOf(rule: LimitRule, left: number, within: number): number {
  if (rule.algorithm === 'sliding' && within > 0) return left + rule.perUs
  return within > 0 || read.before > 0 ? left : 0
}

/** As `gcraDebit`. */
export function windowDebit(rule: LimitRule, state: number, nowUs: number, cost: number): number {
  readState(rule, state, nowUs)
  const units = cost < 0 ? -Math.ceil(-cost / rule.unit) : Math.ceil(cost / rule.unit)
  return stateOf(rule, read.within + units)
}

/** @param thenUs of the decision that is undone: when its window is over there is nothing to give back. */
export function windowRefund(rule: LimitRule, state: number, thenUs: number, cost: number): number {
  const window = rest(Math.floor(thenUs / rule.perUs), numbers)
  if (Math.floor(state / high) !== window) return state
  readState(rule, state, thenUs)
  return stateOf(rule, read.within - Math.ceil(cost / rule.unit))
}

/** As `gcraResetUs`. */
export function windowResetUs(rule: LimitRule, state: number, nowUs: number): number {
  readState(rule, state, nowUs)
  return resetOf(rule, read.left, read.within)
}

/** As `gcraMirror`. */
export function windowMirror(
  rule: LimitRule,
  state: number,
  nowUs: number,
  theirs: number,
  theirNowUs: number,
): number {
  readState(rule, theirs, theirNowUs)
  const { within, before } = read
  readState(rule, state, nowUs)
  if (within <= read.within && before <= read.before) return state
  read.before = Math.max(read.before, before)
  return stateOf(rule, Math.max(read.within, within))
}
