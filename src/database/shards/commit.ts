// The end of a transaction over shards. One writer: its COMMIT decides. Several: two phases, with the decision in a row that
// commits with the first writer, so that it is as durable as what it decides. Whoever finds prepared transactions later
// (recovery of any router) acts by that row.
//
// Before the decision an error undoes everything. After it nothing fails: a shard that can't be reached gets its COMMIT
// PREPARED from recovery.

import { routerError } from '../router/sql-errors.ts'
import { type SeatEnd, SeatLost } from './contract.ts'
import { decisionSql } from './schema/decisions.ts'
import type { Seat } from './seat.ts'
import { StatementFailed } from './statement-failed.ts'
import { undo } from './undo.ts'

/** Others act by the decision at once: it must not be lost when the server crashes, whatever the client has set. */
const durable =
  "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')"

export type CommitWay = 'committed' | 'rolled back'

export interface CommitOf {
  readonly readers: readonly Seat[]
  readonly writers: readonly Seat[]
  /** The name of this commit, for its decider. */
  readonly gid: (decider: Seat) => string
  readonly gate: CommitGate
}

/** Where a commit in two phases can be given up: up to its decision. */
export class CommitGate {
  #giveUp: ((frame: Buffer) => void) | null = null
  #frame: Buffer | null = null

  /** Nothing of it can be undone any more, or nothing has begun. */
  get decided(): boolean {
    return this.#giveUp === null
  }

  /** What its client is to be told in place of a commit; null: it goes on. */
  get givenUp(): Buffer | null {
    return this.#frame
  }

  /** @param frame the ErrorResponse; said again, what waits is cancelled again */
  giveUp(frame: Buffer): void {
    if (this.#giveUp === null) return
    this.#frame = frame
    this.#giveUp(frame)
  }

  /** From now on it can be given up, by this. */
  open(giveUp: (frame: Buffer) => void): void {
    this.#giveUp = giveUp
  }

  close(): void {
    this.#giveUp = null
  }
}

/** Throws what the client is to be told; then nothing is committed, or nobody knows (08007). */
export async function commitAll({ readers, writers, gid, gate }: CommitOf): Promise<CommitWay> {
  // A serialization failure may come at the end of a reader as well.
  const read = await Promise.all(readers.map(seat => said(seat, 'COMMIT')))
  const bad = read.find(end => !committed(end))
  if (bad !== undefined) {
    await Promise.all(writers.map(seat => said(seat, 'ROLLBACK')))
    throw new StatementFailed(frameOf(bad))
  }
  const [decider, ...others] = writers
  if (decider === undefined) return 'committed'
  if (others.length === 0) return commitOne(decider)
  try {
    return await new TwoPhases(decider, others, gid(decider), gate).commit()
  } finally {
    gate.close()
  }
}

async function commitOne(seat: Seat): Promise<CommitWay> {
  const end = await said(seat, 'COMMIT')
  if (end instanceof SeatLost) throw unknown(end)
  if (end.errorFrame !== null) throw new StatementFailed(end.errorFrame)
  return end.tag === 'COMMIT' ? 'committed' : 'rolled back'
}

class TwoPhases {
  readonly #decider: Seat
  readonly #others: readonly Seat[]
  readonly #gid: string
  readonly #gate: CommitGate
  readonly #votes = new Map<Seat, SeatEnd | SeatLost>()
  readonly #undone = new Map<Seat, Promise<void>>()

  constructor(decider: Seat, others: readonly Seat[], gid: string, gate: CommitGate) {
    this.#decider = decider
    this.#others = others
    this.#gid = gid
    this.#gate = gate
  }

