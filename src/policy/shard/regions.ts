// Regions of clients: which shard is near to somebody who says where he is, by the rules that place regions.

import type { ShardMap } from './contract.ts'

/** Names of all regions that some family's rule places, with an index of `shards`: the first family that names it says which. */
export function regionsOf(map: ShardMap): ReadonlyMap<string, number> {
  const regions = new Map<string, number>()
  for (const { rule } of Object.values(map.families)) {
    if (rule.by !== 'geo') continue
    for (const { values, shard } of rule.regions)
      for (const value of values) if (!regions.has(value)) regions.set(value, shard)
  }
  return regions
}
