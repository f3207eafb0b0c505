// Cache directives as numbers: Cache-Control (RFC 9111 5.2, RFC 5861, RFC 8246) in one pass over its text. What is
// malformed makes an answer less fresh, never fresher; unknown directives say nothing.

import { Ask, type CacheRules, type Fields, type RequestDirectives } from './contract.ts'
import { afterQuoted, isBlank, listMembers, secondsMax, secondsOf, skipBlanks, unquoted } from './scan.ts'

/** Bits of what was said. */
export const Said = {
  noStore: 1,
  noCache: 2,
  private: 4,
  public: 8,
  mustRevalidate: 16,
  proxyRevalidate: 32,
  mustUnderstand: 64,
  immutable: 128,
  onlyIfCached: 256,
} as const

/** Seconds; -1 where a directive is absent. A value that is malformed, or said twice and differently, is 0 (4.2.1). */
export interface Directives {
  flags: number
  maxAge: number
  sharedMaxAge: number
  staleWhileRevalidate: number
  staleIfError: number
  /** `secondsMax` for the bare directive. */
  maxStale: number
  minFresh: number
  /** Lower-case names in `no-cache="a"` and `private="a"`: these fields are not for the store, the rest is. */
  readonly fields: string[]
}

export function nothingSaid(): Directives {
  return {
    flags: 0,
    maxAge: -1,
    sharedMaxAge: -1,
    staleWhileRevalidate: -1,
    staleIfError: -1,
    maxStale: -1,
    minFresh: -1,
    fields: [],
  }
}

/** One that nobody writes to. */
export const noDirectives: Directives = nothingSaid()
const fieldsMax = 32

/** `text`: all values of Cache-Control, joined by commas. */
export function readCacheControl(text: string): Directives {
  const into = nothingSaid()
  let at = 0
  while (at < text.length) {
    at = skipBlanks(text, at)
    const nameEnd = endOf(text, at, true)
    const name = text.slice(at, nameEnd).toLowerCase()
    let value: string | null = null
    let end = nameEnd
    if (text.charCodeAt(nameEnd) === 61) {
      const quoted = text.charCodeAt(nameEnd + 1) === 34
      const valueEnd = quoted ? afterQuoted(text, nameEnd + 1) : endOf(text, nameEnd + 1, false)
      // A quoted string that never closes swallows the rest, and is no value.
      end = valueEnd < 0 ? text.length : valueEnd
      value = text.slice(nameEnd + 1, end)
    }
    const comma = text.indexOf(',', end)
    const rest = text.slice(end, comma < 0 ? text.length : comma).trim()
    if (name !== '') setDirective(into, name, rest === '' ? value : `${value ?? ''} ${rest}`)
    at = comma < 0 ? text.length : comma + 1
  }
  return into
}

/** Where a token ends: at a comma, a blank, or (for a name) `=`. */
function endOf(text: string, from: number, isName: boolean): number {
  let i = from
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 44 || isBlank(code) || (isName && code === 61)) break
  }
  return i
}

export function setDirective(into: Directives, name: string, value: string | null): void {
  switch (name) {
    case 'no-store':
      into.flags |= Said.noStore
      return
    case 'no-cache':
      setQualified(into, Said.noCache, value)
      return
    case 'private':
      setQualified(into, Said.private, value)
      return
    case 'public':
      into.flags |= Said.public
      return
    case 'must-revalidate':
      into.flags |= Said.mustRevalidate
      return
    case 'proxy-revalidate':
      into.flags |= Said.proxyRevalidate
      return
    case 'must-understand':
      into.flags |= Said.mustUnderstand
      return
    case 'immutable':
      into.flags |= Said.immutable
      return
    case 'only-if-cached':
      into.flags |= Said.onlyIfCached
      return
    case 'max-age':
      into.maxAge = agreed(into.maxAge, value)
      return
    case 's-maxage':
      into.sharedMaxAge = agreed(into.sharedMaxAge, value)
      return
    case 'stale-while-revalidate':
      into.staleWhileRevalidate = agreed(into.staleWhileRevalidate, value)
      return
    case 'stale-if-error':
      into.staleIfError = agreed(into.staleIfError, value)
      return
    case 'max-stale':
      into.maxStale = value === null ? secondsMax : agreed(into.maxStale, value)
      return
    case 'min-fresh':
      into.minFresh = agreed(into.minFresh, value)
  }
}

/** 5.2: quoted or not is the same. Twice and differently: 4.2.1 lets the answer be stale. */
export function agreed(before: number, value: string | null): number {
  const text = value?.startsWith('"') && value.endsWith('"') && value.length > 1 ? unquoted(value) : value
  const seconds = secondsOf(text ?? '')
  if (Number.isNaN(seconds)) return 0
  return before === -1 || before === seconds ? seconds : 0
}

/** 5.2.2.4, 5.2.2.7: with field names it is about these fields only. Anything but a quoted list of names is taken for the whole. */
function setQualified(into: Directives, flag: number, value: string | null): void {
  const names = value?.startsWith('"') && value.endsWith('"') && value.length > 2 ? fieldNames(value) : null
  if (names === null || names.length + into.fields.length > fieldsMax) into.flags |= flag
  else into.fields.push(...names)
}

function fieldNames(quoted: string): string[] | null {
  const names = listMembers(unquoted(quoted).toLowerCase(), fieldsMax + 1)
  return names.length > 0 && names.every(isToken) ? names : null
}

const tokenForm = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const isToken = (text: string): boolean => text.length <= 256 && tokenForm.test(text)

const nothingAsked: RequestDirectives = {
  flags: 0,
  maxAgeSeconds: -1,
  maxStaleSeconds: -1,
  minFreshSeconds: -1,
}

/**
 * Of a request. Where a rule says how long (`ttlMs`) clients have no say: else each of them could make the origin work.
 * Pragma counts only without Cache-Control (RFC 9111 5.4).
 */
export function requestDirectives(request: Fields, rules: CacheRules): RequestDirectives {
  if (rules.ttlMs !== undefined) return nothingAsked
  const control = request.find('cache-control')
  if (control === undefined) {
    const pragma = request.find('pragma')
    if (pragma === undefined) return nothingAsked
    const { flags } = readCacheControl(pragma)
    return (flags & Said.noCache) === 0 ? nothingAsked : { ...nothingAsked, flags: Ask.noCache }
  }
  const { flags, fields, maxAge, maxStale, minFresh } = readCacheControl(control)
  const asked =
    ((flags & Said.noCache) !== 0 || fields.length > 0 ? Ask.noCache : 0) |
    ((flags & Said.noStore) === 0 ? 0 : Ask.noStore) |
    ((flags & Said.onlyIfCached) === 0 ? 0 : Ask.onlyIfCached)
  return { flags: asked, maxAgeSeconds: maxAge, maxStaleSeconds: maxStale, minFreshSeconds: minFresh }
}
