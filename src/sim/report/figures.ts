// How figures of a simulation are written: three digits that people read, with the half width of their interval.

import type { Estimate } from '../core/statistics.ts'

/** `4.97 ms`, `230 us`, `1.2 s`. @param us microseconds */
export function timeText(us: number): string {
  if (us < 1_000) return `${digits(us)} us`
  if (us < 1_000_000) return `${digits(us / 1_000)} ms`
  return us < 120_000_000 ? `${digits(us / 1_000_000)} s` : `${digits(us / 60_000_000)} min`
}

/** `4.97 ms ±0.06`: the half width in the unit of the figure. */
export function timeWithin({ value, halfWidth }: Estimate): string {
  const text = timeText(value)
  if (halfWidth === null) return text
  const scale = value < 1_000 ? 1 : value < 1_000_000 ? 1_000 : value < 120_000_000 ? 1_000_000 : 60_000_000
  return `${text} ±${digits(halfWidth / scale)}`
}

/** `12.3 %`. @param share 0..1 */
export function shareText(share: number): string {
  if (share === 0) return '0 %'
  return share < 0.000_1 ? `${(share * 100).toExponential(1)} %` : `${digits(share * 100)} %`
}

/** Three digits; thousands as `12,300`. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1_000) return grouped(Math.round(value))
  if (size < 0.001) return value.toExponential(1)
  return String(Number(value.toPrecision(3)))
}

/** `1,234,567`. */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}
