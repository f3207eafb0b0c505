// A sharding key's value as the router meets it: text of a literal or of a parameter, or its binary form. Read by the
// column's type, never by the literal's, because that is what decides equality and the hash. What can't be read for
// certain (a date in another style, an expression) is no key: whoever asks must not guess. One object is used again for
// every statement; nothing is allocated but for texts.

import { type Hash64, hashInt8, hashKeyBytes, hashUint32 } from './key-hash.ts'

export type KeyType =
  | 'int2'
  | 'int4'
  | 'int8'
  | 'text'
  | 'varchar'
  | 'bpchar'
  | 'uuid'
  | 'bytea'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'bool'

export const keyTypes: readonly KeyType[] = [
  'int2',
  'int4',
  'int8',
  'text',
  'varchar',
  'bpchar',
  'uuid',
  'bytea',
  'date',
  'timestamp',
  'timestamptz',
  'bool',
]

const none = new Uint8Array(0)
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const space = 0x20
/** Microseconds of a day, and days from 1970 to 2000, where PostgreSQL's dates begin. */
const dayUs = 86_400_000_000
const epochDays = 10_957

export class ShardKey implements Hash64 {
  readonly type: KeyType
  /** Of an integer, a date (days since 2000), a time (microseconds since 2000): two's complement halves. */
  high = 0
  low = 0
  /** Of everything else: `bytes[from..to)`. */
  bytes: Uint8Array = none
  from = 0
  to = 0

  constructor(type: KeyType) {
    this.type = type
  }

  /** Is it one number (two halves), or bytes? */
  get isNumber(): boolean {
    return numberTypes.has(this.type)
  }

  /** @returns false: this text is no certain value of the type. */
  readText(text: string): boolean {
    switch (this.type) {
      case 'int2':
      case 'int4':
      case 'int8':
        return this.#integer(text)
      case 'text':
      case 'varchar':
        return this.#whole(encoder.encode(text))
      case 'bpchar':
        return this.#whole(encoder.encode(text.replace(/ +$/, '')))
      case 'uuid':
        return this.#uuid(text)
      case 'bytea':
        return this.#hexadecimal(text)
      case 'date':
      case 'timestamp':
      case 'timestamptz':
        return this.#time(text)
      case 'bool':
        return this.#boolean(text)
    }
  }

  /** PostgreSQL's binary form (typsend); an integer of another width counts by its value. */
  readBinary(bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from
    switch (this.type) {
      case 'int2':
      case 'int4':
      case 'int8':
        return (length === 2 || length === 4 || length === 8) && this.#bigEndian(bytes, from, length)
      case 'date':
        return length === 4 && this.#bigEndian(bytes, from, 4)
      case 'timestamp':
      case 'timestamptz':
        return length === 8 && this.#bigEndian(bytes, from, 8)
      case 'bool':
        return length === 1 && this.#number(bytes[from] === 0 ? 0 : 1)
      case 'uuid':
        return length === 16 && this.#part(bytes, from, to)
      case 'bpchar':
        while (to > from && bytes[to - 1] === space) to--
        return this.#part(bytes, from, to)
      default:
        return this.#part(bytes, from, to)
    }
  }

  /** As `hash...extended(key, 0)` of the type's operator class says. */
  hash(into: Hash64): void {
    switch (this.type) {
      case 'int2':
      case 'int4':
      case 'int8':
      case 'timestamp':
      case 'timestamptz':
        hashInt8(this.high, this.low, into)
        break
      case 'date':
      case 'bool':
        hashUint32(this.low, into)
        break
      default:
        hashKeyBytes(this.bytes, this.from, this.to, into)
    }
  }

  /** < 0, 0, > 0: numbers by value, everything else by its bytes (as COLLATE "C" does). Of the same type only. */
  compare(other: ShardKey): number {
    if (this.isNumber)
      return this.high === other.high ? (this.low >>> 0) - (other.low >>> 0) : this.high - other.high
    const length = Math.min(this.to - this.from, other.to - other.from)
    for (let i = 0; i < length; i++) {
      const difference = this.bytes[this.from + i]! - other.bytes[other.from + i]!
      if (difference !== 0) return difference
    }
    return this.to - this.from - (other.to - other.from)
  }

