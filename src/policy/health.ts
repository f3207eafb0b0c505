// Active health: what probes say about one member, as a state machine over cells. One writer a row (whoever sends the
// probes); any thread reads. Sends nothing and keeps no timer: `nextProbeAt` names the moment.

import { type Cells, type Layout, layoutOf } from '../kit/cells.ts'
import type { Random } from '../kit/random.ts'
import { Reason, reasonText } from './reason.ts'
import type { ProbeSettings } from './settings.ts'

/**
 * unchecked (0)  no probe has come back since the row was zeroed, or fewer failed in a row than `fall`.
 *                Invariant: no probe has succeeded yet. Exits: one probe ok -> healthy; `fall` failed in a row -> unhealthy.
 *                Counts as eligible: whoever adds a member says by adding it that it is ready (the fleet publishes its
 *                instances only then), and a group must not stand still until the first round of probes is over.
 * healthy (1)    Invariant: fewer than `fall` of the last probes failed in a row. Exit: `fall` failed in a row -> unhealthy.
 * unhealthy (2)  Invariant: fewer than `rise` of the last probes succeeded in a row. Exit: `rise` ok in a row -> healthy.
 * A new life of the member (another epoch) zeroes the row: unchecked.
 */
export const HealthState = { unchecked: 0, healthy: 1, unhealthy: 2 } as const
export type HealthStateCode = (typeof HealthState)[keyof typeof HealthState]
export const healthStateNames: readonly ['unchecked', 'healthy', 'unhealthy'] = [
  'unchecked',
  'healthy',
  'unhealthy',
]

/** One row a member. Zeroed = unchecked. */
type HealthFields = {
  readonly state: 'i32'
  /** Probes alike in a row: above 0 ok, below 0 failed; stops at a million. */
  readonly streak: 'i32'
  /** When the state was entered; microseconds, monotonic. */
  readonly sinceUs: 'f64'
  /** When the last probe came back, and the last failed one; 0 = never. */
  readonly probedUs: 'f64'
  readonly failedUs: 'f64'
}
export const healthLayout: Layout<HealthFields> = layoutOf({
  state: 'i32',
  streak: 'i32',
  sinceUs: 'f64',
  probedUs: 'f64',
  failedUs: 'f64',
})
export type HealthCells = Cells<HealthFields>

const streakMax = 1_000_000

/** Records a probe's outcome. Returns `probesOk` or `probesFailed` when the state changed, else `none`. */
export function recordProbe(
  cells: HealthCells,
  row: number,
  ok: boolean,
  now: number,
  settings: ProbeSettings,
): number {
  const { state, streak, sinceUs, probedUs, failedUs } = cells.at
  const before = streak[row]!
  const after = ok
    ? Math.min(Math.max(before, 0) + 1, streakMax)
    : Math.max(Math.min(before, 0) - 1, -streakMax)
  streak[row] = after
  probedUs[row] = now
  if (!ok) failedUs[row] = now
  const next = nextState(state[row]!, after, settings)
  if (next === state[row]) return Reason.none
  state[row] = next
  sinceUs[row] = now
  return next === HealthState.healthy ? Reason.probesOk : Reason.probesFailed
}

function nextState(state: number, streak: number, settings: ProbeSettings): number {
  if (streak <= -Math.max(1, settings.fall)) return HealthState.unhealthy
  if (state === HealthState.unchecked) return streak > 0 ? HealthState.healthy : state
  if (state === HealthState.unhealthy && streak >= Math.max(1, settings.rise)) return HealthState.healthy
  return state
}

/** Unchecked and healthy members may get traffic. */
export function mayServe(cells: HealthCells, row: number): boolean {
  return cells.at.state[row] !== HealthState.unhealthy
}

/**
 * What probes have said since a moment, for passive health: `failing` the last one failed or none has come yet;
 * `passing`; `recovered` at least one failed and then `rise` in a row passed; `none` for a member that is not probed.
 */
export type ProbeVerdict = 'none' | 'failing' | 'passing' | 'recovered'

export function probeVerdict(cells: HealthCells, row: number, sinceUs: number, rise: number): ProbeVerdict {
  const { streak, probedUs, failedUs } = cells.at
  if (probedUs[row]! <= sinceUs || streak[row]! <= 0) return 'failing'
  return failedUs[row]! > sinceUs && streak[row]! >= rise ? 'recovered' : 'passing'
}

/** Why the member is in its state: `2 probes ok`, `probe failed, 1 of 3 to leave`. */
export function healthReason(cells: HealthCells, row: number, settings: ProbeSettings): string {
  const state = cells.at.state[row]!
  const streak = cells.at.streak[row]!
  if (streak === 0) return reasonText(Reason.unchecked)
  if (state === HealthState.unhealthy && streak > 0)
    return reasonText(Reason.probeOkOnce, streak, settings.rise)
  if (state !== HealthState.unhealthy && streak < 0)
    return reasonText(Reason.probeFailedOnce, -streak, settings.fall)
  return reasonText(streak > 0 ? Reason.probesOk : Reason.probesFailed, Math.abs(streak))
}

/** When to probe next: one interval on, moved by up to +-jitter of it, so that edges and members spread out. */
export function nextProbeAt(now: number, intervalMs: number, jitter: number, random: Random): number {
  const moved = 1 + jitter * (2 * random.float() - 1)
  return now + Math.max(1_000, Math.round(intervalMs * 1_000 * moved))
}

/** The first probe of a new member: at once, spread over the jitter's share of an interval. */
export function firstProbeAt(now: number, intervalMs: number, jitter: number, random: Random): number {
  return now + Math.round(intervalMs * 1_000 * jitter * random.float())
}
