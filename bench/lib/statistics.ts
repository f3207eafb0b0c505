// Medians and how numbers are written. Only arithmetic.

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Half of the distance between the quartiles, as a share of the median: how far rounds disagree. */
export function spread(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!
  return sorted.length < 3 ? Number.NaN : (at(0.75) - at(0.25)) / 2 / median(sorted)
}

/** Three significant digits; thousands with a comma; a dash where there is no number. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value === 0) return '0'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

export function ratio(value: number, to: number): string {
  return Number.isFinite(value / to) ? `${(value / to).toFixed(2)} x` : '-'
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '-'
}
