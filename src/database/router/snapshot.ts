// What a router works from: plain, versioned JSON, pushed by the supervisor and swapped in one assignment. Statements
// begun keep theirs; epochs take effect at once.

import type { CheckedPool } from '../../file/index.ts'
import type { ShardMap } from '../../policy/shard/contract.ts'
import type { Access, ReadsSetting, ServerTls, TopologyServer } from '../contract.ts'
import type { FeedSpec } from '../feed/contract.ts'

export const routerSnapshotFormat = 1

export interface RouterSnapshot {
  readonly format: typeof routerSnapshotFormat
  readonly version: number
  readonly databases: readonly RoutedDatabase[]
  /** Whom the change feeds of these databases tell; absent: nobody but the router's own cached statements. */
  readonly feeds?: FeedListeners
}

export interface FeedListeners {
  /** For caches inside services (`CACHE_FEED`); on loopback. Null: no service has one. */
  readonly bus: { readonly port: number; readonly token: string } | null
  /** The edge processes of this state directory. */
  readonly edges: boolean
  /** `redis://...` of shared tiers, by the name of the cache. */
  readonly shared: readonly {
    readonly name: string
    readonly kind: 'server' | 'ring' | 'cluster'
    readonly urls: readonly string[]
  }[]
}

export interface RoutedDatabase {
  /** `main`, as in the file. */
  readonly name: string
  /** The database inside PostgreSQL; what clients name. */
  readonly database: string
  readonly listener: {
    readonly host: string
    readonly port: number
    readonly tls?: { readonly certFile: string; readonly keyFile: string }
  }
  /** Servers that Tenfold runs itself. */
  readonly own?: boolean
  readonly epoch: number
  readonly timeline: number
  readonly primary: string | null
  readonly holding: boolean
  /** Why there is no primary, or why writes wait; ''. Told to clients whose statements are given up. */
  readonly trouble: string
  readonly servers: readonly TopologyServer[]
  readonly serverTls: ServerTls
  readonly users: readonly RouterUser[]
  /** Watches how far replicas are; pg_monitor. */
  readonly monitor: { readonly user: string; readonly password: string }
  readonly reads: ReadsSetting
  /** How long a read may wait for a replica that has what it must see, before the primary serves it. */
  readonly readWaitMs: number
  readonly balance: 'least-connections' | 'least-response-time' | 'round-robin'
  /** By server id; 1 where nothing is said. */
  readonly weights: Readonly<Record<string, number>>
  readonly pool: PoolSettings
  readonly hold: { readonly timeoutMs: number; readonly statementsMax: number }
  /** Another router may write to these servers: what the last write was is asked of the primary, never remembered. */
  readonly shared: boolean
  /** Lags from which a replica is used less, and not at all; for reads `any` and `maxLag`. */
  readonly lag: { readonly lessFromMs: number; readonly notFromMs: number }
  /** Committed changes that caches are told of. Followed as the user `tenfold`. */
  readonly feed?: FeedSpec
  /** Statements whose results the router keeps; needs the feed of their tables. */
  readonly cacheQueries?: CachedQueries
  /** Rows are on the servers of these groups; the database has none of its own then. */
  readonly shards?: RoutedShards
}

export interface RoutedShards {
  readonly map: ShardMap
  /** In the order of the map's shards: `main.1`, `main.2`, ...; each is a database like any other, without a listener. */
  readonly groups: readonly RoutedDatabase[]
  /** Names prepared transactions of this system: letters, digits, hyphens. */
  readonly systemId: string
  /** The map is about to change: nothing new begins, what is open goes on; then it is placed by the next map. */
  readonly holding?: boolean
  /** Families whose rows may lie on two shards: statements over several shards see those that a shard holds (0044). */
  readonly moving?: readonly string[]
  /** Another number: tables were made or dropped past the router. */
  readonly definitions?: number
}

export interface CachedQueries {
  /** Of all results of this database. */
  readonly bytesMax: number
  /** Larger results are not kept. */
  readonly resultBytesMax: number
  /** Reads whose tables are all in one of these. */
  readonly rules: readonly { readonly tables: readonly string[]; readonly ttlMs: number }[]
  /** The longest time that the hint `tenfold: cache=10s` may ask for; 0: the hint is not obeyed. */
  readonly hintTtlMsMax: number
}

/** Whom clients log in as, and who they are on the servers: for embedded servers the same. */
export interface RouterUser {
  readonly name: string
  readonly password: string
  readonly access: Access
  readonly server: { readonly user: string; readonly password: string }
}

/** As the file has them. */
export type PoolSettings = CheckedPool
