// Whether rows of a SELECT's FROM are found shard by shard: each of its joined rows on exactly one shard, so that nothing
// that one shard has must meet what another one has.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { builtinFunctions } from '../builtins.generated.ts'
import { field, list, number, opened, type Tree, text } from '../tree.ts'
import type { CombinePart } from './contract.ts'
import { equality } from './pins.ts'
import { columnOf, type Level, type Survey, type TableRef } from './scope.ts'

export interface Shape {
  readonly select: Tree
  readonly survey: Survey
  readonly map: ShardMap
  readonly placed: readonly TableRef[]
  /** Keys that all of its tables are pinned to. */
  readonly keys: CombinePart['keys']
  readonly isAggregate: (name: string) => boolean
}

/** The SELECT's level, if all is at one level, made of plain functions, and its tables are joined by their keys. */
export function localLevel(
  select: Tree,
  survey: Survey,
  placed: readonly TableRef[],
  map: ShardMap,
): Level | null {
  const [level] = survey.levels
  if (survey.levels.length !== 1 || level === undefined || level.select !== select || survey.natural)
    return null
  if (list(select, 'valuesLists').length > 0 || level.derived.size > 0) return null
  for (const part of ['withClause', 'intoClause']) if (field(select, part) !== undefined) return null
  for (const name of survey.functions) if (!builtinFunctions.has(bareName(name))) return null
  if (!list(select, 'fromClause').every(plainJoins)) return null
  return coLocated(level, placed, map) ? level : null
}

export function bareName(name: string): string {
  return name.startsWith('pg_catalog.') ? name.slice('pg_catalog.'.length) : name
}

function plainJoins(node: Tree): boolean {
  const [type, item] = opened(node)
  if (type === 'RangeVar') return true
  if (type !== 'JoinExpr' || !/^JOIN_(INNER|LEFT)$/.test(text(item, 'jointype'))) return false
  return plainJoins(field(item, 'larg') ?? {}) && plainJoins(field(item, 'rarg') ?? {})
}

/**
 * Equal keys join them all, beginning with a table whose rows are never made of NULLs. A condition of a left join ties only
 * the tables whose rows it chooses to the others.
 */
function coLocated(level: Level, placed: readonly TableRef[], map: ShardMap): boolean {
  const first = placed.find(ref => !ref.nullable)
  if (first === undefined) return false
  const pairs: { one: TableRef; other: TableRef; pins: ReadonlySet<TableRef> | null }[] = []
  const tie = (
    one: TableRef,
    column: string,
    other: TableRef,
    otherColumn: string,
    pins: ReadonlySet<TableRef> | null,
  ): void => {
    if (one.place.kind !== 'sharded' || other.place.kind !== 'sharded') return
    if (one.place.family !== other.place.family || one.place.key.length !== 1) return
    if (one.place.key[0] !== column || other.place.key[0] !== otherColumn) return
    pairs.push({ one, other, pins }, { one: other, other: one, pins })
  }
  for (const { node, pins } of level.conditions) {
    const found = equality(node, level, map)
    if (found !== null && 'ref' in found.right)
      tie(found.left.ref, found.left.column, found.right.ref, found.right.column, pins)
  }
  for (const { refs, column, pins } of level.equal)
    if (refs[0] !== undefined && refs[1] !== undefined) tie(refs[0], column, refs[1], column, pins)
  const group = new Set([first])
  for (let size = 0; size !== group.size; ) {
    size = group.size
    for (const { one, other, pins } of pairs)
      if (group.has(other) && (pins === null || pins.has(one))) group.add(one)
  }
  return placed.every(ref => group.has(ref))
}

/** These expressions have the whole key of a table whose rows are never made of NULLs: equal ones are on one shard. */
export function holdsKey(nodes: readonly (Tree | undefined)[], level: Level): boolean {
  const found = nodes.map(node => columnOf(node, level))
  return level.refs.some(ref => {
    const { place } = ref
    if (place.kind !== 'sharded' || ref.nullable) return false
    return place.key.every(column => found.some(one => one?.ref === ref && one.column === column))
  })
}

/** What GROUP BY names, its positions resolved. */
export function groupsOf(select: Tree): readonly (Tree | undefined)[] {
  return list(select, 'groupClause').map(node => {
    const at = position(node)
    return at === null ? node : field(field(list(select, 'targetList')[at - 1], 'ResTarget'), 'val')
  })
}

export function position(node: Tree | undefined): number | null {
  const constant = field(node, 'A_Const')
  return field(constant, 'ival') === undefined ? null : number(field(constant, 'ival'), 'ival')
}
