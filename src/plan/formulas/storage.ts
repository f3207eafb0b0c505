// Bytes on disks: what is written, how often it is kept, for how long, with what lies around it. Decimal units: 1 KB is
// 1,000 bytes.

import { type Answer, firstWrong, given, notNegative, positive } from './answer.ts'

export interface StorageGrowth {
  readonly writesPerDay: number
  readonly bytesEach: number
  /** Copies of each byte, the first included. */
  readonly copies: number
  /** Bytes on disk by bytes of content: indexes and bloat, 1 and more. */
  readonly overhead: number
}

/** Bytes a day: writes · size · copies · overhead. */
export function storagePerDay(growth: StorageGrowth): Answer<number> {
  const wrong = firstWrong(
    notNegative('writes per day', growth.writesPerDay),
    notNegative('bytes each', growth.bytesEach),
    positive('copies', growth.copies),
    positive('overhead', growth.overhead),
    growth.overhead < 1 ? `overhead is ${growth.overhead}; it must be at least 1` : null,
  )
  return wrong ?? given(growth.writesPerDay * growth.bytesEach * growth.copies * growth.overhead)
}

/** Bytes after `days`, of which only the last `retentionDays` are kept; null: for ever. */
export function storageAfter(
  growth: StorageGrowth,
  days: number,
  retentionDays: number | null,
): Answer<number> {
  const wrong = firstWrong(
    notNegative('days', days),
    retentionDays === null ? null : notNegative('days of retention', retentionDays),
  )
  if (wrong) return wrong
  const daily = storagePerDay(growth)
  return daily.ok ? given(daily.value * Math.min(days, retentionDays ?? days)) : daily
}

/** Bytes after `years` when the writes grow by `growthPerYear` (.5: half as much again), all kept. Continuous growth. */
export function storageGrown(growth: StorageGrowth, years: number, growthPerYear: number): Answer<number> {
  const wrong = firstWrong(notNegative('years', years), notNegative('growth', growthPerYear))
  if (wrong) return wrong
  const daily = storagePerDay(growth)
  if (!daily.ok) return daily
  const rate = Math.log1p(growthPerYear)
  const grown = rate === 0 ? years : Math.expm1(rate * years) / rate
  return given(daily.value * 365.25 * grown)
}
