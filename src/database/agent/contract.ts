// One database as the rest of the system sees it: its life, its topology, its commands. `group.ts` implements it over
// `servers/`, and the decisions in between are `policy/failover.ts`.

import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type { DatabaseDecision, DatabaseRole, DatabaseSpec, Lsn, Topology } from '../contract.ts'
import type { DatabaseServers, Progress, ServersOptions } from '../servers/contract.ts'

/** Who may decide. On one host the supervisor's lock is the lease; etcd fits the same port later. */
export interface Lease {
  /** True as long as nobody else can hold it. Asked before each step that changes a server. */
  held(): boolean
}

export interface GroupOptions extends ServersOptions {
  readonly random: Random
  readonly clock: Clock
  readonly lease: Lease
  decided(decision: DatabaseDecision): void
  /**
   * A topology that routers must work from. Resolves when every router that answers obeys it: a switchover goes on, and a
   * new primary is opened, only then. `drained`: resolves when no transaction is open on the old primary, or in time.
   */
  publish(topology: Topology): Promise<void>
  drained(database: string, timeoutMs: number): Promise<boolean>
}

export interface DatabaseGroup {
  readonly spec: DatabaseSpec
  readonly topology: Topology
  readonly roles: readonly DatabaseRole[]
  /** For what reads and copies (backup, verify, settings, slow statements): whoever uses it changes no role and no state. */
  readonly servers: DatabaseServers
  /** New, stopped or left running: resolves when it takes writes and its replicas stream (or are said not to). */
  start(progress: Progress): Promise<void>
  /** A changed spec: what can change live (replicas, durability, settings that reload, access); else rejects with a code. */
  apply(spec: DatabaseSpec, progress: Progress): Promise<void>
  status(): DatabaseGroupStatus
  /** Planned: hold, drain, fence, promote, open, follow. Rejects and changes nothing when it can't be done without loss. */
  switchover(to: string | null, progress: Progress): Promise<string>
  /** Unplanned, by an operator: `lossy` accepts that acknowledged commits may be missing. */
  failover(to: string | null, lossy: boolean, progress: Progress): Promise<string>
  rebuild(server: string, progress: Progress): Promise<string>
  /** No automatic failover and no repair until `resume`. Kept over restarts. */
  pause(why: string): void
  resume(): void
  stop(now: boolean): Promise<void>
  release(): void
}

export interface DatabaseGroupStatus {
  readonly name: string
  readonly state:
    | 'starting'
    | 'ready'
    | 'degraded'
    | 'read-only'
    | 'failing-over'
    | 'stopping'
    | 'stopped'
    | 'failed'
  readonly reason: string
  readonly durability: string
  readonly epoch: number
  readonly timeline: number
  readonly paused: string | null
  readonly servers: readonly ServerStatus[]
  /** Latest first, at most 20. */
  readonly failovers: readonly FailoverRecord[]
}

export interface ServerStatus {
  readonly id: string
  readonly role: 'primary' | 'replica'
  readonly state: string
  readonly reason: string
  readonly host: string
  readonly port: number
  readonly pid: number | null
  readonly delayMs: number
  readonly lsn: Lsn
  /** Behind the primary; null where unknown. */
  readonly lagBytes: number | null
  readonly lagMs: number | null
  readonly from: string | null
}

export interface FailoverRecord {
  readonly atMs: number
  readonly kind: 'failover' | 'switchover'
  readonly from: string
  readonly to: string
  readonly why: string
  /** From the first bad look to the first topology with the new primary. */
  readonly tookMs: number
  /** Row changes that were acknowledged and never reached the new primary; null: not counted (yet). */
  readonly lost: { readonly changes: number; readonly file: string; readonly covers: string } | null
}
