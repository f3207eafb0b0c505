// Header names, values and rules as a system file writes them. It knows no route: where they stand is the caller's.

import type { CheckedHeaderRules } from './checked.ts'
import { defined, into, listOf, mapOf, strict } from './shapes.ts'
import { leaf, Refused, type Schema, token } from './values.ts'

// RFC 9110 7.6.1 and framing: the edge alone writes these.
const framingHeaders = [
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

export function headerName(about: string, ownFraming: boolean): Schema<string> {
  return leaf({
    about,
    allowed: 'a header name, of at most 256 characters',
    json: { type: 'string', minLength: 1, maxLength: 256 },
    parse: value => {
      if (typeof value !== 'string' || value.length > 256 || !token.test(value)) return undefined
      const name = value.toLowerCase()
      return ownFraming && framingHeaders.includes(name)
        ? new Refused('is a header that the edge alone writes', 'Leave it out.')
        : name
    },
  })
}

/** RFC 9110 5.5 field-value, without leading or trailing white space. */
export const headerValue: Schema<string> = leaf<string>({
  about: 'The value.',
  allowed: 'a header value without control characters, of at most 4096 characters',
  json: { type: 'string', maxLength: 4096 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 4096) return undefined
    if (/[\r\n\0]/.test(value)) return new Refused('holds a line break or NUL')
    return /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/.test(value)
      ? value
      : undefined
  },
})

export function headerMap(about: string): Schema<Record<string, string>> {
  const map = mapOf(headerValue, {
    about,
    names: 'header names with their values',
    pattern: token,
    entriesMax: 100,
  })
  return into(map, headers => {
    const lower: Record<string, string> = {}
    for (const [name, value] of Object.entries(headers)) {
      const key = name.toLowerCase()
      if (Object.hasOwn(lower, key)) return new Refused(`names '${key}' twice, in different cases`)
      lower[key] = value
    }
    return lower
  })
}

export function headerRules(about: string): Schema<CheckedHeaderRules> {
  const rules = strict(
    {
      set: headerMap('Set, also where the header is already there.').optional(),
      remove: listOf('Removed.', headerName('A header name.', true), 100).optional(),
    },
    { about },
  )
  return into(rules, keys => {
    const framing = Object.keys(keys.set ?? {}).find(name => framingHeaders.includes(name))
    if (framing) return new Refused(`sets '${framing}', which the edge alone writes`, 'Leave it out.')
    const both = keys.remove?.find(name => Object.hasOwn(keys.set ?? {}, name))
    if (both)
      return new Refused(`both sets and removes '${both}'`, 'Keep one: setting replaces what was there.')
    return defined({ set: keys.set, remove: keys.remove }) as CheckedHeaderRules
  })
}
