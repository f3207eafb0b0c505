// A ring with virtual nodes, cut into equal slots: each slot belongs to the shard whose node comes next (Karger et al.,
// "Consistent Hashing and Random Trees", STOC 1997). A shard that is added takes about its share from all others alike, and
// nothing moves between those that stay. The nodes' places depend on the shards' ids only.

import { keyEncoder } from './key.ts'
import { combineHash, hashBytes, hashHigh, hashInt32, hashLow } from './key-hash.ts'

/** @returns for each slot the index in `shards` */
export function ringSlots(shards: readonly string[], points: number, slots: number): number[] {
  const nodes: { readonly at: number; readonly shard: number }[] = []
  for (const [shard, id] of shards.entries())
    for (let point = 0; point < points; point++) {
      hashBytes(keyEncoder.encode(id))
      combineHash(0, 0)
      const low = hashLow
      const high = hashHigh
      hashInt32(point)
      combineHash(low, high)
      nodes.push({ at: hashHigh / 0x1_0000_0000, shard })
    }
  nodes.sort((one, other) => one.at - other.at || one.shard - other.shard)
  let next = 0
  return Array.from({ length: slots }, (_, slot) => {
    const at = slot / slots
    while (next < nodes.length && (nodes[next] as { at: number }).at < at) next++
    return (nodes[next] ?? (nodes[0] as { shard: number })).shard
  })
}
