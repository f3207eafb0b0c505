// W3C Trace Context for one exchange: which trace it belongs to, whether that is recorded, and fresh ids. Ids are names,
// not secrets: half of a trace's id is random per worker, the rest and the spans' come from the worker's seeded random.

import type { TracingSpec } from '../io/trace-exporter.ts'
import type { Random } from '../kit/random.ts'
import { isSampled } from '../policy/sampling.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { isTraceparent } from './request-ids.ts'

export interface TraceContext {
  readonly traceId: string
  /** Span of whoever called; '' where the trace begins here. */
  readonly parentId: string
  /** As it came with the parent; '' for none. */
  readonly traceState: string
}

const traceStateCharsMax = 512

const digits = (value: number): string => value.toString(16).padStart(8, '0')

/** 16 digits, never all zero (W3C Trace Context 3.2.2.4). */
export function newSpanId(random: Random): string {
  return digits(random.uint32()) + digits((random.uint32() | 1) >>> 0)
}

/** The trace of a request that is recorded; null: this one is not, and nothing is made for it. */
export function sampledTrace(
  exchange: Exchange,
  worker: WorkerContext,
  spec: TracingSpec,
): TraceContext | null {
  const { head } = exchange
  const parent = exchange.client?.trusted ? head.find('traceparent') : undefined
  if (parent !== undefined && isTraceparent(parent)) {
    if (!isSampled((Number.parseInt(parent.slice(53), 16) & 1) === 1, '', 0)) return null
    const state = head.find('tracestate') ?? ''
    return {
      traceId: parent.slice(3, 35),
      parentId: parent.slice(36, 52),
      traceState: state.length <= traceStateCharsMax && /^[\x20-\x7e]*$/.test(state) ? state : '',
    }
  }
  if (spec.sampleShare <= 0) return null
  const { random, ids } = worker
  const traceId = ids.prefix + digits(random.uint32()) + digits((random.uint32() | 1) >>> 0)
  return isSampled(null, traceId, spec.sampleShare) ? { traceId, parentId: '', traceState: '' } : null
}
