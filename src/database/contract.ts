// What the parts of the database tier say to each other: how a database is meant to be, and how it stands. Types only.
// How it is meant comes from the system file; how it stands comes from the group's agent, and routers obey it.

/** A position in the write-ahead log, in bytes (PostgreSQL's pg_lsn `16/B374D848` as one number; exact below 2^53). */
export type Lsn = number

/** A timeline and a position in it: which of two servers is further, and whether a replica has what was written. */
export interface LogPosition {
  readonly timeline: number
  readonly lsn: Lsn
}

export type Durability = 'primary' | 'one-replica' | 'all-replicas'

export type ReadsSetting =
  | { readonly kind: 'primary' | 'fresh' | 'session' | 'any' }
  | { readonly kind: 'maxLag'; readonly maxLagMs: number }

/** One server that we run ourselves: `main-1`. Which of them is the primary changes; the id stays. */
export interface ServerSpec {
  readonly id: string
  /** Whom it copies from: an id, or the primary, whoever that is. */
  readonly from: string | 'primary'
  /** 0, or how long it waits before it applies what it got (`recovery_min_apply_delay`): never promoted, never read from. */
  readonly delayMs: number
}

/** How one database is meant to be. Plain; secrets resolved; paths absolute. */
export interface DatabaseSpec {
  readonly name: string
  /** The database inside PostgreSQL. */
  readonly database: string
  readonly servers: EmbeddedServers | ExistingServers
  readonly durability: Durability
  readonly failover: { readonly automatic: boolean; readonly detectTimeoutMs: number }
  /** By service: what its role may do. */
  readonly access: Readonly<Record<string, Access>>
  readonly backup: BackupSpec | null
}

export interface EmbeddedServers {
  readonly kind: 'embedded'
  /** In the order of the file; the first is the primary of a new database. */
  readonly members: readonly ServerSpec[]
  /** Settings of postgresql.conf that the file adds. */
  readonly settings: Readonly<Record<string, string>>
  /** Data directories by server id that are not under STATE/db/NAME. */
  readonly directories: Readonly<Record<string, string>>
}

export interface ExistingServers {
  readonly kind: 'existing'
  /** `postgres://user:password@host:port/database`, secrets put in. Ids are NAME-1, NAME-2 in this order. */
  readonly urls: readonly string[]
  readonly tls: ServerTls
}

/** Between us and PostgreSQL. `verify`: certificate and name, against `caFile` or the system's authorities. */
export interface ServerTls {
  readonly mode: 'off' | 'require' | 'verify'
  readonly caFile?: string
}

/** owner: may change tables, too. write: rows only. read: SELECT. */
export type Access = 'owner' | 'write' | 'read'

export interface BackupSpec {
  /** Absolute. */
  readonly directory: string
  readonly everyMs: number
  /** Base backups kept; the log that only older ones need is deleted. */
  readonly keep: number
  /** How often the last backup is restored and looked at; null: never by itself. */
  readonly drillEveryMs: number | null
}

/** How a database stands: what its agent decided last, and what routers work from. */
export interface Topology {
  readonly database: string
  /** Grows with each change of the primary; a router never goes back to an older one. */
  readonly epoch: number
  readonly timeline: number
  /** Null: there is none now. Routers then hold writes and reads that must be fresh, and serve the others. */
  readonly primary: string | null
  /** A sentence while `primary` is null or writes can't be acknowledged; ''. */
  readonly trouble: string
  /** Holds new statements for the primary although it is there: a switchover is under way. */
  readonly holding: boolean
  readonly servers: readonly TopologyServer[]
}

export interface TopologyServer {
  readonly id: string
  readonly host: string
  readonly port: number
  readonly role: 'primary' | 'replica'
  /**
   * ready: may be used for its role. starting: being made, copied or caught up. down: does not answer. fenced: must
   * never be written to again as it is. lost: being rebuilt.
   */
  readonly state: 'ready' | 'starting' | 'down' | 'fenced' | 'lost'
  readonly delayMs: number
  /** A sentence: `streams from main-1`, `killed; is rebuilt`. */
  readonly reason: string
}

/** Whom services are inside PostgreSQL, and by what they log in. */
export interface DatabaseRole {
  /** `svc_web`. */
  readonly name: string
  readonly password: string
  readonly access: Access
  /** The service that it belongs to; null: Tenfold's own (`tenfold`: superuser; `tenfold_monitor`: pg_monitor). */
  readonly service: string | null
}

export interface DatabaseLog {
  info(fields: object, sentence: string): void
  warn(fields: object, sentence: string): void
  error(fields: object, sentence: string): void
}

/** Told to people: `tenfold status`, the log, events. */
export interface DatabaseDecision {
  readonly level: 'info' | 'warn' | 'error'
  readonly database: string
  /** The server it is about; null: the database as a whole. */
  readonly server: string | null
  readonly text: string
}
