// The checked system's databases: types only, and what hangs on them is in checked.ts. Durations are `...Ms` numbers,
// paths stay as written, secrets stay references. Ids of servers follow from the database's name: `main-1`, `main-2`.

import type { PartitionSpec } from '../policy/partition/contract.ts'
import type { ShardsSpec } from '../policy/shard/map.ts'
import type { CheckedListen, EnvValue } from './checked.ts'
import type { CheckedCachedQueries, CheckedInvalidation } from './checked-caches.ts'

export type CheckedAccess = 'owner' | 'write' | 'read'

export type CheckedReads =
  | { readonly kind: 'primary' | 'fresh' | 'session' | 'any' }
  | { readonly kind: 'maxLag'; readonly maxLagMs: number }

export interface CheckedDatabase {
  readonly name: string
  readonly engine: 'postgres'
  /** The database inside PostgreSQL. */
  readonly database: string
  /** Of the router. Port 0: any free one, kept over restarts. */
  readonly listen: CheckedListen
  /** TLS for clients of the router. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
  readonly servers: CheckedEmbeddedServers | CheckedExistingServers
  readonly durability: 'primary' | 'one-replica' | 'all-replicas'
  readonly reads: CheckedReads
  readonly readWaitMs: number
  readonly balance: 'least-connections' | 'least-response-time' | 'round-robin'
  /** By server id; a server that is not named weighs 1. */
  readonly weights: Readonly<Record<string, number>>
  /** Somebody writes to the servers past this router. */
  readonly shared: boolean
  readonly pool: CheckedPool
  readonly hold: { readonly timeoutMs: number; readonly statementsMax: number }
  readonly lag: { readonly lessFromMs: number; readonly notFromMs: number }
  readonly failover: { readonly automatic: boolean; readonly detectTimeoutMs: number }
  /** By service; null: every service that Tenfold runs is an owner. */
  readonly access: Readonly<Record<string, CheckedAccess>> | null
  readonly backup: CheckedBackup | null
  /** What caches forget when rows change. */
  readonly invalidate: readonly CheckedInvalidation[]
  /** Null: no result is kept. */
  readonly cacheQueries: CheckedCachedQueries | null
  /** Null: one group of servers has all rows. */
  readonly shards: CheckedShards | null
  /** Of tables that Tenfold rolls forward. */
  readonly partitions: readonly PartitionSpec[]
}

/** Ids `1`, `2`, ...; tables by `schema.table`. */
export type CheckedShards = ShardsSpec

/** Servers that Tenfold runs itself. */
export interface CheckedEmbeddedServers {
  readonly kind: 'embedded'
  /** The first is the primary of a new database. */
  readonly members: readonly CheckedServer[]
  readonly settings: Readonly<Record<string, string>>
}

export interface CheckedServer {
  readonly id: string
  /** An id, or the primary, whichever that is. */
  readonly from: string
  readonly delayMs: number
  /** As written; absent: under the state directory. */
  readonly directory?: string
}

export interface CheckedExistingServers {
  readonly kind: 'existing'
  readonly urls: readonly EnvValue[]
  readonly tls: { readonly mode: 'off' | 'require' | 'verify'; readonly caFile?: string }
}

/** How clients share the router's connections to servers. */
export interface CheckedPool {
  /** Connections to one server, all users together. */
  readonly sizeMax: number
  readonly clientsMax: number
  /** Clients that wait for a connection. */
  readonly waitingMax: number
  readonly waitTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly lifetimeMs: number
  /** A client that is idle inside a transaction: rolled back, its connection to the server is used by others. 0: never. */
  readonly transactionIdleTimeoutMs: number
  /** A statement that the client's own `statement_timeout` does not bound. 0: no bound. */
  readonly statementTimeoutMs: number
  /** Prepared statements kept on one server connection. */
  readonly preparedMax: number
  /** Bytes of one message from a client. */
  readonly messageBytesMax: number
  readonly loginTimeoutMs: number
}

export interface CheckedBackup {
  /** A folder, as written. */
  readonly directory: string
  readonly everyMs: number
  readonly keep: number
  /** Null: no drills by themselves. */
  readonly drillEveryMs: number | null
}
