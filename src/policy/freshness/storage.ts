// Whether an answer may be stored for others (RFC 9111 3, 3.5, 5.2.2, 7.3), and the numbers by which later requests are
// judged. That its body came whole is the caller's to see. Everything uncertain is decided against storing.

import { Ask, Flag, type Judged, type StorageQuestion } from './contract.ts'
import { type Directives, requestDirectives, Said } from './directives.ts'
import { isOfOneClient, type Lifetime, lifetimeOf, negativeMsOf } from './lifetime.ts'
import { CacheReason } from './reason.ts'
import { type Spoken, spokenBy } from './targeted.ts'
import { varyNames, varyNamesMax, varyText } from './vary.ts'

const us = 1_000_000

export function judgeStorage(question: StorageQuestion): Judged {
  const spoken = spokenBy(question.response)
  const lifetime = lifetimeOf(question, spoken)
  const vary = variesBy(question, spoken.directives, lifetime)
  const drop = dropped(question, spoken.directives)
  const refusal =
    statusRefusal(question, spoken.directives) ||
    wordRefusal(question, spoken.directives) ||
    personalRefusal(question, spoken.directives, drop) ||
    varyRefusal(question, vary) ||
    worthRefusal(question, spoken, lifetime)
  return {
    ...metaOf(question, spoken, lifetime, vary ?? []),
    store: refusal === 0,
    why: refusal === 0 ? whyStored(spoken.directives, lifetime) : refusal,
    whyNumber: refusal === 0 ? lifetime.freshForUs : refusalNumber(refusal, question.status),
    personal: isPersonal(refusal),
    drop,
    vary: vary ?? [],
  }
}

const whyStored = (directives: Directives, lifetime: Lifetime): number =>
  mustAlwaysValidate(directives, lifetime) ? CacheReason.storedToValidate : lifetime.why

const refusalNumber = (refusal: number, status: number): number =>
  refusal === CacheReason.tooManyNames ? varyNamesMax : status

const personalRefusals: ReadonlySet<number> = new Set([
  CacheReason.requestNoStore,
  CacheReason.noStore,
  CacheReason.private,
  CacheReason.authorization,
  CacheReason.setCookie,
  CacheReason.varyStar,
  CacheReason.cookieGuess,
  CacheReason.clientsFault,
])
const isPersonal = (refusal: number): boolean => personalRefusals.has(refusal)

/** 3: final, understood, whole. A 206 is a part that nothing here puts together (3.4), a 304 speaks of the client's own copy. */
function statusRefusal({ status, rules, key }: StorageQuestion, { flags }: Directives): number {
  if (status < 200 || status > 999) return CacheReason.statusInterim
  if (status === 206) return CacheReason.statusPartial
  if (status === 304) return CacheReason.statusNotModified
  if ((flags & Said.mustUnderstand) !== 0 && !understood.has(status)) return CacheReason.statusNotUnderstood
  // A target is too long by parameters too that the key leaves out.
  if (neverStored.has(status) || (status === 414 && key.query !== 'all')) return CacheReason.clientsFault
  // Under a rule the origin's word about a failure is not asked: `negative` is the rule for those.
  const isRuled = rules.ttlMs !== undefined && status >= 400 && negativeMsOf(rules, status) === undefined
  return isRuled && isOfOneClient(status) ? CacheReason.clientsFault : 0
}

/**
 * What one client's fields, body, credentials or rate brought about, whatever the origin says of its freshness: none of
 * these is in the key. A 416 for a range beyond the end would else be what everybody gets.
 */
const neverStored: ReadonlySet<number> = new Set([
  401, 407, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426, 428, 429, 431,
])

/** Statuses whose meaning for caches is known here (5.2.2.3). */
const understood: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308, 400, 402, 403, 404, 405, 406, 409, 410, 411,
  412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 451, 500, 501, 502, 503, 504, 505, 511,
])

function wordRefusal(question: StorageQuestion, { flags }: Directives): number {
  const asked = requestDirectives(question.request, question.rules)
  if ((asked.flags & Ask.noStore) !== 0) return CacheReason.requestNoStore
  // 5.2.2.3: who understands the status may store in spite of no-store.
  const isOverruled = (flags & Said.mustUnderstand) !== 0 && understood.has(question.status)
  if ((flags & Said.noStore) !== 0 && !isOverruled) return CacheReason.noStore
  return (flags & Said.private) === 0 ? 0 : CacheReason.private
}

function personalRefusal(
  question: StorageQuestion,
  { flags, sharedMaxAge }: Directives,
  drop: readonly string[],
): number {
  const { request, response, rules, key } = question
  const isKeyed = key.headers.includes('authorization')
  const isGranted = (flags & (Said.public | Said.mustRevalidate)) !== 0 || sharedMaxAge >= 0
  if (request.find('authorization') !== undefined && !isKeyed && !isGranted) return CacheReason.authorization
  const setsCookie = response.find('set-cookie') !== undefined && !drop.includes('set-cookie')
  return setsCookie && rules.shareCookies !== true ? CacheReason.setCookie : 0
}

function varyRefusal({ request }: StorageQuestion, vary: readonly string[] | null): number {
  if (vary === null) return CacheReason.varyStar
  if (vary.length > varyNamesMax) return CacheReason.tooManyNames
  return varyText(vary, request) === null ? CacheReason.varyTooLong : 0
}

