// What the edge says of a request's sender, in the field `Tenfold-Human`: a JWT (HS256) for this request and a minute. Only
// what the edge signed is believed; a token for something else, of another algorithm or of another request is nothing.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export interface Statement {
  readonly human: boolean
  readonly by: string
  readonly risk: number
  readonly method: string
  readonly rid: string
}

const header = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')
const issuer = 'tenfold'
const instanceAudience = 'tenfold:instance'
const guardAudience = 'tenfold:guard'
const lifeSeconds = 60
/** Clocks of two hosts may differ by this. */
const skewSeconds = 5
const tokenCharsMax = 4_096

/** Null: not the edge's, or too old. */
export function readStatement(key: Buffer, token: string, nowMs: number): Statement | null {
  if (token.length > tokenCharsMax) return null
  const [first, body, mac, more] = token.split('.', 4)
  if (first !== header || body === undefined || mac === undefined || more !== undefined) return null
  const given = Buffer.from(mac, 'base64url')
  const right = macOf(key, body)
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Record<string, unknown>
  const now = nowMs / 1_000
  const timely = now <= Number(claims.exp) + skewSeconds && now >= Number(claims.iat) - skewSeconds
  const ours = claims.iss === issuer && claims.aud === instanceAudience
  return ours && timely ? (claims as unknown as Statement) : null
}

/** Signs what this service asks of the edge: nobody else may, and what is asked can't be changed. */
export function signQuestion(key: Buffer, question: string, nowMs: number): string {
  const iat = Math.floor(nowMs / 1_000)
  const digest = createHash('sha256').update(question, 'utf8').digest('base64url')
  const claims = { iss: issuer, aud: guardAudience, iat, exp: iat + lifeSeconds, digest }
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${header}.${body}.${macOf(key, body).toString('base64url')}`
}

function macOf(key: Buffer, body: string): Buffer {
  return createHmac('sha256', key).update(`${header}.${body}`, 'utf8').digest()
}
