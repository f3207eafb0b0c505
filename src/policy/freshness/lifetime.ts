// How old a response was when it came (RFC 9111 4.2.3) and for how long it is fresh (4.2.1, 4.2.2). What can't be read
// counts as old.

import { type CacheRules, Flag, type StorageQuestion } from './contract.ts'
import { Said } from './directives.ts'
import { CacheReason } from './reason.ts'
import { secondsMax, secondsOf } from './scan.ts'
import type { Spoken } from './targeted.ts'

const us = 1_000_000

/**
 * Seconds of an Age field; 0 where absent, `secondsMax` where it can't be believed. Several lines (they come joined by
 * `, `), or a repeated value, are two caches that disagree about who counts: not believed. Of a list in one line the
 * first counts (RFC 9111 5.1).
 */
export function ageOf(field: string | undefined): number {
  if (field === undefined) return 0
  const comma = field.indexOf(',')
  if (comma < 0) return believed(field)
  const first = field.slice(0, comma)
  const isOneLine = !field.includes(', ')
  const repeats = field.slice(comma + 1) === first
  return isOneLine && !repeats ? believed(first) : secondsMax
}

function believed(text: string): number {
  const seconds = secondsOf(text)
  return Number.isNaN(seconds) ? secondsMax : seconds
}

/** RFC 9111 4.2.3, `corrected_initial_age`. Without `apparent`: by Age and delay alone, whatever the clocks say. */
export function initialAgeUs(question: StorageQuestion, apparent: boolean): number {
  const { response, requestAtUs, responseAtUs, wallSeconds, readDate } = question
  const delayUs = Math.max(0, responseAtUs - requestAtUs)
  const correctedUs = ageOf(response.find('age')) * us + delayUs
  if (!apparent) return correctedUs
  const date = dateOf(response.find('date'), wallSeconds, readDate)
  return Math.max(correctedUs, Math.max(0, wallSeconds - date) * us)
}

/** Now, where there is none that can be read. */
function dateOf(
  field: string | undefined,
  wallSeconds: number,
  readDate: StorageQuestion['readDate'],
): number {
  const date = field === undefined ? Number.NaN : readDate(field, wallSeconds)
  return Number.isNaN(date) ? wallSeconds : date
}

/** `flags`: bits of `Flag`. `explicit`: the origin or a rule said so. */
export interface Lifetime {
  readonly freshForUs: number
  readonly initialAgeUs: number
  readonly flags: number
  readonly why: number
  readonly explicit: boolean
}

/** Cached by default, and so fresh by a guess or a rule where the origin says nothing (RFC 9110 15.1). */
const heuristicStatuses: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
])
/** What a `ttl` rule is about: answers, not failures and not redirections of one moment (those have `negative`, or the origin's word). */
const ruledStatuses: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308])

export function lifetimeOf(question: StorageQuestion, spoken: Spoken): Lifetime {
  return (
    negativeLifetime(question) ??
    ruledLifetime(question) ??
    saidLifetime(question, spoken) ??
    guessedLifetime(question, spoken) ?? {
      freshForUs: 0,
      initialAgeUs: initialAgeUs(question, true),
      flags: 0,
      why: CacheReason.storedToValidate,
      explicit: false,
    }
  )
}

/** Statuses that speak about one client's request, its credentials or its rate: a class rule never keeps them. */
const ofOneClient: ReadonlySet<number> = new Set([
  400, 401, 407, 408, 411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429, 431,
])
/** Of the class `4xx` these are about the target itself; others (403 of a filter) need to be named one by one. */
const ofTheTarget: ReadonlySet<number> = new Set([404, 405, 410, 451])

/** Can't be kept by a `negative` rule: an attacker would provoke it with fields of his own and give it to everybody. */
export const isOfOneClient = (status: number): boolean => ofOneClient.has(status)

