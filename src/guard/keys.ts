// Keys and signed tokens. One secret of the system gives a key for each use (HKDF-SHA-256, RFC 5869), so that a token
// made for one use is worth nothing for another. A token is readable by whoever holds it: never put a secret into one.

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

export type TokenClaims = Readonly<Record<string, unknown>>

const keyBytes = 32
const macBytes = 32
/** Longer texts are not looked at: a cookie has at most 4 KB. */
const tokenCharsMax = 4_096
const shape = /^v1\.([\w-]{0,3900})\.([0-9a-z]{1,11})\.([\w-]{43})$/

/** @param secretKey Base64, at least 32 bytes. @param use stable for ever: `clearance`, `room ticket`. */
export function deriveKey(secretKey: string, use: string): Buffer {
  const secret = Buffer.from(secretKey, 'base64')
  return Buffer.from(hkdfSync('sha256', secret, 'tenfold guard', use, keyBytes))
}

/** @param purpose who may verify it: part of what is signed. @param untilMs wall clock: the last millisecond it is good for. */
export function signToken(key: Buffer, purpose: string, claims: TokenClaims, untilMs: number): string {
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
  const until = Math.floor(untilMs).toString(36)
  return `v1.${body}.${until}.${macOf(key, purpose, body, until).toString('base64url')}`
}

/** What was signed; null: not ours, not for this purpose, changed, or too old. Says nothing about being used before. */
export function verifyToken(key: Buffer, purpose: string, token: string, nowMs: number): TokenClaims | null {
  if (token.length > tokenCharsMax) return null
  const parts = shape.exec(token)
  if (parts === null) return null
  const [, body = '', until = '', mac = ''] = parts
  const given = Buffer.from(mac, 'base64url')
  if (given.length !== macBytes || !timingSafeEqual(given, macOf(key, purpose, body, until))) return null
  // The last of 43 characters has two bits that mean nothing: only the spelling that we write counts, so that a token
  // that may be used once has one text.
  if (given.toString('base64url') !== mac) return null
  if (nowMs > Number.parseInt(until, 36)) return null
  return JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as TokenClaims
}

function macOf(key: Buffer, purpose: string, body: string, until: string): Buffer {
  return createHmac('sha256', key).update(`${purpose}\0${body}\0${until}`, 'utf8').digest()
}

/** A short name for something that must not be seen (a session, an API key): keyed, the same for the same text. */
export function nameOf(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text, 'utf8').digest('base64url').slice(0, 22)
}
