// The edge's snapshot: all that a data plane works from, as plain versioned JSON. `system` compiles the checked system
// file into one and pushes it; the edge's workers compile it once into what the hot path reads (`compile.ts`).
// Times in milliseconds, sizes in bytes, weights dimensionless. An optional key that is absent means "off".

import type { TracingSpec } from '../io/trace-exporter.ts'
import type { StoreSpec } from './store/contract.ts'

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
  readonly tls?: TlsSpec
  /** Signs what instances are told of client certificates (HMAC-SHA-256); base64. */
  readonly identitySecret?: string
  /** Every request but those from `allow` gets this page. Absent: no maintenance. */
  readonly maintenance?: MaintenanceSpec
  /** By status (`404`) or class (`5xx`): pages instead of the edge's own. */
  readonly errorPages?: Readonly<Record<string, PageSpec>>
  readonly tracing?: TracingSpec
  /** Requests slower than this, with their phases. */
  readonly slowLog?: { readonly file: string; readonly thresholdMs: number }
  /** `asked`: where the request has `X-Server-Timing: 1`. Absent: never. */
  readonly serverTiming?: 'asked' | 'always'
  /** Health listeners say 503: traffic should go to another edge, while this one still serves. */
  readonly standDown?: string
  /** Of all routes with `cache`. Absent: nothing is stored. */
  readonly cache?: EdgeCacheSpec
  /** The guard's; what it is made of only the guard knows. Absent: everybody may pass. */
  readonly guard?: Readonly<Record<string, unknown>>
}

export interface EdgeCacheSpec {
  /** What an edge process began with stays: another store needs another process. */
  readonly store: StoreSpec
  /** Names this edge in Cache-Status; `tenfold`, or `tenfold-REGION`. */
  readonly name: string
  /** Upstream of another Tenfold that is asked before the route's own (origin shield). Down: the route's own is asked. */
  readonly parent?: string
  /** Validations in the background at once, per worker. */
  readonly backgroundMax: number
}

/** A route's cache. Rules stand above what the origin says; without rules the origin is obeyed (RFC 9111). */
export interface CacheSpec {
  /** Fresh for so long, whatever the origin says, unless it says private, no-store or sets a cookie. */
  readonly ttlMs?: number
  readonly key: CacheKeySpec
  readonly staleWhileRevalidateMs?: number
  /** Also used when no instance can be reached at all. */
  readonly staleIfErrorMs?: number
  /** How long errors are kept, by status (`404`) or class (`5xx`). Never those that one client's own fields cause (400, 413, 414, 431). */
  readonly negativeMs?: Readonly<Record<string, number>>
  /** Beside those of the origin; `{name}` of the route's path are filled in. */
  readonly tags: readonly string[]
  /** Requests with one of these go past the cache. */
  readonly bypass: {
    readonly headers: readonly string[]
    readonly cookies: readonly string[]
    readonly query: readonly string[]
  }
  /** Cache-Control for clients instead of the origin's. */
  readonly browserTtlMs?: number
  readonly immutable: boolean
  /** RFC 9111 4.2.2: 10 % of the time since Last-Modified, at most a day. */
  readonly heuristics: boolean
  /** Answers that set cookies may be shared, without their cookies. */
  readonly stripCookies: boolean
  /** Set-Cookie is stored and shared (RFC 9111 7.3), for origins whose cookies are the same for everybody. Absent: never. */
  readonly shareCookies?: boolean
  /** In the last share (0..1) of its life an entry that is used is validated in the background. 0: not. */
  readonly refreshAhead: number
  /** How long a request waits for the answer to another one; 0: each asks for itself. */
  readonly collapseMs: number
}

export interface CacheKeySpec {
  /** Which parameters count; sorted by name. */
  readonly query:
    | 'all'
    | 'none'
    | { readonly only: readonly string[] }
    | { readonly except: readonly string[] }
  /** Lower case. Their values are part of the key, and given to instances as they came. */
  readonly headers: readonly string[]
  readonly cookies: readonly string[]
  /** mobile, tablet or desktop. */
  readonly device: boolean
  /** Field in which a trusted proxy tells the client's country. */
  readonly countryHeader?: string
  /** The best of these for Accept-Language; the first where none fits. Empty: not part of the key. */
  readonly languages: readonly string[]
}

