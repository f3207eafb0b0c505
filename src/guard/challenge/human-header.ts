// What instances are told of a request's sender, in `Tenfold-Human`: a JWT (HS256, RFC 7519) that any language's library
// reads, for this request only (method, host and path are in it) and for a minute. Whatever a client sends under that
// name is dropped. And what instances ask of us, signed with the same key.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export const humanField = 'tenfold-human'
export const humanIssuer = 'tenfold'
export const humanAudience = 'tenfold:instance'
export const askAudience = 'tenfold:guard'
const lifeSeconds = 60
/** Clocks of two hosts may differ by this. */
const skewSeconds = 5
const header = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')

export interface HumanClaims {
  /** Has passed a challenge, lately and as this client. */
  readonly human: boolean
  /** `pow`, `turnstile`, `wait`; '' = has not. */
  readonly by: string
  /** 0-100; -1: this policy scores none. */
  readonly risk: number
  /** Of the clearance: `once` spends it. */
  readonly cid: string
  /** When the clearance ends, seconds. */
  readonly cexp: number
  /** `clientBinding`: what a form's token must be bound to. */
  readonly client: string
  readonly method: string
  readonly host: string
  readonly path: string
  readonly rid: string
}

export function writeHuman(key: Buffer, claims: HumanClaims, nowMs: number): string {
  return writeJwt(key, { ...claims, aud: humanAudience }, nowMs)
}

/** Signed by us and not too old, for whatever request. */
export function readHuman(key: Buffer, token: string, nowMs: number): HumanClaims | null {
  return readJwt(key, token, humanAudience, nowMs) as HumanClaims | null
}

export function writeJwt(key: Buffer, claims: object, nowMs: number): string {
  const iat = Math.floor(nowMs / 1_000)
  const body = Buffer.from(
    JSON.stringify({ iss: humanIssuer, iat, exp: iat + lifeSeconds, ...claims }),
  ).toString('base64url')
  return `${header}.${body}.${macOf(key, body).toString('base64url')}`
}

/** Only our own header is understood, so no other algorithm can be named. */
export function readJwt(
  key: Buffer,
  token: string,
  audience: string,
  nowMs: number,
): Readonly<Record<string, unknown>> | null {
  const [first, body, mac, more] = token.split('.', 4)
  if (first !== header || body === undefined || mac === undefined || more !== undefined) return null
  const given = Buffer.from(mac, 'base64url')
  const right = macOf(key, body)
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Record<string, unknown>
  const now = nowMs / 1_000
  const fits = claims.iss === humanIssuer && claims.aud === audience
  const timely = now <= Number(claims.exp) + skewSeconds && now >= Number(claims.iat) - skewSeconds
  return fits && timely ? claims : null
}

/** Of a question's body: what is asked can't be changed on its way. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64url')
}

function macOf(key: Buffer, body: string): Buffer {
  return createHmac('sha256', key).update(`${header}.${body}`, 'utf8').digest()
}
