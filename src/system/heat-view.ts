// How hot the shards of a database are, as its router counted, and what is advised.

import { shardAdvice } from '../policy/shard/advice.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import { ShardHeatCounters } from '../policy/shard/heat.ts'
import type { HeatReport } from '../policy/shard/heat-contract.ts'
import type { HeatView } from './control/database-views.ts'
import type { ShardGroup } from './shards-view.ts'

/** @param counted null: the router does not run, or knows nothing of it yet */
export function heatView(
  database: string,
  map: ShardMap,
  groups: readonly ShardGroup[],
  counted: HeatReport | null,
): HeatView {
  const heat = counted ?? new ShardHeatCounters(map).report(() => ({ shard: 0, slot: -1 }))
  const replicas = groups.map(({ group: { spec } }) =>
    spec.servers.kind === 'embedded' ? spec.servers.members.length - 1 : 0,
  )
  const servers = groups.map(({ id }) => ({ shard: id }))
  return { database, heat, advice: shardAdvice(heat, servers, map, Math.min(...replicas)) }
}
