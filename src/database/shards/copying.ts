// COPY over shards: out of, or into, one shard as it is; over several by `gather/`, with the client's data handed over as it
// comes. The client's COPY mode begins with the servers' own answer.

import { copyDoneMessage } from '../../wire/postgres/index.ts'
import type { ShardPlan } from '../sql/shards/contract.ts'
import type { AcrossEnd, SeatCopy, SeatEnd } from './contract.ts'
import { type Execution, onOne, placesOf, refused, targets } from './execution.ts'
import { copyOutAcross, gatherLimits, openCopyIn } from './gather/index.ts'
import { StatementFailed, tagOf } from './statement-failed.ts'

const asText = { format: 'text', header: false } as const

export async function copyOut(
  one: Execution,
  plan: Extract<ShardPlan, { kind: 'copy-out' }>,
): Promise<string> {
  const { client, request, answer } = one
  const { keys, across, options, sql = request.sql } = plan
  if (keys !== null && keys.kind === 'refuse') throw refused(keys.refusal)
  const shards = keys === null ? [...client.routing.groups.keys()] : targets(one, keys)
  if (shards.length === 1) return onOne(one, shards[0] as number, false)
  if (across !== 'concat') throw refused(across)
  const over = client.routing.began(one.statement)
  let tag = ''
  try {
    tag = endOf(
      await copyOutAcross({
        request: { ...request, sql },
        targets: shards,
        options: options ?? asText,
        seats: client.transaction,
        answer,
      }),
    )
  } finally {
    over()
  }
  // A server's and a client's are the same.
  client.output.addAll(copyDoneMessage)
  return tag
}

/** What takes the client's data. */
interface Intake {
  readonly frame: Buffer
  take(bytes: Buffer, from: number, to: number): boolean
  drained(): Promise<void>
  done(): Promise<string>
  fail(reason: string): Promise<string>
}

export async function copyIn(one: Execution, plan: Extract<ShardPlan, { kind: 'copy-in' }>): Promise<string> {
  const { client } = one
  const intake = await intakeOf(one, plan)
  client.output.addAll(intake.frame)
  const end = await client.copySource.read(intake).catch(async (thrown: unknown) => {
    await intake.fail('the client does not go on').catch(() => '')
    throw thrown
  })
  return end.done ? intake.done() : intake.fail(end.reason)
}

async function intakeOf(one: Execution, plan: Extract<ShardPlan, { kind: 'copy-in' }>): Promise<Intake> {
  const { client, request } = one
  const { transaction, routing } = client
  const place = routing.map.tables[plan.table]
  if (place === undefined) throw StatementFailed.of('0A000', `It is not known where ${plan.table} lives.`)
  if (place.kind === 'on') return intoOne(one, routing.map.shards.indexOf(place.shard))
  const copy = await openCopyIn({
    sql: request.sql,
    place,
    columns: plan.columns ?? routing.columnsOf(plan.table),
    options: plan.options,
    seats: transaction,
    places: placesOf(one, client.routing.hotWrites),
    limits: gatherLimits,
  })
  if ('errorFrame' in copy) throw new StatementFailed(copy.errorFrame)
  return {
    frame: copy.frame,
    take: (bytes, from, to) => copy.take(bytes, from, to),
    drained: () => copy.drained(),
    done: async () => endOf(await copy.done()),
    fail: async reason => endOf(await copy.fail(reason)),
  }
}

async function intoOne({ client, request }: Execution, shard: number): Promise<Intake> {
  const seat = await client.transaction.seat(shard)
  client.transaction.wroteOn(shard)
  const copy: SeatCopy | SeatEnd = await seat.copyIn(request.sql)
  if (!('frame' in copy)) throw new StatementFailed(copy.errorFrame ?? noCopy())
  return {
    frame: copy.frame,
    take: (bytes, from, to) => copy.send(bytes, from, to),
    drained: () => copy.drained(),
    done: async () => tagOf(await copy.done()),
    fail: async reason => tagOf(await copy.fail(reason)),
  }
}

function noCopy(): Buffer {
  return StatementFailed.of('0A000', 'The statement copies nothing in.').frame
}

function endOf(end: AcrossEnd): string {
  if ('errorFrame' in end) throw new StatementFailed(end.errorFrame)
  return end.tag
}
