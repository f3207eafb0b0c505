// One statement that is carried out: what it is, where its answer goes, and what every way of doing it needs: its shards, one of
// them asked, a refusal.

import { copyDoneMessage } from '../../wire/postgres/index.ts'
import { pinBit } from '../sql/contract.ts'
import type { ShardPlan, ShardRefusal } from '../sql/shards/contract.ts'
import type { ClientAnswer } from './answers.ts'
import type { ShardClient } from './client.ts'
import type { SeatEnd, SeatRequest } from './contract.ts'
import { DirectoryPlaces, type LookedUp } from './directory-places.ts'
import { refusalFrame } from './gather/index.ts'
import type { HeardKey, KeyPlaces } from './key-places.ts'
import { StatementFailed, tagOf } from './statement-failed.ts'
import { targetsOf } from './targets.ts'
import type { TextStatement } from './texts.ts'

export interface Execution {
  readonly client: ShardClient
  readonly statement: TextStatement
  readonly request: SeatRequest
  /** It came by Query: any shard is asked so, too. */
  readonly simple: boolean
  readonly answer: ClientAnswer
  /** All types of its parameters, as a server finds them; where several shards are asked. */
  types(): Promise<readonly number[]>
  /** What was looked up for it; none: no family has a directory. */
  readonly looked?: LookedUp
}

export function placesOf(
  { client, request, looked }: Execution,
  heard: HeardKey | null = null,
): KeyPlaces | DirectoryPlaces {
  const { parameters, parameterFormats, types } = request
  const bound = { values: parameters, formats: parameterFormats, types }
  if (looked === undefined) return client.places(bound, heard)
  return new DirectoryPlaces(client.places(bound, heard, looked), looked)
}

export function targets(one: Execution, plan: ShardPlan): readonly number[] {
  const { client, statement } = one
  const { routing } = client
  const shards = targetsOf(plan, statement.info, {
    shards: routing.map.shards,
    home: client.home,
    places: placesOf(one, client.dryRun ? null : statement.writes ? routing.hotWrites : routing.hotReads),
  })
  if ((plan.kind === 'all' || plan.kind === 'one') && !client.dryRun)
    for (const shard of shards) routing.heat.shard(shard, plan.writes)
  client.went(shards)
  return shards
}

/** As it is. */
export async function onOne(one: Execution, shard: number, writes: boolean): Promise<string> {
  const { client, request, simple, answer, statement } = one
  const { transaction } = client
  const seat = await transaction.seat(shard)
  if (transaction.inTransaction && (writes || client.routing.mayWrite(statement.text)))
    transaction.wroteOn(shard)
  if (transaction.inTransaction && !isPrepared(statement)) transaction.decidesOn(shard)
  const sink = answer.sinkOf(seat)
  const end: SeatEnd = simple ? await seat.query(request.sql, sink) : await seat.run(request, sink)
  if (sink.failure !== null) throw sink.failure
  const tag = tagOf(end)
  // A server's and a client's are the same.
  if (statement.info.copy === 'out') client.output.addAll(copyDoneMessage)
  return tag
}

const holdPin = pinBit('cursor-with-hold')

/** May what this has done be part of a prepared transaction? Not notifications, nor cursors WITH HOLD. */
function isPrepared(statement: TextStatement): boolean {
  const { plan } = statement
  return !(plan.kind === 'one' && plan.on === 'fixed') && !isHeld(statement)
}

/** It declares a cursor WITH HOLD. */
export function isHeld({ info }: TextStatement): boolean {
  return (info.pins & holdPin) !== 0
}

export function refused(refusal: ShardRefusal): StatementFailed {
  return new StatementFailed(refusalFrame(refusal))
}
