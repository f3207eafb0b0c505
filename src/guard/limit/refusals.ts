// What clients are told when a limit is reached, and what explanations say of it. Words only.

import { secondsUp } from '../../policy/limit/index.ts'
import type { PassageRefusal } from '../passage.ts'
import type { Finding } from '../visit.ts'
import type { CountedLimit, CountedRule } from './counted-limit.ts'

/** To clients, without their waiting time. */
export const limitRefusals: Readonly<Record<'rate' | 'bytes' | 'concurrency' | 'away', PassageRefusal>> = {
  rate: {
    code: 'RATE_LIMITED',
    status: 429,
    text: 'There were too many requests. Wait a moment, then try again.',
  },
  bytes: {
    code: 'BYTES_LIMITED',
    status: 429,
    text: 'Too much was transferred. Wait a moment, then try again.',
  },
  concurrency: {
    code: 'TOO_MANY_AT_ONCE',
    status: 429,
    text: 'Too many requests are under way at once. Wait for them to end, then try again.',
  },
  away: {
    code: 'LIMITS_UNAVAILABLE',
    status: 503,
    text: 'Whether this may pass cannot be decided at the moment. Try again shortly.',
    fields: 'Retry-After: 1\r\n',
  },
}

export function refusalOf(limit: CountedLimit, retryAfterUs: number): PassageRefusal {
  const refusal = limitRefusals[limit.checked.kind]
  return { ...refusal, fields: `Retry-After: ${Math.max(1, secondsUp(retryAfterUs))}\r\n` }
}

export function findingOf(
  limit: CountedLimit,
  rule: CountedRule,
  retryAfterUs: number,
  share: number,
): Omit<Finding, 'detected'> {
  const { kind, perMs, by } = limit.checked
  const what = kind === 'bytes' ? 'bytes' : kind === 'concurrency' ? 'requests at once' : 'requests'
  const per = kind === 'concurrency' ? '' : ` in ${perMs / 1_000} s`
  const who =
    rule === limit.missing ? 'address (a part of the key is missing)' : by.map(one => one.by).join(' + ')
  const tightened = share < 1 ? `, of which ${Math.round(share * 100)} % are left at this risk and load` : ''
  return {
    step: 'limit',
    rule: limit.finding,
    text: `More than ${rule.amount} ${what}${per} by ${who}${tightened}.`,
    would:
      kind === 'concurrency'
        ? 'The same request when another one of the same key has ended.'
        : `The same request ${Math.max(1, secondsUp(retryAfterUs))} s later.`,
  }
}
