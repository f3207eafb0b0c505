// What the control API says, as types: the shapes that the server answers, the client hands on and the command line
// shows. It holds types only, so that the client costs nothing to load; schemas.ts checks the same shapes at run time.
// Times are ISO 8601 in UTC, sizes bytes, durations milliseconds.

import type { CacheSummaryView } from './cache-views.ts'
import type { DatabaseView, RouterView } from './database-views.ts'

export type * from './cache-views.ts'
export type * from './database-views.ts'
export type * from './guard-views.ts'

export interface FailureView {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string }
}

export interface MemberView {
  /** `web-1`, `10.0.0.5:3000`: unique within its service. */
  readonly id: string
  readonly address: string
  /** The fleet's word: `ready`, `starting`, `draining`, `waiting to restart`, `failed`, ... */
  readonly state: string
  readonly reason: string
  readonly pid: number | null
  readonly startedAt: string | null
  readonly restarts: number
  /** Taken back from a supervisor that died. */
  readonly adopted: boolean
  readonly cpuPercent: number | null
  readonly residentBytes: number | null
  /** The edge's view; null while the edge does not know the member. */
  readonly traffic: TrafficView | null
}

export interface TrafficView {
  readonly state: 'healthy' | 'unhealthy' | 'ejected' | 'draining' | 'unchecked'
  readonly reason: string
  readonly weight: number
  readonly inFlight: number
  readonly connections: number
  readonly requests: number
  readonly failures: number
  readonly retries: number
  readonly latencyMs: number
  readonly chosenBy: string
}

export interface PlacesView {
  readonly limit: number
  readonly used: number
  /** `raised to 31: latency 12 ms`. */
  readonly reason: string
  readonly baselineMs: number
  readonly recentMs: number
  readonly waitMs: number
  readonly shed: { readonly sheddable: number; readonly normal: number; readonly critical: number }
}

export interface ServiceView {
  readonly name: string
  readonly kind: 'command' | 'addresses'
  readonly balance: string
  /** `normal`, or why not: `panic: 2 of 5 healthy`. */
  readonly mode: string
  readonly instances: {
    readonly min: number
    readonly max: number
    readonly wanted: number
    readonly ready: number
  } | null
  /** Why it has as many as it has, where that follows its load; null: it does not. */
  readonly scaling: string | null
  /** Requests that wait for a place. */
  readonly pending: number
  /** Null: its limit is not adaptive. */
  readonly places: PlacesView | null
  /** What hinders the service as a whole, e.g. a name that does not resolve; empty when nothing does. */
  readonly trouble: string
  readonly members: readonly MemberView[]
}

export interface EdgeView {
  readonly state: 'running' | 'starting' | 'restarting' | 'stopped'
  readonly reason: string
  readonly pid: number | null
  readonly adopted: boolean
  readonly restarts: number
  /** Pids of former edge processes that drain. */
  readonly leaving: readonly number[]
  readonly snapshotVersion: number
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
  /** Of routes that have one. */
  readonly canaries: readonly CanaryView[]
  /** That it serves; the first is used where no other fits. */
  readonly certificates: readonly CertificateView[]
  /** Null: no route keeps anything, or the edge does not say. */
  readonly cache: CacheSummaryView | null
}

export interface CertificateView {
  readonly hosts: readonly string[]
  readonly file: string
  readonly source: 'file' | 'acme' | 'self-signed'
  readonly issuer: string
  readonly validUntil: string
  /** Below 0: expired. */
  readonly daysLeft: number
  /** Why newer files are not in use; empty when they are. */
  readonly problem: string
}

export interface CanaryView {
  readonly route: string
  /** The service that is tried. */
  readonly upstream: string
  /** 0..1. */
  readonly share: number
  readonly state: 'running' | 'taken-out' | 'stopped'
  /** What its requests show, or why it gets none. */
  readonly reason: string
  /** Since when it gets none. */
  readonly outSince: string | null
  readonly canary: CanarySideView
  readonly others: CanarySideView
}

