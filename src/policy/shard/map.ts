// The first map of a sharded database, made from what its file says; what later files may add to it; and whether a map is
// whole. A map that moves is the matter of resharding.

import type { Family, KeyType, PlacementRule, ShardMap, TablePlace } from './contract.ts'
import type { CopySpec } from './copies.ts'
import { canonicalKey, compareKeys } from './key.ts'
import { ringSlots } from './ring.ts'
import { lookupOf, type UniqueSpec } from './unique.ts'

/** What a file says of a table. Shards are indexes. */
export type TableSpec =
  | { readonly kind: 'everywhere' }
  | { readonly kind: 'round-robin' }
  | { readonly kind: 'on'; readonly shard: number }
  | {
      readonly kind: 'sharded'
      readonly key: readonly string[]
      readonly types: readonly KeyType[]
      /** `schema.table` whose family it belongs to; null: a family of its own. */
      readonly with: string | null
      /** Null with `with`. */
      readonly rule: RuleSpec | null
      /** Columns that are unique over all shards. */
      readonly unique?: readonly UniqueSpec[]
      /** It is a copy of another table. */
      readonly copy?: CopySpec
    }

/** `shards` and `slots`: not over all shards, not in as many slots as the file says of all. */
interface PartSpec {
  readonly shards?: readonly number[]
  readonly slots?: number
}

export type RuleSpec =
  | ({ readonly by: 'hash' } & PartSpec)
  | ({ readonly by: 'consistent'; readonly points: number } & PartSpec)
  | Exclude<PlacementRule, { by: 'hash' | 'consistent' | 'list-then' }>
  | {
      readonly by: 'list-then'
      readonly lists: readonly { readonly values: readonly string[]; readonly rule: RuleSpec }[]
      readonly otherwise: RuleSpec | null
    }

export interface ShardsSpec {
  readonly shards: readonly string[]
  /** Of each hash or consistent family. */
  readonly slots: number
  /** By `schema.table`. */
  readonly tables: Readonly<Record<string, TableSpec>>
}

export function firstMap(spec: ShardsSpec): ShardMap {
  return { format: 1, version: 1, shards: spec.shards, ...placesOf(spec) }
}

function placesOf(spec: ShardsSpec): Pick<ShardMap, 'families' | 'tables'> {
  const families: Record<string, Family> = {}
  const tables: Record<string, TablePlace> = {}
  for (const [name, table] of Object.entries(spec.tables)) {
    if (table.kind === 'on') tables[name] = { kind: 'on', shard: spec.shards[table.shard] as string }
    else if (table.kind !== 'sharded') tables[name] = { kind: table.kind }
    else {
      const family = rootOf(spec, name)
      const { unique = [] } = table
      const lists = unique.map(({ columns }) => columns)
      tables[name] = {
        kind: 'sharded',
        family,
        key: table.key,
        ...(lists.length > 0 ? { unique: lists } : {}),
        ...(table.copy === undefined ? {} : { copy: table.copy }),
      }
      if (family === name && table.rule !== null)
        families[name] = { types: table.types, rule: ruleOf(table.rule, spec) }
      for (const { columns, types } of unique) {
        const lookup = lookupOf(name, columns)
        tables[lookup] = { kind: 'sharded', family: lookup, key: columns }
        families[lookup] = { types, rule: ruleOf({ by: 'hash' }, spec) }
      }
    }
  }
  return { families, tables }
}

/** The table at the end of the chain of `with`. */
export function rootOf({ tables }: Pick<ShardsSpec, 'tables'>, name: string): string {
  let at = name
  for (let steps = 0; steps <= Object.keys(tables).length; steps++) {
    const table = tables[at]
    if (table?.kind !== 'sharded' || table.with === null) return at
    at = table.with
  }
  return at
}

/** As rows are placed by it from the start. */
export function ruleOf(rule: RuleSpec, spec: Pick<ShardsSpec, 'shards' | 'slots'>): PlacementRule {
  switch (rule.by) {
    case 'hash':
    case 'consistent': {
      const over = rule.shards ?? spec.shards.map((_, index) => index)
      const count = rule.slots ?? spec.slots
      if (rule.by === 'hash')
        return { by: 'hash', slots: evenSlots(count, over.length).map(at => over[at] as number) }
      const ids = over.map(at => spec.shards[at] ?? String(at))
      const slots = ringSlots(ids, rule.points, count).map(at => over[at] as number)
      return { by: 'consistent', points: rule.points, slots }
    }
    case 'list-then':
      return {
        by: 'list-then',
        lists: rule.lists.map(({ values, rule: inner }) => ({ values, rule: ruleOf(inner, spec) })),
        otherwise: rule.otherwise === null ? null : ruleOf(rule.otherwise, spec),
      }
    default:
      return rule
  }
}

