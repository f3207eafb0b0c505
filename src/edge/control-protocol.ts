// What the edge process and its supervisor say to each other: JSON lines over a Unix socket in the state directory.
// The edge listens; a supervisor may come, go, die and come back. Every request has an id and gets one reply.

import type { EdgeSnapshot } from './snapshot.ts'
import type { Purge, StoreCounts } from './store/contract.ts'

export interface ControlRequest {
  readonly id: number
  readonly method: keyof ControlMethods
  readonly params: unknown
}
export type ControlReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }
/** Sent to every connected supervisor without being asked. */
export interface ControlEvent {
  readonly event: 'decision' | 'worker'
  /** Wall clock, milliseconds. */
  readonly at: number
  /** `web/web-2` or `worker 1`. */
  readonly subject: string
  /** A sentence: `ejected: 5 failures in a row`. */
  readonly text: string
}

export interface ControlMethods extends CacheMethods {
  /** To the guard, whose question and answer they are. Refused (EDGE_CONTROL_REQUEST) when there is none. */
  guard: { params: { question: unknown }; result: { answer: unknown } }
  /** Swaps the snapshot in every worker. Refused (EDGE_SNAPSHOT_...) and without effect when it does not compile. */
  apply: { params: { snapshot: EdgeSnapshot }; result: { version: number } }
  status: { params: Record<string, never>; result: EdgeStatus }
  /** Prometheus text. */
  metrics: { params: Record<string, never>; result: { text: string } }
  /** Answers when the member has no exchange in flight, or at the time-out. */
  memberIdle: {
    params: { upstream: string; member: string; epoch: string; timeoutMs: number }
    result: { idle: boolean; inFlight: number }
  }
  /** Gives a route's canary its share again, or takes it out. */
  canary: { params: { route: string; action: 'resume' | 'stop' }; result: CanaryStatus }
  /** Reopen the access log after a rotation. */
  reopenLogs: { params: Record<string, never>; result: Record<string, never> }
  /** Reads the files of certificates anew; answers when every worker has them. They are looked at every 2 s anyway. */
  reloadCertificates: {
    params: Record<string, never>
    result: { changed: readonly string[]; problems: readonly string[] }
  }
  /** Every worker answers these ACME challenges when this is answered, and no others: key authorizations by token. */
  challenges: { params: { tokens: Readonly<Record<string, string>> }; result: Record<string, never> }
  /**
   * No new connections; exchanges in flight end within the limit; then the process exits 0. Idle connections end after
   * `idleMs` (absent: now): time for their clients to hear with their next answer that they should connect anew.
   */
  stop: { params: { drainMs: number; idleMs?: number }; result: Record<string, never> }
  /** For tests and operators: ends one worker thread at once; it is replaced. */
  killWorker: { params: { worker: number }; result: Record<string, never> }
}

/** Of the edge's cache. */
export interface CacheMethods {
  /** Every worker has forgotten it when this is answered; without a cache nothing happens. */
  purge: { params: { what: Purge }; result: Record<string, never> }
  /** Ahead of the first request. Refused (EDGE_CONTROL_REQUEST) when no route with `cache` takes the URL. */
  push: { params: PushRequest; result: PushResult }
  /** Null: no route has `cache`. */
  cacheStatus: { params: Record<string, never>; result: CacheStatus | null }
  /** What a GET of this URL, without further fields, would find. */
  cacheLook: { params: { url: string }; result: CacheLook }
}

export interface PushRequest {
  /** Absolute; its host is the Host of the request. */
  readonly url: string
  /** `origin`: asked for as a client would. Else the file's content, as if an origin had sent it. */
  readonly from:
    | 'origin'
    | {
        /** Absolute; read before this is answered, and not kept. */
        readonly file: string
        readonly contentType: string
        readonly ttlMs: number
        readonly tags: readonly string[]
      }
}

export interface PushResult {
  readonly stored: boolean
  readonly status: number
  readonly bytes: number
  /** Why it is not stored; ''. */
  readonly why: string
}

export interface CacheStatus {
  /** As in Cache-Status. */
  readonly name: string
  readonly eviction: string
  readonly store: StoreCounts
  /** Of routes with `cache`; since the process began. */
  readonly routes: readonly CachedRouteStatus[]
}

