// The edge's shared memory: what all worker threads and the main thread count and know together. One place for all
// layouts; `kit/cells.ts` and docs/decisions/0004-shared-memory.md have the rules. A slot is a member's, route's or
// upstream's place for as long as any worker may still use it (`slots.ts`).

import { type Cells, type Columns, type Layout, layoutOf } from '../kit/cells.ts'
import { attachHistograms, createHistograms, type Histograms } from '../kit/histogram.ts'
import { healthLayout } from '../policy/health.ts'
import { type MemberCells, memberLayout, memberWorkerLayout } from '../policy/members/index.ts'

export { sumOver } from '../policy/members/index.ts'

export const memberSlots = 1_024
export const routeSlots = 512
export const upstreamSlots = 256
export const canarySlots = 64
/** Rows of a canary slot in the per-worker table. */
export const canarySide = { others: 0, canary: 1 } as const
const canaryRows = canarySlots * 2

/** One row an upstream slot; the main thread alone writes it (`limiters.ts`), but for `criticalAtUs`: last writer wins. */
const upstreamFields = {
  /** Attempts that may wait for an answer at once; 0 = not known yet. */
  limit: 'i32',
  /** A code of policy/reason with its two numbers. */
  why: 'i32',
  whyA: 'f64',
  whyB: 'f64',
  /** Latency without a queue, and lately; 0 = unknown. */
  baselineUs: 'f64',
  recentUs: 'f64',
  /** When a critical request came last. */
  criticalAtUs: 'f64',
} as const

/** One row a worker and upstream slot. */
const upstreamWorkerFields = {
  active: 'i32',
  retriesActive: 'i32',
  pending: 'i32',
  /** Only of upstreams whose limit is adaptive (`places.ts`): attempts that wait for the head of an answer. */
  awaiting: 'i32',
  /** Attempts whose long body is still to come: they have no place. */
  uploads: 'i32',
  /** Answers to these, the sums of the logarithms of their latencies (microseconds) and of the squares; failures. */
  answers: 'f64',
  latencyLogs: 'f64',
  latencyLogSquares: 'f64',
  overloads: 'f64',
  /** When somebody found no place last. */
  fullAtUs: 'f64',
  /** Average wait for a place, of those who got one and those who did not. */
  waitUs: 'f64',
  shedSheddable: 'f64',
  shedNormal: 'f64',
  shedCritical: 'f64',
  /** Answers of its instances, those that were tried again included. */
  status1xx: 'f64',
  status2xx: 'f64',
  status3xx: 'f64',
  status4xx: 'f64',
  status5xx: 'f64',
  /** Attempts without an answer that could be used, by what happened. */
  connectFailures: 'f64',
  timeouts: 'f64',
  lost: 'f64',
  invalid: 'f64',
  refused: 'f64',
  noRoom: 'f64',
} as const

/** One row a worker and route slot. */
const routeWorkerFields = {
  requests: 'f64',
  status1xx: 'f64',
  status2xx: 'f64',
  status3xx: 'f64',
  status4xx: 'f64',
  status5xx: 'f64',
  aborted: 'f64',
  retries: 'f64',
  bytesIn: 'f64',
  bytesOut: 'f64',
  /** Requests under way. */
  active: 'i32',
  hookCalls: 'f64',
  hookFailures: 'f64',
  hooksLate: 'f64',
  /** Requests that were to be mirrored and were not: their body, or too many copies in flight. */
  unmirroredBody: 'f64',
  unmirroredBusy: 'f64',
  /** Requests by what the cache had to do with them (`cacheResult`), and bytes of bodies that came from it. */
  cacheHits: 'f64',
  cacheStale: 'f64',
  cacheRevalidated: 'f64',
  cacheCollapsed: 'f64',
  cacheMisses: 'f64',
  cacheBypassed: 'f64',
  cacheBytes: 'f64',
} as const

/** One row a canary slot; the main thread alone writes it. */
const canaryFields = {
  /** 0 = it gets its share; else the reason why it gets nothing. Workers look at it with each request. */
  outReason: 'i32',
} as const

/** One row a worker, canary slot and side. */
const canaryWorkerFields = { requests: 'f64', errors: 'f64' } as const