export function negativeMsOf(rules: CacheRules, status: number): number | undefined {
  if (status < 400 || rules.negativeMs === undefined || isOfOneClient(status)) return undefined
  const exact = rules.negativeMs[`${status}`]
  if (exact !== undefined) return exact
  if (status < 500 && !ofTheTarget.has(status)) return undefined
  return rules.negativeMs[`${Math.floor(status / 100)}xx`]
}

function negativeLifetime(question: StorageQuestion): Lifetime | null {
  const ms = negativeMsOf(question.rules, question.status)
  return ms === undefined
    ? null
    : byRule(question, ms, Flag.byRule | Flag.negative, CacheReason.storedNegative)
}

function ruledLifetime(question: StorageQuestion): Lifetime | null {
  const { rules, status } = question
  if (rules.ttlMs === undefined || !ruledStatuses.has(status)) return null
  return byRule(question, rules.ttlMs, Flag.byRule, CacheReason.storedRule)
}

/**
 * A rule counts from when an answer left its origin, as far as Age tells, so that tiers with the same rule do not add
 * up. An Age beyond it is another cache's own time: then it counts from here.
 */
function byRule(question: StorageQuestion, ms: number, flags: number, why: number): Lifetime {
  const age = initialAgeUs(question, false)
  const isBeyond = age >= ms * 1_000
  const isBelieved = age < secondsMax * us
  const initial = isBelieved ? age : 0
  return {
    freshForUs: ms * 1_000 + (isBeyond ? initial : 0),
    initialAgeUs: initial,
    flags,
    why,
    explicit: true,
  }
}

/** s-maxage, then max-age, then Expires (4.2.1); a targeted field leaves Expires out (RFC 9213 2.2). */
function saidLifetime(question: StorageQuestion, { directives, targeted }: Spoken): Lifetime | null {
  const initial = initialAgeUs(question, true)
  const lasting = (seconds: number, why: number): Lifetime => ({
    freshForUs: seconds * us,
    initialAgeUs: initial,
    flags: 0,
    why: targeted ? CacheReason.storedTargeted : why,
    explicit: true,
  })
  if (directives.sharedMaxAge >= 0) return lasting(directives.sharedMaxAge, CacheReason.storedSharedMaxAge)
  if (directives.maxAge >= 0) return lasting(directives.maxAge, CacheReason.storedMaxAge)
  const expires = targeted ? undefined : question.response.find('expires')
  if (expires === undefined) return null
  return lasting(expiresIn(expires, question), CacheReason.storedExpires)
}

/** 5.3: what is no date is in the past. */
function expiresIn(expires: string, { response, wallSeconds, readDate }: StorageQuestion): number {
  const at = readDate(expires, wallSeconds)
  if (Number.isNaN(at)) return 0
  const date = dateOf(response.find('date'), wallSeconds, readDate)
  return Math.min(secondsMax, Math.max(0, at - date))
}

const heuristicShare = 0.1
const heuristicSecondsMax = 86_400

/** 4.2.2. Nobody guesses against `no-cache`, in Cache-Control or in Pragma. */
function guessedLifetime(question: StorageQuestion, { directives }: Spoken): Lifetime | null {
  const { rules, status, response, wallSeconds, readDate } = question
  const isPublic = (directives.flags & Said.public) !== 0
  if (!rules.heuristics || !(isPublic || heuristicStatuses.has(status))) return null
  const modified = response.find('last-modified')
  if (modified === undefined || (directives.flags & Said.noCache) !== 0) return null
  if (response.find('pragma')?.toLowerCase().includes('no-cache')) return null
  const at = readDate(modified, wallSeconds)
  const since = dateOf(response.find('date'), wallSeconds, readDate) - at
  if (!(since > 0)) return null
  return {
    freshForUs: Math.floor(Math.min(heuristicSecondsMax, since * heuristicShare)) * us,
    initialAgeUs: initialAgeUs(question, true),
    flags: Flag.heuristic,
    why: CacheReason.storedHeuristic,
    explicit: false,
  }
}