/** Requests by what became of them. */
export interface CachedRouteStatus {
  readonly id: string
  /** Fresh, from the store. */
  readonly hits: number
  /** Stale, from the store: while it is validated, or because the origin fails. */
  readonly stale: number
  /** From the store after the origin said 304. */
  readonly revalidated: number
  /** From the answer to another request that was on its way. */
  readonly collapsed: number
  readonly misses: number
  /** Never looked up, or not to be shared. */
  readonly bypassed: number
  readonly hitBytes: number
}

export interface CacheLook {
  readonly url: string
  /** Null: no route takes it. */
  readonly route: string | null
  readonly key: string
  /** A sentence: what is stored, or why nothing is. */
  readonly why: string
  readonly entry: {
    readonly status: number
    readonly state: 'fresh' | 'stale' | 'filling'
    readonly ageMs: number
    /** Below 0: stale since. */
    readonly freshForMs: number
    readonly bodyBytes: number
    /** Field lines without Set-Cookie. */
    readonly fields: string
  } | null
}

export interface EdgeStatus {
  readonly pid: number
  readonly nonce: string
  readonly startedAt: number
  readonly version: number
  readonly draining: boolean
  readonly listeners: readonly {
    readonly id: string
    readonly host: string
    readonly port: number
    readonly url: string
  }[]
  readonly workers: readonly {
    readonly id: number
    readonly state: 'running' | 'starting'
    readonly restarts: number
    readonly connections: number
    readonly exchanges: number
  }[]
  readonly routes: readonly {
    readonly id: string
    readonly requests: number
    readonly errors: number
    readonly p50Ms: number
    readonly p99Ms: number
  }[]
  readonly upstreams: readonly UpstreamStatus[]
  /** Of routes that have one. */
  readonly canaries: readonly CanaryStatus[]
  readonly certificates: readonly CertificateStatus[]
}

export interface CertificateStatus {
  readonly hosts: readonly string[]
  readonly file: string
  readonly source: 'file' | 'acme' | 'self-signed'
  readonly subject: string
  readonly issuer: string
  /** SHA-256, hexadecimal with colons. */
  readonly fingerprint256: string
  /** Wall clock, milliseconds. */
  readonly notAfterMs: number
  /** Below 0: expired. */
  readonly daysLeft: number
  /** Why newer files are not in use; ''. */
  readonly problem: string
}

export interface CanaryStatus {
  readonly route: string
  readonly upstream: string
  readonly share: number
  readonly state: 'running' | 'taken-out' | 'stopped'
  /** What its requests show, or why it gets none: `taken out: errors 12 % against 0.4 % of 500 requests`. */
  readonly reason: string
  /** Since when it gets none; wall clock, milliseconds. */
  readonly outSinceMs: number | null
  /** Of the window. */
  readonly canary: CanarySideStatus
  readonly others: CanarySideStatus
}

export interface CanarySideStatus {
  readonly requests: number
  readonly errors: number
  readonly p95Ms: number
}

export interface UpstreamStatus {
  readonly name: string
  readonly balance: string
  readonly healthy: number
  readonly pending: number
  /** `normal`, or why not: `panic: 2 of 5 healthy`. */
  readonly mode: string
  /** Null: its limit is not adaptive. */
  readonly places: PlacesStatus | null
  readonly members: readonly MemberStatus[]
}

/** Of an upstream whose limit is adaptive. */
export interface PlacesStatus {
  /** Requests that may wait for an answer at once, and those that do. */
  readonly limit: number
  readonly used: number
  /** Why the limit is what it is: `raised to 31: latency 12 ms`. */
  readonly reason: string
  /** Latency without a queue, and lately; 0 = not known yet. */
  readonly baselineMs: number
  readonly recentMs: number
  /** What requests wait for a place, on average. */
  readonly waitMs: number
  /** Refused because there was no place, by class; since the process began. */
  readonly shed: { readonly sheddable: number; readonly normal: number; readonly critical: number }
}

export interface MemberStatus {
  readonly id: string
  readonly epoch: string
  readonly address: string
  readonly state: 'healthy' | 'unhealthy' | 'ejected' | 'draining' | 'unchecked'
  /** Why it is in that state: `2 probes ok`, `ejected: 5 failures in a row, back in 8 s`. */
  readonly reason: string
  readonly weight: number
  readonly inFlight: number
  readonly connections: number
  readonly requests: number
  readonly failures: number
  readonly retries: number
  readonly latencyMs: number
  /** How it was last chosen: `round robin`. */
  readonly chosenBy: string
}
