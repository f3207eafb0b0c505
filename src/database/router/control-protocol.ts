// What a router process and its supervisor say to each other: JSON lines over a Unix socket, as the edge's.

import type { HeatReport } from '../../policy/shard/heat-contract.ts'
import type { FeedStatus } from '../feed/feed.ts'
import type { ResultCounts } from './results.ts'
import type { RouterSnapshot } from './snapshot.ts'

export interface RouterControlMethods {
  /** Refused (DATABASE_...) and without effect when it does not fit, or has an older epoch than the one in use. */
  apply: { params: { snapshot: RouterSnapshot }; result: { version: number } }
  status: { params: Record<string, never>; result: RouterStatus }
  metrics: { params: Record<string, never>; result: { text: string } }
  /**
   * Answers when no transaction is open on the database's primary, or at the time-out. `earlier`: when no statement over several
   * shards is under way that was planned before what the router knows now.
   */
  drained: {
    params: { database: string; timeoutMs: number; earlier?: boolean }
    result: { drained: boolean; open: number }
  }
  /** How hot shards, slots and keys of a sharded database are; null: there is none of that name. */
  heat: { params: { database: string }; result: { heat: HeatReport | null } }
  /** No new clients; transactions end within the limit, then connections; the process exits 0. */
  stop: { params: { drainMs: number }; result: Record<string, never> }
}

/** Sent to every connected supervisor without being asked. */
export interface RouterControlEvent {
  readonly event: 'decision'
  readonly at: number
  /** `main` or `main/main-2`. */
  readonly subject: string
  readonly text: string
}

export interface RouterStatus {
  readonly pid: number
  readonly nonce: string
  readonly startedAt: number
  readonly version: number
  readonly draining: boolean
  readonly databases: readonly RoutedDatabaseStatus[]
}

export interface RoutedDatabaseStatus {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly epoch: number
  readonly clients: number
  /** Waiting for a server connection; held because there is no primary. */
  readonly waiting: number
  readonly held: number
  readonly servers: readonly RoutedServerStatus[]
  /** Clients that keep a server connection for themselves now, by reason: `transaction`, `temp-table`, ... */
  readonly pins: Readonly<Record<string, number>>
  /** Statements since the start, by class and where they went. */
  readonly statements: readonly {
    readonly kind: string
    readonly server: 'primary' | 'replica'
    readonly count: number
    readonly errors: number
    readonly p50Ms: number
    readonly p99Ms: number
  }[]
  /** Reads that were to go to a replica, by what became of them: `replica`, `waited`, `primary:not-fresh`, ... */
  readonly reads: Readonly<Record<string, number>>
  /** What caches are told of committed changes; null: nobody asked for it. */
  readonly feed: FeedStatus | null
  /** Answers of reads that are kept; null: none are. */
  readonly results: ResultCounts | null
}

export interface RoutedServerStatus {
  readonly id: string
  readonly role: 'primary' | 'replica'
  readonly connections: number
  readonly active: number
  readonly idle: number
  readonly lagBytes: number | null
  readonly lagMs: number | null
  /** `used`, or why not. */
  readonly reason: string
}
