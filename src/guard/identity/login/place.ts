// Where a login happens and where it leads: the origin that the browser sees, paths on it and nothing else, and the names
// of cookies, which over TLS no other host of the domain can plant (`__Host-`, RFC 6265bis 4.1.3).

import type { Passage } from '../../passage.ts'

export interface Place {
  readonly origin: string
  /** Cookies are `Secure`. In the clear on loopback they can't be; anywhere else in the clear nobody logs in. */
  readonly secure: boolean
}

const authorityForm = /^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?|\[[0-9a-f:]+\])(?::\d{1,5})?$/
const loopbackForm = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/
const targetCharsMax = 1_024

/**
 * Null: in the clear where others can listen, or a Host that is none.
 * @param origins of the file: behind a proxy that ends TLS only they can say that it is HTTPS.
 */
export function placeOf(passage: Passage, origins: readonly string[]): Place | null {
  const authority = passage.head.authority.toLowerCase()
  if (!authorityForm.test(authority)) return null
  const secured = `https://${authority}`
  const client = passage.client
  const behindTls = client !== null && client.trusted === true && origins.includes(secured)
  if ((client !== null && client.tls !== null) || behindTls)
    return { origin: new URL(secured).origin, secure: true }
  if (!loopbackForm.test(authority)) return null
  return { origin: new URL(`http://${authority}`).origin, secure: false }
}

/** A path on this host, or `/`: `//host`, `/\host`, other schemes and control characters lead elsewhere in browsers. */
export function safePath(target: string | undefined): string {
  if (target === undefined || target.length > targetCharsMax) return '/'
  if (!/^\/(?![/\\])[\x21-\x7e]*$/.test(target) || target.includes('\\')) return '/'
  // Dots are resolved by browsers: `/.//host` would become `//host`. Our own pages would lead in circles.
  const { pathname, search } = new URL(target, 'http://here.invalid')
  if (pathname.startsWith('//') || /^\/\.tenfold\//i.test(pathname)) return '/'
  return pathname + search
}

export const sessionCookie = (name: string, secure: boolean): string =>
  `${secure ? '__Host-' : ''}tenfold_session_${name}`

export const flowCookie = (name: string, secure: boolean): string =>
  `${secure ? '__Host-' : ''}tenfold_login_${name}_`

/** @param seconds 0: the browser forgets it. */
export function cookieField(cookie: string, value: string, seconds: number, secure: boolean): string {
  return `Set-Cookie: ${cookie}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}\r\n`
}

/** Values of cookies whose names begin so, by the rest of their names. A name that comes twice counts for nothing. */
export function cookiesBeginning(passage: Passage, beginning: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const pair of (passage.head.find('cookie') ?? '').split(/[;,]/)) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, Math.max(0, equals)).trim()
    if (!name.startsWith(beginning)) continue
    const rest = name.slice(beginning.length)
    found.set(rest, found.has(rest) ? '' : pair.slice(equals + 1).trim())
  }
  return found
}
