// One writing statement on several shards: it runs on all in one distributed transaction, which the session ends. Counts are
// added, rows of RETURNING come one after another.

import type { AcrossEnd } from '../contract.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import { Flow } from './flow.ts'
import type { GatherInput } from './input.ts'
import { addTags } from './tags.ts'

export async function write(input: GatherInput): Promise<AcrossEnd> {
  const { seats, targets, answer, request } = input
  await seats.begin()
  const all = await Promise.all(targets.map(shard => seats.seat(shard)))
  const fan = new Fan(all)
  const flow = new Flow(answer, fan)
  const sink = guarded(fan, flow.sink)
  const tags = await fan.run(async seat => {
    seats.wroteOn(seat.shard)
    return tagOf(await seat.run(request, sink))
  })
  return { tag: addTags(tags) }
}