/** One row a worker. */
const workerFields = {
  connections: 'i32',
  exchanges: 'i32',
  tunnels: 'i32',
  /** Read buffers that streams hold, as of the last tick. */
  buffers: 'i32',
  /** Oldest snapshot version that an exchange of this worker still uses. */
  oldestVersion: 'f64',
  version: 'f64',
  accepted: 'f64',
  refused: 'f64',
  handshakesFull: 'f64',
  handshakesResumed: 'f64',
  handshakesFailed: 'f64',
  /** Datagrams that were not passed on. */
  dropped: 'f64',
  beatUs: 'f64',
  hookRestarts: 'f64',
} as const

/** A single row: what concerns everybody. */
const commonFields = {
  /** Grows whenever any member's health, ejection or panic may have changed; workers then look again. Atomics. */
  healthEpoch: 'i32',
  draining: 'i32',
} as const

const upstreamLayout: Layout<typeof upstreamFields> = layoutOf(upstreamFields)
const upstreamWorkerLayout: Layout<typeof upstreamWorkerFields> = layoutOf(upstreamWorkerFields)
const routeWorkerLayout: Layout<typeof routeWorkerFields> = layoutOf(routeWorkerFields)
const canaryLayout: Layout<typeof canaryFields> = layoutOf(canaryFields)
const canaryWorkerLayout: Layout<typeof canaryWorkerFields> = layoutOf(canaryWorkerFields)
const workerLayout: Layout<typeof workerFields> = layoutOf(workerFields)
const commonLayout: Layout<typeof commonFields> = layoutOf(commonFields)

export interface EdgeCells extends MemberCells {
  readonly upstream: Columns<typeof upstreamFields>
  readonly upstreamWorker: Columns<typeof upstreamWorkerFields>
  readonly routeWorker: Columns<typeof routeWorkerFields>
  readonly canary: Columns<typeof canaryFields>
  readonly canaryWorker: Columns<typeof canaryWorkerFields>
  readonly worker: Columns<typeof workerFields>
  readonly common: Columns<typeof commonFields>
  /** Microseconds from head to end, one row a worker and route slot. */
  readonly routeLatency: Histograms
  /** Microseconds from dispatch to the response's head, one row a worker and upstream slot (hedging reads it). */
  readonly upstreamLatency: Histograms
  /** Microseconds from a hook's call to its result, one row a worker and route slot. */
  readonly hookLatency: Histograms
  /** Microseconds to the first byte, one row a worker, canary slot and side (`canaryRow`). */
  readonly canaryLatency: Histograms
  /** What another thread attaches to. */
  readonly memory: EdgeMemory
  zeroMember(slot: number): void
  zeroRoute(slot: number): void
  zeroUpstream(slot: number): void
  zeroCanary(slot: number): void
  /** A worker died: what it held is given back, what it had counted stays. */
  repairWorker(worker: number): void
}

export interface EdgeMemory {
  readonly workers: number
  readonly buffers: readonly SharedArrayBuffer[]
}

export function createEdgeCells(workers: number): EdgeCells {
  const rows: (readonly [{ bytes(rows: number): number }, number])[] = [
    [memberLayout, memberSlots],
    [healthLayout, memberSlots],
    [memberWorkerLayout, workers * memberSlots],
    [upstreamWorkerLayout, workers * upstreamSlots],
    [routeWorkerLayout, workers * routeSlots],
    [workerLayout, workers],
    [commonLayout, 1],
  ]
  const buffers = rows.map(([layout, count]) => new SharedArrayBuffer(layout.bytes(count)))
  buffers.push(createHistograms(workers * routeSlots, { shared: true }).buffer as SharedArrayBuffer)
  buffers.push(createHistograms(workers * upstreamSlots, { shared: true }).buffer as SharedArrayBuffer)
  buffers.push(createHistograms(workers * routeSlots, { shared: true }).buffer as SharedArrayBuffer)
  buffers.push(createHistograms(workers * canaryRows, { shared: true }).buffer as SharedArrayBuffer)
  buffers.push(new SharedArrayBuffer(canaryLayout.bytes(canarySlots)))
  buffers.push(new SharedArrayBuffer(canaryWorkerLayout.bytes(workers * canaryRows)))
  buffers.push(new SharedArrayBuffer(upstreamLayout.bytes(upstreamSlots)))
  return attachEdgeCells({ workers, buffers })
}