/** In runs, so that slots that are neighbours are on one shard; no two shards differ by more than one slot. */
function evenSlots(slots: number, shards: number): number[] {
  return Array.from({ length: slots }, (_, slot) => Math.floor((slot * shards) / slots))
}

/** What a changed file means for a map that rows were placed by. */
export type MapMerge =
  | { readonly kind: 'same' }
  /** Tables were added, or forgotten. */
  | { readonly kind: 'changed'; readonly map: ShardMap }
  | { readonly kind: 'refused'; readonly table: string | null; readonly why: string }

/**
 * Tables may be added and forgotten; where rows are, and so the key, the family and the rule of a table, changes by resharding
 * only. `map` may have been resharded since: what its families say of slots holds.
 */
export function mergeMap(map: ShardMap, spec: ShardsSpec): MapMerge {
  // Shards that the file adds hold nothing until rows are moved to them; those that it takes away must hold nothing.
  const kept = map.shards.filter(id => spec.shards.includes(id))
  for (const [index, id] of map.shards.entries()) {
    const there = kept.includes(id) ? '' : whatIsOn(map, index)
    if (there !== '')
      return {
        kind: 'refused',
        table: null,
        why: `there are ${map.shards.length} shards, the file says ${spec.shards.length}, and shard ${id} still has ${there}`,
      }
  }
  const joined = { ...spec, shards: kept }
  const late = Object.entries(spec.tables).find(
    ([name, table]) => map.tables[name] === undefined && shardsNamed(table).some(at => at >= kept.length),
  )
  if (late !== undefined)
    return {
      kind: 'refused',
      table: late[0],
      why: 'it names a shard that holds nothing yet; `tenfold db reshard` lets the shard join',
    }
  const fresh = placesOf(joined)
  const tables: Record<string, TablePlace> = {}
  const families: Record<string, Family> = {}
  for (const [name, place] of Object.entries(fresh.tables)) {
    const before = map.tables[name]
    // What is copied may be copied anew.
    const isCopy = place.kind === 'sharded' && place.copy !== undefined
    if (before !== undefined && !isCopy && withoutUnique(before) !== withoutUnique(place))
      return { kind: 'refused', table: name, why: 'its rows are placed otherwise already' }
    tables[name] = place
    if (place.kind !== 'sharded') continue
    const known = families[place.family] ?? keptFamily(map.families[place.family], map, kept)
    const wanted = fresh.families[place.family]
    if (isCopy && known !== undefined && wanted !== undefined && !sameKind(known, wanted)) {
      families[place.family] = wanted
      continue
    }
    if (known !== undefined && wanted !== undefined && !sameKind(known, wanted))
      return {
        kind: 'refused',
        table: place.family,
        why: `its rows are placed by another rule already (\`tenfold db reshard --rule ${place.family}\` moves them)`,
      }
    const family = known === undefined ? wanted : withAssign(known, wanted)
    if (family !== undefined) families[place.family] = family
  }
  const next: ShardMap = { ...map, version: map.version + 1, shards: kept, families, tables }
  const same =
    JSON.stringify([map.shards, map.families, map.tables]) ===
    JSON.stringify([next.shards, next.families, next.tables])
  return same ? { kind: 'same' } : { kind: 'changed', map: next }
}

/** Columns become unique, or are no more, where their rows lie. */
function withoutUnique(place: TablePlace): string {
  return JSON.stringify(place, (name, value) => (name === 'unique' ? undefined : value))
}

/** Slots may have moved; everything else of a rule is as the file says. */
function sameKind(one: Family, other: Family): boolean {
  if (one.types.join() !== other.types.join() || one.rule.by !== other.rule.by) return false
  if (one.rule.by === 'hash' && other.rule.by === 'hash')
    return one.rule.slots.length === other.rule.slots.length
  if (one.rule.by === 'consistent' && other.rule.by === 'consistent')
    return one.rule.slots.length === other.rule.slots.length && one.rule.points === other.rule.points
  return withoutShards(one.rule) === withoutShards(other.rule)
}

/** How keys get their place in a directory from now on moves no key that has one. */
function withAssign(known: Family, wanted: Family | undefined): Family {
  const { rule } = known
  if (rule.by !== 'directory' || wanted?.rule.by !== 'directory' || rule.assign === wanted.rule.assign)
    return known
  const { assign } = wanted.rule
  const { by, otherwise } = rule
  return { ...known, rule: { by, otherwise, ...(assign === undefined ? {} : { assign }) } }
}

