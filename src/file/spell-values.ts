// Small values of a checked system written as a system file has them: the opposite of values.ts and network.ts.

import type { CheckedListen, CheckedRetry } from './checked.ts'
import type { Duration } from './input.generated.ts'
import { isIpv6 } from './network.ts'
import { defined } from './shapes.ts'
import { durationText } from './values.ts'

export const ms = (value: number): Duration => durationText(value) as Duration

/** Of what may be left out. */
export const msOf = (value: number | undefined): Duration | undefined =>
  value === undefined ? undefined : ms(value)

export const place = ({ host, port }: CheckedListen): string => `${isIpv6(host) ? `[${host}]` : host}:${port}`

export const keyText = (key: { by: string; name?: string }): string =>
  key.name === undefined ? key.by : `${key.by}:${key.name}`

export function retry(one: Partial<CheckedRetry>): object {
  return defined({
    attempts: one.attempts,
    share: one.budgetShare,
    budgetMin: one.budgetMin,
    perTryTimeout: msOf(one.perTryTimeoutMs),
    backoff: msOf(one.backoffBaseMs),
    backoffMax: msOf(one.backoffMaxMs),
    onStatus: one.onStatus,
  })
}
