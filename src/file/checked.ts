// The checked system: what the system file becomes once it is checked. Plain, versioned JSON with every default filled
// in; durations are `...Ms` numbers, sizes are bytes, paths stay as written (relative to the system file's folder),
// secrets stay references. It holds types and nothing else; the shapes under `edge` and `upstream` fit the edge's
// snapshot one to one, so that compiling one into the other adds only what runs (members, versions, keys).

import type { CheckedCache, CheckedEdgeCache, CheckedRouteCache } from './checked-caches.ts'
import type { CheckedDatabase } from './checked-databases.ts'
import type { CheckedGuard } from './checked-guard.ts'
import type { CheckedRehearsal } from './checked-rehearsals.ts'
import type { CheckedWorkload } from './checked-workload.ts'
import type { CheckedScale } from './scale.ts'

export const systemFormat = 1

export interface CheckedSystem {
  readonly format: typeof systemFormat
  readonly name: string
  /** The environment whose overrides were applied; null when none was asked for. */
  readonly environment: string | null
  readonly control: CheckedListen
  readonly edge: CheckedEdge
  /** In the order of the file. */
  readonly services: Readonly<Record<string, CheckedService>>
  /** In the order of the file. */
  readonly databases: Readonly<Record<string, CheckedDatabase>>
  /** In the order of the file. */
  readonly caches: Readonly<Record<string, CheckedCache>>
  /** Absent: the file has no `guard`. */
  readonly guard?: CheckedGuard
  /** Absent: the file has no `workload`. */
  readonly workload?: CheckedWorkload
  /** In the order of the file; none without `workload`. */
  readonly rehearsals: Readonly<Record<string, CheckedRehearsal>>
}

export interface CheckedListen {
  /** An IP address. */
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
}

export interface CheckedEdge {
  readonly listeners: readonly CheckedListener[]
  /** `cores` = one worker thread for each core of the machine that runs the edge. */
  readonly workers: 'cores' | number
  readonly trustedProxies: readonly string[]
  readonly forwarded: 'x-forwarded' | 'forwarded' | 'both' | 'none'
  readonly limits: CheckedLimits
  /** `file: null` = `logs/access.log` in the state directory; else a path relative to the system file. */
  readonly accessLog: { readonly file: string | null } | null
  readonly routes: readonly CheckedRoute[]
  /** There whenever a listener speaks TLS. */
  readonly tls?: CheckedTls
  /** What a maintenance shows; whether there is one is a command's, not the file's. */
  readonly maintenance?: CheckedMaintenance
  /** By status (`404`) or class (`5xx`): a file, as written. */
  readonly errorPages?: Readonly<Record<string, string>>
  readonly tracing?: CheckedTracing
  /** `file: null` = `logs/slow.log` in the state directory; else a path relative to the system file. */
  readonly slowLog?: { readonly file: string | null; readonly thresholdMs: number }
  readonly serverTiming?: 'asked' | 'always'
  /** There whenever a route has `cache`. */
  readonly cache?: CheckedEdgeCache
  readonly region?: string
}

interface ListenerBase extends CheckedListen {
  /** Stable over reloads: `http`, `http-2`, `https`, `tcp-7000`, `udp-53`, `health`. */
  readonly id: string
  /** CIDR blocks: who connects from there must begin with a PROXY header. */
  readonly proxyProtocol?: readonly string[]
}

export type CheckedListener =
  | (ListenerBase & {
      readonly kind: 'http'
      /** HTTPS. */
      readonly tls?: true
      /** Port of the https address that clients are sent to; 0: the one that the first HTTPS listener got. */
      readonly redirectToHttps?: number
      /** Absent: yes. */
      readonly http2?: false
    })
  | (ListenerBase & {
      readonly kind: 'tcp'
      /** The service's name. */
      readonly upstream: string
      readonly tls?: true
      readonly sendProxy?: 'v1' | 'v2'
      readonly idleTimeoutMs: number
    })
  | (ListenerBase & {
      readonly kind: 'udp'
      readonly upstream: string
      readonly sessionTimeoutMs: number
      readonly sessionsMax: number
    })
  | (ListenerBase & { readonly kind: 'health'; readonly path: string })

