// Placement as SQL: a condition that is true for the rows that a map places on one shard. The same as placement.ts, in the
// words of a server that has the schema `tenfold`.

import type { Family, KeyList, KeyType, PlacementRule, ShardMap } from './contract.ts'

/**
 * @param columns SQL of the key's columns, in their order
 * @param shard an index of the map's shards
 * @returns a condition in brackets; false or NULL for keys that have no place
 */
export function placedOnSql(
  map: ShardMap,
  family: string,
  columns: readonly string[],
  shard: number,
): string {
  const known = map.families[family]
  if (known === undefined) return '(false)'
  const { types, exceptions = [] } = known
  const rule = ruleSql({ map, family, shard }, known.rule, types, columns)
  if (exceptions.length === 0) return rule
  const keys = (of: NonNullable<Family['exceptions']>): string =>
    anyOf(
      of.map(({ key }) =>
        allOf(key.map((value, at) => oneOf(columns[at] as string, types[at] as KeyType, [value]))),
      ),
    )
  const here = keys(exceptions.filter(one => one.shard === shard))
  return `(${here} OR (NOT ${keys(exceptions)} AND ${rule}))`
}

interface Wanted {
  readonly map: ShardMap
  readonly family: string
  readonly shard: number
}

function ruleSql(
  wanted: Wanted,
  rule: PlacementRule,
  types: readonly KeyType[],
  columns: readonly string[],
): string {
  const { shard } = wanted
  const [column = 'NULL'] = columns
  const [type = 'text'] = types
  const cast = columns.map((one, at) => `(${one})::${types[at] ?? 'text'}`)
  switch (rule.by) {
    case 'hash': {
      const slots = rule.slots.length
      const hashes = cast.map(one => `tenfold.key_hash(${one})`)
      return slotsSql(
        cast.length === 1
          ? `tenfold.slot_of(${cast[0]}, ${slots})`
          : `tenfold.slot_of_row(${slots}, ${hashes.join(', ')})`,
        rule.slots,
        shard,
      )
    }
    case 'consistent': {
      const slots = rule.slots.length
      const hashes = cast.map(one => `tenfold.key_hash(${one})`)
      return slotsSql(
        cast.length === 1
          ? `tenfold.ring_slot_of(${cast[0]}, ${slots})`
          : `tenfold.ring_slot_of_hash(tenfold.row_hash(${hashes.join(', ')}), ${slots})`,
        rule.slots,
        shard,
      )
    }
    case 'range':
    case 'time':
      return anyOf(
        rule.ranges.flatMap((range, at) => {
          if (range.shard !== shard) return []
          const below = rule.ranges[at + 1]?.from ?? null
          const bounds = [
            ...(range.from === null ? [] : [`${ordered(column, type)} >= ${literal(type, range.from)}`]),
            ...(below === null ? [] : [`${ordered(column, type)} < ${literal(type, below)}`]),
          ]
          return [bounds.length === 0 ? `(${column}) IS NOT NULL` : allOf(bounds)]
        }),
      )
    case 'list':
      return listsSql(rule.lists, rule.otherwise, type, column, shard)
    case 'geo':
      return listsSql(rule.regions, rule.otherwise, type, column, shard)
    case 'directory':
      return directorySql(wanted, rule.otherwise, column)
    case 'list-then': {
      const [restTypes, rest] = [types.slice(1), columns.slice(1)]
      const inner = rule.lists.map(one =>
        allOf([oneOf(column, type, one.values), ruleSql(wanted, one.rule, restTypes, rest)]),
      )
      if (rule.otherwise === null) return anyOf(inner)
      const known = rule.lists.flatMap(one => one.values)
      const elsewhere = allOf([
        `NOT ${oneOf(column, type, known)}`,
        ruleSql(wanted, rule.otherwise, restTypes, rest),
      ])
      return anyOf([...inner, elsewhere])
    }
  }
}

function slotsSql(slot: string, slots: readonly number[], shard: number): string {
  const held = slots.flatMap((one, at) => (one === shard ? [at] : []))
  if (held.length === 0) return '(false)'
  // NULL for a key that is NULL, as where all are held.
  return `(${slot} = ANY ('{${held.join(',')}}'::integer[]))`
}

function listsSql(
  lists: readonly KeyList[],
  otherwise: number | null,
  type: KeyType,
  column: string,
  shard: number,
): string {
  const here = lists.filter(one => one.shard === shard).flatMap(({ values }) => values)
  if (otherwise !== shard) return oneOf(column, type, here)
  const elsewhere = lists.filter(one => one.shard !== shard).flatMap(({ values }) => values)
  return elsewhere.length === 0 ? `((${column}) IS NOT NULL)` : `(NOT ${oneOf(column, type, elsewhere)})`
}

function directorySql({ map, family, shard }: Wanted, otherwise: number | null, column: string): string {
  const rest = otherwise === null ? 'NULL' : quoted(map.shards[otherwise] ?? '')
  // The collation of the directory's own index, whatever the column's is.
  const key = `(${column})::text COLLATE "default"`
  const found = `(SELECT d.shard FROM tenfold.directory AS d WHERE d.family = ${quoted(family)} AND d.key = ${key})`
  return `((${column}) IS NOT NULL AND coalesce(${found}, ${rest}) = ${quoted(map.shards[shard] ?? '')})`
}

function oneOf(column: string, type: KeyType, values: readonly string[]): string {
  if (values.length === 0) return '(false)'
  return `(${ordered(column, type)} IN (${values.map(value => literal(type, value)).join(', ')}))`
}

/** Texts are equal, and in order, by their bytes. */
function ordered(column: string, type: KeyType): string {
  return type === 'text' ? `((${column})::text COLLATE "C")` : `(${column})::${type}`
}

function literal(type: KeyType, value: string): string {
  return `${quoted(value)}::${type}`
}

function quoted(text: string): string {
  const doubled = text.replaceAll("'", "''")
  return text.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}

function anyOf(conditions: readonly string[]): string {
  return conditions.length === 0 ? '(false)' : `(${conditions.join(' OR ')})`
}

function allOf(conditions: readonly string[]): string {
  return `(${conditions.join(' AND ')})`
}
