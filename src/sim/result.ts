// What a simulation gives: plain JSON, versioned, with everything that the terminal, the report and a comparison show.
// Times are microseconds of virtual time from the end of the warm-up unless a name says milliseconds.

import type { Estimate } from './core/statistics.ts'

export const resultFormat = 1

export interface SimulationResult {
  readonly format: typeof resultFormat
  readonly system: string
  readonly rehearsal: string
  readonly seed: number
  readonly method: SimulationMethod
  readonly durationUs: number
  readonly warmupUs: number
  /** Batches of equal time that intervals come from. */
  readonly batches: number
  /** Handled events, draws of chance, and the hash over all events: equal for equal runs. */
  readonly events: number
  readonly draws: number
  readonly hash: string
  /** Said at the top when there is one: figures that mean nothing (an unstable queue) are left out, not shown. */
  readonly unstable: readonly Instability[]
  /** The whole system first (id `system`), then each action. */
  readonly traffic: readonly TrafficResult[]
  /** Edges, services, databases, caches, in the order in which a request meets them. */
  readonly parts: readonly PartResult[]
  readonly consistency: readonly ConsistencyResult[]
  readonly series: readonly Series[]
  /** In order of time; at most `decisionsMax`, see `decisionsLeftOut`. */
  readonly decisions: readonly DecisionResult[]
  readonly decisionsLeftOut: number
  readonly expectations: readonly ExpectationResult[]
  /** What a reader must know: sampling, assumptions that count, a warm-up that was too short. */
  readonly remarks: readonly string[]
}

export const decisionsMax = 2_000

export type SimulationMethod =
  | { readonly kind: 'events' }
  /** One in `k` of users and instances. */
  | { readonly kind: 'sampled'; readonly k: number }
  /** Rates and capacities in steps of time, no single requests. */
  | { readonly kind: 'fluid'; readonly stepUs: number }

export interface Instability {
  readonly part: string
  /** Work that comes over what can be done. */
  readonly load: number
  readonly why: string
}

/** Counts are of requests that arrived after the warm-up. Latencies are what clients see, in microseconds. */
export interface TrafficResult {
  readonly id: string
  readonly arrived: number
  readonly answered: number
  /** Answered with an error by the system's parts. */
  readonly failed: number
  /** Refused on purpose: limits, full queues, shedding, no quorum. */
  readonly refused: number
  /** Given up by their clients. */
  readonly abandoned: number
  /** Still under way at the end. */
  readonly unfinished: number
  /** Further tries of clients, and of the edge (retries, hedges). */
  readonly clientRetries: number
  readonly edgeRetries: number
  readonly hedges: number
  /** Answered a second. */
  readonly throughput: Estimate
  /** Of answered requests; null: none, or the system is unstable. */
  readonly latency: LatencyResult | null
  readonly errorShare: Estimate
  /** Figures of each batch, for comparisons batch by batch; null: nothing was seen in it, or the system is unstable. */
  readonly batches: readonly BatchResult[]
}

export interface BatchResult {
  readonly meanUs: number | null
  readonly p50Us: number | null
  readonly p99Us: number | null
  readonly errorShare: number
  readonly throughput: number
}

export interface LatencyResult {
  readonly mean: Estimate
  readonly p50: Estimate
  readonly p90: Estimate
  readonly p95: Estimate
  readonly p99: Estimate
  readonly p999: Estimate
  readonly max: number
  /** Upper bounds (microseconds) and shares up to them, for a curve: at most 200 points. */
  readonly curve: readonly (readonly [bound: number, share: number])[]
}

export interface PartResult {
  readonly id: string
  readonly kind: 'edge' | 'service' | 'database' | 'cache' | 'queue'
  /** Instances or servers: at the end, least and most in the window. */
  readonly members: number
  readonly membersMin: number
  readonly membersMax: number
  /** Share of the cores' time that was worked; null where there are none (a cache). */
  readonly utilisation: Estimate | null
  /** Requests in it, and those of them that waited. */
  readonly inside: Estimate
  readonly waiting: Estimate
  readonly waitingMax: number
  /** When it was first full (all cores busy and somebody waiting, for a second); null: never. */
  readonly saturatedAtUs: number | null
  /** Of a cache. */
  readonly hitRatio: Estimate | null
  /** Further counts by name: `ejections`, `failovers`, `evictions`, `connections refused`. */
  readonly counts: Readonly<Record<string, number>>
}

export interface ConsistencyResult {
  readonly database: string
  readonly topology: string
  readonly reads: number
  readonly staleReads: number
  /** How old what stale reads saw was, microseconds: median and the oldest. */
  readonly staleP50Us: number
  readonly staleMaxUs: number
  readonly writes: number
  /** Acknowledged to a client and gone. */
  readonly lostWrites: number
  /** Accepted on two sides and settled by dropping one. */
  readonly conflicts: number
  readonly refusedReads: number
  readonly refusedWrites: number
  /** From a commit to the last copy that has it; null: no copies. */
  readonly propagationP50Us: number | null
  readonly propagationP99Us: number | null
  /** Longest time in which no write was possible. */
  readonly writeGapMaxUs: number
}

export interface Series {
  /** `system.throughput`, `system.p99`, `api.instances`, `main-2.lag`. */
  readonly id: string
  readonly label: string
  readonly unit: 'per second' | 'us' | 'share' | 'count'
  readonly stepUs: number
  /** One a step from the end of the warm-up on; null: nothing was seen in it. At most 600. */
  readonly values: readonly (number | null)[]
}

export interface DecisionResult {
  readonly atUs: number
  readonly part: string
  /** `fault`, `health`, `ejection`, `scale`, `failover`, `restart`, `circuit`, `limit`. */
  readonly kind: string
  readonly what: string
  /** In the words that production logs. */
  readonly why: string
}

export interface ExpectationResult {
  /** `p99: <200ms`. */
  readonly text: string
  readonly value: number | null
  readonly unit: 'ms' | 'share' | 'count' | 'per second'
  /** `unsure`: the interval holds the bound. Counts as failed for `--check` only where the figure itself fails. */
  readonly verdict: 'met' | 'failed' | 'unsure'
  readonly why: string
}
