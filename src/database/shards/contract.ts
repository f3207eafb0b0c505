// What the parts of a sharded database need of each other: seats (one client's session on one shard), the answer that a
// client gets, transactions over several shards, what a router knows of the map.

import type { ShardMap } from '../../policy/shard/contract.ts'
import type { ReportFields } from '../../wire/postgres/index.ts'

/** One statement for one shard, by the extended protocol; parameters as the client bound them. */
export interface SeatRequest {
  readonly sql: string
  /** Object ids of the parameters' types; shorter or 0: the server finds them. */
  readonly types: readonly number[]
  readonly parameters: readonly (Buffer | null)[]
  /** 0 text, 1 binary; none: all text; one: for all. */
  readonly parameterFormats: readonly number[]
  readonly resultFormats: readonly number[]
}

export interface SeatSink {
  /** A RowDescription as it came: type byte, length, body. */
  fields?(frame: Buffer): void
  /** A DataRow as it came, whole frame `bytes[from..to)`; valid in the call only. */
  row(bytes: Buffer, from: number, to: number): void
  /** NoticeResponse, NotificationResponse: for the client as they are. */
  notice?(frame: Buffer): void
  /** A CopyOutResponse as it came. */
  copyOut?(frame: Buffer): void
  /** CopyData of COPY TO: the whole frame. */
  copyData?(bytes: Buffer, from: number, to: number): void
}

export interface SeatEnd {
  /** `SELECT 3`, `INSERT 0 5`; '' for an empty statement; null: it failed. */
  readonly tag: string | null
  readonly error: ReportFields | null
  /** The ErrorResponse as it came, to be passed on. */
  readonly errorFrame: Buffer | null
}

/**
 * One client's session on one shard. It is a session of that shard's own router: pooling, failover, replicas, settings are that
 * router's. One statement at a time; a call while one runs waits for it.
 */
export interface ShardSeat {
  /** Index in the map's `shards`. */
  readonly shard: number
  readonly id: string
  /** As of its last ReadyForQuery: 'I' idle, 'T' in a transaction, 'E' in a failed one. */
  readonly status: 'I' | 'T' | 'E'
  /** The connection is gone; every call rejects with SeatLost. */
  readonly lost: boolean
  /**
   * A whole statement with its Sync. Rejects with SeatLost only; errors of the server are in the end.
   * @param behind a Query that is sent right behind it, whatever comes of it; the end comes once both have been answered
   */
  run(request: SeatRequest, sink: SeatSink, behind?: string): Promise<SeatEnd>
  /** One simple Query without rows that anybody wants (BEGIN, SAVEPOINT, COMMIT PREPARED ...). */
  command(sql: string): Promise<SeatEnd>
  /** RowDescription (or NoData: null) and parameter types of a text; no rows. */
  describe(
    sql: string,
    types: readonly number[],
  ): Promise<{ readonly end: SeatEnd; readonly types: readonly number[]; readonly fields: Buffer | null }>
  /**
   * COPY FROM STDIN, the last statement of the text: `send` answers false when the server takes no more until `drained`.
   * What is asked after `done` is sent without waiting for the answer to that.
   */
  copyIn(sql: string): Promise<SeatCopy | SeatEnd>
  /** No more rows are delivered until `resume`. */
  pause(): void
  resume(): void
  /** A cancel request for what runs now. */
  cancel(): void
  /** A request is on its way still: what is said next might be what it meets. */
  readonly cancelling?: boolean
}

export interface SeatCopy {
  /** The CopyInResponse as it came. */
  readonly frame: Buffer
  send(bytes: Buffer, from: number, to: number): boolean
  drained(): Promise<void>
  done(): Promise<SeatEnd>
  fail(reason: string): Promise<SeatEnd>
}

/** Seats of one client, and the transaction that is open on them. */
export interface ShardSeats {
  readonly map: ShardMap
  /** A seat that has joined the open transaction (BEGIN and savepoints said), or is outside any. */
  seat(shard: number): Promise<ShardSeat>
  /** A session of its own beside the transaction, for temporary tables: the caller releases it. */
  scratch(shard: number): Promise<{
    readonly seat: ShardSeat
    /** What the open transaction has set: to be said in the scratch's own, too. */
    readonly settings: readonly string[]
    release(): void
  }>
  /** A block is open, or one was opened for the statement: everything commits or fails together. */
  readonly inTransaction: boolean
  /** The transaction has written, so that scratch sessions do not see what it sees. */
  readonly wrote: boolean
  /** Before a statement writes on several shards: what follows is one distributed transaction, ended by the session. */
  begin(): Promise<void>
  /** These shards have written in the open transaction. */
  wroteOn(shard: number): void
}

/** Where the answer of a statement that ran on several shards goes. Frames are whole messages. */
export interface ShardAnswer {
  /** RowDescription; dropped where the client has not asked for one. */
  fields(frame: Buffer): void
  /** False: pause until `drained`. */
  row(bytes: Buffer, from: number, to: number): boolean
  drained(): Promise<void>
  notice(frame: Buffer): void
  copyOut?(frame: Buffer): void
  copyData?(bytes: Buffer, from: number, to: number): boolean
}

/** What came of it: a tag for CommandComplete, or an error to pass on. */
export type AcrossEnd = { readonly tag: string } | { readonly errorFrame: Buffer }

export class SeatLost extends Error {
  readonly shard: number
  /** Nothing of the statement had been sent. */
  readonly unsent: boolean
  constructor(shard: number, why: string, unsent: boolean) {
    super(why)
    this.shard = shard
    this.unsent = unsent
  }
}
