// Quantiles of the normal and of Student's distribution: what confidence intervals are made of.

import { assert } from './failure.ts'

/** The value below which a standard normal lies with probability `p` (0 < p < 1). Acklam's rational approximation, relative error below 1.2e-9. */
export function normalQuantile(p: number): number {
  assert(p > 0 && p < 1, `normal quantile of ${p}`)
  if (p > 0.97575) return -tail(1 - p)
  if (p < 0.02425) return tail(p)
  const q = p - 0.5
  const r = q * q
  const above =
    (((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
      30.66479806614716) *
      r +
      2.506628277459239) *
    q
  const below =
    ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
      13.28068155288572) *
      r +
    1
  return above / below
}

function tail(p: number): number {
  const q = Math.sqrt(-2 * Math.log(p))
  const above =
    ((((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) *
      q +
      4.374664141464968) *
      q +
    2.938163982698783
  const below =
    (((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q +
    1
  return above / below
}

/**
 * The value below which Student's t with `freedom` degrees (1 and more) lies with probability `p`. Hill, "Algorithm 396"
 * (1970): within 1e-4 from 3 degrees on; exact for 1 and 2.
 */
export function studentQuantile(p: number, freedom: number): number {
  assert(freedom >= 1, `student: ${freedom} degrees of freedom`)
  if (p < 0.5) return -studentQuantile(1 - p, freedom)
  if (p === 0.5) return 0
  if (freedom === 1) return Math.tan(Math.PI * (p - 0.5))
  if (freedom === 2) return (2 * p - 1) * Math.sqrt(2 / (4 * p * (1 - p)))
  const both = 2 * (1 - p)
  const a = 1 / (freedom - 0.5)
  const b = (48 / a) * (1 / a)
  let c = (((20_700 * a) / b - 98) * a - 16) * a + 96.36
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt((a * Math.PI) / 2) * freedom
  let y = (d * both) ** (2 / freedom)
  if (y > 0.05 + a) {
    const x = normalQuantile(both / 2)
    y = x * x
    if (freedom < 5) c += 0.3 * (freedom - 4.5) * (x + 0.6)
    c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
    y = Math.expm1(a * y * y)
  } else {
    y =
      ((1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)) *
        y -
        1) *
        ((freedom + 1) / (freedom + 2)) +
      1 / y
  }
  return Math.sqrt(freedom * y)
}
