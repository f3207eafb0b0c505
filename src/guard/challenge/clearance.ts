// A clearance says that a client has passed a challenge lately. It is a signed cookie, checked without I/O, worth nothing
// at another address block, with another User-Agent or TLS library, or for another account than the one it was got with.
// It covers the risk at which it was got and a little more, never all risk; past that the client is asked again.

import { clientBinding } from '../binding.ts'
import { nameOf, signToken, verifyToken } from '../keys.ts'
import type { Passage } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import type { ChallengeKeys } from './keys.ts'

/** How it was got: by work, by Turnstile, or by waiting. */
export type ClearedBy = 'pow' | 'turnstile' | 'wait'

export interface Clearance {
  readonly id: string
  readonly by: ClearedBy
  readonly binding: string
  /** Name (keyed) of the account; '' = none was known. */
  readonly account: string
  readonly session: string
  /** 0-100. */
  readonly risk: number
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

const purpose = 'clearance'
/** A clearance is good while the risk has not grown by more than this. */
export const riskSlack = 15
/** Others may have planted cookies of our name beside ours (another host of the domain). */
const candidatesMax = 4
const secureName = '__Host-tenfold_clear'
const plainName = 'tenfold_clear'
/** For clients without cookies: a native app sends it back as a field. */
export const clearanceField = 'tenfold-clearance'

export const clearanceFailures = [
  'none',
  'forged',
  'other-client',
  'other-account',
  'risk',
  'revoked',
] as const
export type ClearanceFailure = (typeof clearanceFailures)[number]

export function writeClearance(keys: ChallengeKeys, clearance: Clearance): string {
  const { id, by, binding, account, session, risk, issuedAtMs } = clearance
  const claims = { i: id, m: by, b: binding, a: account, s: session, r: risk, t: issuedAtMs }
  return signToken(keys.clearance, purpose, claims, clearance.expiresAtMs)
}

/** Of an account or a session, as clearances hold it. */
export function nameFor(keys: ChallengeKeys, kind: 'account' | 'session', value: string): string {
  return value === '' ? '' : nameOf(keys.names, `${kind}\0${value}`)
}

export function clearanceCookie(token: string, secure: boolean, lifeMs: number): string {
  const age = Math.floor(lifeMs / 1_000)
  const name = secure ? secureName : plainName
  return `Set-Cookie: ${name}=${token}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}\r\n`
}

/** The clearance that counts for this request, or why there is none. */
export function readClearance(
  keys: ChallengeKeys,
  passage: Passage,
  visit: Pick<GuardVisit, 'account' | 'session'> | null,
  nowMs: number,
): Clearance | ClearanceFailure {
  let worst: ClearanceFailure = 'none'
  for (const token of candidates(passage)) {
    const clearance = parse(keys, token, nowMs)
    if (clearance === null) {
      worst = worst === 'none' ? 'forged' : worst
      continue
    }
    const why = misfit(keys, clearance, passage, visit)
    if (why === null) return clearance
    worst = why
  }
  return worst
}

function misfit(
  keys: ChallengeKeys,
  clearance: Clearance,
  passage: Passage,
  visit: Pick<GuardVisit, 'account' | 'session'> | null,
): ClearanceFailure | null {
  if (clearance.binding !== clientBinding(passage)) return 'other-client'
  if (visit === null) return null
  // Who logs in after the challenge keeps the clearance, and so do requests of the same page that carry no account.
  const { account, session } = clearance
  const otherAccount =
    account !== '' && visit.account !== '' && account !== nameFor(keys, 'account', visit.account)
  // A session id may change at login; it counts only where no account says who it is.
  const otherSession =
    account === '' &&
    session !== '' &&
    visit.account === '' &&
    visit.session !== '' &&
    session !== nameFor(keys, 'session', visit.session)
  return otherAccount || otherSession ? 'other-account' : null
}

function parse(keys: ChallengeKeys, token: string, nowMs: number): Clearance | null {
  const claims = verifyToken(keys.clearance, purpose, token, nowMs)
  if (claims === null) return null
  const { i, m, b, a, s, r, t } = claims
  return {
    id: i as string,
    by: m as ClearedBy,
    binding: b as string,
    account: a as string,
    session: s as string,
    risk: r as number,
    issuedAtMs: t as number,
    expiresAtMs: Number.parseInt(token.split('.')[2] ?? '', 36),
  }
}

function candidates(passage: Passage): string[] {
  const found: string[] = []
  const field = passage.head.find(clearanceField)
  if (field !== undefined) found.push(field)
  const cookies = passage.head.find('cookie')
  if (cookies === undefined) return found
  // The name without the prefix can be planted by whoever serves another host of the domain; over TLS it means nothing.
  const name = passage.client?.tls === null || passage.client === null ? plainName : secureName
  // Several Cookie fields come joined by a comma (HTTP/2 splits them up).
  for (const pair of cookies.split(/[;,]/)) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) found.push(pair.slice(equals + 1).trim())
    if (found.length === candidatesMax) break
  }
  return found
}
