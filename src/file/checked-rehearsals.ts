// The checked system's rehearsals: what `tenfold simulate` plays through and what must come out. Types, and the names
// and units of what can be expected.

export interface CheckedRehearsal {
  readonly name: string
  readonly about: string | null
  readonly seed: number
  /** Virtual time that counts, after `warmupMs` that does not. */
  readonly durationMs: number
  readonly warmupMs: number
  readonly arrivals: CheckedArrivals
  readonly clients: CheckedClients
  /** Machines that run an edge, each with its own view of the load; a client keeps to none of them. */
  readonly edges: number
  /** 1 = every request. k = one in k of users and of instances, where that is valid. */
  readonly sample: number
  /** What a database does while its servers can't hear each other: every database of the file. */
  readonly databases: Readonly<Record<string, CheckedTopology>>
  readonly faults: readonly CheckedFault[]
  readonly expect: readonly CheckedExpectation[]
}

/** The level times the shape: requests arrive at `level x factor(t)`. */
export interface CheckedArrivals {
  /** The workload's mean or peak, or a rate of all actions together, in their proportions. */
  readonly level:
    | { readonly kind: 'mean' | 'peak'; readonly times: number }
    | { readonly kind: 'rate'; readonly perSecond: number }
  readonly shape: CheckedArrivalShape
}

export type CheckedArrivalShape =
  | { readonly kind: 'poisson' }
  /** Equal gaps. */
  | { readonly kind: 'even' }
  /** Gaps of the same mean and a squared coefficient of variation above 1 (balanced hyperexponential). */
  | { readonly kind: 'bursty'; readonly cv2: number }
  /** Poisson whose rate follows a day: lowest to highest around the mean, highest at `peakAtMs` of the day. */
  | {
      readonly kind: 'diurnal'
      readonly lowest: number
      readonly peakAtMs: number
      readonly startAtMs: number
    }
  /** Poisson that rises to `times` the level within `rampMs`, holds, and fades with the mean life `fadeMs`. */
  | {
      readonly kind: 'flash'
      readonly atMs: number
      readonly times: number
      readonly rampMs: number
      readonly holdMs: number
      readonly fadeMs: number
    }
  /** Poisson through the counts of a file: `time,count` or one arrival a line. Read by the command line, not here. */
  | { readonly kind: 'trace'; readonly file: string }

export interface CheckedClients {
  /** Given up after so long; null: they wait for ever. */
  readonly patienceMs: number | null
  /** Tries after one that failed or was given up. */
  readonly retries: number
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** Full jitter, as clients should; false: they come back together. */
  readonly jitter: boolean
}

/** How copies of the data are kept and what is done while they can't agree. */
export interface CheckedTopology {
  /** `file`: the primary, replicas and durability that the file says. */
  readonly kind: 'file' | 'async' | 'sync' | 'quorum' | 'multi-primary' | 'ring'
  /** Of `quorum`: copies that a write, and a read, wait for. */
  readonly writeCopies: number
  readonly readCopies: number
  /** While cut off: refuse (consistent), or serve possibly stale and reconcile (available). */
  readonly partition: 'refuse' | 'serve'
}

/** Times count from the end of the warm-up. `forMs` null: until the end, or until it is restarted by whoever does that. */
export interface CheckedFault {
  readonly atMs: number
  readonly forMs: number | null
  readonly what: CheckedFaultKind
}

export type CheckedFaultKind =
  /** The process or server dies; it comes back as the file's restart rules say, after its boot time. */
  | { readonly kind: 'kill'; readonly target: CheckedFaultTarget }
  /** It takes requests and answers none. */
  | { readonly kind: 'hang'; readonly target: CheckedFaultTarget }
  /** Its work takes `times` as long. */
  | { readonly kind: 'slow'; readonly target: CheckedFaultTarget; readonly times: number }
  /** It answers a share of its requests with errors. */
  | { readonly kind: 'fail'; readonly target: CheckedFaultTarget; readonly share: number }
  /** What lies on a disk takes `times` as long: writes of a database server. */
  | { readonly kind: 'disk'; readonly target: CheckedFaultTarget; readonly times: number }
  /** A zone and all in it is away. */
  | { readonly kind: 'zone'; readonly zone: number }
  /** The two sides can't hear each other. */
  | {
      readonly kind: 'cut'
      readonly from: readonly CheckedFaultTarget[]
      readonly to: readonly CheckedFaultTarget[]
    }
  /** Messages to and from it take longer. */
  | { readonly kind: 'delay'; readonly target: CheckedFaultTarget; readonly byMs: number }
  /** A replica replays nothing newer than so long ago. */
  | { readonly kind: 'lag'; readonly target: CheckedFaultTarget; readonly byMs: number }
  /** A cache forgets everything. */
  | { readonly kind: 'empty'; readonly cache: string }
  /** Load on top: `times` the arrivals. */
  | { readonly kind: 'surge'; readonly times: number }

export type CheckedFaultTarget =
  /** `member` null: every one of them. `web-1`: service web, member 1 (from 1). */
  | { readonly kind: 'service'; readonly service: string; readonly member: number | null }
  /** `member` null: the primary, whichever that is; from 1. */
  | { readonly kind: 'database'; readonly database: string; readonly member: number | null }
  | { readonly kind: 'edge'; readonly member: number }

export interface CheckedExpectation {
  /** As written, for the sentence: `p99: <200ms`. */
  readonly text: string
  /** Null: the whole system; else the name of an action, a service, a database, a cache, or `edge`. */
  readonly of: string | null
  /** What `of` names; null: the whole system. */
  readonly ofKind: ExpectationKind | null
  readonly metric: CheckedMetric
  readonly compare: '<' | '<=' | '>' | '>=' | '='
  /** Milliseconds, shares, counts or per second, by the metric. */
  readonly value: number
}

export type ExpectationKind = 'action' | 'service' | 'database' | 'cache' | 'edge'

export const rehearsalMetrics = [
  'mean',
  'p50',
  'p90',
  'p95',
  'p99',
  'p999',
  'max',
  'errors',
  'refused',
  'abandoned',
  'throughput',
  'utilisation',
  'instances',
  'hitRatio',
  'staleReads',
  'lostWrites',
  'conflicts',
  'unavailable',
] as const
export type CheckedMetric = (typeof rehearsalMetrics)[number]

export type MetricUnit = 'ms' | 'share' | 'count' | 'per second'

/** Of an expectation's value, and of what came out. `unavailable`: the longest time in which no write was possible. */
export const metricUnits: Readonly<Record<CheckedMetric, MetricUnit>> = {
  mean: 'ms',
  p50: 'ms',
  p90: 'ms',
  p95: 'ms',
  p99: 'ms',
  p999: 'ms',
  max: 'ms',
  errors: 'share',
  refused: 'share',
  abandoned: 'share',
  throughput: 'per second',
  utilisation: 'share',
  instances: 'count',
  hitRatio: 'share',
  staleReads: 'count',
  lostWrites: 'count',
  conflicts: 'count',
  unavailable: 'ms',
}
