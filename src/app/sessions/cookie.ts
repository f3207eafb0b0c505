// Session ids, their signatures, and the cookie that carries them (RFC 6265bis). An id is random; the signature says that
// we made it, so a guessed or planted id costs no look into the store, and a copy of the store opens no session.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

export interface CookieSettings {
  readonly name: string
  readonly domain: string | null
  readonly path: string
  readonly sameSite: 'Lax' | 'Strict' | 'None'
  readonly secure: boolean
  /** Seconds; null: the cookie ends with the browser. */
  readonly maxAgeSeconds: number | null
}

/** 192 bits. */
const idBytes = 24
const idLength = 32
const signatureLength = 43
/** Cookies of our name that are looked at: another host of the domain may have planted some in front of ours. */
const candidatesMax = 8

export function newId(): string {
  return randomBytes(idBytes).toString('base64url')
}

function signature(secret: string, purpose: string, id: string): Buffer {
  return createHmac('sha256', secret).update(`${purpose}\0${id}`).digest()
}

/** What the cookie holds: `ID.SIGNATURE`. */
export function signedId(secret: string, id: string): string {
  return `${id}.${signature(secret, 'session', id).toString('base64url')}`
}

/** The id, and whether its signature is of the newest secret; null: not made by us. */
export function verifiedId(
  secrets: readonly string[],
  value: string,
): { id: string; newest: boolean } | null {
  if (value.length !== idLength + 1 + signatureLength || value[idLength] !== '.') return null
  const id = value.slice(0, idLength)
  const given = Buffer.from(value.slice(idLength + 1), 'base64url')
  const at = secrets.findIndex(secret => same(signature(secret, 'session', id), given))
  return at < 0 ? null : { id, newest: at === 0 }
}

/** A token for forms, bound to the session's id: other sites can't know it, other sessions can't use it. */
export function formToken(secret: string, id: string): string {
  return signature(secret, 'form', id).toString('base64url')
}

export function verifiedFormToken(secrets: readonly string[], id: string, token: string): boolean {
  const given = Buffer.from(token, 'base64url')
  return secrets.some(secret => same(signature(secret, 'form', id), given))
}

function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Values of the cookies with this name, in the order in which they came. */
export function cookieValues(header: string | null | undefined, name: string): readonly string[] {
  if (header === null || header === undefined) return []
  const found: string[] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) found.push(pair.slice(equals + 1).trim())
    if (found.length === candidatesMax) break
  }
  return found
}

/** `Set-Cookie`. A value of null takes the cookie away. */
export function setCookie(settings: CookieSettings, value: string | null): string {
  const age = value === null ? 0 : settings.maxAgeSeconds
  return [
    `${settings.name}=${value ?? ''}`,
    `Path=${settings.path}`,
    ...(settings.domain === null ? [] : [`Domain=${settings.domain}`]),
    ...(age === null ? [] : [`Max-Age=${age}`]),
    'HttpOnly',
    ...(settings.secure ? ['Secure'] : []),
    `SameSite=${settings.sameSite}`,
  ].join('; ')
}
