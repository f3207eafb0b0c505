// What no single key of a rehearsal can know: times against its duration, faults against each other, copies against
// servers, and whether it would ever end. Names are looked for in rehearsal-targets.ts.

import type {
  CheckedArrivals,
  CheckedFault,
  CheckedFaultKind,
  CheckedFaultTarget,
  CheckedRehearsal,
  CheckedTopology,
} from './checked-rehearsals.ts'
import type { CheckedWorkload } from './checked-workload.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { keyPath } from './plain.ts'
import { type Parts, serversOf, targetText } from './rehearsal-targets.ts'
import type { Problem } from './results.ts'
import { durationText, nearest } from './values.ts'

/** Where a fault of the file stands, and what became of it: `edge` may be several. */
export interface PlacedFault {
  readonly key: string
  readonly kind: CheckedFaultKind['kind']
  readonly faults: readonly CheckedFault[]
}

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

function conflict(found: Findings, path: string, message: string, extra: Extra = {}): void {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
}

function doubt(found: Findings, path: string, message: string, remedy: string): void {
  found.warnings.push({ code: fileFailures.doubtful.code, path, message, remedy })
}

export function checkRehearsal(
  rehearsal: CheckedRehearsal,
  placed: readonly PlacedFault[],
  parts: Parts,
  path: string,
  found: Findings,
): void {
  for (const [name, topology] of Object.entries(rehearsal.databases))
    checkTopology(name, topology, parts, `${keyPath(`${path}.databases`, name)}`, found)
  checkTimes(rehearsal, placed, path, found)
  for (const [index, one] of placed.entries()) {
    checkSides(one, found)
    const earlier = placed.slice(0, index).find(before => contradict(before, one))
    if (earlier)
      conflict(
        found,
        one.key,
        `contradicts ${earlier.key.slice(path.length + 1)}: '${one.kind}' of the same at the same time`,
        {
          remedy: 'Let one end (`for`) before the other begins, or keep one.',
        },
      )
  }
  if (parts.workload) checkSize(rehearsal, parts.workload, path, found)
}

function checkTopology(
  name: string,
  { kind, writeCopies, readCopies }: CheckedTopology,
  parts: Parts,
  path: string,
  found: Findings,
): void {
  const database = Object.hasOwn(parts.databases, name) ? parts.databases[name] : undefined
  if (database === undefined) {
    const names = Object.keys(parts.databases)
    const near = nearest(name, names)
    conflict(found, path, 'is not a database of this file', {
      allowed: names.length > 0 ? names.map(one => `'${one}'`).join(', ') : 'none: the file has no database',
      ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
    })
    return
  }
  const servers = serversOf(database)
  if (kind === 'quorum' && Math.max(writeCopies, readCopies) > servers)
    conflict(
      found,
      path,
      `wants ${Math.max(writeCopies, readCopies)} copies, and '${name}' has ${servers === 1 ? 'one server' : `${servers} servers`}`,
      {
        remedy: `Raise 'replicas' of the database, or want ${Math.floor(servers / 2) + 1}.`,
      },
    )
  else if (kind === 'quorum' && writeCopies + readCopies <= servers)
    doubt(
      found,
      path,
      `reads ${readCopies} and writes ${writeCopies} of ${servers} copies: a read may miss the last write`,
      `Let both together be more than ${servers}, where reads must be fresh.`,
    )
  if (kind !== 'file' && servers === 1)
    doubt(
      found,
      path,
      `is '${kind}', and '${name}' has one server: there is nothing to copy to`,
      "Raise 'replicas' of the database.",
    )
}

function checkTimes(
  { durationMs, arrivals: { shape } }: CheckedRehearsal,
  placed: readonly PlacedFault[],
  path: string,
  found: Findings,
): void {
  const end = durationText(durationMs)
  const remedy = "Raise 'duration', or begin earlier: times count from the end of the warm-up."
  if (shape.kind === 'flash' && shape.atMs >= durationMs)
    conflict(found, `${path}.arrivals.shape.flash.at`, `is not within the duration (${end})`, { remedy })
  for (const { key, faults } of placed)
    if (faults.some(one => one.atMs >= durationMs))
      conflict(found, `${key}.at`, `is not within the duration (${end})`, { remedy })
}

function checkSides({ key, faults }: PlacedFault, found: Findings): void {
  for (const { what } of faults) {
    if (what.kind !== 'cut') continue
    const both = meeting(what.from, what.to)
    if (both)
      conflict(found, key, `has '${targetText(both)}' on both sides of the cut`, {
        remedy: 'Keep it on one.',
      })
  }
}

