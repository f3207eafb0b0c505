// To which keys the rows of each table are pinned: by equality with values, and with columns that are pinned themselves. Only
// what must hold for every row that counts; a condition of an outer join pins the side whose rows it chooses, a subquery is
// pinned by what is around it and never the other way.

import type { KeyType, ShardMap } from '../../../policy/shard/contract.ts'
import { field, list, number, opened, type Tree, text, truth, words } from '../tree.ts'
import type { KeySource } from './contract.ts'
import { columnOf, type Level, type Survey, type TableRef } from './scope.ts'

export type Tuple = readonly KeySource[]

/** Alternatives of each table's key that are pinned, by table; tables that are not pinned are not there. */
export type Pins = ReadonlyMap<TableRef, readonly Tuple[]>

/** More alternatives than this are no key any more. */
const alternativesMax = 10_000

export function pinsOf(survey: Survey, map: ShardMap): Pins {
  const columns = new Map<TableRef, Map<string, readonly KeySource[]>>()
  const known = (ref: TableRef, column: string): readonly KeySource[] | undefined =>
    columns.get(ref)?.get(column)
  const pin = (ref: TableRef, column: string, sources: readonly KeySource[]): boolean => {
    const type = keyType(ref, column, map)
    if (type === null) return false
    const mine = columns.get(ref) ?? new Map<string, readonly KeySource[]>()
    columns.set(ref, mine)
    const before = mine.get(column)
    // Of several conditions the one with the fewest alternatives; both hold.
    if (before !== undefined && before.length <= sources.length) return false
    mine.set(column, sources)
    return true
  }

  // Levels are in the order in which they were met: outer ones first.
  let changed = true
  while (changed) {
    changed = false
    for (const level of survey.levels) {
      for (const { node, pins } of level.conditions) {
        const may = (ref: TableRef): boolean => ref.level === level && (pins === null || pins.has(ref))
        const found = equality(node, level, map)
        if (found === null) continue
        const { left, right } = found
        if ('sources' in right) {
          if (may(left.ref)) changed = pin(left.ref, left.column, right.sources) || changed
          continue
        }
        for (const [one, other] of [
          [left, right],
          [right, left],
        ] as const) {
          const sources = known(other.ref, other.column)
          if (sources === undefined || !may(one.ref)) continue
          if (sameFamilyType(one, other, map)) changed = pin(one.ref, one.column, sources) || changed
        }
      }
      for (const { refs, column, pins } of level.equal)
        for (const one of refs)
          for (const other of refs) {
            const sources = one === other ? undefined : known(other, column)
            if (sources === undefined || (pins !== null && !pins.has(one))) continue
            if (sameFamilyType({ ref: one, column }, { ref: other, column }, map))
              changed = pin(one, column, sources) || changed
          }
    }
  }

  const pins = new Map<TableRef, readonly Tuple[]>()
  for (const [ref, mine] of columns) {
    if (ref.place.kind !== 'sharded') continue
    const parts = ref.place.key.map(column => mine.get(column))
    if (parts.some(part => part === undefined)) continue
    const tuples = (parts as (readonly KeySource[])[]).reduce<Tuple[]>(
      (all, part) => all.flatMap(tuple => part.map(source => [...tuple, source])),
      [[]],
    )
    if (tuples.length <= alternativesMax) pins.set(ref, tuples)
  }
  return pins
}

interface Column {
  readonly ref: TableRef
  readonly column: string
}

function keyType(ref: TableRef, column: string, map: ShardMap): KeyType | null {
  if (ref.place.kind === 'sharded') {
    const at = ref.place.key.indexOf(column)
    if (at >= 0) return map.families[ref.place.family]?.types[at] ?? null
  }
  return catalogueType(ref, column)
}

const typeNames: Readonly<Record<string, KeyType>> = {
  smallint: 'smallint',
  integer: 'integer',
  bigint: 'bigint',
  text: 'text',
  uuid: 'uuid',
  date: 'date',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  boolean: 'boolean',
}

function catalogueType(ref: TableRef, column: string): KeyType | null {
  const type = ref.columns?.columns.find(one => one.name === column)?.type ?? ''
  if (type.startsWith('character varying')) return 'text'
  return typeNames[type] ?? null
}

const integers: ReadonlySet<KeyType> = new Set(['smallint', 'integer', 'bigint'])

function sameFamilyType(one: Column, other: Column, map: ShardMap): boolean {
  const left = keyType(one.ref, one.column, map)
  const right = keyType(other.ref, other.column, map)
  if (left === null || right === null) return false
  return left === right || (integers.has(left) && integers.has(right))
}

type Equality = { readonly left: Column; readonly right: Column | { readonly sources: readonly KeySource[] } }

