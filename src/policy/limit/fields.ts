// What clients are told of their limits: RateLimit-Policy and RateLimit as structured fields
// (draft-ietf-httpapi-ratelimit-headers-10), and Retry-After (RFC 9110 10.2.3). Times go out in whole seconds, rounded up:
// who waits so long is let through.

import type { LimitOutcome } from './rule.ts'

export type QuotaUnit = 'requests' | 'content-bytes' | 'concurrent-requests'

/** A string of structured fields (RFC 9651 3.3.3); other characters than it may have become `_`. */
function quoted(name: string): string {
  return `"${name.replace(/[^\x20-\x7e]/g, '_').replace(/["\\]/g, '\\$&')}"`
}

/** `"login";q=5;w=60`; `q` of requests is the unit that is left out. */
export function policyItem(name: string, amount: number, perMs: number, unit: QuotaUnit): string {
  const window = perMs > 0 ? `;w=${Math.max(1, Math.ceil(perMs / 1_000))}` : ''
  return `${quoted(name)};q=${amount}${unit === 'requests' ? '' : `;qu="${unit}"`}${window}`
}

/** What stands before the numbers of `limitItem`. */
export function limitItemStart(name: string): string {
  return `${quoted(name)};r=`
}

/** `"login";r=4;t=12` */
export function limitItem(start: string, { remaining, retryAfterUs, resetAfterUs }: LimitOutcome): string {
  const until = remaining > 0 || retryAfterUs === 0 ? resetAfterUs : retryAfterUs
  return `${start}${remaining};t=${secondsUp(until)}`
}

export function secondsUp(us: number): number {
  return us <= 0 ? 0 : Math.ceil(us / 1_000_000)
}