/** Files stay as written: relative to the system file's folder. */
export interface CheckedTls {
  /** None and no `acme`: a self-signed one for localhost. */
  readonly certificates: readonly CheckedCertificate[]
  readonly minVersion: '1.2' | '1.3'
  readonly clientCertificates?: { readonly caFile: string; readonly mode: 'optional' | 'required' }
  /** Ready value of Strict-Transport-Security. */
  readonly hsts?: string
  readonly acme?: CheckedAcme
}

export interface CheckedCertificate {
  /** Exact names and `*.example`, lower case; empty: what the certificate itself names. */
  readonly hosts: readonly string[]
  readonly certFile: string
  readonly keyFile: string
}

/** Certificates from an authority that speaks ACME (RFC 8555), by HTTP-01. */
export interface CheckedAcme {
  /** URL of the authority's directory. */
  readonly directory: string
  readonly email?: string
  /** Exact names, lower case. */
  readonly hosts: readonly string[]
  /** Authority of a private directory's own certificate (PEM), as written. */
  readonly caFile?: string
  /** Absent: when a third of a certificate's life is left. */
  readonly renewBeforeMs?: number
}

export interface CheckedMaintenance {
  /** A file, as written; null: Tenfold's own page. */
  readonly page: string | null
  readonly retryAfterSeconds: number
  /** CIDR blocks that are let through. */
  readonly allow: readonly string[]
}

export interface CheckedTracing {
  readonly endpoint: string
  readonly serviceName: string
  /** 0..1. */
  readonly sampleShare: number
  /** As written. */
  readonly headersFile?: string
}

export interface CheckedLimits {
  readonly requestLineBytesMax: number
  readonly headerBytesMax: number
  readonly headerCountMax: number
  readonly bodyBytesMax: number
  readonly headTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly sendTimeoutMs: number
  readonly connectionsMax: number
  readonly requestsPerConnectionMax: number
  readonly http2StreamsMax: number
  readonly drainTimeoutMs: number
}

export interface CheckedRoute {
  /** Unique: the route's `name`, else method, host and path. */
  readonly id: string
  readonly match: {
    readonly host?: string
    readonly path: string
    readonly methods?: readonly string[]
    readonly headers?: Readonly<Record<string, string>>
  }
  readonly action: CheckedAction
  readonly requestHeaders?: CheckedHeaderRules
  readonly responseHeaders?: CheckedHeaderRules
  readonly timeoutMs?: number
  readonly bodyBytesMax?: number
  readonly cors?: CheckedCors
  readonly compress?: CheckedCompress
  readonly hooks?: CheckedHooks
  readonly decodedBytesMax?: number
  /** Instances are told by `Tenfold-After` which writes their reads must see. */
  readonly causal?: true
  /** Of `proxy` routes; absent: nothing is kept. */
  readonly cache?: CheckedRouteCache
  /** Name of a policy of `guard`; absent: everybody may pass. */
  readonly guard?: string
}

export interface CheckedCors {
  /** `['*']`, or exact origins and `https://*.example`. */
  readonly origins: readonly string[]
  readonly methods: readonly string[]
  /** Lower case; `['*']`: whatever is asked for. */
  readonly requestHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly credentials: boolean
  readonly maxAgeSeconds: number
}

export interface CheckedCompress {
  readonly encodings: readonly ('zstd' | 'br' | 'gzip')[]
  readonly bytesMin: number
  readonly types: readonly string[]
  readonly level: 'fast' | 'balanced' | 'small'
}

export interface CheckedHooks {
  /** As written. */
  readonly module: string
  /** Names of exports. */
  readonly onRequest?: string
  readonly onResponse?: string
  readonly deadlineMs: number
  readonly onFailure: 'refuse' | 'pass'
}