/** By the indexes that its shards have when others are gone. */
function keptFamily(family: Family | undefined, map: ShardMap, kept: readonly string[]): Family | undefined {
  if (family === undefined || kept.length === map.shards.length) return family
  const other = (shard: number): number => kept.indexOf(map.shards[shard] as string)
  const { exceptions } = family
  return {
    ...family,
    rule: withShards(family.rule, other),
    ...(exceptions === undefined
      ? {}
      : { exceptions: exceptions.map(one => ({ ...one, shard: other(one.shard) })) }),
  }
}

/** What a rule tells apart, wherever it then lies. */
export function withoutShards(rule: PlacementRule): string {
  return JSON.stringify(rule, (key, value) => {
    if (key === 'slots') return value.length
    if (key === 'assign') return undefined
    return (key === 'shard' || key === 'otherwise') && typeof value === 'number' ? 0 : value
  })
}

/** In words; '': the shard may go. */
function whatIsOn(map: ShardMap, index: number): string {
  for (const [name, { rule, exceptions = [] }] of Object.entries(map.families)) {
    if (rule.by === 'directory') return `keys of '${name}', if its directory says so`
    if (shardsOfRule(rule).includes(index) || exceptions.some(({ shard }) => shard === index))
      return `rows of '${name}'`
  }
  for (const [name, place] of Object.entries(map.tables)) {
    if (place.kind === 'on' && place.shard === map.shards[index]) return `table '${name}'`
    if (place.kind === 'round-robin') return `rows of '${name}', which are wherever they came`
  }
  return ''
}

/** Indexes, some of them more than once. */
export function shardsOfRule(rule: PlacementRule): number[] {
  switch (rule.by) {
    case 'hash':
    case 'consistent':
      return [...rule.slots]
    case 'range':
    case 'time':
      return rule.ranges.map(({ shard }) => shard)
    case 'list':
    case 'geo': {
      const lists = rule.by === 'list' ? rule.lists : rule.regions
      return [...lists.map(({ shard }) => shard), ...(rule.otherwise === null ? [] : [rule.otherwise])]
    }
    case 'directory':
      return rule.otherwise === null ? [] : [rule.otherwise]
    case 'list-then':
      return [
        ...rule.lists.flatMap(one => shardsOfRule(one.rule)),
        ...(rule.otherwise === null ? [] : shardsOfRule(rule.otherwise)),
      ]
  }
}

/** The same rule with other shards. */
export function withShards(rule: PlacementRule, other: (shard: number) => number): PlacementRule {
  const otherOrNull = (shard: number | null): number | null => (shard === null ? null : other(shard))
  switch (rule.by) {
    case 'hash':
    case 'consistent':
      return { ...rule, slots: rule.slots.map(other) }
    case 'range':
    case 'time':
      return { ...rule, ranges: rule.ranges.map(one => ({ ...one, shard: other(one.shard) })) }
    case 'list':
      return {
        ...rule,
        lists: rule.lists.map(one => ({ ...one, shard: other(one.shard) })),
        otherwise: otherOrNull(rule.otherwise),
      }
    case 'geo':
      return {
        ...rule,
        regions: rule.regions.map(one => ({ ...one, shard: other(one.shard) })),
        otherwise: otherOrNull(rule.otherwise),
      }
    case 'directory':
      return { ...rule, otherwise: otherOrNull(rule.otherwise) }
    case 'list-then':
      return {
        ...rule,
        lists: rule.lists.map(one => ({ ...one, rule: withShards(one.rule, other) })),
        otherwise: rule.otherwise === null ? null : withShards(rule.otherwise, other),
      }
  }
}

function shardsNamed(table: TableSpec): number[] {
  if (table.kind === 'on') return [table.shard]
  if (table.kind !== 'sharded' || table.rule === null) return []
  const named: number[] = []
  JSON.stringify(table.rule, (key, value) => {
    if ((key === 'shard' || key === 'otherwise') && typeof value === 'number') named.push(value)
    if (key === 'shards') named.push(...(value as readonly number[]))
    return value
  })
  return named
}