  async commit(): Promise<CommitWay> {
    const gate = this.#gate
    gate.open(frame => this.#giveUp(frame))
    await Promise.all(this.#others.map(seat => this.#prepare(seat)))
    const refusal = [...this.#votes.values()].find(end => !prepared(end))
    if (gate.givenUp !== null || refusal !== undefined) throw await this.#undoAll(refusal)
    // Deferred checks may wait for others: before COMMIT, which nobody may interrupt.
    const row = await said(
      this.#decider,
      `${durable}; SET CONSTRAINTS ALL IMMEDIATE; ${decisionSql(this.#gid)}`,
    )
    if (gate.givenUp !== null || row instanceof SeatLost || row.errorFrame !== null)
      throw await this.#undoAll(row)
    gate.close()
    const decision = await said(this.#decider, 'COMMIT')
    if (decision instanceof SeatLost) throw unknown(decision)
    if (!committed(decision)) throw await this.#undoAll(decision)
    await Promise.all(this.#others.map(seat => said(seat, `COMMIT PREPARED '${this.#gid}:${seat.id}'`)))
    return 'committed'
  }

  async #prepare(seat: Seat): Promise<void> {
    this.#votes.set(seat, await said(seat, `PREPARE TRANSACTION '${this.#gid}:${seat.id}'`))
    if (this.#gate.givenUp !== null) void this.#undo(seat)
  }

  /** Others wait for what is prepared, and for the decider; what is being prepared is taken back when it has answered. */
  #giveUp(frame: Buffer): void {
    for (const seat of this.#others)
      if (this.#votes.has(seat)) void this.#undo(seat)
      else if (!seat.free) seat.cancel(frame)
    if (this.#votes.size === this.#others.length && !this.#decider.free) this.#decider.cancel(frame)
    else void this.#undo(this.#decider)
  }

  /** All of it. Also where the decider is lost before its COMMIT was said: its row is gone with it. */
  async #undoAll(why: SeatEnd | SeatLost | undefined): Promise<StatementFailed> {
    await Promise.all([this.#decider, ...this.#others].map(seat => this.#undo(seat)))
    return new StatementFailed(this.#gate.givenUp ?? frameOf(why as SeatEnd | SeatLost))
  }

  /** Once each. */
  #undo(seat: Seat): Promise<void> {
    const known = this.#undone.get(seat) ?? this.#takeBack(seat)
    this.#undone.set(seat, known)
    return known
  }

  async #takeBack(seat: Seat): Promise<void> {
    const vote = this.#votes.get(seat)
    const sql =
      vote !== undefined && prepared(vote) ? `ROLLBACK PREPARED '${this.#gid}:${seat.id}'` : 'ROLLBACK'
    if (sql === 'ROLLBACK' && seat !== this.#decider && seat.status === 'I') return
    // A request to cancel may come late.
    await undo(seat, sql).catch((lost: unknown) => {
      if (!(lost instanceof SeatLost)) throw lost
    })
  }
}

async function said(seat: Seat, sql: string): Promise<SeatEnd | SeatLost> {
  try {
    return await seat.command(sql)
  } catch (lost) {
    if (lost instanceof SeatLost) return lost
    throw lost
  }
}

function committed(end: SeatEnd | SeatLost): boolean {
  return !(end instanceof SeatLost) && end.tag === 'COMMIT'
}

/** A transaction that had failed answers ROLLBACK. */
function prepared(end: SeatEnd | SeatLost): boolean {
  return !(end instanceof SeatLost) && end.tag === 'PREPARE TRANSACTION'
}

/** feature_not_supported: of PREPARE. */
const notPrepared = '0A000'

function frameOf(end: SeatEnd | SeatLost): Buffer {
  if (end instanceof SeatLost)
    return routerError('serverLost', `${end.message}; nothing was committed.`).frame
  if (end.error?.code === notPrepared)
    return StatementFailed.of(
      notPrepared,
      `This transaction has written on several shards, and ${end.error.message}: nothing was committed.`,
      {
        hint: 'NOTIFY goes along when it is said by the client, on the first shard; not by triggers of several.',
      },
    ).frame
  return (
    end.errorFrame ??
    StatementFailed.of('40000', 'A shard had rolled its part of the transaction back: nothing was committed.')
      .frame
  )
}

function unknown(lost: SeatLost): StatementFailed {
  return StatementFailed.by(routerError('commitUnknown', `${lost.message}.`, true))
}
