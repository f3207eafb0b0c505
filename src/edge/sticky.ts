// Sticky sessions by cookie: which member served a client, signed, so that nobody can choose an instance or learn its
// address. The value names a member by the hash of its id, not by the id. One secret for all edges of a system.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { hashText } from '../policy/hash.ts'
import type { MemberGroup } from './group.ts'
import type { StickySpec } from './snapshot.ts'

type CookieSpec = Extract<StickySpec, { by: 'cookie' }>

const rememberedMax = 4_096

export class StickyCookies {
  readonly #secret: Buffer
  /** value -> member's hash, so that a signature is checked once per value and not per request. */
  readonly #verified = new Map<string, number>()

  constructor(secretBase64: string) {
    this.#secret = Buffer.from(secretBase64, 'base64')
  }

  #sign(upstream: string, member: string): string {
    return createHmac('sha256', this.#secret)
      .update(`${upstream}\n${member}`)
      .digest('base64url')
      .slice(0, 22)
  }

  valueFor(upstream: string, memberId: string): string {
    const name = hashText(memberId).toString(36)
    return `${name}.${this.#sign(upstream, name)}`
  }

  /** Index of the member that the cookie names, or -1: none, unknown or forged. */
  memberOf(group: MemberGroup, value: string): number {
    const hash = this.#hashOf(group.spec.name, value)
    if (hash < 0) return -1
    for (let i = 0; i < group.count; i++) if (group.hash(i) === hash) return i
    return -1
  }

  #hashOf(upstream: string, value: string): number {
    const key = `${upstream}\n${value}`
    const known = this.#verified.get(key)
    if (known !== undefined) return known
    const dot = value.indexOf('.')
    if (dot < 1 || dot > 8 || value.length > 40) return -1
    const name = value.slice(0, dot)
    const expected = Buffer.from(this.#sign(upstream, name))
    const given = Buffer.from(value.slice(dot + 1), 'latin1')
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return -1
    if (this.#verified.size >= rememberedMax) this.#verified.clear()
    const hash = Number.parseInt(name, 36)
    this.#verified.set(key, hash)
    return hash
  }

  setCookieLine(spec: CookieSpec, upstream: string, memberId: string): string {
    return cookieLine(spec, spec.name, this.valueFor(upstream, memberId))
  }

  /** Keeps a client's side of splits and canaries: a cookie of its own, because it outlives members and upstreams. */
  setSideLine(spec: CookieSpec, name: string, hash: number): string {
    const side = hash.toString(36)
    return cookieLine(spec, name, `${side}.${this.#sign(sideScope, side)}`)
  }

  /** The client's hash that the cookie holds, or -1: none or forged. */
  sideOf(value: string): number {
    return this.#hashOf(sideScope, value)
  }
}

/** No upstream has such a name. */
const sideScope = ' side'

function cookieLine(spec: CookieSpec, name: string, value: string): string {
  const age = spec.maxAgeMs === undefined ? '' : `; Max-Age=${Math.round(spec.maxAgeMs / 1000)}`
  const secure = spec.secure ? '; Secure' : ''
  return `Set-Cookie: ${name}=${value}; Path=/; HttpOnly; SameSite=${spec.sameSite}${secure}${age}\r\n`
}

/** The value of a cookie in a Cookie field (RFC 6265 4.2.1), or undefined. */
export function cookieValue(field: string, name: string): string | undefined {
  let from = 0
  while (from < field.length) {
    let to = field.indexOf(';', from)
    if (to < 0) to = field.length
    while (field.charCodeAt(from) === 32) from++
    if (field.startsWith(name, from) && field.charCodeAt(from + name.length) === 61)
      return field.slice(from + name.length + 1, to).trim()
    from = to + 1
  }
  return undefined
}

/** The first value of a query parameter in a target, percent-decoded; undefined when it is not there. */
export function queryValue(target: string, name: string): string | undefined {
  const mark = target.indexOf('?')
  return mark < 0 ? undefined : (new URLSearchParams(target.slice(mark + 1)).get(name) ?? undefined)
}
