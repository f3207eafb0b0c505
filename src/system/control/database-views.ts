// What the control API says of databases, as types; database-schemas.ts checks the same shapes at run time. Times are
// ISO 8601 in UTC, sizes bytes, durations milliseconds. Never a password, but in a connection, which only admins get.

import type { IndexTrial, PartitionAdvice } from '../../policy/advise/contract.ts'
import type { HeatReport, ShardAdvice } from '../../policy/shard/heat-contract.ts'

export interface DatabaseView {
  readonly name: string
  /** The database inside PostgreSQL. */
  readonly database: string
  /** `elsewhere`: followed, never promoted. */
  readonly servedBy: 'tenfold' | 'elsewhere'
  readonly state: string
  readonly reason: string
  readonly durability: string
  /** `fresh`, `maxLag 5s`. */
  readonly reads: string
  readonly host: string
  readonly port: number
  /** Grows with each change of the primary. */
  readonly epoch: number
  readonly timeline: number
  /** Why an operator has paused failovers and repairs; null: they go on. */
  readonly paused: string | null
  /** Null: the router does not answer. */
  readonly traffic: DatabaseTrafficView | null
  readonly servers: readonly DatabaseServerView[]
  /** Latest first. */
  readonly failovers: readonly FailoverView[]
  /** Null: none is asked for. */
  readonly backup: BackupStateView | null
}

export interface DatabaseTrafficView {
  readonly clients: number
  /** For a connection to a server. */
  readonly waiting: number
  /** For a primary. */
  readonly held: number
  /** Clients that keep a connection for themselves, by reason. */
  readonly pins: Readonly<Record<string, number>>
  /** Reads by what became of them. */
  readonly reads: Readonly<Record<string, number>>
  readonly statements: readonly {
    readonly kind: string
    readonly server: 'primary' | 'replica'
    readonly count: number
    readonly errors: number
    readonly p50Ms: number
    readonly p99Ms: number
  }[]
  /** Committed changes on their way to caches; null: nobody wants to know of them. */
  readonly feed: DatabaseFeedView | null
}

export interface DatabaseFeedView {
  readonly state: 'stopped' | 'waiting' | 'connecting' | 'streaming'
  /** Why it does not stream; ''. */
  readonly problem: string
  /** Since when the oldest change that not everybody has heard of is known. */
  readonly lagMs: number
  readonly sinks: readonly {
    /** `statements`, `edges`, `services`, `cache NAME`. */
    readonly name: string
    /** `owed`: forgets everything when it is back. */
    readonly state: 'heard' | 'busy' | 'away' | 'owed'
    readonly problem: string
  }[]
}

export interface DatabaseServerView {
  readonly id: string
  readonly role: 'primary' | 'replica'
  readonly state: string
  readonly reason: string
  readonly address: string
  readonly pid: number | null
  readonly delayMs: number
  /** `0/16B374D8`. */
  readonly lsn: string
  readonly lagBytes: number | null
  readonly lagMs: number | null
  /** Whom it copies. */
  readonly from: string | null
  /** The router's; null: it does not answer, or knows no such server. */
  readonly connections: { readonly total: number; readonly active: number; readonly idle: number } | null
}

export interface FailoverView {
  readonly at: string
  readonly kind: 'failover' | 'switchover'
  readonly from: string
  readonly to: string
  readonly why: string
  readonly tookMs: number
  /** Null: not counted. */
  readonly lost: { readonly changes: number; readonly file: string; readonly covers: string } | null
}

export interface BackupStateView {
  readonly directory: string
  /** Null: there is none yet. */
  readonly lastAt: string | null
  readonly text: string
}

export interface RouterView {
  readonly state: 'running' | 'starting' | 'restarting' | 'stopped'
  readonly reason: string
  readonly pid: number | null
  readonly adopted: boolean
  readonly restarts: number
  readonly snapshotVersion: number
}

export interface DatabaseSettingsView {
  readonly server: string
  readonly settings: readonly {
    readonly name: string
    readonly value: string
    readonly source: string
    /** Takes effect when the server starts again. */
    readonly pending: boolean
  }[]
}

export interface ShardsView {
  readonly database: string
  readonly mapVersion: number
  readonly shards: readonly ShardView[]
}

export interface DirectoryView {
  readonly database: string
  readonly family: string
  /** In the order of keys as texts. */
  readonly keys: readonly { readonly key: string; readonly shard: string }[]
  /** By shard, how many keys have a row. */
  readonly counts: Readonly<Record<string, number>>
  /** Where keys without a row are; null: nowhere. */
  readonly otherwise: string | null
  readonly more: boolean
}

export interface PartitionsView {
  readonly database: string
  /** One; of a sharded database each shard. */
  readonly groups: readonly {
    readonly name: string
    readonly trouble: string
    readonly tables: readonly {
      readonly table: string
      /** `waits`: it is not there yet. */
      readonly state: 'rolled' | 'waits' | 'trouble'
      readonly partitions: readonly {
        readonly name: string
        readonly bounds: string
        /** An estimate; -1: unknown. */
        readonly rows: number
        readonly bytes: number
      }[]
      readonly made: readonly string[]
      readonly removed: readonly string[]
      readonly troubles: readonly string[]
    }[]
  }[]
}

