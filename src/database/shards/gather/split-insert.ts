// INSERT of rows that belong to different shards: each shard gets the statement with its own rows, all in one distributed
// transaction. Rows of RETURNING come back in the order of the rows where every row gave one.

import type { AcrossPlan } from '../../sql/shards/contract.ts'
import type { AcrossEnd, SeatSink, ShardAnswer, ShardSeat } from '../contract.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import { Flow } from './flow.ts'
import type { GatherInput } from './input.ts'
import { Kept } from './kept.ts'
import { placedRows } from './places.ts'
import { addTags } from './tags.ts'
import { typed, withText } from './typed.ts'

type Input = GatherInput<Extract<AcrossPlan, { how: 'split-insert' }>>

export async function splitInsert(input: Input): Promise<AcrossEnd> {
  const { plan, seats, answer, limits, keyed } = input
  if (keyed === undefined) throw new Error('rows of an INSERT without their keys')
  const placed = await placedRows(input.places, keyed)
  // Each shard's rows, by their place in the statement.
  const groups = Map.groupBy(
    placed.map((_, row) => row),
    row => placed[row] as number,
  )
  const shards = [...groups.keys()].sort((a, b) => a - b)
  await seats.begin()
  const all = await Promise.all(shards.map(shard => seats.seat(shard)))
  const request = await typed(input.request, all[0] as ShardSeat)
  const fan = new Fan(all)
  const flow = new Flow(answer, fan)
  const kept = new Kept(limits)
  const returned: Buffer[][] = shards.map(() => [])
  const sinkOf = (index: number): SeatSink => ({
    ...flow.sink,
    row: (bytes, from, to) => {
      kept.count(to - from)
      returned[index]?.push(Buffer.from(bytes.subarray(from, to)))
    },
  })
  const tags = await fan.run(async (seat, index) => {
    seats.wroteOn(seat.shard)
    const rows = (groups.get(seat.shard) as number[]).map(row => plan.rows[row] as string)
    const sql = `${plan.head}${rows.join(', ')}${plan.tail}`
    return tagOf(await seat.run(withText(request, sql), guarded(fan, sinkOf(index))))
  })
  await passInOrder(
    returned,
    shards.map(shard => groups.get(shard) as number[]),
    answer,
  )
  return { tag: addTags(tags) }
}

async function passInOrder(
  returned: readonly (readonly Buffer[])[],
  rows: readonly (readonly number[])[],
  answer: ShardAnswer,
): Promise<void> {
  const whole = returned.every((list, index) => list.length === (rows[index] as readonly number[]).length)
  const numbered = returned.flatMap((list, index) =>
    list.map((frame, at) => ({ frame, row: whole ? ((rows[index] as readonly number[])[at] as number) : 0 })),
  )
  // Stable: where some row gave none, one shard's follow another's.
  numbered.sort((a, b) => a.row - b.row)
  for (const { frame } of numbered) if (!answer.row(frame, 0, frame.length)) await answer.drained()
}
