// Two results side by side: what differs, and whether chance alone could have done it. Batches are paired: with the same seed
// both runs drew the same arrivals and works (common random numbers), so that what both suffered cancels out.

import { type Estimate, estimate } from '../core/statistics.ts'
import type { BatchResult, SimulationResult, TrafficResult } from '../result.ts'
import { digits, shareText, timeText } from './figures.ts'

export interface Difference {
  readonly traffic: string
  readonly metric: 'mean' | 'p50' | 'p99' | 'errors' | 'throughput'
  readonly before: number
  readonly after: number
  /** After minus before, with the interval of the paired batches. */
  readonly change: Estimate
  readonly verdict: 'better' | 'worse' | 'no difference that chance does not explain' | 'too little seen'
}

const metrics: readonly {
  readonly metric: Difference['metric']
  readonly of: (batch: BatchResult) => number | null
  readonly whole: (row: TrafficResult) => number | null
  readonly moreIsBetter: boolean
}[] = [
  {
    metric: 'mean',
    of: one => one.meanUs,
    whole: row => row.latency?.mean.value ?? null,
    moreIsBetter: false,
  },
  { metric: 'p50', of: one => one.p50Us, whole: row => row.latency?.p50.value ?? null, moreIsBetter: false },
  { metric: 'p99', of: one => one.p99Us, whole: row => row.latency?.p99.value ?? null, moreIsBetter: false },
  { metric: 'errors', of: one => one.errorShare, whole: row => row.errorShare.value, moreIsBetter: false },
  { metric: 'throughput', of: one => one.throughput, whole: row => row.throughput.value, moreIsBetter: true },
]

/** Of all requests together, then of each kind that both have. */
export function compareResults(before: SimulationResult, after: SimulationResult): Difference[] {
  return before.traffic.flatMap(row => {
    const other = after.traffic.find(({ id }) => id === row.id)
    return other === undefined ? [] : metrics.flatMap(metric => differenceOf(row, other, metric))
  })
}

function differenceOf(
  row: TrafficResult,
  other: TrafficResult,
  given: (typeof metrics)[number],
): Difference[] {
  const { metric, of, whole, moreIsBetter } = given
  const [before, after] = [whole(row), whole(other)]
  if (before === null || after === null) return []
  const pairs = row.batches.flatMap((batch, at) => {
    const partner = other.batches[at]
    const [a, b] = [of(batch), partner === undefined ? null : of(partner)]
    return a === null || b === null ? [] : [b - a]
  })
  const change = estimate(after - before, pairs)
  return [{ traffic: row.id, metric, before, after, change, verdict: verdictOf(change, pairs, moreIsBetter) }]
}

function verdictOf(
  { halfWidth }: Estimate,
  pairs: readonly number[],
  moreIsBetter: boolean,
): Difference['verdict'] {
  if (halfWidth === null) return 'too little seen'
  const mean = pairs.reduce((a, b) => a + b, 0) / pairs.length
  if (Math.abs(mean) <= halfWidth) return 'no difference that chance does not explain'
  return mean > 0 === moreIsBetter ? 'better' : 'worse'
}

/** A line a difference; @param of whose result stands left, and right */
export function compareLines(
  differences: readonly Difference[],
  of: readonly [before: string, after: string],
  paint: (style: 'bold' | 'dim' | 'green' | 'red', text: string) => string,
): string[] {
  const rows = differences.map(({ traffic, metric, before, after, change, verdict }) => [
    traffic === 'system' ? 'all' : traffic,
    metric,
    figure(metric, before),
    figure(metric, after),
    `${change.value < 0 ? '' : '+'}${signed(metric, change.value)}${change.halfWidth === null ? '' : ` ±${figure(metric, change.halfWidth)}`}`,
    verdict,
  ])
  const table = [['', '', of[0], of[1], 'change', ''], ...rows]
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map(row => (row[column] ?? '').length)),
  )
  return table.map((row, at) => {
    const cells = row.map((cell, column) =>
      column < 2 || column === 5 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    const line = cells.join('  ').trimEnd()
    if (at === 0) return paint('dim', line)
    if (row[5] === 'better') return line.replace(/better$/, paint('green', 'better'))
    return row[5] === 'worse' ? line.replace(/worse$/, paint('red', 'worse')) : line
  })
}

function signed(metric: Difference['metric'], value: number): string {
  return value < 0 ? `-${figure(metric, -value)}` : figure(metric, value)
}

function figure(metric: Difference['metric'], value: number): string {
  if (metric === 'errors') return shareText(value)
  return metric === 'throughput' ? `${digits(value)}/s` : timeText(value)
}
