// Passive health: which members real traffic shows to be bad, for how long they are out, and when they come back.
// Workers ask `shouldEjectNow` inline; a sweep about once a second judges windows and returns. Decides, writes nothing:
// the shell applies decisions (`Standing` is what it keeps a member) and begins a new window for whoever comes back, be
// it from an ejection or from unhealthy: what was counted before speaks of a member that is no more.

import type { ProbeVerdict } from './health.ts'
import { Reason, reasonText } from './reason.ts'
import type { OutlierSettings } from './settings.ts'

/**
 * A member's standing:
 * in        `ejectedUntilUs` = 0. Exit: a rule below -> out, if the cap allows it.
 * out       `ejectedUntilUs` > 0. Exits: the time is over (and the last probe passed, where it is probed) -> in;
 *           its first ejection, probes saw it fail and now see it well (`recovered`) -> in, early. Probes that passed
 *           all along know nothing of what real requests met, and a repeat offender serves its whole time.
 * `ejections` counts how often it was lately ejected: +1 when put out, -1 for each time in good standing as long as the
 * last ejection it still counts lasted. Invariant: out implies ejections >= 1.
 */
export interface Standing {
  /** Microseconds, monotonic; 0 = not ejected. */
  readonly ejectedUntilUs: number
  readonly ejections: number
  /** When it was last ejected, returned or forgiven. */
  readonly changedUs: number
}

/** What the sweep sees of one member, over the window of `settings.windowMs` (or since it last returned). */
export interface OutlierObservation extends Standing {
  readonly requests: number
  readonly failures: number
  /** Failures in a row until now. */
  readonly consecutiveFailures: number
  /** Mean or median latency in the window, microseconds; 0 = unknown. */
  readonly latencyUs: number
  /** What active probes have said since `changedUs`: `probeVerdict` of `health.ts`, or `none`. */
  readonly probes: ProbeVerdict
  /** Not draining and not unhealthy by its probes: would get traffic if not ejected. */
  readonly serving: boolean
}

export type OutlierDecision = {
  readonly kind: 'eject' | 'return' | 'forgive' | 'hold'
  readonly member: number
  /** The member's standing from now on; for `hold` (would be ejected, may not) as it was. */
  readonly standing: Standing
  readonly reason: number
  readonly a: number
  readonly b: number
}

/** `ejected: 5 failures in a row`. */
export function outlierText(decision: OutlierDecision): string {
  return reasonText(decision.reason, decision.a, decision.b)
}

/** Latencies closer to the median than this are noise, whatever the factor. */
export const latencyNoiseUs = 1_000

/** Inline rule of the workers: enough failures in a row? Whether it may be put out `mayEject` tells. */
export function shouldEjectNow(consecutiveFailures: number, settings: OutlierSettings): boolean {
  return settings.consecutiveFailures > 0 && consecutiveFailures >= settings.consecutiveFailures
}

/**
 * Why one more member may not be ejected, or `none`: at most the share (but always one), and never the last that
 * serves, because nothing is gained by it.
 * @param ejected members out now @param serving members that get traffic now @param total all members
 */
export function mayEject(ejected: number, serving: number, total: number, settings: OutlierSettings): number {
  if (serving <= 1) return Reason.lastMember
  if (ejected >= Math.max(1, Math.floor(settings.ejectShareMax * total))) return Reason.ejectCapReached
  return Reason.none
}

/** Length of the n-th ejection (from 1), microseconds: base x 2^(n-1), at most the maximum. */
export function ejectionUs(ejections: number, settings: OutlierSettings): number {
  const doubled = settings.ejectBaseMs * 2 ** Math.min(Math.max(ejections - 1, 0), 40)
  return Math.min(settings.ejectMaxMs, doubled) * 1_000
}

/** The standing of a member that is put out now; both the workers' rule and the sweep use it. */
export function ejected(standing: Standing, now: number, settings: OutlierSettings): Standing {
  const ejections = standing.ejections + 1
  return { ejectedUntilUs: now + ejectionUs(ejections, settings), ejections, changedUs: now }
}

/**
 * One sweep over a group. Returns come first, then forgiveness, then ejections, the clearest case first, up to the cap.
 * A `hold` comes with every sweep while it lasts: say it once.
 */
