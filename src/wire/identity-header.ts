// What instances are told of who is asking, in the field `Tenfold-Identity`: a JWT (HS256, RFC 7519) that any language's
// library reads, for one request (its method, host, path and id are in it) and for a minute. Text form only: the MAC is
// handed in, so that the guard that writes and the service that reads share this and nothing else.

export const identityField = 'tenfold-identity'
export const identityIssuer = 'tenfold'
/** Not that of `Tenfold-Human`, whose key is the same: one can't be shown as the other. */
export const identityAudience = 'tenfold:identity'

export interface IdentityClaims {
  /** How it was verified: `jwt`, `oidc`, `key`, `basic`, `mtls`. */
  readonly by: string
  /** Its name in the file: `staff` of `jwt:staff`; '' for `mtls`. */
  readonly source: string
  readonly sub: string
  readonly scopes: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  /** When the credential ends, seconds. */
  readonly until: number
  /** Of the request. */
  readonly method: string
  readonly host: string
  readonly path: string
  readonly rid: string
}

/** Base64url of HMAC-SHA-256 under the key of instances. */
export type IdentityMac = (text: string) => string

/** Longer fields are not looked at; nothing longer is written. */
export const identityCharsMax = 8_192
const lifeSeconds = 60
/** Clocks of two hosts may differ by this. */
const skewSeconds = 5
const header = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')

/** Null: longer than `identityCharsMax`. */
export function writeIdentity(claims: IdentityClaims, nowMs: number, mac: IdentityMac): string | null {
  const iat = Math.floor(nowMs / 1_000)
  const all = { ...claims, iss: identityIssuer, aud: identityAudience, iat, exp: iat + lifeSeconds }
  const text = `${header}.${Buffer.from(JSON.stringify(all)).toString('base64url')}`
  const token = `${text}.${mac(text)}`
  return token.length <= identityCharsMax ? token : null
}

/**
 * Null: not the edge's, or too old. Only our own header is understood, so no other algorithm can be named; of which
 * request it is, the caller compares.
 */
export function readIdentity(token: string, nowMs: number, mac: IdentityMac): IdentityClaims | null {
  if (token.length > identityCharsMax) return null
  const [first, body, given, more] = token.split('.', 4)
  if (first !== header || body === undefined || given === undefined || more !== undefined) return null
  if (!isSame(given, mac(`${first}.${body}`))) return null
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Record<string, unknown>
  const now = nowMs / 1_000
  const timely = now <= Number(claims.exp) + skewSeconds && now >= Number(claims.iat) - skewSeconds
  const ours = claims.iss === identityIssuer && claims.aud === identityAudience
  return ours && timely ? (claims as unknown as IdentityClaims) : null
}

/** In a time that says nothing of where two texts differ. */
function isSame(given: string, right: string): boolean {
  if (given.length !== right.length) return false
  let different = 0
  for (let at = 0; at < right.length; at++) different |= given.charCodeAt(at) ^ right.charCodeAt(at)
  return different === 0
}
