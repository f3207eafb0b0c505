// The checked system's workload: what people do with the system, what that costs, and what is wanted. Types only. `plan`
// sizes by it, `simulate` rehearses with it, `calibrate` measures parts of it; what runs never reads it.

export interface CheckedWorkload {
  /** People who use the system on a day; null: actions give rates instead. */
  readonly dailyUsers: number | null
  /** Kinds of requests, in the order of the file: `reads`, `writes`, and others by name. At least one. */
  readonly actions: Readonly<Record<string, CheckedActionLoad>>
  /** The rate at the busiest time of a day over the mean of the day; at least 1. */
  readonly peakFactor: number
  /** 0.5 = half as much again each year; above -1. */
  readonly growthPerYear: number
  /** How long what is stored is kept; null: for ever. */
  readonly retentionMs: number | null
  /** Every service of the file, also those that the workload does not name. */
  readonly services: Readonly<Record<string, CheckedServiceLoad>>
  /** Every database of the file. */
  readonly databases: Readonly<Record<string, CheckedDatabaseLoad>>
  /** Every cache of the file; `edge` is the one of the edge, where a route has `cache`. */
  readonly caches: Readonly<Record<string, CheckedCacheLoad>>
  readonly network: CheckedNetworkLoad
  readonly machine: CheckedMachine
  readonly targets: CheckedTargets
  /** What `tenfold calibrate` measured, and where; null: nothing is measured. */
  readonly calibrated: { readonly at: string; readonly machine: string } | null
  /** Key paths below `workload` that the file has (`peak`, `services.api`, `services.api.time`): all else is assumed. */
  readonly said: readonly string[]
}

/** One kind of request. */
export interface CheckedActionLoad {
  readonly kind: 'read' | 'write'
  /** A day, of one user; null: `ratePerSecond` is given. Exactly one of both. */
  readonly perUser: number | null
  /** The mean of the day. */
  readonly ratePerSecond: number | null
  readonly method: string
  /** Decides the route, as it would for a real request. */
  readonly path: string
  readonly host: string | null
  readonly requestBytes: number
  readonly responseBytes: number
  /** Of a write: what it adds to the database, before indexes and bloat. */
  readonly storedBytes: number
  /** A share of the requests carries a blob of this size, in (write) or out (read). */
  readonly media: { readonly share: number; readonly bytes: number } | null
  /** How many different things are asked for, and how unevenly: Zipf's law, the n-th asked for n^-alpha times. */
  readonly objects: { readonly count: number; readonly alpha: number } | null
}

/** How long something takes, as a law of chance; means in microseconds. */
export type CheckedTime =
  | { readonly kind: 'fixed'; readonly us: number }
  | { readonly kind: 'exponential'; readonly meanUs: number }
  | { readonly kind: 'log-normal'; readonly meanUs: number; readonly sigma: number }
  /** Measured: the share (0..1, rising, the last is 1) of values up to each bound; straight lines between. */
  | { readonly kind: 'measured'; readonly shares: readonly number[]; readonly boundsUs: readonly number[] }

export interface CheckedServiceLoad {
  /** Work on one core for a request, without what it waits for. */
  readonly time: CheckedTime
  /** Requests that an instance works on at once; others wait in it. */
  readonly concurrency: number
  /** In which order those that wait are taken; `shared`: none waits, all share the cores (processor sharing). */
  readonly discipline: 'fifo' | 'lifo' | 'shared'
  /** Requests that may wait in an instance; null: no bound. */
  readonly queueMax: number | null
  /** From a start to ready. */
  readonly bootMs: number
  /** Share of requests that it answers with an error by itself. */
  readonly failureShare: number
  /** What one request makes it ask of others, one after another. */
  readonly calls: readonly CheckedCall[]
  /** Of one instance, when it does its work. */
  readonly memoryBytes: number
}

/** `times` is a mean: 0.3 = three requests in ten call once, 2.5 = two or three calls. */
export type CheckedCall =
  | { readonly kind: 'service'; readonly service: string; readonly times: number }
  | { readonly kind: 'database'; readonly database: string; readonly reads: number; readonly writes: number }
  /** Asked first; what is missing goes on to the next calls, what is found ends them. */
  | { readonly kind: 'cache'; readonly cache: string; readonly times: number }

export interface CheckedDatabaseLoad {
  /** Work of one server for a statement. */
  readonly readTime: CheckedTime
  readonly writeTime: CheckedTime
  /** What a replica spends to replay one write. */
  readonly applyTime: CheckedTime
  /** Statements that a server works on at once: cores. */
  readonly concurrency: number
  /** From the primary's commit to its arrival at a replica. */
  readonly shippingTime: CheckedTime
  /** Indexes and bloat, as shares of the stored bytes. */
  readonly indexShare: number
  readonly bloatShare: number
  /** Share of the data that is in use on an ordinary day. */
  readonly workingSetShare: number
  /** What one server may hold and work, before more of them are advised. */
  readonly bytesMax: number
}

export interface CheckedCacheLoad {
  /** Measured or wanted share of requests that it answers; null: computed from its size and the popularity of objects. */
  readonly hitRatio: number | null
  /** Things it can hold; null: from its memory and the size of a thing. */
  readonly entriesMax: number | null
  readonly entryBytes: number
  readonly ttlMs: number | null
}

export interface CheckedNetworkLoad {
  /** One way. */
  readonly client: CheckedTime
  readonly inside: CheckedTime
  /** Between zones, and between regions. */
  readonly zones: CheckedTime
  readonly regions: CheckedTime
}

/** One of the machines that the system runs on. */
export interface CheckedMachine {
  readonly cores: number
  readonly memoryBytes: number
  readonly diskBytes: number
  readonly networkBitsPerSecond: number
  readonly zones: number
  /** Of one machine, independent of the others: mean time between failures, and to repair. */
  readonly mtbfMs: number
  readonly mttrMs: number
  /** Processor time of the edge for a request that it passes on, microseconds. */
  readonly edgeUs: number
}

export interface CheckedTargets {
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly p999Ms: number | null
  /** 0..1: 0.999. */
  readonly availability: number | null
  /** Share of the peak's work that machines are to be filled with; the rest is room for what is not foreseen. */
  readonly utilisationMax: number
}
