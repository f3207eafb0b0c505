// Writes to tables that are on every shard: the first shard first, so that two such writes wait for each other there and not
// crosswise, then the others at once. All must count alike: else the copies differ, and nothing is committed.

import type { AcrossPlan, EverywhereInsert } from '../../sql/shards/contract.ts'
import type { AcrossEnd, SeatRequest, ShardSeat } from '../contract.ts'
import { copyLine } from './copy-form.ts'
import { copyRows } from './copy-rows.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import { Flow } from './flow.ts'
import type { GatherInput } from './input.ts'
import { Kept } from './kept.ts'
import { drift } from './refusals.ts'
import { columnsOf, cutFields, cutRow } from './rows.ts'
import { countOf } from './tags.ts'
import { typed, withText } from './typed.ts'

type Input = GatherInput<Extract<AcrossPlan, { how: 'everywhere' }>>

export async function everywhere(input: Input): Promise<AcrossEnd> {
  const { plan, seats, targets } = input
  await seats.begin()
  const all = await Promise.all(targets.map(shard => seats.seat(shard)))
  const [first, ...others] = all as [ShardSeat, ...ShardSeat[]]
  if (plan.copyRows !== null) return { tag: await copied(input, plan.copyRows, first, others) }
  const tag = await toClient(input, first, input.request)
  const fan = new Fan(others)
  const tags = await fan.run(async seat => {
    seats.wroteOn(seat.shard)
    return tagOf(await seat.run(input.request, { row: () => {} }))
  })
  for (const [index, other] of tags.entries()) sameCount(tag, other, first, others[index] as ShardSeat)
  return { tag }
}

function sameCount(one: string, other: string, first: ShardSeat, seat: ShardSeat): void {
  if (one === other) return
  throw drift(
    `The copies of a table that is everywhere differ: ${one} on shard ${first.id}, ${other} on shard ${seat.id}; nothing was changed.`,
  )
}

async function toClient(input: Input, seat: ShardSeat, request: SeatRequest): Promise<string> {
  const fan = new Fan([seat])
  const flow = new Flow(input.answer, fan)
  input.seats.wroteOn(seat.shard)
  const [tag] = await fan.run(async () => tagOf(await seat.run(request, guarded(fan, flow.sink))))
  return tag as string
}

/** Values that each server would make anew (defaults, now()) are made once: the first shard's rows are the others', too. */
async function copied(
  input: Input,
  plan: EverywhereInsert,
  first: ShardSeat,
  others: readonly ShardSeat[],
): Promise<string> {
  const { seats, limits } = input
  const original = await typed(input.request, first)
  const request = withText(original, plan.sql, formats(original, plan))
  const fan = new Fan([first])
  const flow = new Flow(input.answer, fan)
  const kept = new Kept(limits)
  const lines: Buffer[] = []
  seats.wroteOn(first.shard)
  const sink = guarded(fan, {
    fields: frame => {
      const hidden = columnsOf(frame).length - plan.returning
      if (plan.returning > 0) flow.fields(frame, one => cutFields(one, hidden))
    },
    notice: frame => flow.notice(frame),
    row: (bytes, from, to) => {
      const line = copyLine(bytes, from, to, plan.returning)
      kept.count(line.length)
      lines.push(line)
      if (plan.returning === 0) return
      const shown = cutRow(bytes, from, 0, plan.returning)
      flow.row(shown, 0, shown.length)
    },
  })
  const [tag] = await fan.run(async seat => tagOf(await seat.run(request, sink)))
  const rest = new Fan(others)
  await rest.run(async seat => {
    seats.wroteOn(seat.shard)
    const count = await copyRows(seat, plan.table, plan.columns, lines)
    sameCount(`INSERT 0 ${lines.length}`, `INSERT 0 ${count}`, first, seat)
  })
  return `INSERT 0 ${countOf(tag as string)}`
}

/** The client's own for what it sees, text for what is copied. */
function formats(
  { resultFormats }: SeatRequest,
  { returning, columns }: EverywhereInsert,
): readonly number[] {
  const seen = Array.from({ length: returning }, (_, index) =>
    resultFormats.length === 1 ? (resultFormats[0] as number) : (resultFormats[index] ?? 0),
  )
  return [...seen, ...columns.map(() => 0)]
}
