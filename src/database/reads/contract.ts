// Which server a read goes to, as the router's sessions see it: one `ReadPlanner` a database and thread. It watches how
// far replicas are over connections of its own; sessions only tell of writes and ask for places. No promise on the way.

import type { LogPosition, ReadsSetting } from '../contract.ts'
import type { RoutedDatabase } from './../router/snapshot.ts'

/** What one session has written or was told, as its reads must see it. Kept by the session, changed by the planner. */
export interface ReadState {
  /** Number of the database's last write that this session did; 0: none. */
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
  /** Its end came (ReadyForQuery outside a transaction; or the connection was lost), before a byte of it is passed on. */
  wrote(state: ReadState): void
  /**
   * Where this read goes: a server's id, '' for the primary, or null: `resume` will say (within `readWaitMs`). `busy` are
   * the connections in use by server id, which the balancing counts.
   */
  place(state: ReadState, reads: ReadsSetting, resume: ReadResume): string | null
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
  readonly counts: Readonly<Record<ReadReason, number>>
  close(): void
}