export interface CheckedHeaderRules {
  readonly set?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

export type CheckedAction =
  | {
      readonly kind: 'proxy'
      /** The service's name. */
      readonly upstream: string
      readonly rewritePrefix?: { readonly from: string; readonly to: string }
      readonly upgrade: boolean
      readonly sticky?: CheckedSticky
      readonly retry?: Partial<CheckedRetry>
      readonly hedge?: CheckedHedge
      /** Shares add up to 1; `upstream` is among them. */
      readonly split?: readonly { readonly upstream: string; readonly share: number }[]
      readonly canary?: CheckedCanary
      readonly mirror?: { readonly upstream: string; readonly share: number; readonly inFlightMax: number }
    }
  | {
      readonly kind: 'files'
      /** A folder, as written. */
      readonly root: string
      /** Taken off the path before the file is looked for; `/` takes off nothing. */
      readonly prefix: string
      readonly index: readonly string[]
      readonly fallback?: string
      readonly precompressed: boolean
      readonly cacheControl?: string
      readonly immutable: boolean
      readonly dotFiles: boolean
    }
  | { readonly kind: 'redirect'; readonly status: 301 | 302 | 303 | 307 | 308; readonly location: string }
  | {
      readonly kind: 'respond'
      readonly status: number
      readonly body: string
      readonly contentType: string
    }

export interface CheckedCanary {
  readonly upstream: string
  /** 0..1. */
  readonly share: number
  readonly header?: { readonly name: string; readonly value: string }
  readonly cookie?: { readonly name: string; readonly value: string }
  readonly rollback: {
    readonly windowMs: number
    readonly requestsMin: number
    readonly errorShareExcess: number
    readonly latencyFactor: number
  } | null
}

export type CheckedSticky =
  | {
      readonly by: 'cookie'
      readonly name: string
      readonly maxAgeMs?: number
      readonly secure: boolean
      readonly sameSite: 'Strict' | 'Lax' | 'None'
    }
  | { readonly by: 'ip' }
  | { readonly by: 'header' | 'path' | 'query'; readonly name: string }

export type CheckedService = CommandService | AddressService

/** A service that Tenfold runs as processes. */
export interface CommandService {
  readonly kind: 'command'
  readonly name: string
  /** A string is run by `/bin/sh -c`; a list is the program and its arguments. */
  readonly command: string | readonly string[]
  /** As written: relative to the system file's folder. */
  readonly directory: string
  readonly env: Readonly<Record<string, EnvValue>>
  /** `scale` absent: as many as `tenfold scale` says, at first `min`. */
  readonly instances: { readonly min: number; readonly max: number; readonly scale?: CheckedScale }
  /** By member id (`web-1`); a member that is not named weighs 1. */
  readonly weights: Readonly<Record<string, number>>
  /** How an instance is found ready: also where active probes are off. */
  readonly ready: ReadySettings
  readonly restart: {
    readonly backoffBaseMs: number
    readonly backoffMaxMs: number
    /** More exits than this within the window: the instance is `failed`. */
    readonly exitsMax: number
    readonly windowMs: number
  }
  readonly stop: {
    readonly signal: 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2'
    /** From the signal to KILL. */
    readonly timeoutMs: number
    /** How long requests in flight may go on before the signal is sent. */
    readonly drainTimeoutMs: number
  }
  /** Resident bytes of the whole process group at which an instance is drained and restarted. */
  readonly memoryBytesMax?: number
  readonly user?: string
  readonly logs: { readonly bytesMax: number; readonly filesMax: number }
  readonly upstream: UpstreamSettings
}

export interface ReadySettings {
  readonly kind: 'http' | 'tcp'
  readonly path: string
  readonly host?: string
  readonly intervalMs: number
  readonly probeTimeoutMs: number
  readonly expectStatus: { readonly from: number; readonly to: number }
  /** From the start of the process to its first good probe. */
  readonly timeoutMs: number
}

/** A service that already runs elsewhere. */
export interface AddressService {
  readonly kind: 'addresses'
  readonly name: string
  readonly addresses: readonly CheckedAddress[]
  readonly upstream: UpstreamSettings
}

export type CheckedAddress =
  | {
      readonly kind: 'static'
      /** An IP address. */
      readonly host: string
      readonly port: number
      readonly weight: number
      readonly tier: number
    }
  | {
      /** Resolved again and again (A and AAAA); each address becomes a member. */
      readonly kind: 'dns'
      readonly host: string
      readonly port: number
      readonly weight: number
      readonly tier: number
    }
  | {
      /** `_http._tcp.name`: port and weight come from the record, and its priorities become tiers from `tier` on. */
      readonly kind: 'srv'
      readonly host: string
      readonly tier: number
    }

/** A reference to a secret; its value never enters the checked system. */
export interface SecretReference {
  readonly secret: string
}
export type EnvValue = string | SecretReference

/** How the edge treats a service: the snapshot's upstream without its name and members. */
export interface UpstreamSettings {
  readonly balance: CheckedBalance
  readonly health: CheckedHealth
  readonly limits: CheckedCircuit
  readonly retry: CheckedRetry
  readonly hedge?: CheckedHedge
  readonly slowStartMs: number
  readonly connectTimeoutMs: number
  readonly responseTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly upgradeIdleTimeoutMs: number
  readonly keepAlive: { readonly connectionsMax: number; readonly timeoutMs: number }
  readonly utilisationHeader?: string
  /** Absent: HTTP/1.1. */
  readonly protocol?: 'h2'
  readonly tls?: CheckedUpstreamTls
}

/** Files stay as written. */
export interface CheckedUpstreamTls {
  /** Absent: the member's host as written. */
  readonly serverName?: string
  readonly caFile?: string
  readonly verify: boolean
  readonly certFile?: string
  readonly keyFile?: string
}

export type CheckedHashKey =
  | { readonly by: 'ip' }
  | { readonly by: 'header' | 'cookie' | 'path' | 'query'; readonly name: string }
  | { readonly by: 'url' }

export type CheckedBalance =
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
      readonly key: CheckedHashKey
      readonly loadFactor?: number
    }