/**
 * A guess is about those who have no cookies: nobody said that others get the same. So it varies by Cookie, and is found
 * only by requests like the one that brought it.
 */
function variesBy(
  question: StorageQuestion,
  directives: Directives,
  lifetime: Lifetime,
): readonly string[] | null {
  const names = varyNames(question.response.find('vary'))
  if (names === null || isSaid(directives, lifetime) || names.includes('cookie')) return names
  return [...names, 'cookie'].sort()
}

/** The origin or a rule said for how long, or at least that it may be shared. */
const isSaid = ({ flags }: Directives, lifetime: Lifetime): boolean =>
  lifetime.explicit || (flags & (Said.public | Said.noCache)) !== 0

/** 3, last point: the origin must have said something; and what can neither be used nor validated is of no use. */
function worthRefusal(question: StorageQuestion, { directives }: Spoken, lifetime: Lifetime): number {
  const { request, rules, key } = question
  const said = isSaid(directives, lifetime)
  if (!said && !rules.heuristics) return CacheReason.nothingSaid
  if (!said && !cachedByDefault.has(question.status)) return CacheReason.nothingSaid
  const hasCookie = request.find('cookie') !== undefined && !key.headers.includes('cookie')
  if (!said && hasCookie) return CacheReason.cookieGuess
  if (lifetime.freshForUs > lifetime.initialAgeUs && !mustAlwaysValidate(directives, lifetime)) return 0
  const windows = windowsOf(question, directives, lifetime)
  if (hasValidators(question) || windows.whileRevalidate > 0 || windows.ifError > 0) return 0
  return said ? CacheReason.uselessStale : CacheReason.nothingSaid
}

const cachedByDefault: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])

const hasValidators = ({ response }: StorageQuestion): boolean =>
  response.find('etag') !== undefined || response.find('last-modified') !== undefined

function metaOf(question: StorageQuestion, spoken: Spoken, lifetime: Lifetime, vary: readonly string[]) {
  const { directives } = spoken
  const windows = windowsOf(question, directives, lifetime)
  return {
    status: question.status,
    receivedAtUs: question.responseAtUs,
    initialAgeUs: lifetime.initialAgeUs,
    freshForUs: lifetime.freshForUs,
    staleWhileRevalidateUs: windows.whileRevalidate,
    staleIfErrorUs: windows.ifError,
    flags:
      lifetime.flags |
      (isStrict(directives, lifetime) ? Flag.strict : 0) |
      (mustAlwaysValidate(directives, lifetime) ? Flag.alwaysValidate : 0) |
      ((directives.flags & Said.immutable) !== 0 || question.rules.immutable ? Flag.immutable : 0) |
      (hasValidators(question) ? Flag.validators : 0) |
      (vary.length > 0 ? Flag.varies : 0) |
      (question.request.find('authorization') === undefined ? 0 : Flag.authorized),
  }
}

const isByRule = (lifetime: Lifetime): boolean => (lifetime.flags & Flag.byRule) !== 0

/** A rule says how long; the origin's no-cache is part of what it stands above. */
const mustAlwaysValidate = ({ flags }: Directives, lifetime: Lifetime): boolean =>
  (flags & Said.noCache) !== 0 && !isByRule(lifetime)

/** 4.2.4: never stale, whatever a client says. s-maxage implies it (5.2.2.10), unless a rule stands in its place. */
function isStrict({ flags, sharedMaxAge }: Directives, lifetime: Lifetime): boolean {
  if ((flags & (Said.mustRevalidate | Said.proxyRevalidate)) !== 0) return true
  return !isByRule(lifetime) && ((flags & Said.noCache) !== 0 || sharedMaxAge >= 0)
}

/**
 * RFC 5861. Whose word counts: under a `ttl` rule the rule's, else the longer of rule and origin. must-revalidate and its
 * like forbid both (but not the rule's under `ttl`); s-maxage alone forbids only the rule's, because an origin that
 * writes `s-maxage=60, stale-while-revalidate=30` means both.
 */
function windowsOf(
  { rules }: StorageQuestion,
  { flags, sharedMaxAge, staleWhileRevalidate, staleIfError }: Directives,
  lifetime: Lifetime,
): { whileRevalidate: number; ifError: number } {
  const isForbidden = (flags & (Said.mustRevalidate | Said.proxyRevalidate | Said.noCache)) !== 0
  const ruled = isByRule(lifetime) || !(isForbidden || sharedMaxAge >= 0)
  const window = (ruleMs: number | undefined, said: number): number =>
    Math.max(ruled ? (ruleMs ?? 0) * 1_000 : 0, isForbidden ? 0 : Math.max(0, said) * us)
  return {
    whileRevalidate: window(rules.staleWhileRevalidateMs, staleWhileRevalidate),
    ifError: window(rules.staleIfErrorMs, staleIfError),
  }
}

/** Age is in the numbers. Cookies only where all may have them; what `no-cache="a"` or `private="a"` names is not for the store. */
function dropped({ rules }: StorageQuestion, { fields }: Directives): readonly string[] {
  const strips = rules.stripCookies && rules.shareCookies !== true
  return ['age', ...(strips ? ['set-cookie'] : []), ...fields]
}