/** What one side did within the canary's window. */
export interface CanarySideView {
  readonly requests: number
  readonly errors: number
  readonly p95Ms: number
}

export interface CanariesView {
  readonly canaries: readonly CanaryView[]
}

/** Every client but those who are let through gets a page. Null: as the file says. */
export interface MaintenanceView {
  readonly at: string
  readonly allow: readonly string[] | null
  readonly retryAfterSeconds: number | null
}

/** One host's automatic certificate. */
export interface AcmeHostView {
  readonly host: string
  /** `waiting`: it has none yet; `failed`: the last try failed, one that is valid is served on. */
  readonly state: 'waiting' | 'issuing' | 'valid' | 'failed'
  readonly text: string
  readonly validUntil: string | null
  /** When the authority is asked next: a renewal, or another try. */
  readonly nextTryAt: string
}

/** Traffic should go to another edge; this one still serves. */
export interface StandDownView {
  readonly at: string
  readonly reason: string
}

export type SystemEventKind = 'progress' | 'decision' | 'warning' | 'ready' | 'reload' | 'stopping'

export interface SystemEvent {
  readonly at: string
  readonly kind: SystemEventKind
  /** What it is about: `web/web-2`, `edge`, `file`. */
  readonly subject: string
  readonly text: string
}

export interface ReloadView {
  readonly at: string
  readonly outcome: 'applied' | 'refused' | 'unchanged'
  readonly text: string
}

export interface StatusView {
  readonly name: string
  readonly state: 'starting' | 'running' | 'stopping'
  readonly ready: boolean
  /** What is missing for ready, one sentence each. */
  readonly waitingFor: readonly string[]
  /** Tenfold's version. */
  readonly tenfold: string
  readonly pid: number
  readonly startedAt: string
  readonly uptimeMs: number
  readonly file: string
  readonly environment: string | null
  readonly stateDirectory: string
  readonly controlUrl: string
  /** Is the file watched? */
  readonly watching: boolean
  /** The user that services run as. */
  readonly runsAs: string
  readonly lastReload: ReloadView | null
  readonly warnings: readonly string[]
  readonly edge: EdgeView
  /** Automatic certificates, in the order of the file. */
  readonly acme: readonly AcmeHostView[]
  readonly standDown: StandDownView | null
  readonly maintenance: MaintenanceView | null
  readonly services: readonly ServiceView[]
  /** Before the databases; null: there is no database. */
  readonly router: RouterView | null
  readonly databases: readonly DatabaseView[]
  /** The latest, oldest first; at most 50. */
  readonly decisions: readonly SystemEvent[]
}

export interface ChangeView {
  readonly path: string
  readonly from: string | null
  readonly to: string | null
  readonly effect: 'live' | 'rolls' | 'starts' | 'stops' | 'refused'
  /** The service that rolls, starts or stops, or the reason why it is refused; empty for live changes. */
  readonly note: string
}

/** One line of a long operation; the last one is `done` or `failed`. */
export type OperationLine =
  | { readonly kind: 'progress'; readonly at: string; readonly subject: string; readonly text: string }
  | {
      readonly kind: 'done'
      readonly at: string
      readonly text: string
      readonly changes?: readonly ChangeView[]
      /** What was found, a sentence each. */
      readonly findings?: readonly string[]
    }
  | {
      readonly kind: 'failed'
      readonly at: string
      readonly error: FailureView['error']
    }

export interface HistoryEntry {
  /** Grows with each system that was applied. */
  readonly number: number
  readonly at: string
  readonly text: string
  /** The one that runs. */
  readonly current: boolean
  readonly services: readonly string[]
}

export interface HistoryView {
  /** Newest first. */
  readonly entries: readonly HistoryEntry[]
}

export interface LogLine {
  readonly service: string
  readonly instance: string
  /** When the supervisor read it; null for lines that were written before it was asked. */
  readonly at: string | null
  readonly text: string
}

export interface AcceptedView {
  readonly text: string
}
