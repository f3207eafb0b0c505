// The settings that policies obey, as plain data: milliseconds, bytes, shares 0..1. The system file's schemas and the
// edge's snapshot are checked against these types by shape. Holds no defaults (the file does) and no code but lists.

/** Every balancing policy, in the order in which the documentation shows them. */
export const balanceKinds = [
  'round-robin',
  'weighted-round-robin',
  'random',
  'least-connections',
  'least-response-time',
  'least-bandwidth',
  'two-choices',
  'ip-hash',
  'ring-hash',
  'rendezvous-hash',
  'maglev-hash',
  'resource',
] as const
export type BalanceKind = (typeof balanceKinds)[number]

/** What a hash policy hashes. */
export type HashKeySettings =
  | { readonly by: 'ip' }
  | { readonly by: 'header' | 'cookie' | 'path' | 'query'; readonly name: string }
  | { readonly by: 'url' }

export type BalanceSettings =
  | {
      readonly kind: Exclude<BalanceKind, 'ip-hash' | 'ring-hash' | 'rendezvous-hash' | 'maglev-hash'>
    }
  | { readonly kind: 'ip-hash' }
  | {
      readonly kind: 'ring-hash' | 'rendezvous-hash' | 'maglev-hash'
      readonly key: HashKeySettings
      /** Bounded loads: no member above this multiple of the mean (above 1); absent: unbounded. */
      readonly loadFactor?: number
    }

export interface ProbeSettings {
  readonly intervalMs: number
  /** Successes in a row to come back, failures in a row to leave; at least 1 each. */
  readonly rise: number
  readonly fall: number
  /** Share of the interval by which each probe is moved at random, 0..1. */
  readonly jitter: number
}

export interface OutlierSettings {
  /** Failures in a row that eject. 0 = off. */
  readonly consecutiveFailures: number
  /** Share of failures in the window that ejects, with at least `requestsMin` in it. 0 = off. */
  readonly failureShare: number
  readonly requestsMin: number
  readonly windowMs: number
  /** Ejected when its latency is above this multiple of the group's median. 0 = off. */
  readonly latencyFactor: number
  /** First ejection; doubles with each further one up to the maximum. */
  readonly ejectBaseMs: number
  readonly ejectMaxMs: number
  /** At most this share of the members is ejected at once (0..1), but always one may be. */
  readonly ejectShareMax: number
}

export interface CircuitSettings {
  /** Per member, over all workers; 0 = no limit. */
  readonly connectionsMax: number
  readonly inFlightMax: number
  /** Requests that may wait for a place, per upstream, and how long. */
  readonly pendingMax: number
  readonly pendingTimeoutMs: number
  /** A limit that follows the latency, over all members together. Absent: none. */
  readonly adaptive?: AdaptiveSettings
}

export interface AdaptiveSettings {
  /** Requests at once that wait for an answer, over all members and workers. */
  readonly limitMin: number
  readonly limitMax: number
  readonly limitStart: number
  /** Latency may be this multiple of what it is without a queue; above 1. */
  readonly tolerance: number
  /** Between two measurements of the latency without a queue. */
  readonly probeMs: number
  /** How long a request may wait for a place while the line stands, and how long it may not be empty before it does. */
  readonly queueTargetMs: number
  readonly queueIntervalMs: number
  /** Share of the places that is held for critical requests while there are any, 0..0.5. */
  readonly reserveShare: number
}

export interface RetrySettings {
  /** Further attempts after the first. 0 = none. */
  readonly attempts: number
  /** Retries may be at most this share of the active requests (0..1), but always `budgetMin` at once. */
  readonly budgetShare: number
  readonly budgetMin: number
  readonly perTryTimeoutMs?: number
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** Response statuses tried again, for idempotent methods only. */
  readonly onStatus: readonly number[]
}

export interface HedgeSettings {
  /** A second attempt of a safe method after this percentile of the group's latency (50..99.9). */
  readonly percentile: number
  readonly delayMinMs: number
}

export interface RestartSettings {
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** More exits than this within the window and the instance is given up. */
  readonly exitsMax: number
  readonly windowMs: number
}

export interface RollSettings {
  /** Instances above the wanted count while rolling; at least 1. */
  readonly surge: number
  readonly drainTimeoutMs: number
  readonly readyTimeoutMs: number
}