export interface PageSpec {
  readonly contentType: string
  /** `{status}`, `{reason}`, `{code}`, `{message}` and `{requestId}` are filled in (escaped in HTML). */
  readonly body: string
}

export interface MaintenanceSpec extends PageSpec {
  readonly retryAfterSeconds: number
  /** CIDR blocks that are let through. */
  readonly allow: readonly string[]
}

interface ListenerBase {
  /** Stable over snapshots, e.g. `http`. */
  readonly id: string
  readonly host: string
  /** 0 = any free port; the edge reports the real one and keeps it over reloads. */
  readonly port: number
  /** CIDR blocks: who connects from there must begin with a PROXY header (v1 or v2); nobody else may. Absent: never. */
  readonly proxyProtocol?: readonly string[]
}

export type ListenerSpec =
  | (ListenerBase & {
      readonly kind: 'http'
      /** HTTPS, with the snapshot's `tls`. */
      readonly tls?: boolean
      /** Not on HTTPS: everything but ACME challenges is sent to https on this port. Absent: not. */
      readonly redirectToHttps?: number
      /** HTTP/2 by ALPN, and by prior knowledge without TLS. Absent: true. */
      readonly http2?: boolean
    })
  | (ListenerBase & {
      readonly kind: 'tcp'
      readonly upstream: string
      readonly tls?: boolean
      /** Written to the members before anything else. */
      readonly sendProxy?: 'v1' | 'v2'
      /** No byte in either direction for this long ends the connection. */
      readonly idleTimeoutMs: number
    })
  | (ListenerBase & {
      readonly kind: 'udp'
      readonly upstream: string
      /** A session is a client's address and port: it keeps its member until it is silent for this long. */
      readonly sessionTimeoutMs: number
      /** Per worker; further clients' datagrams are dropped and counted. */
      readonly sessionsMax: number
    })
  | (ListenerBase & {
      /** For who must know whether this edge should get traffic (keepalived, a balancer before it): 200, or 503 with why. */
      readonly kind: 'health'
      readonly path: string
    })

export interface TlsSpec {
  /** The first is used where no other fits. Files are absolute; their content never enters a snapshot. */
  readonly certificates: readonly CertificateSpec[]
  readonly minVersion: '1.2' | '1.3'
  readonly clientCertificates?: {
    readonly caFile: string
    /** `optional`: who has none passes without identity; one that does not verify is refused. */
    readonly mode: 'optional' | 'required'
  }
  /** Ready value of Strict-Transport-Security. */
  readonly hsts?: string
}

export interface CertificateSpec {
  /** Exact names, and `*.example` for one label; empty: what the certificate itself names. */
  readonly hosts: readonly string[]
  readonly certFile: string
  readonly keyFile: string
  readonly source: 'file' | 'acme' | 'self-signed'
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
  /** Streams of one HTTP/2 connection at once. Absent: 128. */
  readonly http2StreamsMax?: number
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
  readonly cors?: CorsSpec
  readonly compress?: CompressSpec
  readonly hooks?: HooksSpec
  /** How far an instance's database was travels with its user: `Tenfold-After` in answers becomes a cookie, and that the field of later requests. */
  readonly causal?: true
  /** Absent: nothing of this route is stored. */
  readonly cache?: CacheSpec
  /** Name of the guard's policy. Absent: everybody may pass. */
  readonly guard?: string
  /** Request bodies with a Content-Encoding are decoded on the way to count them: more than this is refused with 413. */
  readonly decodedBytesMax?: number
}

export interface CorsSpec {
  /** `['*']`, or exact origins and `https://*.example`. */
  readonly origins: readonly string[]
  readonly methods: readonly string[]
  readonly requestHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly credentials: boolean
  readonly maxAgeSeconds: number
}

export interface CompressSpec {
  /** In the order of our preference. */
  readonly encodings: readonly ('zstd' | 'br' | 'gzip')[]
  readonly bytesMin: number
  /** Media types, `text/*` too. */
  readonly types: readonly string[]
  readonly level: 'fast' | 'balanced' | 'small'
}

