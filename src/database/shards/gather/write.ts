// One writing statement on several shards: it runs on all in one distributed transaction, which the session ends. Counts are
// added, rows of RETURNING come one after another.

import type { AcrossPlan } from '../../sql/shards/contract.ts'
import type { AcrossEnd } from '../contract.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import { Flow } from './flow.ts'
import type { GatherInput } from './input.ts'
import { addTags } from './tags.ts'
import { typed, withText } from './typed.ts'

export async function write(input: GatherInput<Extract<AcrossPlan, { how: 'write' }>>): Promise<AcrossEnd> {
  const { plan, seats, targets, answer } = input
  await seats.begin()
  const all = await Promise.all(targets.map(shard => seats.seat(shard)))
  const request =
    plan.sql === undefined
      ? input.request
      : withText(await typed(input.request, all[0] as (typeof all)[number]), plan.sql)
  const fan = new Fan(all)
  const flow = new Flow(answer, fan)
  const sink = guarded(fan, flow.sink)
  const tags = await fan.run(async seat => {
    seats.wroteOn(seat.shard)
    return tagOf(await seat.run(request, sink))
  })
  return { tag: addTags(tags) }
}
