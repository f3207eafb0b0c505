// The keys `retry` and `hedge`: second attempts, of services and of single routes.

import type { CheckedHedge, CheckedRetry } from './checked.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { decimal, duration, off, Refused, type Schema, whole } from './values.ts'

const retryKeys = {
  attempts: whole('Further attempts after the first. 0 = none.', 0, 10),
  share: decimal(
    'Retries may be at most this share of the active requests. The first one after a lost connection is not counted: the attempt that it replaces is over.',
    0,
    1,
  ),
  budgetMin: whole('Retries that may always run at once, however few requests are active.', 0, 10_000),
  perTryTimeout: duration(
    'For one attempt, to the first byte of its response. Left out: only `timeouts.response`.',
    '1ms',
    '10m',
  ).optional(),
  backoff: duration(
    'Before the second attempt, at random between 0 and this; doubles with each further one.',
    '0ms',
    '1m',
  ),
  backoffMax: duration('The longest back-off.', '0ms', '1m'),
  onStatus: listOf(
    'Statuses that are tried again, for idempotent methods only.',
    whole('A status.', 400, 599),
    16,
  ),
}

const retryObject: Schema<CheckedRetry> = into(
  strict(
    {
      ...retryKeys,
      attempts: retryKeys.attempts.prefault(2),
      share: retryKeys.share.prefault(0.2),
      budgetMin: retryKeys.budgetMin.prefault(3),
      backoff: retryKeys.backoff.prefault('25ms'),
      backoffMax: retryKeys.backoffMax.prefault('250ms'),
      onStatus: retryKeys.onStatus.prefault([]),
    },
    { about: 'Second attempts of requests that HTTP allows to be repeated.' },
  ),
  keys =>
    keys.backoff > keys.backoffMax
      ? new Refused("has a 'backoff' longer than its 'backoffMax'")
      : defined({
          attempts: keys.attempts,
          budgetShare: keys.share,
          budgetMin: keys.budgetMin,
          perTryTimeoutMs: keys.perTryTimeout,
          backoffBaseMs: keys.backoff,
          backoffMaxMs: keys.backoffMax,
          onStatus: keys.onStatus,
        }),
)

const retryOff: Schema<CheckedRetry> = into(off('No second attempts.'), () => ({
  attempts: 0,
  budgetShare: 0,
  budgetMin: 0,
  backoffBaseMs: 0,
  backoffMaxMs: 0,
  onStatus: [],
}))

export const retry: Schema<CheckedRetry> = either('Second attempts; `false`: none.', retryOff, retryObject)

/** A route's `retry`: only what it changes of its service's. */
export const routeRetry: Schema<Partial<CheckedRetry>> = either(
  "What this route changes of its service's `retry`; `false`: no second attempts.",
  into(off('No second attempts on this route.'), (): Partial<CheckedRetry> => ({ attempts: 0 })),
  into(
    strict({
      attempts: retryKeys.attempts.optional(),
      share: retryKeys.share.optional(),
      budgetMin: retryKeys.budgetMin.optional(),
      perTryTimeout: retryKeys.perTryTimeout,
      backoff: retryKeys.backoff.optional(),
      backoffMax: retryKeys.backoffMax.optional(),
      onStatus: retryKeys.onStatus.optional(),
    }),
    (keys): Partial<CheckedRetry> =>
      defined({
        attempts: keys.attempts,
        budgetShare: keys.share,
        budgetMin: keys.budgetMin,
        perTryTimeoutMs: keys.perTryTimeout,
        backoffBaseMs: keys.backoff,
        backoffMaxMs: keys.backoffMax,
        onStatus: keys.onStatus,
      }),
  ),
)

export const hedge: Schema<CheckedHedge> = into(
  strict(
    {
      percentile: decimal(
        "A second attempt of a GET or HEAD starts after this percentile of the members' latency.",
        50,
        99.9,
      ).prefault(95),
      delayMin: duration('But never before this.', '1ms', '1m').prefault('10ms'),
    },
    {
      about:
        'Second attempts of safe methods that take unusually long, counted in the retry budget. Left out: none.',
    },
  ),
  keys => ({ percentile: keys.percentile, delayMinMs: keys.delayMin }),
)
