// Traces of arrivals that people have: `time,count` lines (seconds, or a date), or one arrival's time a line. What comes out
// are counts of equal steps.

import type { TraceCounts } from '../sim/index.ts'

const rowsMax = 5_000_000
const stepsMax = 100_000

/** `{ why }`: it is no trace. */
export function readTrace(text: string): TraceCounts | { readonly why: string } {
  const lines = text.split(/\r?\n/).filter(line => line.trim() !== '' && !line.startsWith('#'))
  if (lines.length > rowsMax) return { why: `has more than ${rowsMax} lines.` }
  const rows: (readonly [number, number | null])[] = []
  for (const [at, line] of lines.entries()) {
    const [time = '', count] = line.split(/[,;\t]/).map(part => part.trim().replace(/^"|"$/g, ''))
    const seconds = secondsOf(time)
    const amount = count === undefined || count === '' ? null : Number(count)
    const isHeading = at === 0 && Number.isNaN(seconds)
    if (isHeading) continue
    if (Number.isNaN(seconds))
      return {
        why: `line ${at + 1} begins with '${time}', which is no time: write seconds, or a date such as 2026-11-01 12:00:00.`,
      }
    if (amount !== null && !(amount >= 0 && Number.isFinite(amount)))
      return { why: `line ${at + 1} has the count '${count}': write a number of arrivals, 0 or more.` }
    rows.push([seconds, amount])
  }
  if (rows.length < 2) return { why: 'has fewer than two lines with a time: there is nothing to play.' }
  const counted = rows[0]?.[1] !== null
  if (rows.some(([, count]) => (count !== null) !== counted))
    return { why: 'has lines with a count and lines without: write one kind.' }
  return counted ? fromCounts(rows as (readonly [number, number])[]) : fromTimes(rows.map(([time]) => time))
}

function secondsOf(text: string): number {
  if (text === '') return Number.NaN
  const plain = Number(text)
  if (!Number.isNaN(plain)) return plain
  return Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}Z`) / 1000
}

function fromCounts(rows: readonly (readonly [number, number])[]): TraceCounts | { readonly why: string } {
  const sorted = [...rows].sort(([a], [b]) => a - b)
  const gaps = sorted.slice(1).map(([time], at) => time - (sorted[at]?.[0] ?? 0))
  const step = gaps.filter(gap => gap > 0).sort((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 0
  if (!(step > 0)) return { why: 'has no two different times.' }
  const first = sorted[0]?.[0] ?? 0
  const last = sorted.at(-1)?.[0] ?? 0
  const steps = Math.round((last - first) / step) + 1
  if (steps > stepsMax)
    return { why: `spans ${steps} steps of ${step} s, more than ${stepsMax}: make the steps longer.` }
  const counts = new Array<number>(steps).fill(0)
  for (const [time, count] of sorted) {
    const at = Math.round((time - first) / step)
    counts[at] = (counts[at] ?? 0) + count
  }
  return worth(counts, step)
}

function fromTimes(times: readonly number[]): TraceCounts | { readonly why: string } {
  const sorted = [...times].sort((a, b) => a - b)
  const first = sorted[0] ?? 0
  const span = (sorted.at(-1) ?? 0) - first
  if (!(span > 0)) return { why: 'has arrivals at one moment only.' }
  // Steps that hold some tens of arrivals each.
  const steps = Math.max(1, Math.min(stepsMax, 3_600, Math.floor(sorted.length / 20)))
  const step = span / steps
  const counts = new Array<number>(steps).fill(0)
  for (const time of sorted) {
    const at = Math.min(steps - 1, Math.floor((time - first) / step))
    counts[at] = (counts[at] ?? 0) + 1
  }
  return worth(counts, step)
}

function worth(counts: readonly number[], stepSeconds: number): TraceCounts | { readonly why: string } {
  if (counts.every(count => count === 0)) return { why: 'has no arrivals at all.' }
  return { stepUs: Math.max(1, Math.round(stepSeconds * 1e6)), counts }
}
