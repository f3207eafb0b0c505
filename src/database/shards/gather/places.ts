// Where the keys of a statement are: what the port says, refusals thrown.

import type { KeySource } from '../../sql/shards/contract.ts'
import type { GatherPlaces } from './input.ts'
import { noPlace } from './refusals.ts'

interface Keys {
  readonly family: string
  readonly keys: readonly (readonly KeySource[])[]
}

/** Every shard that one of the keys is on, each once; keys that no row can have are on none. */
export async function placedShards(places: GatherPlaces, { family, keys }: Keys): Promise<readonly number[]> {
  const shards = new Set<number>()
  for (const placed of await places.ofSources(family, keys)) {
    if ('refused' in placed) {
      if (placed.refused === 'null-key' || placed.refused === 'unmapped') continue
      throw noPlace(placed.refused, placed.value)
    }
    for (const shard of placed) shards.add(shard)
  }
  return [...shards].sort((a, b) => a - b)
}

/** The shard of each key, in their order. */
export async function placedRows(places: GatherPlaces, { family, keys }: Keys): Promise<readonly number[]> {
  const placed = await places.ofSources(family, keys)
  return placed.map(one => {
    if ('refused' in one) throw noPlace(one.refused, one.value)
    return one[0] as number
  })
}

/** Where one row belongs. */
export async function placedRow(
  places: GatherPlaces,
  family: string,
  values: readonly (Buffer | null)[],
  format: 0 | 1,
): Promise<number> {
  const placed = await places.ofValues(family, values, format)
  if ('refused' in placed) throw noPlace(placed.refused, placed.value)
  return placed.shard
}
