// May a request that failed at one instance be tried again? RFC 9110 9.2.2: a proxy never repeats a non-idempotent
// request automatically; RFC 9112 9.3.1 and 9.5: a connection may close at any moment, and what was sent on it may or
// may not have been acted upon. What provably never left is not a repetition: any method may then be sent.

import type { Random } from '../kit/random.ts'
import { backoffUs } from './backoff.ts'
import { Reason } from './reason.ts'
import type { RetrySettings } from './settings.ts'

/** How the attempt ended, before anything went to the client. */
export const AttemptEnd = {
  /** Refused, unreachable, not established in time: no byte of the request can have left. */
  connectFailed: 0,
  /** Connection closed or reset before the first byte of a response. */
  lost: 1,
  /** The per-try or response time-out passed. */
  timeout: 2,
  /** A complete response head with a status. */
  status: 3,
  /** The response broke off after its first byte had been handed to the client. */
  responseBegun: 4,
} as const
export type AttemptEndCode = (typeof AttemptEnd)[keyof typeof AttemptEnd]

/** Filled by the shell, which may reuse one object. */
export interface AttemptFailure {
  end: AttemptEndCode
  /** By `methods.ts`. */
  idempotent: boolean
  /** Nothing of the request was given to the operating system on this connection. */
  unsent: boolean
  /** The connection had served an earlier request. */
  reused: boolean
  /** The body can be sent from its first byte again: none, not yet taken, or wholly kept. */
  bodyReplayable: boolean
  /** Status of the response; 0 unless `end` is `status`. */
  status: number
  /** Attempts made, this one included; free ones (`retryStaleConnection`) excluded. */
  attempts: number
  /** The request has had its free attempt after a stale connection. */
  staleUsed: boolean
  clientGone: boolean
}

/**
 * A code from `retryUnsent` to `retryStatus` (again; prefer another member, except after `retryStaleConnection`: the
 * same member over a fresh connection), or one of the `noRetry...` codes.
 *
 * An idle connection that the instance closed as we wrote says nothing about the instance: an idempotent request gets
 * one free attempt, outside the attempts and the budget (edges would otherwise fail requests in quiet hours).
 *
 * The budget does not hold back the first retry after a connection that failed or was lost: the attempt that it replaces
 * is over, so no member does more work than before. Else an instance that dies with more than the budget's share of the
 * requests would be felt. When all members fail like that, ejection ends it. Time-outs and statuses are held back: there
 * the first attempt may still be worked on, or the members ask for less.
 * @param withinBudget from `retryBudgetAllows`
 */
export function decideRetry(failure: AttemptFailure, settings: RetrySettings, withinBudget: boolean): number {
  if (failure.end === AttemptEnd.responseBegun) return Reason.noRetryResponseBegun
  if (failure.clientGone) return Reason.noRetryClientGone
  const neverLeft =
    failure.end === AttemptEnd.connectFailed || (failure.unsent && failure.end !== AttemptEnd.status)
  if (!neverLeft && !failure.idempotent) return Reason.noRetryNotIdempotent
  if (failure.end === AttemptEnd.status && !settings.onStatus.includes(failure.status))
    return Reason.noRetryStatus
  if (!failure.bodyReplayable) return Reason.noRetryBodyGone
  if (failure.end === AttemptEnd.lost && failure.reused && !failure.staleUsed)
    return Reason.retryStaleConnection
  if (failure.attempts > settings.attempts) return Reason.noRetryAttempts
  if (!withinBudget && !replacesAttempt(failure)) return Reason.noRetryBudget
  return neverLeft ? Reason.retryUnsent : reasonByEnd(failure.end)
}

function replacesAttempt({ end, attempts }: AttemptFailure): boolean {
  return attempts === 1 && (end === AttemptEnd.connectFailed || end === AttemptEnd.lost)
}

function reasonByEnd(end: AttemptEndCode): number {
  if (end === AttemptEnd.status) return Reason.retryStatus
  return end === AttemptEnd.timeout ? Reason.retryTimeout : Reason.retryReset
}

/** Is the code of `decideRetry` one that tries again? */
export function triesAgain(reason: number): boolean {
  return reason >= Reason.retryUnsent && reason <= Reason.retryStatus
}

/**
 * The retry budget (Envoy, Finagle): retries and hedges active at once are at most a share of the active requests,
 * but always the minimum, so that a storm of failures is not doubled by us.
 */
export function retryBudgetAllows(
  retriesActive: number,
  requestsActive: number,
  settings: RetrySettings,
): boolean {
  return retriesActive < Math.max(settings.budgetMin, Math.floor(settings.budgetShare * requestsActive))
}

/**
 * Does this retry only take the place of an attempt that is over, and so stay outside the budget?
 * @param why code of `decideRetry` @param attempts made so far
 */
export function isReplacement(why: number, attempts: number): boolean {
  return attempts === 1 && (why === Reason.retryUnsent || why === Reason.retryReset)
}

/**
 * Microseconds until the next attempt: the first retry goes elsewhere at once; further ones wait, because elsewhere fails too.
 * @param retries this one included @param members of the group
 */
export function retryDelayUs(
  retries: number,
  members: number,
  settings: RetrySettings,
  random: Random,
): number {
  if (retries <= 1 && members > 1) return 0
  return backoffUs(retries, settings.backoffBaseMs, settings.backoffMaxMs, random)
}
