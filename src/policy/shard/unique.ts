// Columns that are unique over all shards, and the look-up tables that keep them so: each is a sharded table of its own, by a hash
// of these columns, in the schema `tenfold_unique`. A row there names the key of the row that has the values, not its shard.

import type { KeyType, ShardMap } from './contract.ts'

/** What a file says of a table. */
export interface UniqueSpec {
  readonly columns: readonly string[]
  readonly types: readonly KeyType[]
}

export interface UniqueColumns {
  /** `schema.table`. */
  readonly table: string
  readonly columns: readonly string[]
  readonly types: readonly KeyType[]
  /** The table's sharding key. */
  readonly key: readonly string[]
  readonly keyTypes: readonly KeyType[]
  /** `tenfold_unique.name`: table and family of the map. */
  readonly lookup: string
}

export const uniqueSchema = 'tenfold_unique'
/** Bytes: triggers and functions have names made of it. */
const nameMax = 46

/** `tenfold_unique.public$customers$email`. A long one ends in a hash of the whole. */
export function lookupOf(table: string, columns: readonly string[]): string {
  const whole = [...table.split('.'), ...columns].join('$')
  if (bytesOf(whole) <= nameMax) return `${uniqueSchema}.${whole}`
  const letters = [...whole]
  while (bytesOf(letters.join('')) > nameMax - 9) letters.pop()
  return `${uniqueSchema}.${letters.join('')}$${hash(whole)}`
}

/** As UTF-8. */
function bytesOf(text: string): number {
  let bytes = 0
  for (const letter of text) {
    const code = letter.codePointAt(0) as number
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}

/** FNV-1a, 32 bits. */
function hash(text: string): string {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return (value >>> 0).toString(16).padStart(8, '0')
}

/** By table. */
export function uniquesOf(map: ShardMap): ReadonlyMap<string, readonly UniqueColumns[]> {
  const found = new Map<string, readonly UniqueColumns[]>()
  for (const [table, place] of Object.entries(map.tables)) {
    if (place.kind !== 'sharded' || place.unique === undefined) continue
    const { key, family, unique } = place
    found.set(
      table,
      unique.map(columns => {
        const lookup = lookupOf(table, columns)
        return {
          table,
          columns,
          types: map.families[lookup]?.types ?? [],
          key,
          keyTypes: map.families[family]?.types ?? [],
          lookup,
        }
      }),
    )
  }
  return found
}

/** A look-up table, which nobody but Tenfold writes. */
export function isLookup(table: string): boolean {
  return table.startsWith(`${uniqueSchema}.`)
}
