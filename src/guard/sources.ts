// What a source of the file means for one request: the value that a limit, a room or a quota counts by. A value that
// could be read in two ways is missing, so that nobody splits a key or borrows somebody else's; what a missing value means
// is the asker's to say.

import { createHash } from 'node:crypto'
import type { CheckedSource } from '../file/checked-guard.ts'
import { fieldIdOf } from '../wire/fields.ts'
import type { RequestHead } from '../wire/head.ts'
import { addressKey } from './address-key.ts'
import type { Passage } from './passage.ts'
import type { GuardVisit } from './visit.ts'

/** Longer values count by their SHA-256. */
export const valueCharsMax = 256

/** What only some parts know; they set it in `prepare`. Null: nobody knows. */
export interface SourceHooks {
  /** ISO 3166 code of an address. */
  country: ((address: string) => string | undefined) | null
  /** Number of the autonomous system. */
  asn: ((address: string) => string | undefined) | null
}

/** Undefined: missing, empty, or several different ones. */
export function sourceValue(source: CheckedSource, passage: Passage, visit: GuardVisit): string | undefined {
  const value = rawValue(source, passage, visit)
  if (value === undefined || value === '') return undefined
  return value.length <= valueCharsMax ? value : hashed(value)
}

/** The first source that has a value. */
export function firstValue(
  sources: readonly CheckedSource[],
  passage: Passage,
  visit: GuardVisit,
): string | undefined {
  for (const source of sources) {
    const value = sourceValue(source, passage, visit)
    if (value !== undefined) return value
  }
  return undefined
}

function rawValue(source: CheckedSource, passage: Passage, visit: GuardVisit): string | undefined {
  switch (source.by) {
    case 'ip':
      return addressValue(source, passage, visit)
    case 'account':
      return visit.account
    case 'session':
      return visit.session
    case 'key':
      return visit.key
    case 'fingerprint':
      return passage.client?.hello?.ja4
    case 'country':
      return visit.hooks.country?.(passage.address)
    case 'asn':
      return visit.hooks.asn?.(passage.address)
    case 'route':
      return visit.route.id
    case 'all':
      return 'all'
    case 'header':
      return headerValue(passage.head, source.name)
    case 'cookie':
      return cookieValue(passage.head, source.name)
    case 'query':
      return queryValue(passage.target, source.name)
    case 'path':
      return unescaped(passage.pathParameter(source.name))
    case 'jwt':
      return claimText(visit.claims?.[source.name])
  }
}

function addressValue(
  source: Extract<CheckedSource, { by: 'ip' }>,
  passage: Passage,
  visit: GuardVisit,
): string {
  const { ipv4Bits, ipv6Bits } = source
  if (ipv4Bits === undefined && ipv6Bits === undefined) return visit.addressKey
  return addressKey(passage.address, ipv4Bits ?? 32, ipv6Bits ?? visit.ipv6PrefixBits)
}

/** The one value; undefined when there are several different ones, or none. */
class One {
  value: string | undefined = undefined
  #split = false

  add(value: string): void {
    if (this.value === undefined && !this.#split) this.value = value
    else if (value !== this.value) {
      this.#split = true
      this.value = undefined
    }
  }
}

/** @param name any case. */
export function headerValue(head: RequestHead, name: string): string | undefined {
  const wanted = name.toLowerCase()
  const id = fieldIdOf(wanted)
  const isCredential = wanted === 'authorization'
  if (id !== 0 && head.firstOf(id) < 0) return undefined
  const one = new One()
  for (let i = 0; i < head.count; i++) {
    if (head.idAt(i) !== id) continue
    if (id === 0 && head.nameAt(i).toLowerCase() !== wanted) continue
    one.add(isCredential ? credential(head.valueAt(i)) : head.valueAt(i))
  }
  return one.value
}

/**
 * One spelling of `Authorization`: the scheme in lower case, one blank (RFC 9110 11.4), and of Basic what its base64
 * means. Else each spelling of one key would have a count of its own.
 */
function credential(value: string): string {
  const [, scheme = '', rest = ''] = /^([^ \t]+)[ \t]+(.*)$/.exec(value) ?? []
  const lower = scheme.toLowerCase()
  if (lower === 'basic') return `basic ${Buffer.from(rest, 'base64').toString('base64')}`
  return scheme === '' ? value : `${lower} ${rest}`
}

/**
 * Names are case-sensitive (RFC 6265 5.2). Values count without quotes around them and decoded of percent-encodings, as
 * the cookie readers of many frameworks take them: no spelling of one session has a count of its own.
 */
export function cookieValue(head: RequestHead, name: string): string | undefined {
  const text = head.find('cookie')
  if (text === undefined) return undefined
  const one = new One()
  for (const part of text.split(';')) {
    const equals = part.indexOf('=')
    if (equals > 0 && part.slice(0, equals).trim() === name) one.add(cookieText(part.slice(equals + 1)))
  }
  return one.value
}

function cookieText(part: string): string {
  const value = part.trim()
  const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"')
  return unescaped(isQuoted ? value.slice(1, -1) : value)
}

/** @param target path and query. Names and values count decoded: `%61` is `a`, `+` is a space. */
export function queryValue(target: string, name: string): string | undefined {
  const mark = target.indexOf('?')
  if (mark < 0) return undefined
  const one = new One()
  for (const part of target.slice(mark + 1).split('&')) {
    const equals = part.indexOf('=')
    if (decoded(equals < 0 ? part : part.slice(0, equals)) !== name) continue
    one.add(equals < 0 ? '' : decoded(part.slice(equals + 1)))
  }
  return one.value
}

function decoded(text: string): string {
  return unescaped(text.replaceAll('+', ' '))
}

/** What is no UTF-8 is decoded byte by byte: also then one value has one spelling. */
function unescaped<Text extends string | undefined>(text: Text): Text | string {
  if (text === undefined || !text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
  }
}

function claimText(claim: unknown): string | undefined {
  if (typeof claim === 'string') return claim
  return typeof claim === 'number' || typeof claim === 'boolean' ? String(claim) : undefined
}

function hashed(value: string): string {
  return `sha256:${createHash('sha256').update(value, 'utf8').digest('base64url')}`
}
