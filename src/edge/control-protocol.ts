// What the edge process and its supervisor say to each other: JSON lines over a Unix socket in the state directory.
// The edge listens; a supervisor may come, go, die and come back. Every request has an id and gets one reply.

import type { EdgeSnapshot } from './snapshot.ts'

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

export interface ControlMethods {
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
  readonly members: readonly MemberStatus[]
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
