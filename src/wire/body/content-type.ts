// A Content-Type, strictly (RFC 9110 8.3, RFC 2045 5.1): one media type, parameters that are well-formed and come once,
// a charset that every reader takes for the same bytes. Says which of our readers a type is for.

import { BodyFault } from './reading.ts'

export interface ContentType {
  /** Lower case, without parameters. */
  readonly type: string
  /** By lower-case name, unquoted. */
  readonly parameters: ReadonlyMap<string, string>
}

/** `text`: no structure of its own. Null: nothing here reads it. */
export type BodyKind = 'urlencoded' | 'multipart' | 'json' | 'xml' | 'text' | null

const mediaType = /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}\/[!#$%&'*+.^_`|~0-9a-z-]{1,127}$/
const tokenChars = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const parametersMax = 8
const charsets = ['utf-8', 'utf8', 'us-ascii', 'ascii']

/** Throws BodyFault. `at` of its faults is 0: a field is no place in the body. */
export function contentTypeOf(value: string, what = 'Content-Type'): ContentType {
  const semicolon = value.indexOf(';')
  const type = withoutBlanks(semicolon < 0 ? value : value.slice(0, semicolon)).toLowerCase()
  if (!mediaType.test(type)) throw new BodyFault('content-type', `${what} is not one media type.`, 0)
  const parameters = semicolon < 0 ? new Map<string, string>() : parametersOf(value, semicolon, what)
  const charset = parameters.get('charset')
  if (charset !== undefined && !charsets.includes(charset.toLowerCase()))
    throw new BodyFault('charset', `${what} names a charset that is not UTF-8 or US-ASCII.`, 0)
  return { type, parameters }
}

/**
 * `; name=value; name="value"` from `from` to the end. Neither escapes in quotes nor anything after them: RFC 9110 and
 * browsers read those differently. Throws BodyFault.
 */
export function parametersOf(value: string, from: number, what: string): Map<string, string> {
  const found = new Map<string, string>()
  let at = from
  while (at < value.length) {
    at = skipBlanks(value, at)
    if (at >= value.length && found.size > 0) break
    if (value[at] !== ';') throw malformed(what)
    at = skipBlanks(value, at + 1)
    const equals = value.indexOf('=', at)
    const name = equals < 0 ? '' : value.slice(at, equals).toLowerCase()
    if (!tokenChars.test(name)) throw malformed(what)
    if (found.has(name)) throw new BodyFault('parameter-twice', `${what} has a parameter twice.`, 0)
    if (found.size >= parametersMax) throw malformed(what)
    const end = valueEnd(value, equals + 1, what)
    const quoted = value[equals + 1] === '"'
    found.set(name, quoted ? value.slice(equals + 2, end - 1) : value.slice(equals + 1, end))
    at = end
  }
  return found
}

function valueEnd(value: string, from: number, what: string): number {
  if (value[from] !== '"') {
    let at = from
    while (at < value.length && value[at] !== ';' && value[at] !== ' ' && value[at] !== '\t') at++
    if (!tokenChars.test(value.slice(from, at))) throw malformed(what)
    return at
  }
  const end = value.indexOf('"', from + 1)
  if (end < 0) throw malformed(what)
  for (let at = from + 1; at < end; at++) {
    const code = value.charCodeAt(at)
    if (code === 0x5c) throw new BodyFault('quoting', `${what} has a backslash in quotes.`, 0)
    if (code < 0x20 || code === 0x7f) throw malformed(what)
  }
  return end + 1
}

/** `trim` would take other bytes too: U+00A0 is one. */
export function withoutBlanks(value: string): string {
  const from = skipBlanks(value, 0)
  let to = value.length
  while (to > from && (value[to - 1] === ' ' || value[to - 1] === '\t')) to--
  return value.slice(from, to)
}

function skipBlanks(value: string, from: number): number {
  let at = from
  while (value[at] === ' ' || value[at] === '\t') at++
  return at
}

function malformed(what: string): BodyFault {
  return new BodyFault('parameters', `The parameters of ${what} are malformed.`, 0)
}

export function bodyKindOf(type: string): BodyKind {
  if (type === 'application/x-www-form-urlencoded') return 'urlencoded'
  if (type === 'multipart/form-data') return 'multipart'
  if (type === 'application/json' || type === 'text/json' || type.endsWith('+json')) return 'json'
  if (type === 'application/xml' || type === 'text/xml' || type.endsWith('+xml')) return 'xml'
  return type === 'text/plain' || type === 'application/graphql' ? 'text' : null
}