/** Functions of the user's, named by module and export, loaded by content by each hook worker. */
export interface HooksSpec {
  /** Absolute path, and the SHA-256 of the module's content. */
  readonly module: string
  readonly hash: string
  readonly onRequest?: string
  readonly onResponse?: string
  readonly deadlineMs: number
  /** What happens to a request whose hook fails, throws or is late. */
  readonly onFailure: 'refuse' | 'pass'
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
      /** Shares of the requests for several upstreams, `upstream` among them; they add up to 1. */
      readonly split?: readonly { readonly upstream: string; readonly share: number }[]
      readonly canary?: CanarySpec
      readonly mirror?: MirrorSpec
    }
  | {
      readonly kind: 'files'
      /** Absolute path of a directory; nothing outside of it is ever served. */
      readonly root: string
      /** What the pattern's fixed prefix matched is taken off the path. */
      readonly prefix: string
      readonly index: readonly string[]
      /** Served with 200 for paths without a file and without an extension: `/index.html` for a single-page application. */
      readonly fallback?: string
      /** `film.js.br`, `.zst`, `.gz` beside `film.js` are used where the client takes them. */
      readonly precompressed: boolean
      /** Cache-Control of every file, unless `immutable` matches it. */
      readonly cacheControl?: string
      /** Files whose name has a content hash (`app-3f9a1c.js`): a year, immutable. */
      readonly immutable: boolean
      /** `.git`, `.env`: only when true. */
      readonly dotFiles: boolean
    }
  | { readonly kind: 'redirect'; readonly status: 301 | 302 | 303 | 307 | 308; readonly location: string }
  | {
      readonly kind: 'respond'
      readonly status: number
      readonly body: string
      readonly contentType: string
    }
  /** The guard's own pages and its interface for apps, below this path. */
  | { readonly kind: 'guard' }

export interface CanarySpec {
  readonly upstream: string
  /** Share of the clients (by sticky value: cookie, else address), 0..1. */
  readonly share: number
  /** Requests with this header or cookie always go to the canary. */
  readonly header?: { readonly name: string; readonly value: string }
  readonly cookie?: { readonly name: string; readonly value: string }
  /** When the canary is taken out by itself. Null: never. */
  readonly rollback: CanaryRollbackSpec | null
}

export interface CanaryRollbackSpec {
  readonly windowMs: number
  /** Fewer canary requests than this in the window say nothing. */
  readonly requestsMin: number
  /** Error share of the canary minus that of the others, above which it is taken out (0..1). */
  readonly errorShareExcess: number
  /** p95 of the canary as a multiple of the others' above which it is taken out. 0 = off. */
  readonly latencyFactor: number
}

/** What metrics name a route's copies. */
export function mirrorRouteId(routeId: string): string {
  return `${routeId} (mirror)`
}

export interface MirrorSpec {
  readonly upstream: string
  /** Share of the requests that are copied, 0..1. */
  readonly share: number
  /** Copies in flight at once, per worker; further ones are not made, and counted. */
  readonly inFlightMax: number
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
  /** `h2`: HTTP/2, by prior knowledge or over `tls` by ALPN. Absent: HTTP/1.1. */
  readonly protocol?: 'http1' | 'h2'
  /** TLS to the members. */
  readonly tls?: UpstreamTlsSpec
  /** Response header in which an instance reports its utilisation (0..1), for `resource`. */
  readonly utilisationHeader?: string
}

export interface UpstreamTlsSpec {
  /** Whose certificate is expected; absent: the member's host as written. */
  readonly serverName?: string
  /** Absolute. Absent: the system's authorities. */
  readonly caFile?: string
  readonly verify: boolean
  readonly certFile?: string
  readonly keyFile?: string
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
  /** A limit that follows the latency, over all members and workers together. Absent: none. */
  readonly adaptive?: AdaptiveSpec
}

export interface AdaptiveSpec {
  /** Requests that wait for an answer at once. */
  readonly limitMin: number
  readonly limitMax: number
  readonly limitStart: number
  /** Latency may be this multiple of what it is without a queue. */
  readonly tolerance: number
  /** Between two measurements of the latency without a queue, under load. */
  readonly probeMs: number
  /** How long a request waits for a place while the line stands, and how long it is not empty until it stands. */
  readonly queueTargetMs: number
  readonly queueIntervalMs: number
  /** Share of the places that is held for critical requests while some come. */
  readonly reserveShare: number
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
