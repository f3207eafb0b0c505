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

/** Others act by the decision at once: it must not be lost when the server crashes, whatever the client has set. */
const durable =
  "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')"

export type CommitWay = 'committed' | 'rolled back'

export interface CommitOf {
  readonly readers: readonly Seat[]
  readonly writers: readonly Seat[]
  /** The name of this commit, for its decider. */
  readonly gid: (decider: Seat) => string
}

/** Throws what the client is to be told; then nothing is committed, or nobody knows (08007). */
export async function commitAll({ readers, writers, gid }: CommitOf): Promise<CommitWay> {
  // A serialization failure may come at the end of a reader as well.
  const read = await Promise.all(readers.map(seat => said(seat, 'COMMIT')))
  const bad = read.find(end => !committed(end))
  if (bad !== undefined) {
    await Promise.all(writers.map(seat => said(seat, 'ROLLBACK')))
    throw new StatementFailed(frameOf(bad))
  }
  const [decider, ...others] = writers
  if (decider === undefined) return 'committed'
  return others.length === 0 ? commitOne(decider) : commitTwoPhase(decider, others, gid(decider))
}

async function commitOne(seat: Seat): Promise<CommitWay> {
  const end = await said(seat, 'COMMIT')
  if (end instanceof SeatLost) throw unknown(end)
  if (end.errorFrame !== null) throw new StatementFailed(end.errorFrame)
  return end.tag === 'COMMIT' ? 'committed' : 'rolled back'
}

async function commitTwoPhase(decider: Seat, others: readonly Seat[], gid: string): Promise<CommitWay> {
  const votes = await Promise.all(
    others.map(async seat => ({ seat, end: await said(seat, `PREPARE TRANSACTION '${gid}:${seat.id}'`) })),
  )
  const refusal = votes.find(({ end }) => !prepared(end))
  if (refusal !== undefined) {
    await Promise.all([said(decider, 'ROLLBACK'), ...votes.map(vote => undo(vote.seat, vote.end, gid))])
    throw new StatementFailed(frameOf(refusal.end))
  }
  const row = await said(decider, `${durable}; ${decisionSql(gid)}`)
  const decision = row instanceof SeatLost || row.errorFrame !== null ? row : await said(decider, 'COMMIT')
  if (decision !== row && decision instanceof SeatLost) throw unknown(decision)
  if (!committed(decision) || decision === row) {
    // Also where the decider is lost before its COMMIT was said: its row is gone with it.
    await Promise.all([said(decider, 'ROLLBACK'), ...votes.map(vote => undo(vote.seat, vote.end, gid))])
    throw new StatementFailed(frameOf(decision))
  }
  await Promise.all(others.map(seat => said(seat, `COMMIT PREPARED '${gid}:${seat.id}'`)))
  return 'committed'
}

async function undo(seat: Seat, vote: SeatEnd | SeatLost, gid: string): Promise<void> {
  if (prepared(vote)) await said(seat, `ROLLBACK PREPARED '${gid}:${seat.id}'`)
  else if (seat.status !== 'I') await said(seat, 'ROLLBACK')
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

function frameOf(end: SeatEnd | SeatLost): Buffer {
  if (end instanceof SeatLost)
    return routerError('serverLost', `${end.message}; nothing was committed.`).frame
  return (
    end.errorFrame ??
    StatementFailed.of('40000', 'A shard had rolled its part of the transaction back: nothing was committed.')
      .frame
  )
}

function unknown(lost: SeatLost): StatementFailed {
  return StatementFailed.by(routerError('commitUnknown', `${lost.message}.`, true))
}
