// Which of a response's fields speaks to a shared cache: CDN-Cache-Control (RFC 9213), Surrogate-Control, or Cache-Control;
// and how the first two are read. Strict where the RFC is: one malformed member, and the field is as if it were not there.

import type { Fields } from './contract.ts'
import {
  agreed,
  type Directives,
  noDirectives,
  nothingSaid,
  readCacheControl,
  Said,
  setDirective,
} from './directives.ts'
import { afterQuoted, listMembers } from './scan.ts'

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
