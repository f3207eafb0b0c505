// Whether a stored response may be used now (RFC 9111 4, 4.2.4, RFC 5861). Integers only: a hit compares numbers that were
// computed when the response was stored. The reason is worked out when somebody looks.

import { Ask, Flag, type FreshnessMeta, type RequestDirectives, Reuse, type ReuseCode } from './contract.ts'
import { CacheReason } from './reason.ts'

const us = 1_000_000

/** 4.2.3, `current_age`. */
export function ageUs(meta: FreshnessMeta, nowUs: number): number {
  return meta.initialAgeUs + Math.max(0, nowUs - meta.receivedAtUs)
}

/**
 * `random`: 0..1, drawn by the caller. In the last share `refreshAhead` of its life the chance that a use validates it
 * ahead rises from 0 to 1, so that many users do not do it at once.
 */
export function judgeReuse(
  meta: FreshnessMeta,
  nowUs: number,
  asked: RequestDirectives,
  purgedSoftly: boolean,
  refreshAhead: number,
  random: number,
): ReuseCode {
  if (refusalOf(meta, nowUs, asked) !== 0) return unusable(asked)
  const leftUs = meta.freshForUs - ageUs(meta, nowUs)
  if (leftUs <= 0) return judgeStale(meta, -leftUs, asked)
  if (purgedSoftly) return Reuse.staleRevalidate
  const isEnding = refreshAhead > 0 && leftUs < meta.freshForUs * refreshAhead * (1 - random)
  return isEnding ? Reuse.freshRefresh : Reuse.fresh
}

const unusable = ({ flags }: RequestDirectives): ReuseCode =>
  (flags & Ask.onlyIfCached) === 0 ? Reuse.validate : Reuse.gatewayTimeout

function judgeStale(meta: FreshnessMeta, staleUs: number, asked: RequestDirectives): ReuseCode {
  if (staleUs < meta.staleWhileRevalidateUs) return Reuse.staleRevalidate
  return isAllowedStale(meta, staleUs, asked) ? Reuse.staleAllowed : unusable(asked)
}

/** 5.2.1.2 gives way to 5.2.2: what must be validated is, whatever a client takes. */
const isAllowedStale = (
  meta: FreshnessMeta,
  staleUs: number,
  { maxStaleSeconds }: RequestDirectives,
): boolean => maxStaleSeconds >= 0 && staleUs <= maxStaleSeconds * us && (meta.flags & Flag.strict) === 0

/** Why it must not be used even where it is fresh; 0: it may. */
function refusalOf(meta: FreshnessMeta, nowUs: number, asked: RequestDirectives): number {
  if ((meta.flags & Flag.alwaysValidate) !== 0) return CacheReason.mustValidate
  if ((asked.flags & Ask.noStore) !== 0) return CacheReason.requestNoStore
  if ((asked.flags & Ask.noCache) !== 0) return CacheReason.clientNoCache
  const { maxAgeSeconds, minFreshSeconds } = asked
  if (maxAgeSeconds < 0 && minFreshSeconds < 0) return 0
  const age = ageUs(meta, nowUs)
  if (minFreshSeconds >= 0 && meta.freshForUs - age < minFreshSeconds * us) return CacheReason.clientMinFresh
  if (maxAgeSeconds < 0 || age < maxAgeSeconds * us) return 0
  // RFC 8246 2: a reload (max-age=0) of what never changes need not go to the origin while it is fresh.
  const isReload = maxAgeSeconds === 0 && (meta.flags & Flag.immutable) !== 0 && age < meta.freshForUs
  return isReload ? 0 : CacheReason.clientMaxAge
}

/** The code of `CacheReason` for what `judgeReuse` said. */
export function reuseReason(
  meta: FreshnessMeta,
  nowUs: number,
  asked: RequestDirectives,
  purgedSoftly: boolean,
): number {
  const refusal = refusalOf(meta, nowUs, asked)
  if (refusal !== 0) return (asked.flags & Ask.onlyIfCached) === 0 ? refusal : CacheReason.clientOnlyIfCached
  const leftUs = meta.freshForUs - ageUs(meta, nowUs)
  if (leftUs > 0) return purgedSoftly ? CacheReason.purgedSoftly : CacheReason.fresh
  const code = judgeStale(meta, -leftUs, asked)
  if (code === Reuse.staleRevalidate) return CacheReason.staleRevalidate
  if (code === Reuse.staleAllowed) return CacheReason.staleAllowed
  return code === Reuse.gatewayTimeout ? CacheReason.clientOnlyIfCached : CacheReason.expired
}

/** What stands in for an answer of its own: the origin could not do it, now (RFC 5861 4). */
const failureStatuses: ReadonlySet<number> = new Set([500, 502, 503, 504])

/**
 * The origin answered with `status`, or not at all (0): may what is stored be served instead? What is still fresh (purged
 * softly, or asked to be validated by the client) may; no-cache and no-store forbid it always.
 */
export function mayServeOnError(
  meta: FreshnessMeta,
  nowUs: number,
  asked: RequestDirectives,
  status: number,
): boolean {
  if (status !== 0 && !failureStatuses.has(status)) return false
  if ((meta.flags & (Flag.alwaysValidate | Flag.negative)) !== 0 || (asked.flags & Ask.noStore) !== 0)
    return false
  const staleUs = ageUs(meta, nowUs) - meta.freshForUs
  return staleUs < 0 || staleUs < meta.staleIfErrorUs
}