export interface CheckedHealth {
  readonly active: {
    readonly kind: 'http' | 'tcp'
    readonly path: string
    readonly host?: string
    readonly intervalMs: number
    readonly timeoutMs: number
    readonly rise: number
    readonly fall: number
    readonly jitter: number
    readonly expectStatus: { readonly from: number; readonly to: number }
  } | null
  readonly passive: {
    readonly consecutiveFailures: number
    readonly failureShare: number
    readonly requestsMin: number
    readonly windowMs: number
    readonly latencyFactor: number
    readonly ejectBaseMs: number
    readonly ejectMaxMs: number
    readonly ejectShareMax: number
  }
  readonly panicShare: number
}

export interface CheckedCircuit {
  readonly connectionsMax: number
  readonly inFlightMax: number
  readonly pendingMax: number
  readonly pendingTimeoutMs: number
  /** Absent: the limit does not follow the latency. */
  readonly adaptive?: CheckedAdaptive
}

/** As policy/settings' AdaptiveSettings. */
export interface CheckedAdaptive {
  readonly limitMin: number
  readonly limitMax: number
  readonly limitStart: number
  readonly tolerance: number
  readonly probeMs: number
  readonly queueTargetMs: number
  readonly queueIntervalMs: number
  readonly reserveShare: number
}

export interface CheckedRetry {
  readonly attempts: number
  readonly budgetShare: number
  readonly budgetMin: number
  readonly perTryTimeoutMs?: number
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  readonly onStatus: readonly number[]
}

export interface CheckedHedge {
  readonly percentile: number
  readonly delayMinMs: number
}
