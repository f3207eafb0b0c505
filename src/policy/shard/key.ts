// Values of keys: from the texts and bytes in which clients send them to one form for each value, so that what PostgreSQL
// takes for equal is placed alike. What is not plainly a value of its type is none: it is refused, never guessed.

import type { KeyType } from './contract.ts'

const integerPattern = /^[ \t\n\r\f\v]*([+-]?)0*(\d+)[ \t\n\r\f\v]*$/
const datePattern = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/
const timePattern =
  /^(\d{4,7}-\d\d-\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?( BC)?$/

const limits: Readonly<Record<'smallint' | 'integer', number>> = { smallint: 0x8000, integer: 0x8000_0000 }
const bigMax = 1n << 63n

/**
 * The one form of a value: integers without signs and zeros in front, UUIDs as PostgreSQL prints them, `t` and `f`, dates as
 * days and times as microseconds since 2000-01-01 (or `infinity`, `-infinity`); texts as they are. Null: not a value of the
 * type, or one whose meaning depends on the session's settings (a timestamptz without an offset, a date that is not ISO).
 */
export function canonicalKey(type: KeyType, text: string): string | null {
  switch (type) {
    case 'text':
      return text
    case 'smallint':
    case 'integer':
    case 'bigint':
      return canonicalInteger(type, text)
    case 'uuid':
      return canonicalUuid(text)
    case 'boolean':
      return canonicalBoolean(text)
    case 'date':
      return infinite(text) ?? daysText(text)
    default:
      return infinite(text) ?? microseconds(text, type === 'timestamptz')
  }
}

/** Digits without a sign or a zero in front: how nearly every key is written. */
function isShort(text: string, digitsMax: number): boolean {
  const { length } = text
  if (length === 0 || length > digitsMax) return false
  for (let at = 0; at < length; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return false
  }
  return length === 1 || text.charCodeAt(0) !== 0x30
}

function canonicalInteger(type: 'smallint' | 'integer' | 'bigint', text: string): string | null {
  if (isShort(text, type === 'bigint' ? 15 : type === 'integer' ? 9 : 4)) return text
  const match = integerPattern.exec(text)
  if (match === null) return null
  const digits = match[2] as string
  const value = match[1] === '-' && digits !== '0' ? `-${digits}` : digits
  if (digits.length > 19) return null
  if (type === 'bigint') {
    if (digits.length < 19) return value
    const big = BigInt(value)
    return big >= -bigMax && big < bigMax ? value : null
  }
  const number = Number(value)
  return number >= -limits[type] && number < limits[type] ? value : null
}

const canonicalUuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function canonicalUuid(text: string): string | null {
  if (canonicalUuidPattern.test(text)) return text
  const inner = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  // A hyphen may stand behind each group of four.
  if (!/^[0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7}$/.test(inner)) return null
  const hex = inner.replaceAll('-', '').toLowerCase()
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function canonicalBoolean(text: string): string | null {
  const word = text.trim().toLowerCase()
  if (word === '') return null
  if ('true'.startsWith(word) || 'yes'.startsWith(word) || word === 'on' || word === '1') return 't'
  if ('false'.startsWith(word) || 'no'.startsWith(word) || word === 'off' || word === 'of' || word === '0')
    return 'f'
  return null
}

function infinite(text: string): string | null {
  const word = text.toLowerCase()
  return word === 'infinity' || word === '-infinity' ? word : null
}

function daysText(text: string): string | null {
  const days = daysOf(text)
  return days === null ? null : String(days)
}

/** Days since 2000-01-01 of `YYYY-MM-DD` or `YYYY-MM-DD BC` (proleptic Gregorian). */
function daysOf(text: string): number | null {
  const match = datePattern.exec(text)
  if (match === null) return null
  const named = Number(match[1])
  if (named === 0) return null
  const year = match[4] === undefined ? named : 1 - named
  const month = Number(match[2])
  const day = Number(match[3])
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null
  return daysFromCivil(year, month, day) - daysFromCivil(2000, 1, 1)
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Howard Hinnant's days_from_civil. */
function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const ofEra = shifted - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719468
}

function microseconds(text: string, zoned: boolean): string | null {
  const match = timePattern.exec(text)
  if (match === null) {
    // A date alone is its midnight; with a zone it depends on the session's.
    const days = zoned ? null : daysOf(text)
    return days === null ? null : String(BigInt(days) * 86_400_000_000n)
  }
  const [, date, hour, minute, second = '0', fraction = '', zone, bc = ''] = match
  const days = daysOf(`${date}${bc}`)
  if (days === null) return null
  if (zoned !== (zone !== undefined)) return null
  const [hours, minutes, seconds] = [Number(hour), Number(minute), Number(second)]
  if (hours > 23 || minutes > 59 || seconds > 59) return null
  const ofDay = (hours * 3600 + minutes * 60 + seconds - offsetSeconds(zone)) * 1_000_000
  const micro = ofDay + Number(fraction.padEnd(6, '0'))
  return String(BigInt(days) * 86_400_000_000n + BigInt(micro))
}

function offsetSeconds(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const [hours = 0, minutes = 0, seconds = 0] = (zone.slice(1).match(/\d\d/g) ?? []).map(Number)
  return (zone.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds)
}

/** A parameter in PostgreSQL's binary format, as text that `canonicalKey` takes; null: not such a value. */
export function keyTextOfBinary(type: KeyType, bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (type) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      if (bytes.length === 8) return String(view.getBigInt64(0))
      if (bytes.length === 4) return String(view.getInt32(0))
      return bytes.length === 2 ? String(view.getInt16(0)) : null
    case 'text':
      return utf8.decode(bytes)
    case 'boolean':
      return bytes.length === 1 ? (bytes[0] === 0 ? 'f' : 't') : null
    case 'uuid': {
      if (bytes.length !== 16) return null
      return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
    }
    default:
      return null
  }
}

/** The same, in the form of `canonicalKey` at once: dates and times have no text of their own here. */
export function canonicalOfBinary(type: KeyType, bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (type === 'date') {
    if (bytes.length !== 4) return null
    const days = view.getInt32(0)
    if (days === 0x7fff_ffff) return 'infinity'
    return days === -0x8000_0000 ? '-infinity' : String(days)
  }
  if (type === 'timestamp' || type === 'timestamptz') {
    if (bytes.length !== 8) return null
    const micro = view.getBigInt64(0)
    if (micro === bigMax - 1n) return 'infinity'
    return micro === -bigMax ? '-infinity' : String(micro)
  }
  const text = keyTextOfBinary(type, bytes)
  return text === null ? null : canonicalKey(type, text)
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const utf8Out: TextEncoder = new TextEncoder()

/** -1, 0, 1: canonical values in the order of their type; texts by bytes, as the collation "C" has them. */
export function compareKeys(type: KeyType, left: string, right: string): number {
  if (left === right) return 0
  switch (type) {
    case 'text': {
      const one = utf8Out.encode(left)
      const other = utf8Out.encode(right)
      const length = Math.min(one.length, other.length)
      for (let at = 0; at < length; at++) {
        const difference = (one[at] as number) - (other[at] as number)
        if (difference !== 0) return difference < 0 ? -1 : 1
      }
      return one.length < other.length ? -1 : 1
    }
    case 'uuid':
    case 'boolean':
      return left < right ? -1 : 1
    default: {
      const one = ordinal(left)
      const other = ordinal(right)
      return one === other ? 0 : one < other ? -1 : 1
    }
  }
}

function ordinal(text: string): bigint {
  if (text === 'infinity') return bigMax
  return text === '-infinity' ? -bigMax - 1n : BigInt(text)
}

export { utf8Out as keyEncoder }
