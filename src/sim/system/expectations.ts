// What a rehearsal expects against what came out. A figure whose interval holds the bound is unsure; it fails only where the
// figure itself does.

import { type CheckedExpectation, type CheckedMetric, metricUnits } from '../../file/checked-rehearsals.ts'
import type { Estimate } from '../core/statistics.ts'
import type {
  ConsistencyResult,
  ExpectationResult,
  LatencyResult,
  PartResult,
  TrafficResult,
} from '../result.ts'

export interface Seen {
  readonly traffic: readonly TrafficResult[]
  readonly parts: readonly PartResult[]
  readonly consistency: readonly ConsistencyResult[]
  readonly unstable: boolean
}

const latencies: readonly CheckedMetric[] = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999', 'max']

export function judge(expectation: CheckedExpectation, seen: Seen): ExpectationResult {
  const { text, metric, compare, value: bound } = expectation
  const unit = metricUnits[metric]
  const found = figureOf(expectation, seen)
  if (found === null) {
    const why =
      seen.unstable && latencies.includes(metric)
        ? 'The system is unstable: there is no such figure.'
        : 'Nothing was seen that it could be taken from.'
    return { text, value: null, unit, verdict: 'failed', why }
  }
  const { value, halfWidth } = found
  const holds = compares(value, compare, bound)
  const sure =
    halfWidth === null ||
    (compares(value - halfWidth, compare, bound) === holds &&
      compares(value + halfWidth, compare, bound) === holds)
  if (!holds)
    return {
      text,
      value,
      unit,
      verdict: 'failed',
      why: sure ? 'Beyond the bound.' : 'Beyond the bound; its interval holds it.',
    }
  return sure
    ? { text, value, unit, verdict: 'met', why: 'Within the bound.' }
    : {
        text,
        value,
        unit,
        verdict: 'unsure',
        why: 'Within the bound, but its interval holds it: a longer run would tell.',
      }
}

function compares(value: number, how: CheckedExpectation['compare'], bound: number): boolean {
  if (how === '<') return value < bound
  if (how === '<=') return value <= bound
  if (how === '>') return value > bound
  return how === '>=' ? value >= bound : value === bound
}

function exact(value: number): Estimate {
  return { value, halfWidth: null }
}

/** In the unit of the metric; null: there is none. */
function figureOf({ of, ofKind, metric }: CheckedExpectation, seen: Seen): Estimate | null {
  if (ofKind === null || ofKind === 'action') {
    const traffic = seen.traffic.find(({ id }) => id === (of ?? 'system'))
    const figure = traffic === undefined ? null : trafficFigure(metric, traffic)
    if (figure !== null || ofKind === 'action') return figure
  }
  return ofKind === null ? wholeFigure(metric, seen) : partFigure(metric, of ?? '', seen)
}

function trafficFigure(metric: CheckedMetric, traffic: TrafficResult): Estimate | null {
  if (latencies.includes(metric))
    return traffic.latency === null ? null : latencyFigure(metric, traffic.latency)
  const share = (count: number): Estimate => exact(traffic.arrived === 0 ? 0 : count / traffic.arrived)
  if (metric === 'errors') return traffic.errorShare
  if (metric === 'refused') return share(traffic.refused)
  if (metric === 'abandoned') return share(traffic.abandoned)
  return metric === 'throughput' ? traffic.throughput : null
}

function latencyFigure(metric: CheckedMetric, latency: LatencyResult): Estimate {
  if (metric === 'max') return exact(latency.max / 1000)
  const { value, halfWidth } = latency[metric as 'mean' | 'p50' | 'p90' | 'p95' | 'p99' | 'p999']
  return { value: value / 1000, halfWidth: halfWidth === null ? null : halfWidth / 1000 }
}

/** Over all parts: sums of counts, the highest utilisation. */
function wholeFigure(metric: CheckedMetric, seen: Seen): Estimate | null {
  if (metric === 'utilisation') {
    const all = seen.parts.flatMap(({ utilisation }) => (utilisation === null ? [] : [utilisation]))
    return all.sort((a, b) => b.value - a.value)[0] ?? null
  }
  if (metric === 'instances')
    return exact(
      seen.parts.filter(({ kind }) => kind === 'service').reduce((sum, part) => sum + part.membersMax, 0),
    )
  if (metric === 'hitRatio') return seen.parts.find(({ id }) => id === 'edge cache')?.hitRatio ?? null
  return consistencyFigure(metric, seen.consistency)
}

function partFigure(metric: CheckedMetric, name: string, seen: Seen): Estimate | null {
  const part = seen.parts.find(({ id }) => id === name || id === `${name} cache`)
  if (metric === 'utilisation') return part?.utilisation ?? null
  if (metric === 'instances') return part === undefined ? null : exact(part.membersMax)
  if (metric === 'hitRatio') return part?.hitRatio ?? null
  return consistencyFigure(
    metric,
    seen.consistency.filter(({ database }) => database === name),
  )
}

function consistencyFigure(metric: CheckedMetric, all: readonly ConsistencyResult[]): Estimate | null {
  const sum = (of: (one: ConsistencyResult) => number): Estimate =>
    exact(all.reduce((total, one) => total + of(one), 0))
  if (metric === 'staleReads') return sum(one => one.staleReads)
  if (metric === 'lostWrites') return sum(one => one.lostWrites)
  if (metric === 'conflicts') return sum(one => one.conflicts)
  if (metric === 'refused') return sum(one => one.refusedReads + one.refusedWrites)
  if (metric === 'unavailable')
    return exact(all.reduce((longest, one) => Math.max(longest, one.writeGapMaxUs / 1000), 0))
  return null
}