/** Sentences about what is wrong with a map; none: it is whole. */
export function mapTroubles(map: ShardMap): string[] {
  const troubles: string[] = []
  for (const [name, family] of Object.entries(map.families)) {
    for (const trouble of ruleTroubles(family.rule, family.types, map.shards.length))
      troubles.push(`family '${name}' ${trouble}`)
    for (const { key, shard } of family.exceptions ?? []) {
      if (map.shards[shard] === undefined) troubles.push(`family '${name}' has a key without a shard`)
      if (
        key.length !== family.types.length ||
        key.some((value, at) => canonicalKey(family.types[at] as KeyType, value) === null)
      )
        troubles.push(`family '${name}' has the key '${key.join(', ')}', which is none`)
    }
  }
  for (const [name, table] of Object.entries(map.tables)) {
    if (table.kind === 'on' && !map.shards.includes(table.shard))
      troubles.push(`table '${name}' is on shard '${table.shard}', which there is not`)
    if (table.kind !== 'sharded') continue
    const family = map.families[table.family]
    if (family === undefined)
      troubles.push(`table '${name}' belongs to '${table.family}', which is no family`)
    else if (family.types.length !== table.key.length)
      troubles.push(`table '${name}' has ${table.key.length} key columns, its family ${family.types.length}`)
  }
  return troubles
}

function ruleTroubles(rule: PlacementRule, types: readonly KeyType[], shards: number): string[] {
  const outside = (shard: number): boolean => !Number.isInteger(shard) || shard < 0 || shard >= shards
  const [type = 'text'] = types
  switch (rule.by) {
    case 'hash':
    case 'consistent':
      return rule.slots.length === 0 || rule.slots.some(outside) ? ['has a slot without a shard'] : []
    case 'range':
    case 'time': {
      const troubles = rule.ranges.some(({ shard }) => outside(shard)) ? ['has a range without a shard'] : []
      let before: string | null = null
      for (const [index, { from }] of rule.ranges.entries()) {
        const bound = from === null ? null : canonicalKey(type, from)
        if (from !== null && bound === null) troubles.push(`has the bound '${from}', which is no ${type}`)
        else if (bound === null ? index > 0 : before !== null && compareKeys(type, before, bound) >= 0)
          troubles.push(`has ranges that are not in their order, at '${from}'`)
        before = bound
      }
      return rule.ranges.length === 0 ? ['has no range'] : troubles
    }
    case 'list':
    case 'geo': {
      const lists = rule.by === 'list' ? rule.lists : rule.regions
      return listTroubles(lists, type, rule.otherwise, outside)
    }
    case 'directory':
      return directoryTroubles(rule, types, outside)
    case 'list-then': {
      const inner = [
        ...rule.lists.map(list => list.rule),
        ...(rule.otherwise === null ? [] : [rule.otherwise]),
      ]
      return [
        ...(types.length === 2 ? [] : ['has a rule by two columns and another number of them']),
        ...doubleValues(rule.lists, type),
        ...inner.flatMap(one => ruleTroubles(one, types.slice(1), shards)),
      ]
    }
  }
}

/** Whose texts on the servers are the ones that they have here. */
export const directoryTypes: readonly KeyType[] = ['smallint', 'integer', 'bigint', 'text', 'uuid']

function directoryTroubles(
  { otherwise, assign }: Extract<PlacementRule, { by: 'directory' }>,
  types: readonly KeyType[],
  outside: (shard: number) => boolean,
): string[] {
  if (types.length !== 1) return ['has a directory of keys of several columns']
  const [type = 'text'] = types
  if (!directoryTypes.includes(type)) return [`has a directory of keys of the type ${type}`]
  if (otherwise === null) return []
  if (assign !== undefined) return ["has a directory with both 'otherwise' and 'assign'"]
  return outside(otherwise) ? ['has a default shard that there is not'] : []
}

function listTroubles(
  lists: readonly { readonly values: readonly string[]; readonly shard: number }[],
  type: KeyType,
  otherwise: number | null,
  outside: (shard: number) => boolean,
): string[] {
  const troubles = doubleValues(lists, type)
  if (lists.some(({ shard }) => outside(shard)) || (otherwise !== null && outside(otherwise)))
    troubles.push('has a list without a shard')
  return troubles
}

function doubleValues(lists: readonly { readonly values: readonly string[] }[], type: KeyType): string[] {
  const seen = new Set<string>()
  const troubles: string[] = []
  for (const value of lists.flatMap(list => list.values)) {
    const canonical = canonicalKey(type, value)
    if (canonical === null) troubles.push(`has the value '${value}', which is no ${type}`)
    else if (seen.has(canonical)) troubles.push(`has '${value}' in two lists`)
    else seen.add(canonical)
  }
  return troubles
}

/** Where a table is; null: the map does not have it. */
export function tablePlace(map: ShardMap, schema: string, table: string): TablePlace | null {
  return map.tables[`${schema}.${table}`] ?? null
}
