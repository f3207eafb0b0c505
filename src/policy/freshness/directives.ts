// Cache directives as numbers: Cache-Control (RFC 9111 5.2, RFC 5861, RFC 8246) in one pass over its text, and which of a
// response's fields counts: CDN-Cache-Control (RFC 9213), Surrogate-Control, or Cache-Control. What is malformed makes an
// answer less fresh, never fresher; unknown directives say nothing.

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

function nothingSaid(): Directives {
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

function setDirective(into: Directives, name: string, value: string | null): void {
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
function agreed(before: number, value: string | null): number {
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

/** Which fields of a response speak for a shared cache. */
export interface Spoken {
  readonly directives: Directives
  /** RFC 9213 2.2: a targeted field stands in for Cache-Control and for Expires. */
  readonly targeted: boolean
}

export function spokenBy(response: Fields): Spoken {
  const forCdns = response.find('cdn-cache-control')
  if (forCdns !== undefined) {
    const directives = readTargeted(forCdns)
    if (directives !== null) return { directives, targeted: true }
  }
  const forSurrogates = response.find('surrogate-control')
  if (forSurrogates !== undefined) {
    const directives = readSurrogateControl(forSurrogates)
    if (directives !== null) return { directives, targeted: true }
  }
  const control = response.find('cache-control')
  return { directives: control === undefined ? noDirectives : readCacheControl(control), targeted: false }
}

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

// --- RFC 9213: a dictionary of structured fields (RFC 8941 3.2); only what is valid as a whole counts

const keyForm = /^[a-z*][a-z0-9_\-.*]*$/
const integerForm = /^-?[0-9]{1,15}$/
const decimalForm = /^-?[0-9]{1,12}\.[0-9]{1,3}$/
const tokenItemForm = /^[a-zA-Z*][!#$%&'*+\-.^_`|~0-9a-zA-Z:/]*$/
const stringForm = /^"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"$/
const bytesForm = /^:[A-Za-z0-9+/=]*:$/
const membersMax = 64

/** Null where it must be ignored: empty, or malformed anywhere (2.1). */
function readTargeted(text: string): Directives | null {
  const into = nothingSaid()
  const members = listOrNull(text)
  if (members === null) return null
  const last = new Map<string, string | null>()
  for (const member of members) {
    const [name, value] = readMember(member) ?? [null, null]
    if (name === null) return null
    // RFC 8941 3.2: the last of several stands.
    last.delete(name)
    last.set(name, value)
  }
  for (const [name, value] of last) setTargeted(into, name, value)
  return into
}

/** The members with their blanks trimmed; null for an empty list or an empty member. */
function listOrNull(text: string): string[] | null {
  const trimmed = text.trim()
  const members = listMembers(trimmed, membersMax + 1)
  if (members.length === 0 || members.length > membersMax) return null
  let commas = 0
  for (let i = 0; i < trimmed.length; i++) {
    if (trimmed.charCodeAt(i) === 34) {
      const after = afterQuoted(trimmed, i)
      if (after < 0) return null
      i = after - 1
    } else if (trimmed.charCodeAt(i) === 44) commas++
  }
  return commas === members.length - 1 ? members : null
}

/** Name and bare item (null: `true`), without parameters, which say nothing here. Null when it is malformed. */
function readMember(member: string): [string, string | null] | null {
  const parts = partsOf(member)
  const [first = '', ...parameters] = parts
  const equals = first.indexOf('=')
  const name = equals < 0 ? first : first.slice(0, equals)
  if (!keyForm.test(name)) return null
  for (const parameter of parameters) {
    const at = parameter.indexOf('=')
    if (!keyForm.test(at < 0 ? parameter : parameter.slice(0, at))) return null
    if (at >= 0 && !isBareItem(parameter.slice(at + 1))) return null
  }
  if (equals < 0) return [name, null]
  const value = first.slice(equals + 1)
  if (value.startsWith('(')) return value.endsWith(')') ? [name, value] : null
  return isBareItem(value) ? [name, value === '?1' ? null : value] : null
}

/** At semicolons that are not in quotes; blanks are allowed after them only. */
function partsOf(member: string): string[] {
  const parts: string[] = []
  let from = 0
  for (let i = 0; i <= member.length; i++) {
    const code = member.charCodeAt(i)
    if (code === 34) {
      const after = afterQuoted(member, i)
      if (after < 0) return ['']
      i = after - 1
    } else if (i === member.length || code === 59) {
      const part = member.slice(from, i)
      parts.push(parts.length === 0 ? part : part.trimStart())
      from = i + 1
    }
  }
  return parts
}

function isBareItem(text: string): boolean {
  return (
    integerForm.test(text) ||
    decimalForm.test(text) ||
    tokenItemForm.test(text) ||
    stringForm.test(text) ||
    bytesForm.test(text) ||
    text === '?0' ||
    text === '?1'
  )
}

const takesSeconds: ReadonlySet<string> = new Set([
  'max-age',
  's-maxage',
  'stale-while-revalidate',
  'stale-if-error',
])

/** A directive whose value has another type than it should is ignored, but for those that forbid: these stand. */
function setTargeted(into: Directives, name: string, value: string | null): void {
  if (takesSeconds.has(name)) {
    if (value !== null && integerForm.test(value)) setDirective(into, name, value)
    return
  }
  if (value === '?0') return
  setDirective(into, name, value)
}

// --- Surrogate-Control (Edge Architecture, 2001): `max-age=3600+600;name, no-store, content="ESI/1.0"`

const surrogateName = 'tenfold'

/** Null where it says nothing about storing or freshness: then Cache-Control stands. A directive for another target is not for us. */
function readSurrogateControl(text: string): Directives | null {
  const into = nothingSaid()
  let said = false
  for (const member of listMembers(text, membersMax)) {
    const [directive = '', target = surrogateName] = partsOf(member)
    if (target.trim().toLowerCase() !== surrogateName) continue
    const equals = directive.indexOf('=')
    const name = (equals < 0 ? directive : directive.slice(0, equals)).toLowerCase()
    if (name === 'no-store') into.flags |= Said.noStore
    else if (name === 'max-age') setSurrogateAge(into, directive.slice(equals + 1))
    else continue
    said = true
  }
  return said ? into : null
}

/** `3600+600`: fresh for so long, and stale while it is validated for so long after that. */
function setSurrogateAge(into: Directives, value: string): void {
  const plus = value.indexOf('+')
  into.maxAge = agreed(into.maxAge, plus < 0 ? value : value.slice(0, plus))
  if (plus >= 0) into.staleWhileRevalidate = agreed(into.staleWhileRevalidate, value.slice(plus + 1))
}
