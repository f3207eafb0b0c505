// The servers of one database as its agent sees them: start, look, copy, promote, fence. Embedded servers implement all
// of it; existing ones only what can be done from outside (`canFence` false), and refuse the rest with a code. The agent
// decides; nothing here does.

import type { Clock } from '../../kit/clock.ts'
import type { DatabaseLog, DatabaseRole, DatabaseSpec, LogPosition, Lsn } from '../contract.ts'

export interface ServersOptions {
  readonly spec: DatabaseSpec
  /** Absolute; embedded servers live in STATE/db/NAME/SERVER, their logs in STATE/logs. */
  readonly stateDirectory: string
  /** Runs PostgreSQL when we are root; null: as ourselves. */
  readonly user: { readonly name: string; readonly uid: number; readonly gid: number } | null
  readonly clock: Clock
  readonly log: DatabaseLog
}

/** What one look at a server showed. A look that times out is `answers: false` with why. */
export interface ServerObservation {
  readonly id: string
  /** A process of ours runs (embedded); null: not ours, unknown. */
  readonly processAlive: boolean | null
  readonly answers: boolean
  /** Why it does not answer, or what is wrong although it does: `connection refused`, `no space left on device`; ''. */
  readonly problem: string
  /** Meaningful when it answers. */
  readonly inRecovery: boolean
  readonly position: LogPosition
  /** Replicas: received and on disk, and replayed. Primary: both are its flush position. */
  readonly receivedLsn: Lsn
  readonly replayedLsn: Lsn
  /** Replicas: `streaming` from whom (host:port), or null. */
  readonly streamsFrom: string | null
  /** Primary: replicas that stream from it now, by id (application_name). */
  readonly standbys: readonly {
    readonly id: string
    readonly state: string
    readonly sync: string
    readonly flushLsn: Lsn
    readonly replayLsn: Lsn
  }[]
  /** Can it write? A tiny write on a table of ours was committed within the look (primary only; false when it hung or failed). */
  readonly writes: boolean
  readonly systemId: string
  readonly tookUs: number
}

export interface ServerAddress {
  readonly id: string
  readonly host: string
  readonly port: number
}

export interface FoundServer extends ServerAddress {
  /** What is on disk: nothing yet, a primary's directory, a replica's (standby.signal), or one that must be made anew. */
  readonly disk: 'empty' | 'primary' | 'replica' | 'damaged'
  /** It runs already, left by an earlier supervisor, and was taken back. */
  readonly running: boolean
}

export type Progress = (sentence: string, bytesDone?: number, bytesTotal?: number) => void

export interface DatabaseServers {
  readonly canFence: boolean
  /** Users of the database, made or read from STATE/db/NAME/roles.json (0600). */
  readonly roles: readonly DatabaseRole[]
  /** Reads what is there, takes running servers back. Starts nothing. */
  open(): Promise<readonly FoundServer[]>
  address(id: string): ServerAddress
  /** initdb with checksums, builtin locale, scram; writes postgresql.conf and pg_hba.conf; starts as primary; makes database and roles. */
  create(id: string): Promise<void>
  /** Starts what is on disk, as what it is on disk. Resolves when it accepts connections (a replica: read-only ones). */
  start(id: string): Promise<void>
  /** fast: SIGINT, clean; immediate: SIGQUIT. Resolves when no process of it is left. */
  stop(id: string, mode: 'fast' | 'immediate'): Promise<void>
  /**
   * Ends the postmaster and every backend (a busy backend outlives its postmaster: children are listed first, and each is
   * killed), also stopped ones, and keeps it from being started again as a primary until `follow` or `clone` made a
   * replica of it. Resolves only when no process of it is left; rejects when that can't be had.
   */
  fence(id: string): Promise<void>
  observe(id: string, timeoutMs: number): Promise<ServerObservation>
  /** Empties the directory and copies it from `from` by BASE_BACKUP over the replication protocol, with a slot; starts it. */
  clone(id: string, from: string, progress: Progress): Promise<void>
  /** pg_promote without waiting, then a look each millisecond. Resolves when it takes writes. */
  promote(id: string): Promise<LogPosition>
  /**
   * Points a replica (running or not) to another server and sees it stream. `diverged`: it must be cloned; it was ended
   * and fenced. Rejects when neither is sure in time (the other server may have died): nothing is taken from it then.
   */
  follow(id: string, from: string): Promise<'streams' | 'diverged'>
  /** `synchronous_standby_names` of the primary: '' waits for nobody. Reloads. */
  setSynchronous(id: string, names: string): Promise<void>
  /** Slots for these replicas exist on the server, others of ours do not. */
  keepSlots(id: string, replicas: readonly string[]): Promise<void>
  /** One SQL statement as `tenfold` on a server; rows as texts. For verify, status and settings. */
  query(id: string, sql: string, timeoutMs: number): Promise<readonly (readonly (string | null)[])[]>
  /** Lets everything run on for the next supervisor. */
  release(): void
  /** Its postmaster, while it runs; null: not running, or not ours. */
  pid(id: string): number | null
  /** Told at once when a server's process ended or our connection to it broke: a reason to look. */
  watch(listener: (id: string) => void): void
  /**
   * A changed spec (same name, same kind): members come and go, settings and access change. Roles are changed on the
   * primary, what reloads is reloaded. Gives the servers that must be restarted for a setting. Throws
   * DATABASE_SETTING_REFUSED and changes nothing.
   */
  change(spec: DatabaseSpec): Promise<{ readonly restart: readonly string[] }>
  /** Ends it and removes its data, its slots excepted (`keepSlots`). For members that are no longer in the spec. */
  remove(id: string): Promise<void>
  /**
   * Starts a fenced or diverged server as the primary it was, on another port, with nobody let in but us and writes
   * refused, to read what it alone has. It stays fenced; it has diverged from then on for good and must be cloned.
   */
  isolate(id: string): Promise<IsolatedServer>
}

export interface IsolatedServer {
  query(sql: string, timeoutMs: number): Promise<readonly (readonly (string | null)[])[]>
  close(): Promise<void>
}
