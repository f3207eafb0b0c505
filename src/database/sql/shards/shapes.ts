// Better ways than to fetch every row, for SELECTs whose joined rows are found shard by shard (`local.ts`): rows one after
// another, merged by their order, or sums of sums. Whatever is not surely one of these is left to `select.ts`.

import { field, list, number, opened, type Tree, text, words } from '../tree.ts'
import type { AcrossPlan, KeySource, MergeKey } from './contract.ts'
import { bareName, groupsOf, holdsKey, localLevel, position, type Shape } from './local.ts'
import { partialAggregates } from './partial.ts'
import { columnOf, type Level, type Survey, type TableRef } from './scope.ts'
import { bigintNode, integerNode, operatorNode, selectText } from './tree-text.ts'

/** Null: its rows must be combined. */
export function shapedPlan(shape: Shape): AcrossPlan | null {
  const { select, survey, placed, map } = shape
  const level = localLevel(select, survey, placed, map)
  if (level === null) return null
  if (list(select, 'groupClause').some(one => opened(one)[0] === 'GroupingSet')) return null
  // json_arrayagg and json_objectagg are no calls to the parser.
  if (/"Json(Array|Object)Agg"/.test(JSON.stringify(select))) return null
  const calls = callsOf(select)
  const windows = calls.filter(call => field(call, 'over') !== undefined)
  const sums = calls.some(
    call =>
      field(call, 'over') === undefined && shape.isAggregate(bareName(words(call, 'funcname').join('.'))),
  )
  const grouped =
    sums || list(select, 'groupClause').length > 0 || field(select, 'havingClause') !== undefined
  if (grouped && !holdsKey(groupsOf(select), level))
    return windows.length > 0 || list(select, 'distinctClause').length > 0
      ? null
      : partialAggregates(shape, level)
  if (!windows.every(call => partitioned(call, select, level))) return null
  if (!distinctByShard(select, level)) return null
  const plan = ordered(select, level, survey)
  if (plan !== null || !grouped || windows.length > 0 || list(select, 'distinctClause').length > 0)
    return plan
  return partialAggregates(shape, level)
}

/** Every call of a function, wherever it stands. */
function callsOf(value: unknown, found: Tree[] = []): Tree[] {
  if (typeof value !== 'object' || value === null) return found
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'FuncCall') found.push(inner as Tree)
    callsOf(inner, found)
  }
  return found
}

function partitioned(call: Tree, select: Tree, level: Level): boolean {
  const over = field(call, 'over')
  const name = text(over, 'name') || text(over, 'refname')
  const named = list(select, 'windowClause')
    .map(one => field(one, 'WindowDef'))
    .find(one => text(one, 'name') === name)
  const partition = [...list(over, 'partitionClause'), ...list(named, 'partitionClause')]
  return holdsKey(partition, level)
}

/** There is no DISTINCT, or rows that are the same are on the same shard. */
function distinctByShard(select: Tree, level: Level): boolean {
  const distinct = select.distinctClause
  if (!Array.isArray(distinct) || distinct.length === 0) return true
  const on = distinct.filter(one => opened(one)[0] !== '') as Tree[]
  if (on.length > 0) return on.every(one => position(one) === null) && holdsKey(on, level)
  return holdsKey(
    list(select, 'targetList').map(one => field(field(one, 'ResTarget'), 'val')),
    level,
  )
}

// --- order and bounds -------------------------------------------------------------------------------------------

/** LIMIT and OFFSET as a plan has them; null: they are not plain. */
function boundOf(node: Tree | undefined): KeySource | null | undefined {
  const [kind, value] = opened(node)
  if (kind === '') return null
  if (kind === 'ParamRef') return { from: 'parameter', index: number(value, 'number') - 1 }
  if (kind !== 'A_Const') return undefined
  if (value.isnull === true) return null
  const whole = field(value, 'ival')
  return whole === undefined ? undefined : { from: 'literal', text: String(number(whole, 'ival')) }
}

function ordered(select: Tree, level: Level, survey: Survey): AcrossPlan | null {
  const { limitOption } = select
  if (limitOption === 'LIMIT_OPTION_WITH_TIES') return null
  const limit = boundOf(field(select, 'limitCount'))
  const offset = boundOf(field(select, 'limitOffset'))
  if (limit === undefined || offset === undefined) return null
  const sorts = list(select, 'sortClause').map(one => field(one, 'SortBy') ?? {})
  if (sorts.length === 0 && limit === null && offset === null)
    return { how: 'concat', limit, offset, sql: null }
  const bounded = { ...select, ...pushedBounds(limit, offset) } as Record<string, unknown>
  if (limit === null || offset !== null) delete bounded.limitOffset
  if (limit === null) delete bounded.limitCount
  bounded.limitOption = limit === null ? 'LIMIT_OPTION_DEFAULT' : 'LIMIT_OPTION_COUNT'
  if (sorts.length === 0) {
    const sql = selectText(bounded)
    return sql === null ? null : { how: 'concat', limit, offset, sql }
  }
  return merged(bounded, sorts, level, survey, limit, offset)
}

/** Each shard may have to give all rows that are skipped, and then those that are asked for. */
function pushedBounds(limit: KeySource | null, offset: KeySource | null): Tree {
  if (limit === null) return {}
  if (offset === null) return { limitCount: bound(limit) }
  if (limit.from === 'literal' && offset.from === 'literal')
    return { limitCount: integerNode(Number(limit.text) + Number(offset.text)) }
  return { limitCount: operatorNode('+', bigintNode(bound(limit)), bigintNode(bound(offset))) }
}

