// Which server a read goes to, as the router's sessions see it: one `ReadPlanner` a database and thread. It watches how
// far replicas are over connections of its own; sessions only tell of writes and ask for places. No promise on the way.

import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type { DatabaseLog, LogPosition, ReadsSetting } from '../contract.ts'
import type { RoutedDatabase } from '../router/snapshot.ts'
import type { Catalogue } from '../sql/contract.ts'

/** Of `createReadPlanner` in `index.ts`. */
export interface ReadPlannerOptions {
  readonly database: RoutedDatabase
  readonly clock: Clock
  readonly random: Random
  readonly log: DatabaseLog
  /** What the primary says of itself, read over the monitor's connection at the start and after DDL. */
  readonly learn: (catalogue: Catalogue) => void
  /** Makes one from a server: of `../sql`. `query` gives rows of texts. */
  readonly readCatalogue: (
    query: (sql: string) => Promise<readonly (readonly (string | null)[])[]>,
  ) => Promise<Catalogue>
}

/** What one session has written or was told, as its reads must see it. Kept by the session, changed by the planner. */
export interface ReadState {
  /** Stands for the last write that this session did: number of the first sample that covers it; 0: none, or known in `after`. */
  lastWrite: number
  /** Of `SET tenfold.after` and of writes that were sampled; null: none. */
  after: LogPosition | null
}

export type ReadReason =
  | 'replica'
  | 'waited'
  | 'primary:setting'
  | 'primary:unknown-yet'
  | 'primary:not-fresh'
  | 'primary:lag'
  | 'primary:no-replica'
  | 'primary:timeline'

/** Called once, in a later turn, when a read that had to wait has its place. `server` '' = the primary. */
export type ReadResume = (server: string, reason: ReadReason) => void

export interface ReadPlanner {
  /** Another snapshot: servers, settings, epoch. Places for removed servers are never given again. */
  use(database: RoutedDatabase): void
  /**
   * A statement that may commit a write goes to the primary. Called before its bytes are sent; the number goes to `wrote`.
   * A router that dies in between has told nobody that the write is done.
   */
  writing(): void
  /**
   * Its end came (ReadyForQuery outside a transaction; or the connection was lost), before a byte of it is passed on.
   * Also whenever a client may learn of a commit earlier: before the CommandComplete of a COMMIT amid a batch, and before a
   * NotificationResponse (who is notified reads what was written). Calling it too often costs a sample, never a stale read.
   */
  wrote(state: ReadState): void
  /** A statement with `asynchronousCommit` (also as a startup option) is about to be sent: positions are then those of inserted, not of flushed log. */
  asynchronousCommit(): void
  /** A DDL statement has ended: the catalogue is read again and given to `learn`. */
  definitionsChanged(): void
  /**
   * Where this read goes: a server's id, '' for the primary, or null: `resume` will say (within `readWaitMs`). `busy` are
   * the connections in use by server id, which the balancing counts.
   */
  place(state: ReadState, reads: ReadsSetting, resume: ReadResume): string | null
  /**
   * Would this server (not '') still do for the read? Asked before the read is sent where its connection had to be waited
   * for or opened: a replica that was restarted meanwhile begins at an older position. False: ask `place` again.
   */
  serves(server: string, state: ReadState, reads: ReadsSetting): boolean
  /** The read that waits is not wanted any more. */
  cancel(resume: ReadResume): void
  /** For balancing: a statement went to this server; it ended after so long, or failed by the server's fault. */
  began(server: string): void
  ended(server: string, latencyUs: number, failed: boolean): void
  reasonOfLast: ReadReason
  /** `3/16B374D848`: timeline and position; what another session gives to `SET tenfold.after`. Waits for the sample of its last write. */
  token(state: ReadState, give: (token: string | null) => void): void
  /** False: it is no token. */
  after(state: ReadState, token: string): boolean
  lagOf(server: string): { readonly bytes: number; readonly ms: number } | null
  /** `used`, or why reads do not go to this server: `not from here: 2.1 s behind`. */
  standingOf(server: string): string
  readonly counts: Readonly<Record<ReadReason, number>>
  close(): void
}
