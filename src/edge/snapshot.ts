// The edge's snapshot: all that a data plane works from, as plain versioned JSON. `system` compiles the checked system
// file into one and pushes it; the edge's workers compile it once into what the hot path reads (`compile.ts`).
// Times in milliseconds, sizes in bytes, weights dimensionless. An optional key that is absent means "off".

export const snapshotFormat = 1

export interface EdgeSnapshot {
  readonly format: typeof snapshotFormat
  /** Grows by at least one with each push; the edge refuses an older one. */
  readonly version: number
  /** The system's name: used in Via and on error pages. */
  readonly name: string
  readonly listeners: readonly ListenerSpec[]
  /** CIDR blocks whose X-Forwarded-*, Forwarded, X-Request-Id and traceparent are believed. */
  readonly trustedProxies: readonly string[]
  /** What is written to instances. */
  readonly forwarded: 'x-forwarded' | 'forwarded' | 'both' | 'none'
  readonly limits: EdgeLimits
  readonly accessLog: { readonly file: string } | null
  /** First match wins. */
  readonly routes: readonly RouteSpec[]
  readonly upstreams: readonly UpstreamSpec[]
  /** Signs sticky cookies (HMAC-SHA-256); base64. Kept in the state directory, the same over restarts. */
  readonly stickySecret: string
}

export interface ListenerSpec {
  /** Stable over snapshots, e.g. `http`. */
  readonly id: string
  readonly kind: 'http'
  readonly host: string
  /** 0 = any free port; the edge reports the real one and keeps it over reloads. */
  readonly port: number
}

export interface EdgeLimits {
  readonly requestLineBytesMax: number
  readonly headerBytesMax: number
  readonly headerCountMax: number
  readonly bodyBytesMax: number
  /** From the first byte of a head to its end. */
  readonly headTimeoutMs: number
  /** A keep-alive connection with no request on it. */
  readonly idleTimeoutMs: number
  /** Between two reads of a request body. */
  readonly bodyTimeoutMs: number
  /** Between two writes that a client accepts. */
  readonly sendTimeoutMs: number
  readonly connectionsMax: number
  /** Requests on one client connection before it is closed politely. */
  readonly requestsPerConnectionMax: number
  /** After a drain or reload began: how long exchanges in flight may go on. */
  readonly drainTimeoutMs: number
}

export interface RouteSpec {
  /** Stable and unique: what metrics and logs name, e.g. `/api/films/*`. */
  readonly id: string
  readonly match: {
    /** `tickets.example`, `*.example` or absent for any. Lower case, no port. */
    readonly host?: string
    /** `/exact`, `/prefix/*`, `/rooms/:id/*`. A `:name` takes one segment, a final `*` takes the rest (also nothing). */
    readonly path: string
    readonly methods?: readonly string[]
    /** Name (lower case) to value; `'*'` means present with any value. */
    readonly headers?: Readonly<Record<string, string>>
  }
  readonly action: RouteAction
  readonly requestHeaders?: HeaderRules
  readonly responseHeaders?: HeaderRules
  /** From the route's match to the end of the response; absent: no overall limit. */
  readonly timeoutMs?: number
  readonly bodyBytesMax?: number
}