export function sweepOutliers(
  members: readonly OutlierObservation[],
  now: number,
  settings: OutlierSettings,
): OutlierDecision[] {
  const cases = casesOf(members, settings)
  const offending = new Set(cases.map(found => found.member))
  const decisions: OutlierDecision[] = []
  for (const [member, seen] of members.entries()) {
    const out = seen.ejectedUntilUs > 0
    if (offending.has(member)) continue
    const decision = out ? returnOf(member, seen, now, settings) : forgive(member, seen, now, settings)
    if (decision !== null) decisions.push(decision)
  }
  const back = decisions.filter(decision => decision.kind === 'return').length
  let out = members.filter(seen => seen.ejectedUntilUs > 0).length - back
  let serving = members.filter(seen => seen.serving && seen.ejectedUntilUs === 0).length + back
  for (const { member, reason, a, b } of cases) {
    const seen = members[member]!
    const refusal = mayEject(out, serving, members.length, settings)
    if (refusal !== Reason.none) {
      const standing = standingOf(seen)
      decisions.push({ kind: 'hold', member, standing, reason: refusal, a: out, b: members.length })
      continue
    }
    out++
    serving--
    decisions.push({ kind: 'eject', member, standing: ejected(seen, now, settings), reason, a, b })
  }
  return decisions
}

function standingOf(seen: Standing): Standing {
  return { ejectedUntilUs: seen.ejectedUntilUs, ejections: seen.ejections, changedUs: seen.changedUs }
}

function returnOf(
  member: number,
  seen: OutlierObservation,
  now: number,
  settings: OutlierSettings,
): OutlierDecision | null {
  const standing: Standing = { ejectedUntilUs: 0, ejections: seen.ejections, changedUs: now }
  if (now >= seen.ejectedUntilUs && seen.probes !== 'failing') {
    const a = ejectionUs(seen.ejections, settings)
    return { kind: 'return', member, standing, reason: Reason.returnedByTime, a, b: 0 }
  }
  if (seen.ejections <= 1 && seen.probes === 'recovered')
    return { kind: 'return', member, standing, reason: Reason.returnedByProbe, a: 0, b: 0 }
  return null
}

function forgive(
  member: number,
  seen: OutlierObservation,
  now: number,
  settings: OutlierSettings,
): OutlierDecision | null {
  const served = ejectionUs(seen.ejections, settings)
  if (seen.ejections === 0 || now - seen.changedUs < served) return null
  const standing: Standing = { ejectedUntilUs: 0, ejections: seen.ejections - 1, changedUs: now }
  return { kind: 'forgive', member, standing, reason: Reason.ejectionForgiven, a: served, b: 0 }
}

interface Case {
  readonly member: number
  readonly reason: number
  readonly a: number
  readonly b: number
  /** Orders cases: rows of failures first, then shares, then latencies; within a rule the worse first. */
  readonly gravity: number
}

function casesOf(members: readonly OutlierObservation[], settings: OutlierSettings): Case[] {
  const medianUs = medianLatencyUs(members, settings)
  const cases: Case[] = []
  for (const [member, seen] of members.entries()) {
    const found = seen.ejectedUntilUs === 0 && seen.serving ? caseOf(member, seen, medianUs, settings) : null
    if (found !== null) cases.push(found)
  }
  return cases.sort((x, y) => y.gravity - x.gravity || x.member - y.member)
}

function caseOf(
  member: number,
  seen: OutlierObservation,
  medianUs: number,
  settings: OutlierSettings,
): Case | null {
  if (shouldEjectNow(seen.consecutiveFailures, settings)) {
    const a = seen.consecutiveFailures
    return { member, reason: Reason.consecutiveFailures, a, b: 0, gravity: 2e9 + a }
  }
  const enough = seen.requests > 0 && seen.requests >= settings.requestsMin
  const share = enough ? seen.failures / seen.requests : 0
  if (settings.failureShare > 0 && share >= settings.failureShare)
    return { member, reason: Reason.failureShare, a: share, b: seen.requests, gravity: 1e9 + share }
  if (enough && isSlow(seen.latencyUs, medianUs, settings)) {
    const gravity = seen.latencyUs / medianUs
    return { member, reason: Reason.latencyOutlier, a: seen.latencyUs, b: medianUs, gravity }
  }
  return null
}

function isSlow(latencyUs: number, medianUs: number, settings: OutlierSettings): boolean {
  if (settings.latencyFactor <= 0 || medianUs <= 0) return false
  return latencyUs > medianUs * settings.latencyFactor && latencyUs - medianUs > latencyNoiseUs
}

/** Lower median of the members with enough requests; 0 with fewer than two, because one has nobody to differ from. */
function medianLatencyUs(members: readonly OutlierObservation[], settings: OutlierSettings): number {
  const known = members
    .filter(seen => seen.latencyUs > 0 && seen.requests >= settings.requestsMin && seen.ejectedUntilUs === 0)
    .map(seen => seen.latencyUs)
    .sort((x, y) => x - y)
  return known.length < 2 ? 0 : known[(known.length - 1) >> 1]!
}