export function attachEdgeCells(memory: EdgeMemory): EdgeCells {
  const { workers } = memory
  const buffer = (at: number): SharedArrayBuffer => memory.buffers[at] as SharedArrayBuffer
  const member = memberLayout.attach(buffer(0), memberSlots)
  const health = healthLayout.attach(buffer(1), memberSlots)
  const memberWorker = memberWorkerLayout.attach(buffer(2), workers * memberSlots)
  const upstreamWorker = upstreamWorkerLayout.attach(buffer(3), workers * upstreamSlots)
  const routeWorker = routeWorkerLayout.attach(buffer(4), workers * routeSlots)
  const worker = workerLayout.attach(buffer(5), workers)
  const common = commonLayout.attach(buffer(6), 1)
  const routeLatency = attachHistograms(buffer(7), workers * routeSlots)
  const upstreamLatency = attachHistograms(buffer(8), workers * upstreamSlots)
  const hookLatency = attachHistograms(buffer(9), workers * routeSlots)
  const canaryLatency = attachHistograms(buffer(10), workers * canaryRows)
  const canary = canaryLayout.attach(buffer(11), canarySlots)
  const canaryWorker = canaryWorkerLayout.attach(buffer(12), workers * canaryRows)
  const upstream = upstreamLayout.attach(buffer(13), upstreamSlots)
  const zeroOfAll = (cells: Cells<never>, slots: number, slot: number): void => {
    for (let row = slot; row < workers * slots; row += slots) cells.zero(row)
  }
  return {
    workers,
    memberSlots,
    memory,
    member: member.at,
    health,
    memberWorker: memberWorker.at,
    upstream: upstream.at,
    upstreamWorker: upstreamWorker.at,
    routeWorker: routeWorker.at,
    canary: canary.at,
    canaryWorker: canaryWorker.at,
    worker: worker.at,
    common: common.at,
    routeLatency,
    upstreamLatency,
    hookLatency,
    canaryLatency,
    zeroMember: slot => {
      member.zero(slot)
      health.zero(slot)
      zeroOfAll(memberWorker as unknown as Cells<never>, memberSlots, slot)
    },
    zeroRoute: slot => {
      zeroOfAll(routeWorker as unknown as Cells<never>, routeSlots, slot)
      for (let row = slot; row < workers * routeSlots; row += routeSlots) {
        routeLatency.zero(row)
        hookLatency.zero(row)
      }
    },
    zeroUpstream: slot => {
      upstream.zero(slot)
      zeroOfAll(upstreamWorker as unknown as Cells<never>, upstreamSlots, slot)
      for (let row = slot; row < workers * upstreamSlots; row += upstreamSlots) upstreamLatency.zero(row)
    },
    zeroCanary: slot => {
      canary.zero(slot)
      for (let index = 0; index < workers; index++) {
        for (const side of [canarySide.others, canarySide.canary]) {
          const row = canaryRow(index, slot, side)
          canaryWorker.zero(row)
          canaryLatency.zero(row)
        }
      }
    },
    repairWorker: index => {
      for (let row = index * memberSlots; row < (index + 1) * memberSlots; row++) {
        memberWorker.at.inFlight[row] = 0
        memberWorker.at.connections[row] = 0
      }
      for (let row = index * upstreamSlots; row < (index + 1) * upstreamSlots; row++) {
        upstreamWorker.at.active[row] = 0
        upstreamWorker.at.retriesActive[row] = 0
        upstreamWorker.at.pending[row] = 0
        upstreamWorker.at.awaiting[row] = 0
        upstreamWorker.at.uploads[row] = 0
        upstreamWorker.at.waitUs[row] = 0
      }
      routeWorker.at.active.fill(0, index * routeSlots, (index + 1) * routeSlots)
      worker.at.connections[index] = 0
      worker.at.exchanges[index] = 0
      worker.at.tunnels[index] = 0
      worker.at.buffers[index] = 0
      worker.at.oldestVersion[index] = Infinity
    },
  }
}

/** Row of a canary's side in the tables that each worker has of its own. */
export function canaryRow(worker: number, slot: number, side: number): number {
  return worker * canaryRows + slot * 2 + side
}
