// Copies of tables by another key: each is a sharded table of its own in the schema `tenfold_copies`, which Tenfold alone writes. Either
// the rows themselves, or one row for each key with how many rows have it and sums of their columns.

import type { Family, ShardMap } from './contract.ts'

export const copiesSchema = 'tenfold_copies'

export interface CopySpec {
  /** `schema.table`. */
  readonly of: string
  /** Beside the key and the primary key of the source; null: all. Of totals: none. */
  readonly columns: readonly string[] | null
  /** Null: rows. */
  readonly totals: CopyTotals | null
}

export interface CopyTotals {
  /** Name of the column that counts rows. */
  readonly count: string
  /** Names of sums, by the columns that are summed. */
  readonly sums: Readonly<Record<string, string>>
}

export interface ShardCopy extends CopySpec {
  /** `tenfold_copies.name`: table and family of the map. */
  readonly table: string
  readonly name: string
  /** Its key. */
  readonly by: readonly string[]
  /** Sharding key and family of the source. */
  readonly key: readonly string[]
  readonly family: string
}

export function copiesOf(map: ShardMap): readonly ShardCopy[] {
  return Object.entries(map.tables).flatMap(([table, place]) => {
    if (place.kind !== 'sharded' || place.copy === undefined) return []
    const source = map.tables[place.copy.of]
    if (source?.kind !== 'sharded') return []
    const name = table.slice(copiesSchema.length + 1)
    return [{ ...place.copy, table, name, by: place.key, key: source.key, family: source.family }]
  })
}

/** What a copy is made of: another text, another copy. */
export function copyDefinition(map: ShardMap, copy: ShardCopy): string {
  const rule = (family: string): Family | undefined => map.families[family]
  return JSON.stringify([copy, rule(copy.family), rule(copy.table), map.shards])
}

/** Part of the names of slots, origins and publications: these have no `$`. FNV-1a, 32 bits. */
export function copyId(name: string): string {
  let value = 0x811c9dc5
  for (let at = 0; at < name.length; at++) value = Math.imul(value ^ name.charCodeAt(at), 0x01000193)
  return (value >>> 0).toString(16).padStart(8, '0')
}
