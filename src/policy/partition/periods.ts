// Periods of time partitions, in UTC, so that no hour is there twice and none is missing. Microseconds since 1970.

import type { PartitionPeriod } from './contract.ts'

const hourUs = 3_600_000_000
const dayUs = 24 * hourUs
const weekUs = 7 * dayUs
/** 1970 began on a Thursday; weeks begin on Mondays. */
const mondayUs = 4 * dayUs

/** Of the period that a moment is in. */
export function startOf(period: PartitionPeriod, atUs: number): number {
  switch (period) {
    case 'hour':
      return Math.floor(atUs / hourUs) * hourUs
    case 'day':
      return Math.floor(atUs / dayUs) * dayUs
    case 'week':
      return Math.floor((atUs - mondayUs) / weekUs) * weekUs + mondayUs
    case 'month': {
      const { year, month } = civil(atUs)
      return monthStart(year, month)
    }
    case 'year':
      return monthStart(civil(atUs).year, 1)
  }
}

/** @param start of a period; `count` may be negative */
export function laterStart(period: PartitionPeriod, start: number, count: number): number {
  switch (period) {
    case 'hour':
      return start + count * hourUs
    case 'day':
      return start + count * dayUs
    case 'week':
      return start + count * weekUs
    case 'month':
    case 'year': {
      const { year, month } = civil(start)
      const months = year * 12 + (month - 1) + (period === 'month' ? count : 12 * count)
      return monthStart(Math.floor(months / 12), (months % 12) + 1)
    }
  }
}

/** `2026_11`, `2026_11_05`, `2026_11_05_13`, `2026`; of a week its Monday. */
export function periodName(period: PartitionPeriod, start: number): string {
  const { year, month, day, hour } = civil(start)
  const parts = [String(year).padStart(4, '0')]
  if (period !== 'year') parts.push(two(month))
  if (period !== 'year' && period !== 'month') parts.push(two(day))
  if (period === 'hour') parts.push(two(hour))
  return parts.join('_')
}

/** As PostgreSQL reads it: `2026-11-05 13:00:00+00`. Whole seconds. */
export function timeText(atUs: number): string {
  const { year, month, day, hour } = civil(atUs)
  const rest = Math.floor((((atUs % hourUs) + hourUs) % hourUs) / 1_000_000)
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`
  return `${date} ${two(hour)}:${two(Math.floor(rest / 60))}:${two(rest % 60)}+00`
}

/** Of PostgreSQL's ISO form in UTC, with or without a time; null: of another form. */
export function timeOf(text: string): number | null {
  const found = /^(\d{4,6})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:\+00)?$/.exec(text)
  if (found === null) return null
  const [, year, month, day, hour = '0', minute = '0', second = '0', part = ''] = found
  const days = daysOf(Number(year), Number(month), Number(day))
  const seconds = Number(hour) * 3_600 + Number(minute) * 60 + Number(second)
  return days * dayUs + seconds * 1_000_000 + Number(part.padEnd(6, '0') || 0)
}

interface Civil {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
}

const two = (value: number): string => String(value).padStart(2, '0')

function monthStart(year: number, month: number): number {
  return daysOf(year, month, 1) * dayUs
}

/** Howard Hinnant, chrono-compatible low-level date algorithms: days_from_civil. */
function daysOf(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const ofEra = shifted - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const ofEraDays = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear
  return era * 146_097 + ofEraDays - 719_468
}

/** The same: civil_from_days. */
function civil(atUs: number): Civil {
  const days = Math.floor(atUs / dayUs) + 719_468
  const era = Math.floor(days / 146_097)
  const ofEra = days - era * 146_097
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1_460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  )
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * ofYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: ofYear - Math.floor((153 * shifted + 2) / 5) + 1,
    hour: Math.floor((((atUs % dayUs) + dayUs) % dayUs) / hourUs),
  }
}