/** Of a primary, whichever that is, nobody knows whether it is member 1. */
function overlap(a: CheckedFaultTarget, b: CheckedFaultTarget): boolean {
  if (a.kind === 'service' && b.kind === 'service')
    return a.service === b.service && (a.member === null || b.member === null || a.member === b.member)
  return targetText(a) === targetText(b)
}

const sidesKnown = new WeakMap<readonly CheckedFaultTarget[], ReadonlySet<string>>()

/** What a side of a cut holds, and for each instance that there is one of its service: `some service:web`. */
function sideOf(side: readonly CheckedFaultTarget[]): ReadonlySet<string> {
  const known = sidesKnown.get(side)
  if (known) return known
  const made = new Set(
    side.flatMap(one => [targetText(one), ...(one.kind === 'service' ? [`some ${one.service}`] : [])]),
  )
  sidesKnown.set(side, made)
  return made
}

/** The first of `side` that the other side has too. A side may hold a thousand edges. */
function meeting(
  side: readonly CheckedFaultTarget[],
  other: readonly CheckedFaultTarget[],
): CheckedFaultTarget | undefined {
  const held = sideOf(other)
  return side.find(one => {
    if (held.has(targetText(one))) return true
    if (one.kind !== 'service') return false
    return held.has(one.member === null ? `some ${one.service}` : targetText({ ...one, member: null }))
  })
}

/** What comes back by itself lasts a moment, as far as is known here; the rest until the end. */
const momentary: readonly string[] = ['kill', 'empty']

function endOf({ atMs, forMs, what }: CheckedFault): number {
  if (forMs !== null) return atMs + forMs
  return momentary.includes(what.kind) ? atMs + 1 : Number.POSITIVE_INFINITY
}

const contradict = (a: PlacedFault, b: PlacedFault): boolean =>
  a.kind === b.kind &&
  a.faults.some(one => b.faults.some(other => sameTime(one, other) && sameThing(one.what, other.what)))

const sameTime = (a: CheckedFault, b: CheckedFault): boolean => a.atMs < endOf(b) && b.atMs < endOf(a)

function sameThing(a: CheckedFaultKind, b: CheckedFaultKind): boolean {
  if ('target' in a && 'target' in b) return overlap(a.target, b.target)
  if (a.kind === 'cut' && b.kind === 'cut') return samePair(a, b)
  if (a.kind === 'zone' && b.kind === 'zone') return a.zone === b.zone
  if (a.kind === 'empty' && b.kind === 'empty') return a.cache === b.cache
  return a.kind === 'surge' && b.kind === 'surge'
}

type Cut = Extract<CheckedFaultKind, { kind: 'cut' }>

function samePair(a: Cut, b: Cut): boolean {
  const meet = (x: Cut['from'], y: Cut['to']): boolean => meeting(x, y) !== undefined
  return (meet(a.from, b.from) && meet(a.to, b.to)) || (meet(a.from, b.to) && meet(a.to, b.from))
}

/** Requests of one rehearsal: some days of computing. */
const requestsMax = 1e12

/** Requests a second of the workload's mean, all actions together. */
export function meanPerSecond({ actions, dailyUsers }: CheckedWorkload): number {
  return Object.values(actions).reduce(
    (sum, { perUser, ratePerSecond }) =>
      sum + (ratePerSecond ?? ((perUser ?? 0) * (dailyUsers ?? 0)) / 86_400),
    0,
  )
}

function levelPerSecond({ level }: CheckedArrivals, workload: CheckedWorkload): number {
  if (level.kind === 'rate') return level.perSecond
  return meanPerSecond(workload) * level.times * (level.kind === 'peak' ? workload.peakFactor : 1)
}

function checkSize(
  rehearsal: CheckedRehearsal,
  workload: CheckedWorkload,
  path: string,
  found: Findings,
): void {
  const { durationMs, warmupMs, sample } = rehearsal
  const perSecond = levelPerSecond(rehearsal.arrivals, workload)
  const requests = (perSecond * (durationMs + warmupMs)) / 1000
  if (requests / sample <= requestsMax) return
  const least = Math.ceil(requests / requestsMax)
  conflict(
    found,
    path,
    `would play ${(requests / sample).toExponential(1)} requests, and ${requestsMax.toExponential(0)} are the most`,
    {
      remedy:
        least <= 1_000_000
          ? `Play a part of the users (sample: ${least}), or less time: what happens at a peak shows in minutes.`
          : 'Play less time: what happens at a peak shows in minutes.',
    },
  )
}