function bound(source: KeySource): Tree {
  return source.from === 'literal'
    ? integerNode(Number(source.text))
    : { ParamRef: { number: source.index + 1 } }
}

function merged(
  select: Tree,
  sorts: readonly Tree[],
  level: Level,
  survey: Survey,
  limit: KeySource | null,
  offset: KeySource | null,
): AcrossPlan | null {
  const columns = outputs(select, level)
  if (columns === null) return null
  const plain = list(select, 'distinctClause').length === 0 && !Array.isArray(select.distinctClause)
  const hidden: Tree[] = []
  const order: MergeKey[] = []
  for (const sort of sorts) {
    if (list(sort, 'useOp').length > 0) return null
    const found = sortColumn(field(sort, 'node'), columns, level)
    const compare = found === null ? null : compareOf(found)
    if (found === null || compare === null) return null
    const descending = sort.sortby_dir === 'SORTBY_DESC'
    const nullsFirst =
      sort.sortby_nulls === 'SORTBY_NULLS_DEFAULT' ? descending : sort.sortby_nulls === 'SORTBY_NULLS_FIRST'
    let column = columns.findIndex(one => one?.ref === found.ref && one.column === found.column)
    if (column < 0) {
      // With DISTINCT, or where columns are grouped, it may not be added.
      if (!plain) return null
      column = columns.length + hidden.length
      hidden.push({ ResTarget: { val: field(sort, 'node') } })
    }
    order.push({ column, descending, nullsFirst, compare })
  }
  if (survey.columns.has('*') && level.equal.length > 0) return null
  const sql = selectText({ ...select, targetList: [...list(select, 'targetList'), ...hidden] })
  return sql === null ? null : { how: 'merge', sql, order, hidden: hidden.length, limit, offset }
}

type Output = { readonly ref: TableRef; readonly column: string; readonly name: string } | null

/** The result's columns, `*` taken apart; null: it can't be. Those that are no plain columns are null, or have a name only. */
function outputs(select: Tree, level: Level): Output[] | null {
  const found: (Output & object)[] = []
  const all: Output[] = []
  const add = (one: Output): void => {
    all.push(one)
    if (one !== null) found.push(one)
  }
  for (const node of list(select, 'targetList')) {
    const target = field(node, 'ResTarget')
    const value = field(target, 'val')
    const star = list(field(value, 'ColumnRef'), 'fields')
    if (star.some(one => field(one, 'A_Star') !== undefined)) {
      const [qualifier] = words(field(value, 'ColumnRef') ?? {}, 'fields')
      const refs = star.length === 1 ? level.refs : level.refs.filter(ref => ref.alias === qualifier)
      if (refs.length === 0 || star.length > 2) return null
      for (const ref of refs) {
        if (ref.columns === undefined) return null
        for (const { name } of ref.columns.columns) add({ ref, column: name, name })
      }
      continue
    }
    if (field(value, 'A_Indirection') !== undefined) return null
    const column = columnOf(value, level)
    add(column === null ? null : { ...column, name: text(target, 'name') || column.column })
  }
  return all
}

/** A name alone is the result's column, if there is one such; else, as everywhere, the table's. */
function sortColumn(
  node: Tree | undefined,
  columns: readonly Output[],
  level: Level,
): { ref: TableRef; column: string } | null {
  const at = position(node)
  if (at !== null) return columns[at - 1] ?? null
  const names = words(field(node, 'ColumnRef'), 'fields')
  const [name] = names
  if (names.length === 1 && name !== '') {
    const named = columns.filter(one => one?.name === name)
    const same = named.every(one => one?.ref === named[0]?.ref && one?.column === named[0]?.column)
    if (named[0] !== undefined && named[0] !== null) return same ? named[0] : null
    const aliases = list(level.select ?? undefined, 'targetList').map(one =>
      text(field(one, 'ResTarget'), 'name'),
    )
    // An expression that is named so.
    if (aliases.includes(name as string)) return null
    // Or whose name PostgreSQL makes up: `count`, `lower`.
    if (columns.includes(null) && columnOf(node, level) === null) return null
    if (columns.includes(null)) return unnamed(name as string, level) ? columnOf(node, level) : null
  }
  return columnOf(node, level)
}

/** No expression of the result gets this name from PostgreSQL: only calls, casts and the like give names of their own. */
function unnamed(name: string, level: Level): boolean {
  const said = JSON.stringify(list(level.select ?? undefined, 'targetList'))
  return (
    !said.includes(`"sval":"${name}"`) &&
    !/^(case|coalesce|array|row|exists|greatest|least|nullif)$/.test(name)
  )
}

const numbers = /^(smallint|integer|bigint|numeric(\(.*\))?)$/
const times = /^(date|timestamp(\(\d\))? with(out)? time zone)$/

/** How values of a column are ordered wherever they are; null: only PostgreSQL knows. */
function compareOf({ ref, column }: { ref: TableRef; column: string }): MergeKey['compare'] | null {
  const known = ref.columns?.columns.find(one => one.name === column)
  if (known === undefined) return null
  const { type, collation } = known
  if (numbers.test(type)) return 'number'
  if (times.test(type)) return 'timestamp'
  if (type === 'boolean') return 'boolean'
  if (type === 'uuid') return 'bytes'
  return collation === 'C' && /^(text|character varying(\(\d+\))?)$/.test(type) ? 'bytes' : null
}