/** `column = value`, `column = column`, `column IN (values)`, `column = ANY (parameter)`. */
export function equality(node: Tree, level: Level, map: ShardMap): Equality | null {
  const expression = field(node, 'A_Expr')
  if (expression === undefined || words(expression, 'name').join('.') !== '=') return null
  const [left, right] = [field(expression, 'lexpr'), field(expression, 'rexpr')]
  switch (text(expression, 'kind')) {
    case 'AEXPR_OP': {
      const one = columnOf(left, level)
      const other = columnOf(right, level)
      if (one !== null && other !== null) return { left: one, right: other }
      const column = one ?? other
      if (column === null) return null
      const type = keyType(column.ref, column.column, map)
      const source = type === null ? null : sourceOf(one === null ? left : right, type)
      return source === null ? null : { left: column, right: { sources: [source] } }
    }
    case 'AEXPR_IN': {
      const column = columnOf(left, level)
      const type = column === null ? null : keyType(column.ref, column.column, map)
      if (column === null || type === null) return null
      const sources = list(field(right, 'List'), 'items').map(item => sourceOf(item, type))
      if (sources.length === 0 || sources.includes(null)) return null
      return { left: column, right: { sources: sources as KeySource[] } }
    }
    case 'AEXPR_OP_ANY': {
      const column = columnOf(left, level)
      const type = column === null ? null : keyType(column.ref, column.column, map)
      const sources = column === null || type === null ? null : anyOf(right, type)
      return column === null || sources === null ? null : { left: column, right: { sources } }
    }
    default:
      return null
  }
}

/** What `= ANY (...)` compares with: `$1`, `$1::bigint[]`, `ARRAY[1, 2]`. */
function anyOf(node: Tree | undefined, type: KeyType): readonly KeySource[] | null {
  const [kind, value] = opened(node)
  if (kind === 'ParamRef') return [{ from: 'parameter', index: number(value, 'number') - 1, array: true }]
  if (kind === 'A_ArrayExpr') {
    const sources = list(value, 'elements').map(one => sourceOf(one, type))
    return sources.length === 0 || sources.includes(null) ? null : (sources as KeySource[])
  }
  if (kind !== 'TypeCast') return null
  const named = field(value, 'typeName')
  const cast = castNames[words(named, 'names').at(-1) ?? '']
  if (cast === undefined || list(named, 'arrayBounds').length !== 1 || list(named, 'typmods').length > 0)
    return null
  return cast === type || (integers.has(cast) && integers.has(type)) ? anyOf(field(value, 'arg'), type) : null
}

const castNames: Readonly<Record<string, KeyType>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  text: 'text',
  varchar: 'text',
  uuid: 'uuid',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  bool: 'boolean',
}

/** A value that is compared with, or put into, a key's column as its own type; null: it is no plain value of it. */
export function sourceOf(node: Tree | undefined, type: KeyType): KeySource | null {
  const [kind, value] = opened(node)
  switch (kind) {
    case 'ParamRef':
      return { from: 'parameter', index: number(value, 'number') - 1 }
    case 'TypeCast': {
      const named = field(value, 'typeName')
      const cast = castNames[words(named, 'names').at(-1) ?? '']
      if (cast === undefined || list(named, 'arrayBounds').length > 0 || list(named, 'typmods').length > 0)
        return null
      if (cast !== type && !(integers.has(cast) && integers.has(type))) return null
      const inner = sourceOf(field(value, 'arg'), type)
      // A literal that a cast would read otherwise, or round, is not the same value.
      return inner
    }
    case 'A_Const':
      return constantSource(value, type)
    default:
      return null
  }
}

function constantSource(value: Tree, type: KeyType): KeySource | null {
  if (truth(value, 'isnull')) return { from: 'literal', text: null }
  const string = field(value, 'sval')
  if (string !== undefined) return { from: 'literal', text: text(string, 'sval') }
  const whole = field(value, 'ival')
  if (whole !== undefined)
    return integers.has(type) ? { from: 'literal', text: String(number(whole, 'ival')) } : null
  const large = text(field(value, 'fval'), 'fval')
  if (integers.has(type) && /^-?\d+$/.test(large)) return { from: 'literal', text: large }
  const truthful = field(value, 'boolval')
  if (truthful !== undefined && type === 'boolean')
    return { from: 'literal', text: truth(truthful, 'boolval') ? 't' : 'f' }
  return null
}

/** All of these sharded tables on the same keys, or null. */
export function commonPin(
  refs: readonly TableRef[],
  pins: Pins,
): { readonly family: string; readonly keys: readonly Tuple[]; readonly same: boolean } | null {
  let family: string | null = null
  const keys = new Map<string, Tuple>()
  let same = true
  let first = ''
  for (const ref of refs) {
    const mine = pins.get(ref)
    if (mine === undefined || ref.place.kind !== 'sharded') return null
    if (family !== null && family !== ref.place.family) return null
    family = ref.place.family
    const said = JSON.stringify(mine)
    if (first === '') first = said
    else if (first !== said) same = false
    for (const tuple of mine) keys.set(JSON.stringify(tuple), tuple)
  }
  return family === null ? null : { family, keys: [...keys.values()], same }
}
