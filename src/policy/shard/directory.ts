// Keys of directories that are moved. While one moves it is an exception of the map, which all routers change at once, and not
// a row that each of them remembers: pinned to where it is, then placed where it goes. Later the exception becomes the row.

import type { Family, KeyException, ShardMap } from './contract.ts'

/** The map with a key pinned to a shard; version one higher. @param key in its one form */
export function pinnedMap(map: ShardMap, family: string, key: string, shard: number): ShardMap {
  const known = map.families[family] as Family
  const others = exceptionsOf(known).filter(one => one.key[0] !== key)
  return withFamily(map, family, { ...known, exceptions: [...others, { key: [key], shard }] })
}

export interface DirectoryRow {
  readonly family: string
  readonly key: string
  /** Its id. */
  readonly shard: string
}

/** What exceptions say of directories' keys: rows that every shard must have before the other map holds. */
export function foldedMap(map: ShardMap): { readonly map: ShardMap; readonly rows: readonly DirectoryRow[] } {
  let next = map
  const rows: DirectoryRow[] = []
  for (const [name, family] of Object.entries(map.families)) {
    if (family.rule.by !== 'directory' || exceptionsOf(family).length === 0) continue
    for (const { key, shard } of exceptionsOf(family))
      rows.push({ family: name, key: key[0] as string, shard: map.shards[shard] as string })
    const { types, rule } = family
    next = withFamily(next, name, { types, rule })
  }
  return { map: rows.length === 0 ? map : { ...next, version: map.version + 1 }, rows }
}

function exceptionsOf({ exceptions = [] }: Family): readonly KeyException[] {
  return exceptions
}

function withFamily(map: ShardMap, name: string, family: Family): ShardMap {
  return { ...map, version: map.version + 1, families: { ...map.families, [name]: family } }
}
