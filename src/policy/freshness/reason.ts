// Why the HTTP cache did what it did, as small integers that are rendered when somebody looks: an operator by
// `tenfold cache`, a client in Cache-Status. Compared inside one build only.

import { durationText } from '../../kit/duration.ts'

export const CacheReason = {
  none: 0,
  requestNoStore: 5,
  // not stored
  statusPartial: 20,
  statusNotModified: 21,
  statusInterim: 22,
  statusNotUnderstood: 23,
  clientsFault: 24,
  noStore: 25,
  private: 26,
  authorization: 27,
  setCookie: 28,
  varyStar: 29,
  varyTooLong: 30,
  nothingSaid: 31,
  cookieGuess: 32,
  uselessStale: 33,
  tooManyNames: 34,
  // stored
  storedMaxAge: 50,
  storedSharedMaxAge: 51,
  storedTargeted: 52,
  storedExpires: 53,
  storedRule: 54,
  storedNegative: 55,
  storedHeuristic: 56,
  storedToValidate: 57,
  // used or not
  fresh: 70,
  freshEnding: 71,
  staleRevalidate: 72,
  staleAllowed: 73,
  staleOnError: 74,
  expired: 75,
  mustValidate: 76,
  purgedSoftly: 77,
  clientNoCache: 78,
  clientMaxAge: 79,
  clientMinFresh: 80,
  clientOnlyIfCached: 81,
} as const
export type CacheReasonName = keyof typeof CacheReason

/** `{a}` a number, `{a:us}` a duration from microseconds. */
const words: Readonly<Record<CacheReasonName, string>> = {
  none: 'nothing in its way',
  requestNoStore: 'the client says no-store',
  statusPartial: 'not stored: a part of a body (206)',
  statusNotModified: 'not stored: 304 for conditions of the client',
  statusInterim: 'not stored: not a final answer',
  statusNotUnderstood: 'not stored: must-understand with status {a}',
  clientsFault: "not stored: status {a} comes from one client's own request",
  noStore: 'not stored: the origin says no-store',
  private: 'not stored: the origin says private',
  authorization:
    'not stored: the request has Authorization, the answer says neither public, s-maxage nor must-revalidate',
  setCookie: 'not stored: it sets a cookie',
  varyStar: 'not stored: it varies by anything (Vary: *)',
  varyTooLong: 'not stored: what it varies by is too long to be a key',
  nothingSaid: 'not stored: the origin does not say for how long, and no rule of the route does',
  cookieGuess: 'not stored: its freshness would be a guess, and the request has a cookie',
  uselessStale: 'not stored: stale already, and nothing to validate it with',
  tooManyNames: 'not stored: it varies by more than {a} fields',
  storedMaxAge: 'fresh for {a:us} by max-age',
  storedSharedMaxAge: 'fresh for {a:us} by s-maxage',
  storedTargeted: 'fresh for {a:us} by CDN-Cache-Control or Surrogate-Control',
  storedExpires: 'fresh for {a:us} by Expires',
  storedRule: "fresh for {a:us} by the route's ttl",
  storedNegative: "fresh for {a:us} by the route's negative",
  storedHeuristic: 'fresh for {a:us} by a guess from Last-Modified',
  storedToValidate: 'stored, and validated before each use',
  fresh: 'fresh',
  freshEnding: 'fresh, near its end: validated ahead',
  staleRevalidate: 'stale, served while it is validated',
  staleAllowed: 'stale, and the client takes that (max-stale)',
  staleOnError: 'stale, served because the origin failed',
  expired: 'stale',
  mustValidate: 'to be validated before each use (no-cache)',
  purgedSoftly: 'purged softly',
  clientNoCache: 'the client wants it validated (no-cache)',
  clientMaxAge: 'older than the client takes (max-age)',
  clientMinFresh: 'not fresh for as long as the client wants (min-fresh)',
  clientOnlyIfCached: 'nothing stored that may be used, and the client wants nobody asked (only-if-cached)',
}

const nameOf: ReadonlyMap<number, CacheReasonName> = new Map(
  (Object.keys(CacheReason) as CacheReasonName[]).map(name => [CacheReason[name], name]),
)

/** The sentence for a code; `a` is the number that the decision left with it. */
export function cacheReasonText(code: number, a = 0): string {
  const name = nameOf.get(code)
  if (name === undefined) return `reason ${code}`
  return words[name].replace(/\{a(:us)?\}/g, (_, form: string | undefined) =>
    form === undefined ? `${a}` : durationText(a / 1_000),
  )
}

/** Kebab-case, for metric labels and Cache-Status details: `set-cookie`. */
export function cacheReasonLabel(code: number): string {
  return (nameOf.get(code) ?? `code-${code}`).replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}
