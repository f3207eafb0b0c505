// Secondary keys (RFC 9111 4.1): the fields that a Vary names, as one text that is equal exactly for requests whose fields
// mean the same. A field is brought into one form only where its grammar says that the forms are equal; of fields that
// are not known to be lists not a byte is changed.

import type { Fields } from './contract.ts'
import { afterQuoted, listMembers } from './scan.ts'

export const varyNamesMax = 16
const valueMembersMax = 64
/** Of the whole secondary key. */
const textMax = 4_096

/** Lower-case names, sorted, without repeats; null: it has a `*`, which nothing matches. */
export function varyNames(field: string | undefined): readonly string[] | null {
  if (field === undefined) return []
  const names = new Set(listMembers(field.toLowerCase(), 256))
  if (names.has('*')) return null
  return [...names].sort()
}

/** The secondary key: without spaces or control characters. Null: too long to be one, so the answer is not stored and nothing is found. */
export function varyText(names: readonly string[], request: Fields): string | null {
  let text = ''
  for (const name of names) {
    const value = request.find(name)
    // Absent is not the same as empty.
    if (value !== undefined) text += `${keyPart(name)}=${keyPart(normalised(name, value))}&`
    if (text.length > textMax) return null
  }
  return text
}

/** Escaped so that parts can't run into each other: `%`, `&`, `=`, `|`, blanks, controls and what is beyond ASCII. */
export function keyPart(text: string): string {
  if (plainForm.test(text)) return text
  let escaped = ''
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const isPlain = code > 32 && code < 127 && code !== 37 && code !== 38 && code !== 61 && code !== 124
    escaped += isPlain ? text[i] : `%${code.toString(16).padStart(2, '0')};`
  }
  return escaped
}
const plainForm = /^[!-$'-<>-{}~]*$/

/** Not lists by their grammar: commas and blanks in them are theirs (RFC 9110, RFC 6265). */
const opaque: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'date',
  'host',
  'if-modified-since',
  'if-range',
  'if-unmodified-since',
  'origin',
  'proxy-authorization',
  'range',
  'referer',
  'user-agent',
])

function normalised(name: string, value: string): string {
  if (opaque.has(name)) return value
  switch (name) {
    case 'accept-encoding':
      return codings(value)
    case 'accept-language':
    case 'accept-charset':
      return weighed(value.toLowerCase())
    case 'accept':
      return weighed(value.includes('=') ? loweredTypes(value) : value.toLowerCase())
    default:
      return listText(value)
  }
}

/** RFC 9110 5.6.1: blanks around the commas of a list mean nothing. */
function listText(value: string): string {
  if (!value.includes(',')) return value.trim()
  return listMembers(value, valueMembersMax + 1).length > valueMembersMax
    ? value
    : listMembers(value, valueMembersMax).join(',')
}

/**
 * Which codings are taken, in whatever order and with whatever weight: who takes the same ones takes the answer that any
 * of them got. Those refused (q=0) stay named, `x-gzip` is gzip (RFC 9110 8.4.1.3).
 */
function codings(value: string): string {
  const members = listMembers(value.toLowerCase(), valueMembersMax + 1)
  if (members.length > valueMembersMax) return value
  const names = new Set<string>()
  for (const member of members) {
    const [coding, weight] = weightOf(member)
    const name = coding === 'x-gzip' ? 'gzip' : coding
    names.add(weight > 0 ? name : `${name};q=0`)
  }
  return [...names].sort().join(',')
}

/** Members by falling weight, equal ones by name: their order among each other means nothing (RFC 9110 12.5.4). */
function weighed(value: string): string {
  const members = listMembers(value, valueMembersMax + 1)
  if (members.length > valueMembersMax || value.includes('"')) return value
  return members
    .map(weightOf)
    .sort(([one, oneWeight], [other, otherWeight]) => otherWeight - oneWeight || (one < other ? -1 : 1))
    .map(([name, weight]) => (weight === 1_000 ? name : `${name};q=${weight}`))
    .join(',')
}

/** The member without its weight, and its weight in thousandths. A malformed weight stays with the name, as 1. */
function weightOf(member: string): [string, number] {
  const parts = member.split(';').map(part => part.trim())
  const at = parts.findIndex((part, index) => index > 0 && /^q=/i.test(part))
  const text = at < 0 ? '' : (parts[at] as string).slice(2)
  if (at < 0 || !/^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(text)) return [parts.join(';'), 1_000]
  return [parts.filter((_, index) => index !== at).join(';'), Math.round(Number(text) * 1_000)]
}

/** Types and parameter names are case-insensitive, parameter values may not be. */
function loweredTypes(value: string): string {
  let lowered = ''
  let from = 0
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) !== 61) continue
    const end = valueEnd(value, i + 1)
    lowered += value.slice(from, i).toLowerCase() + value.slice(i, end)
    from = end
    i = end - 1
  }
  return lowered + value.slice(from).toLowerCase()
}

function valueEnd(value: string, from: number): number {
  if (value.charCodeAt(from) === 34) {
    const after = afterQuoted(value, from)
    return after < 0 ? value.length : after
  }
  let i = from
  while (i < value.length && value[i] !== ',' && value[i] !== ';') i++
  return i
}
