// What a challenge's page knows of the request that it stands for: where to go on, for what, at which risk. Signed, bound to
// the client, and short-lived; so a page's links can't be made to lead anywhere else (no open redirect), nor a ticket be
// shown before its time. Tickets to wait with are the same kind of thing, with a time before which they are worth nothing.

import { randomBytes } from 'node:crypto'
import { clientBinding } from '../binding.ts'
import { signToken, verifyToken } from '../keys.ts'
import type { Passage } from '../passage.ts'
import { safeTarget } from '../targets.ts'
import type { ChallengeKeys } from './keys.ts'

export interface PageState {
  /** Path and query on this host. */
  readonly to: string
  /** The request could not be repeated by a link: a form was sent. */
  readonly form: boolean
  readonly risk: number
  /** Of the request that was stopped. */
  readonly requestId: string
}

export interface WaitTicket extends PageState {
  readonly id: string
  readonly fromMs: number
  readonly expiresAtMs: number
  /** One of its address' few passes was taken for it. */
  readonly paid: boolean
}

const pageLifeMs = 3_600_000
/** After its time has come a ticket is good for so long. */
const ticketLifeMs = 300_000

export function writePageState(
  keys: ChallengeKeys,
  passage: Passage,
  state: PageState,
  nowMs: number,
): string {
  const claims = {
    t: state.to,
    f: state.form ? 1 : 0,
    r: state.risk,
    q: state.requestId,
    b: clientBinding(passage),
  }
  return signToken(keys.page, 'challenge page', claims, nowMs + pageLifeMs)
}

/** Null: not ours, too old, or another client's. */
export function readPageState(
  keys: ChallengeKeys,
  passage: Passage,
  token: string,
  nowMs: number,
): PageState | null {
  const claims = verifyToken(keys.page, 'challenge page', token, nowMs)
  return claims === null || claims.b !== clientBinding(passage) ? null : stateOf(claims)
}

export function writeTicket(
  keys: ChallengeKeys,
  passage: Passage,
  state: PageState,
  fromMs: number,
  paid = false,
): string {
  const { to, form, risk, requestId } = state
  const id = randomBytes(12).toString('base64url')
  const claims = {
    t: to,
    f: form ? 1 : 0,
    r: risk,
    q: requestId,
    b: clientBinding(passage),
    n: Math.round(fromMs),
    i: id,
    p: paid ? 1 : 0,
  }
  return signToken(keys.page, 'challenge wait', claims, fromMs + ticketLifeMs)
}

export function readTicket(
  keys: ChallengeKeys,
  passage: Passage,
  token: string,
  nowMs: number,
): WaitTicket | null {
  const claims = verifyToken(keys.page, 'challenge wait', token, nowMs)
  if (claims === null || claims.b !== clientBinding(passage)) return null
  const fromMs = claims.n as number
  return {
    ...stateOf(claims),
    id: claims.i as string,
    fromMs,
    expiresAtMs: fromMs + ticketLifeMs,
    paid: claims.p === 1,
  }
}

function stateOf(claims: Readonly<Record<string, unknown>>): PageState {
  return {
    to: safeTarget(claims.t as string),
    form: claims.f === 1,
    risk: claims.r as number,
    requestId: claims.q as string,
  }
}