export interface HeaderRules {
  readonly set?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

export type RouteAction =
  | {
      readonly kind: 'proxy'
      readonly upstream: string
      /** Replaces what the pattern's fixed prefix matched: `/api` -> `/`. */
      readonly rewritePrefix?: { readonly from: string; readonly to: string }
      /** Upgrade (WebSocket) allowed. */
      readonly upgrade: boolean
      readonly sticky?: StickySpec
      /** Key of the hash policies; defaults to the upstream's. */
      readonly retry?: Partial<RetrySpec>
      readonly hedge?: HedgeSpec
    }
  | { readonly kind: 'redirect'; readonly status: 301 | 302 | 303 | 307 | 308; readonly location: string }
  | {
      readonly kind: 'respond'
      readonly status: number
      readonly body: string
      readonly contentType: string
    }

/** `cookie` is issued by the edge, signed and HttpOnly; the others hash what the request carries. */
export type StickySpec =
  | {
      readonly by: 'cookie'
      readonly name: string
      readonly maxAgeMs?: number
      readonly secure: boolean
      readonly sameSite: 'Strict' | 'Lax' | 'None'
    }
  | { readonly by: 'ip' }
  | { readonly by: 'header' | 'path' | 'query'; readonly name: string }

export interface UpstreamSpec {
  readonly name: string
  readonly balance: BalanceSpec
  readonly members: readonly MemberSpec[]
  readonly health: HealthSpec
  readonly limits: CircuitSpec
  readonly retry: RetrySpec
  readonly hedge?: HedgeSpec
  readonly slowStartMs: number
  readonly connectTimeoutMs: number
  /** From the end of the request to the first byte of the response. */
  readonly responseTimeoutMs: number
  /** Between two reads of a response body, and per direction of an upgraded connection. */
  readonly idleTimeoutMs: number
  readonly upgradeIdleTimeoutMs: number
  /** Idle connections kept per member and worker, and for how long (shorter than the instance's own). */
  readonly keepAlive: { readonly connectionsMax: number; readonly timeoutMs: number }
  /** Response header in which an instance reports its utilisation (0..1), for `resource`. */
  readonly utilisationHeader?: string
}

export type HashKeySpec =
  | { readonly by: 'ip' }
  | { readonly by: 'header' | 'cookie' | 'path' | 'query'; readonly name: string }
  | { readonly by: 'url' }

export type BalanceSpec =
  | {
      readonly kind:
        | 'round-robin'
        | 'weighted-round-robin'
        | 'random'
        | 'least-connections'
        | 'least-response-time'
        | 'least-bandwidth'
        | 'two-choices'
        | 'resource'
    }
  | { readonly kind: 'ip-hash' }
  | {
      readonly kind: 'ring-hash' | 'rendezvous-hash' | 'maglev-hash'
      readonly key: HashKeySpec
      /** Bounded loads: no member above this multiple of the mean (1.25); absent: unbounded. */
      readonly loadFactor?: number
    }

export interface MemberSpec {
  /** Stable over restarts of the edge, unique in the upstream: `web-1`, `10.0.0.5:3000`. Never shown to clients. */
  readonly id: string
  /** Names one life of the member: a restarted instance has the same id and another epoch. */
  readonly epoch: string
  readonly host: string
  readonly port: number
  readonly weight: number
  /** 0 is used first; a higher tier only when lower ones lack healthy members. */
  readonly tier: number
  readonly state: 'active' | 'draining'
  /** 0..1 from the supervisor's samples, where the upstream balances by `resource` and reports nothing itself. */
  readonly utilisation?: number
}

export interface HealthSpec {
  readonly active: {
    readonly kind: 'http' | 'tcp'
    readonly path: string
    readonly host?: string
    readonly intervalMs: number
    readonly timeoutMs: number
    /** Successes in a row to come back, failures in a row to leave. */
    readonly rise: number
    readonly fall: number
    /** Share of the interval by which each probe is moved at random, 0..1. */
    readonly jitter: number
    readonly expectStatus: { readonly from: number; readonly to: number }
  } | null
  readonly passive: {
    /** Failures in a row (connect errors, resets, 502/503/504) that eject. 0 = off. */
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
  /** Below this share of healthy members all are used, healthy or not. 0 = never. */
  readonly panicShare: number
}

export interface CircuitSpec {
  /** Per member, over all workers; 0 = no limit. */
  readonly connectionsMax: number
  readonly inFlightMax: number
  /** Requests that may wait for a place, per upstream, and how long. */
  readonly pendingMax: number
  readonly pendingTimeoutMs: number
}

export interface RetrySpec {
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

export interface HedgeSpec {
  /** A second attempt of a safe method after this percentile of the member group's latency (50..99.9). */
  readonly percentile: number
  readonly delayMinMs: number
}