  /** One text for one value: of lists, directories and messages. */
  get text(): string {
    switch (this.type) {
      case 'text':
      case 'varchar':
      case 'bpchar':
        return decoder.decode(this.bytes.subarray(this.from, this.to))
      case 'uuid':
        return hexadecimalOf(this).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
      case 'bytea':
        return `\\x${hexadecimalOf(this)}`
      default:
        return String((BigInt(this.high) << 32n) | BigInt(this.low >>> 0))
    }
  }

  #number(value: number): boolean {
    this.high = Math.floor(value / 2 ** 32) | 0
    this.low = value | 0
    return true
  }

  #integer(text: string): boolean {
    if (!/^\s*[+-]?\d{1,19}\s*$/.test(text)) return false
    const value = Number(text)
    // ToInt32 is exact for whole numbers up to 2^53.
    if (Number.isSafeInteger(value)) return this.#number(value)
    const exact = BigInt(text)
    if (BigInt.asIntN(64, exact) !== exact) return false
    this.high = Number(exact >> 32n) | 0
    this.low = Number(exact & 0xffff_ffffn) | 0
    return true
  }

  #bigEndian(bytes: Uint8Array, from: number, length: number): boolean {
    if (length === 2) return this.#number(((bytes[from]! << 24) >> 16) | bytes[from + 1]!)
    this.low = int32(bytes, from + length - 4)
    this.high = length === 8 ? int32(bytes, from) : this.low >> 31
    return true
  }

  #whole(bytes: Uint8Array): boolean {
    return this.#part(bytes, 0, bytes.length)
  }

  #part(bytes: Uint8Array, from: number, to: number): boolean {
    this.bytes = bytes
    this.from = from
    this.to = to
    return true
  }

  /** As uuid_in reads it: braces, and a hyphen behind any group of four digits. */
  #uuid(text: string): boolean {
    const digits = /^\{.*\}$/.test(text) ? text.slice(1, -1) : text
    if (!/^([0-9a-f]{4}-?){7}[0-9a-f]{4}$/i.test(digits)) return false
    return this.#digits(digits.replaceAll('-', ''))
  }

  #hexadecimal(text: string): boolean {
    return /^\\x([0-9a-f]{2})*$/i.test(text) && this.#digits(text.slice(2))
  }

  #digits(text: string): boolean {
    const bytes = new Uint8Array(text.length / 2)
    for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
    return this.#whole(bytes)
  }

  #boolean(text: string): boolean {
    const word = text.trim().toLowerCase()
    if (word === 't' || word === 'true' || word === '1' || word === 'on' || word === 'yes')
      return this.#number(1)
    if (word === 'f' || word === 'false' || word === '0' || word === 'off' || word === 'no')
      return this.#number(0)
    return false
  }

  /** ISO 8601 only, and with an offset where the type has one: anything else depends on the session. */
  #time(text: string): boolean {
    const read = isoTime.exec(text)
    if (read === null) return false
    const [, year, month, day, hour, minute, second = '0', fraction = '', zone] = read
    const days = daysOf(Number(year), Number(month), Number(day))
    if (days === null) return false
    if (this.type === 'date') return hour === undefined && this.#number(days)
    const offset = offsetUs(zone)
    if (this.type === 'timestamptz' ? zone === undefined : zone !== undefined) return false
    if (Number(hour ?? 0) > 23 || Number(minute ?? 0) > 59 || Number(second) > 59) return false
    const clock = (Number(hour ?? 0) * 3600 + Number(minute ?? 0) * 60 + Number(second)) * 1e6
    return this.#number(days * dayUs + clock + Number(fraction.padEnd(6, '0')) - offset)
  }
}

const numberTypes: ReadonlySet<KeyType> = new Set([
  'int2',
  'int4',
  'int8',
  'date',
  'timestamp',
  'timestamptz',
  'bool',
])

const isoTime =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/

/** Days since 2000-01-01 of a day of the Gregorian calendar (Hinnant, days_from_civil); null: there is no such day. */
function daysOf(year: number, month: number, day: number): number | null {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const last = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > last) return null
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const ofEraDays = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear
  return era * 146_097 + ofEraDays - 719_468 - epochDays
}

function offsetUs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3).replace(':', '') || 0)
  return (zone[0] === '-' ? -minutes : minutes) * 60_000_000
}

function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

function hexadecimalOf({ bytes, from, to }: ShardKey): string {
  let text = ''
  for (let at = from; at < to; at++) text += bytes[at]!.toString(16).padStart(2, '0')
  return text
}