export interface AdviceView {
  readonly database: string
  readonly indexes: readonly {
    readonly table: string
    readonly columns: readonly string[]
    readonly sql: string
    readonly statements: readonly {
      readonly text: string
      readonly calls: number
      readonly totalMs: number
    }[]
    /** What was seen on a copy of the table; null: it was not tried. */
    readonly trial: IndexTrial | null
    readonly verdict: { readonly left: number; readonly savedMs: number } | null
    readonly untried: string
    readonly bytes: number | null
    readonly writes: number
  }[]
  readonly drops: readonly {
    readonly kind: 'duplicate' | 'unused' | 'invalid'
    readonly table: string
    readonly index: string
    /** Of a duplicate. */
    readonly like?: string | undefined
    readonly bytes: number
    readonly sql: string
  }[]
  readonly partitions: readonly PartitionAdvice[]
  readonly statements: { readonly seen: number; readonly unread: number }
  readonly useless: number
}

export interface CopiesView {
  readonly database: string
  readonly copies: readonly {
    readonly name: string
    readonly of: string
    /** `waits`: the source is not there, or something has to be changed first. */
    readonly state: 'waits' | 'filling' | 'fresh' | 'behind' | 'stopped'
    readonly trouble: string
    readonly streams: readonly {
      readonly from: string
      readonly into: string
      readonly state: string
      readonly lagBytes: number
    }[]
  }[]
}

export interface HeatView {
  readonly database: string
  readonly heat: HeatReport
  readonly advice: readonly ShardAdvice[]
}

export interface ShardView {
  readonly id: string
  /** Its group of servers: `main-s1`. */
  readonly group: string
  readonly primary: string | null
  /** Of all families that have slots. */
  readonly slots: { readonly held: number; readonly all: number }
  /** Why nothing is known of its tables; ''. */
  readonly trouble: string
  readonly tables: readonly ShardTableView[]
}

export interface ShardTableView {
  readonly table: string
  /** `by customer_id`, `everywhere`. */
  readonly place: string
  readonly rows: number
  /** Counted; else the server's estimate. */
  readonly exact: boolean
  readonly bytes: number
  /** Rows read and written since the server's statistics began. */
  readonly reads: number
  readonly writes: number
}

export interface ColumnSplitView {
  readonly database: string
  /** The one under way, or the last one; null: there was none. */
  readonly current: {
    readonly id: string
    readonly step: string
    /** `split`: clients use the view, and it can still go back at once. */
    readonly state: 'working' | 'split' | 'over'
    readonly begunAt: string
    /** With its schema. */
    readonly table: string
    readonly hot: string
    readonly cold: string
    /** Of the cold half, beside the key. */
    readonly columns: readonly string[]
    readonly shards: readonly {
      /** '': the database has none. */
      readonly shard: string
      readonly rows: number
      readonly copied: boolean
      readonly compared: boolean
      /** For how long clients waited at the switch; -1: it has not been. */
      readonly pauseMs: number
    }[]
    /** Why it does not go on; ''. */
    readonly trouble: string
    readonly wishes: readonly string[]
  } | null
}

export interface ReshardView {
  readonly database: string
  /** The one under way, or the last one; null: there was none. */
  readonly current: {
    readonly id: string
    readonly step: string
    /** `moved`: clients use the new places, and everything can still go back. */
    readonly state: 'moving' | 'moved' | 'over'
    readonly begunAt: string
    readonly moves: readonly {
      readonly family: string
      readonly from: string
      readonly into: string
      /** How many; null: the rule has none. */
      readonly slots: number | null
    }[]
    readonly joining: readonly string[]
    readonly tablesCopied: number
    /** `stream`: `1>3`. */
    readonly tables: readonly {
      readonly stream: string
      readonly table: string
      readonly rows: number
      readonly bytes: number
    }[]
    readonly changesApplied: number
    /** How often clients were held. */
    readonly holds: number
    /** For how long clients waited at the switch; -1: it has not been. */
    readonly pauseMs: number
    /** Why it does not go on; ''. */
    readonly trouble: string
    /** What the comparison has found; it waits for a word then. Null: nothing, or it was not compared. */
    readonly differences: {
      readonly count: number
      /** The first of them; `kind` is said of the target. */
      readonly rows: readonly {
        readonly stream: string
        readonly table: string
        /** Values of the primary key. */
        readonly key: readonly (string | null)[]
        readonly kind: 'missing' | 'extra' | 'different'
      }[]
    } | null
    /** `open`, or why there is none; '': not now. */
    readonly wayBack: string
    readonly wishes: readonly string[]
  } | null
}

export interface SlowStatementsView {
  /** Slowest in sum first. */
  readonly statements: readonly {
    readonly server: string
    /** Without literals. */
    readonly text: string
    readonly calls: number
    readonly totalMs: number
    readonly meanMs: number
    readonly maxMs: number
    readonly rows: number
  }[]
}

/** How to log in: only for admins. */
export interface DatabaseConnectionView {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** As libpq's `sslmode`. */
  readonly sslmode: string
  /** `the router`, or the server's id. */
  readonly through: string
}

export interface BackupsView {
  readonly backups: readonly {
    readonly id: string
    readonly at: string
    readonly bytes: number
    /** Why it cannot be restored; ''. */
    readonly problem: string
  }[]
  readonly text: string
}
