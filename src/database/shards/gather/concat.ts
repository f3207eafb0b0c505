// Rows of all shards one after another, in whatever order they come; nothing is kept. LIMIT and OFFSET are cut here: each
// shard was asked for as many as may be needed.

import type { AcrossPlan } from '../../sql/shards/contract.ts'
import type { AcrossEnd } from '../contract.ts'
import { boundsOf } from './bounds.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import { Flow } from './flow.ts'
import type { GatherInput } from './input.ts'
import { addTags, withCount } from './tags.ts'
import { typed, withText } from './typed.ts'

export async function concat(input: GatherInput<Extract<AcrossPlan, { how: 'concat' }>>): Promise<AcrossEnd> {
  const { plan, answer, seats, targets } = input
  const { limit, offset } = boundsOf(plan, input.request)
  const all = await Promise.all(targets.map(shard => seats.seat(shard)))
  const request =
    plan.sql === null
      ? input.request
      : withText(await typed(input.request, all[0] as (typeof all)[number]), plan.sql)
  const fan = new Fan(all)
  const flow = new Flow(answer, fan)
  let seen = 0
  const end = offset + limit
  const sink = guarded(fan, {
    fields: frame => flow.fields(frame),
    notice: frame => flow.notice(frame),
    row: (bytes, from, to) => {
      const place = seen++
      if (place >= offset && place < end) flow.row(bytes, from, to)
    },
  })
  const tags = await fan.run(async seat => tagOf(await seat.run(request, sink)))
  const whole = addTags(tags)
  return { tag: plan.limit === null && plan.offset === null ? whole : withCount(whole, flow.rows) }
}
