// A token before any key is asked: is it one signed JWT (RFC 7519) that can be read in one way only, by an algorithm that
// is allowed, of our issuer, for us, in time? What costs nothing to refuse never reaches the work of a signature.

import type { CheckedJwt } from '../../../file/checked-guard.ts'
import type { IdentityFault } from '../contract.ts'
import { readStrictObject } from '../strict-json.ts'

/** Longer tokens are not looked at. */
export const tokenCharsMax = 16_384
const kidCharsMax = 256
const segments = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/
/** A token brings no keys, no addresses of keys, nothing that has to be understood, and is not packed (RFC 8725 3.10). */
const refusedNames = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'zip', 'enc'] as const
/** What is not named here is a token for something else (RFC 8725 3.11): a logout, an event, a proof of possession. */
const usualTypes: ReadonlySet<string> = new Set(['jwt', 'at+jwt'])

export type Claims = Readonly<Record<string, unknown>>

/** The claims, which nobody has signed yet; or why it is refused. */
export function readToken(
  token: string,
  settings: CheckedJwt,
  nowMs: number,
): { claims: Claims } | IdentityFault {
  const [, head = '', body = '', signature = ''] =
    token.length > tokenCharsMax ? [] : (segments.exec(token) ?? [])
  if (head === '') return malformed('It is not one signed JWT.')
  for (const part of [head, body, signature])
    if (Buffer.from(part, 'base64url').toString('base64url') !== part)
      return malformed('It is not base64url in its one spelling.')
  const header = readStrictObject(Buffer.from(head, 'base64url'))
  const claims = readStrictObject(Buffer.from(body, 'base64url'))
  if (header === null || claims === null) return malformed('It is no JSON that can be read in one way.')
  return headerFault(header, settings) ?? claimFault(claims, settings, nowMs) ?? { claims }
}

const malformed = (text: string): IdentityFault => ({
  reason: 'malformed',
  text: `The token is malformed. ${text}`,
})

function headerFault(header: Claims, { algorithms, typ }: CheckedJwt): IdentityFault | null {
  const { alg, kid, typ: type, cty } = header
  if (!algorithms.some(one => one === alg))
    return { reason: 'algorithm', text: 'The token has an algorithm that is not allowed.' }
  for (const name of refusedNames)
    if (Object.hasOwn(header, name)) return malformed(`Its header has '${name}', which nobody may bring.`)
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > kidCharsMax))
    return malformed("Its 'kid' is no short text.")
  if (cty !== undefined) return malformed('It holds another token.')
  if (type !== undefined && typeof type !== 'string') return malformed("Its 'typ' is no text.")
  const told = type?.toLowerCase().replace(/^application\//, '')
  const fits = typ === undefined ? told === undefined || usualTypes.has(told) : told === typ
  return fits ? null : { reason: 'type', text: 'The token is of a type that is not for this.' }
}

function claimFault(claims: Claims, settings: CheckedJwt, nowMs: number): IdentityFault | null {
  const { iss, aud, exp, nbf, iat, sub } = claims
  if (iss !== settings.issuer) return { reason: 'issuer', text: 'The token is of another issuer.' }
  const audiences = Array.isArray(aud) ? aud : [aud]
  if (!audiences.some(one => settings.audience.includes(one as string)))
    return { reason: 'audience', text: 'The token is for somebody else (aud).' }
  if (!isTime(exp) || (nbf !== undefined && !isTime(nbf)) || (iat !== undefined && !isTime(iat)))
    return malformed("Its times ('exp', 'nbf', 'iat') are missing or no numbers.")
  if (typeof sub !== 'string' || sub === '' || sub.length > 500) return malformed("It has no 'sub'.")
  const skew = settings.clockToleranceMs
  if (nowMs >= exp * 1_000 + skew) return { reason: 'expired', text: 'The token has expired.' }
  if (isTime(nbf) && nowMs < nbf * 1_000 - skew)
    return { reason: 'early', text: 'The token is not valid yet (nbf).' }
  if (isTime(iat) && nowMs < iat * 1_000 - skew)
    return { reason: 'early', text: 'The token is from the future (iat).' }
  const { ageMaxMs } = settings
  if (ageMaxMs !== undefined && (!isTime(iat) || nowMs > iat * 1_000 + ageMaxMs + skew))
    return { reason: 'expired', text: 'The token is older than is allowed here (iat).' }
  return null
}

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e11
