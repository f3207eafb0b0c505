// Orders values of result columns as PostgreSQL orders them, from their text or binary forms, exactly. Only for types whose
// order is the same everywhere: numbers, bytes, dates and times, booleans. NULL is dealt with by who asks.

import type { Column } from '../../../wire/postgres/index.ts'
import type { MergeKey } from '../../sql/shards/contract.ts'
import { decimalOfNumeric } from './numeric.ts'
import { unsupported } from './refusals.ts'

/** What a value is compared by: made once for each row. */
export type Sortable = Buffer | DecimalText | readonly [seconds: number, micros: number] | bigint | number

/** Below 0, 0, above 0. Both of the same column. */
export type Compare = (one: Sortable, other: Sortable) => number

export interface KeyReader {
  readonly read: (value: Buffer) => Sortable
  readonly compare: Compare
}

export interface DecimalText {
  /** The nearest double: it decides unless both have the same. */
  readonly near: number
  readonly text: string
}

const typeIds = {
  boolean: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  oid: 26,
  float4: 700,
  float8: 701,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
} as const

export function keyReader(compare: MergeKey['compare'], column: Column): KeyReader {
  const binary = column.format === 1
  if (compare === 'bytes')
    return { read: value => Buffer.from(value), compare: (a, b) => Buffer.compare(a as Buffer, b as Buffer) }
  if (compare === 'boolean')
    return { read: value => (value[0] === 1 || value[0] === 0x74 ? 1 : 0), compare: byValue }
  if (binary) return binaryReader(column.typeId)
  if (compare === 'number') return { read: decimalText, compare: compareDecimals }
  return { read: readInstant, compare: comparePairs }
}

function byValue(one: Sortable, other: Sortable): number {
  return one < other ? -1 : one > other ? 1 : 0
}

/** NaN is equal to itself and above all others. */
function byFloat(one: Sortable, other: Sortable): number {
  const [a, b] = [one as number, other as number]
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return byValue(a, b)
}

function binaryReader(typeId: number): KeyReader {
  switch (typeId) {
    case typeIds.int2:
      return { read: value => value.readInt16BE(), compare: byValue }
    case typeIds.int4:
    case typeIds.date:
      return { read: value => value.readInt32BE(), compare: byValue }
    case typeIds.oid:
      return { read: value => value.readUInt32BE(), compare: byValue }
    case typeIds.int8:
    case typeIds.time:
    case typeIds.timestamp:
    case typeIds.timestamptz:
      return { read: value => value.readBigInt64BE(), compare: byValue }
    case typeIds.float4:
      return { read: value => value.readFloatBE(), compare: byFloat }
    case typeIds.float8:
      return { read: value => value.readDoubleBE(), compare: byFloat }
    case typeIds.numeric:
      return { read: value => decimalText(Buffer.from(decimalOfNumeric(value))), compare: compareDecimals }
    default:
      throw unsupported(
        `Rows of several shards can not be put in order by a column whose type has the object id ${typeId} in the binary form.`,
        'Ask for results as text.',
      )
  }
}

/** Doubles hold so many decimal digits exactly. */
const exactDigits = 15

function decimalText(value: Buffer): DecimalText {
  const text = value.latin1Slice()
  return { near: Number(text), text }
}

function compareDecimals(one: Sortable, other: Sortable): number {
  const [a, b] = [one as DecimalText, other as DecimalText]
  const near = byFloat(a.near, b.near)
  if (near !== 0 || Number.isNaN(a.near)) return near
  if (a.text === b.text || (isExact(a) && isExact(b))) return 0
  return compareExactly(a.text, b.text)
}

/** No other decimal of its kind has the same double. */
function isExact({ near, text }: DecimalText): boolean {
  return text.length <= exactDigits && Number.isFinite(near) && !text.includes('e')
}

interface Decimal {
  readonly negative: boolean
  /** No zeros in front or behind. */
  readonly digits: string
  /** The value is 0.digits times ten to this. */
  readonly scale: number
}

function compareExactly(one: string, other: string): number {
  const a = decimalOf(one)
  const b = decimalOf(other)
  if (a.digits === '' || b.digits === '') return signOf(a) - signOf(b)
  if (a.negative !== b.negative) return a.negative ? -1 : 1
  const size = a.scale !== b.scale ? a.scale - b.scale : byValue2(a.digits, b.digits)
  return a.negative ? -size : size
}

function byValue2(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

function signOf({ digits, negative }: Decimal): number {
  return digits === '' ? 0 : negative ? -1 : 1
}

function decimalOf(text: string): Decimal {
  if (/Inf/i.test(text)) return { negative: text[0] === '-', digits: '1', scale: Number.POSITIVE_INFINITY }
  const [, sign = '', whole = '', part = '', exponent = '0'] =
    /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text) ?? []
  const all = whole + part
  const zeros = /^0*/.exec(all)?.[0].length ?? 0
  const digits = all.slice(zeros).replace(/0+$/, '')
  return { negative: sign === '-', digits, scale: whole.length - zeros + Number(exponent) }
}

function comparePairs(one: Sortable, other: Sortable): number {
  const [a, b] = [one as readonly [number, number], other as readonly [number, number]]
  return byValue(a[0], b[0]) || byValue(a[1], b[1])
}

const instant =
  /^(\d{4,6})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/
const clockTime = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/

/** Dates, timestamps with and without a zone in the ISO form, times of day. */
function readInstant(value: Buffer): readonly [number, number] {
  const text = value.latin1Slice()
  if (text === 'infinity') return [Number.POSITIVE_INFINITY, 0]
  if (text === '-infinity') return [Number.NEGATIVE_INFINITY, 0]
  const time = clockTime.exec(text)
  if (time !== null) return [secondsOf(time[1], time[2], time[3]), microsOf(time[4])]
  const parts = instant.exec(text)
  if (parts === null)
    throw unsupported(
      'Rows of several shards can not be put in order by a time that is not in the ISO form.',
      "SET DateStyle = 'ISO'.",
    )
  const [, year, month, day, hour, minute, second, fraction, sign, zoneHour, zoneMinute, zoneSecond, era] =
    parts
  const days = dayNumber(era === undefined ? Number(year) : 1 - Number(year), Number(month), Number(day))
  const offset = secondsOf(zoneHour, zoneMinute, zoneSecond) * (sign === '-' ? -1 : 1)
  return [days * 86_400 + secondsOf(hour, minute, second) - offset, microsOf(fraction)]
}

function secondsOf(hour = '0', minute = '0', second = '0'): number {
  return Number(hour) * 3_600 + Number(minute) * 60 + Number(second)
}

function microsOf(fraction = ''): number {
  return Number(fraction.padEnd(6, '0'))
}

/** Days of the proleptic Gregorian calendar, counted so that March begins a year. */
function dayNumber(year: number, month: number, day: number): number {
  const years = month < 3 ? year - 1 : year
  const months = (month + 9) % 12
  const leaps = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400)
  return years * 365 + leaps + Math.floor((months * 306 + 5) / 10) + day
}
