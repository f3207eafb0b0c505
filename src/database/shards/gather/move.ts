// UPDATE of a sharding key: the rows are taken from their shards as they shall be, and put where they belong then, in one
// distributed transaction. Rows that stay on their shard go the same way, so that all are treated alike.

import type { AcrossPlan } from '../../sql/shards/contract.ts'
import type { AcrossEnd, ShardSeat } from '../contract.ts'
import { copyLine } from './copy-form.ts'
import { copyRows } from './copy-rows.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import type { GatherInput } from './input.ts'
import { Kept } from './kept.ts'
import { placedRow } from './places.ts'
import { valuesOf } from './rows.ts'
import { withText } from './typed.ts'

type Input = GatherInput<Extract<AcrossPlan, { how: 'move' }>>

interface Taken {
  readonly key: readonly (Buffer | null)[]
  readonly line: Buffer
}

export async function move(input: Input): Promise<AcrossEnd> {
  const { plan, seats, family } = input
  if (family === undefined) throw new Error('rows move without a family')
  await seats.begin()
  const taken = await take(input)
  const lines = new Map<number, Buffer[]>()
  for (const { key, line } of taken) {
    const shard = await placedRow(input.places, family, key, 0)
    const list = lines.get(shard)
    if (list === undefined) lines.set(shard, [line])
    else list.push(line)
  }
  const shards = [...lines.keys()].sort((a, b) => a - b)
  const fan = new Fan(await Promise.all(shards.map(shard => seats.seat(shard))))
  await fan.run(async seat => {
    seats.wroteOn(seat.shard)
    await copyRows(seat, plan.table, plan.columns, lines.get(seat.shard) as Buffer[])
  })
  return { tag: `UPDATE ${taken.length}` }
}

async function take(input: Input): Promise<readonly Taken[]> {
  const { plan, seats, targets, answer, limits } = input
  const all = await Promise.all(targets.map(shard => seats.seat(shard)))
  const first = all[0] as ShardSeat
  // What an assignment refuses, a cast may do: a server looks at the client's own text first.
  const { end, types } = await first.describe(input.request.sql, input.request.types)
  tagOf(end)
  const request = withText({ ...input.request, types }, plan.take, [0])
  const fan = new Fan(all)
  const kept = new Kept(limits)
  const taken: Taken[] = []
  const sink = guarded(fan, {
    notice: frame => answer.notice(frame),
    row: (bytes, from, to) => {
      kept.count(to - from)
      const values = valuesOf(bytes, from, to)
      const key = plan.key.map(place => {
        const value = values[place] ?? null
        return value === null ? null : Buffer.from(value)
      })
      taken.push({ key, line: copyLine(bytes, from, to) })
    },
  })
  await fan.run(async seat => {
    seats.wroteOn(seat.shard)
    return tagOf(await seat.run(request, sink))
  })
  return taken
}
