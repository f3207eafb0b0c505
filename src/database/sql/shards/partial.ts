// Aggregates over several shards as sums of sums: each shard aggregates its own rows, and one of them what all of them found.
// Only where the result is exactly that of one server: count, sum, min, max and avg of types whose arithmetic is exact.

import { field, list, opened, type Tree, text, words } from '../tree.ts'
import type { AcrossPlan, CombinePart } from './contract.ts'
import { bareName, groupsOf, type Shape } from './local.ts'
import { columnOf, type Level } from './scope.ts'
import {
  bigintNode,
  callNode,
  columnNode,
  integerNode,
  operatorNode,
  selectText,
  withoutPlaces,
} from './tree-text.ts'

const partName = 'tenfold_part_1'

interface Kind {
  readonly type: string
  readonly collation: string
}

/** Null: there is something in it that is not known to be exact. */
export function partialAggregates(shape: Shape, level: Level): AcrossPlan | null {
  const { select, keys } = shape
  const partial = new Partial(level, shape.isAggregate)
  for (const group of groupsOf(select)) if (!partial.group(group)) return null
  const targetList: Tree[] = []
  for (const node of list(select, 'targetList')) {
    const target = field(node, 'ResTarget') ?? {}
    const value = field(target, 'val')
    const name = text(target, 'name') || nameOf(value)
    const made = partial.final(value)
    if (made === null || name === null) return null
    targetList.push({ ResTarget: { name, val: made } })
  }
  const names = new Set(targetList.map(one => text(field(one, 'ResTarget'), 'name')))
  const sortClause: Tree[] = []
  for (const node of list(select, 'sortClause')) {
    const sort = field(node, 'SortBy') ?? {}
    const made = partial.sort(field(sort, 'node'), names)
    if (made === null) return null
    sortClause.push({ SortBy: { ...sort, node: made } })
  }
  const having = field(select, 'havingClause')
  const havingClause = having === undefined ? undefined : partial.final(having)
  if (havingClause === null || partial.columns.length === 0) return null
  // Positions stay what they are; they mean the same columns.
  const groupClause = groupsOf(select).map(group => partial.final(group) as Tree)
  const ask = selectText({
    targetList: partial.columns.map(({ name, node }) => ({ ResTarget: { name, val: node } })),
    ...(select.fromClause === undefined ? {} : { fromClause: select.fromClause }),
    ...(select.whereClause === undefined ? {} : { whereClause: select.whereClause }),
    ...(select.groupClause === undefined ? {} : { groupClause: groupsOf(select) }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  })
  const sql = selectText({
    targetList,
    fromClause: [{ RangeVar: { relname: partName, inh: true, relpersistence: 'p' } }],
    ...(groupClause.length === 0 ? {} : { groupClause }),
    ...(havingClause === undefined ? {} : { havingClause }),
    ...(sortClause.length === 0 ? {} : { sortClause }),
    ...(select.limitOffset === undefined ? {} : { limitOffset: select.limitOffset }),
    ...(select.limitCount === undefined ? {} : { limitCount: select.limitCount }),
    limitOption: select.limitOption,
    op: 'SETOP_NONE',
  })
  if (ask === null || sql === null) return null
  const columns = partial.columns.map(({ name, kind }) => ({ name, ...kind }))
  const parts: CombinePart[] = [{ name: partName, columns, sql: ask, keys }]
  return { how: 'combine', parts, sql, everywhere: { parts, sql } }
}

/** As PostgreSQL names a column that has no name (FigureColname); null: not known here. */
function nameOf(node: Tree | undefined): string | null {
  const [kind, value] = opened(node)
  switch (kind) {
    case 'ColumnRef':
      return words(value, 'fields').at(-1) ?? null
    case 'FuncCall':
      return words(value, 'funcname').at(-1) ?? null
    case 'A_Expr':
    case 'A_Const':
    case 'ParamRef':
      return '?column?'
    default:
      return null
  }
}

/** Columns that each shard gives, and what the statement's expressions are over them. */
class Partial {
  readonly #level: Level
  readonly #isAggregate: (name: string) => boolean
  readonly columns: { readonly name: string; readonly node: Tree; readonly kind: Kind }[] = []
  readonly #groups = new Map<string, string>()
  readonly #made = new Map<string, string>()

  constructor(level: Level, isAggregate: (name: string) => boolean) {
    this.#level = level
    this.#isAggregate = isAggregate
  }

  group(node: Tree | undefined): boolean {
    const kind = kindOf(node, this.#level)
    if (node === undefined || kind === null) return false
    const said = this.#said(node)
    if (!this.#groups.has(said)) this.#groups.set(said, this.#column(node, kind))
    return true
  }

  /** A column by the table it is of, however it is written. */
  #said(node: Tree): string {
    const column = columnOf(node, this.#level)
    return column === null ? withoutPlaces(node) : `${column.ref.alias}\0${column.column}`
  }

  #column(node: Tree, kind: Kind): string {
    const said = withoutPlaces(node)
    const known = this.#made.get(said)
    if (known !== undefined) return known
    const name = `tenfold_column_${this.columns.length + 1}`
    this.columns.push({ name, node, kind })
    this.#made.set(said, name)
    return name
  }

  sort(node: Tree | undefined, names: ReadonlySet<string>): Tree | null {
    const [kind, value] = opened(node)
    if (kind === 'A_Const') return node as Tree
    const fields = words(value, 'fields')
    if (kind === 'ColumnRef' && fields.length === 1 && names.has(fields[0] as string)) return node as Tree
    return this.final(node)
  }

  /** Null: it holds something that neither is a group nor an aggregate that can be summed up. */
  final(node: Tree | undefined): Tree | null {
    if (node === undefined) return null
    const group = this.#groups.get(this.#said(node))
    if (group !== undefined) return columnNode(group)
    const [kind, value] = opened(node)
    if (kind === 'ColumnRef' || kind === 'SubLink' || kind === 'GroupingFunc') return null
    if (kind === 'FuncCall') {
      const name = bareName(words(value, 'funcname').join('.'))
      if (this.#isAggregate(name)) return this.#aggregate(name, value)
    }
    const inner: Record<string, unknown> = {}
    for (const [key, one] of Object.entries(value)) {
      const made = this.#inside(one)
      if (made === undefined) return null
      inner[key] = made
    }
    return { [kind]: inner }
  }

  /** Undefined: not to be had. */
  #inside(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) {
      const made = value.map(one => this.#inside(one))
      return made.includes(undefined) ? undefined : made
    }
    const keys = Object.keys(value)
    // A node has its type as its only key; what else is inside has fields.
    if (keys.length === 1 && /^[A-Z]/.test(keys[0] as string)) return this.final(value as Tree) ?? undefined
    const inner: Record<string, unknown> = {}
    for (const [key, one] of Object.entries(value)) {
      const made = this.#inside(one)
      if (made === undefined) return undefined
      inner[key] = made
    }
    return inner
  }

  #aggregate(name: string, call: Tree): Tree | null {
    for (const part of ['agg_distinct', 'agg_within_group', 'func_variadic'])
      if (call[part] === true) return null
    if (list(call, 'agg_order').length > 0 || field(call, 'over') !== undefined) return null
    const of = (func: string): Tree => ({
      FuncCall: { ...call, funcname: [{ String: { sval: func } }] },
    })
    const summed = (func: string, kind: Kind): Tree =>
      callNode('sum', columnNode(this.#column(of(func), kind)))
    const args = list(call, 'args')
    if (name === 'count') {
      if (args.length > 1) return null
      const counted = summed('count', plain('bigint'))
      return bigintNode({ CoalesceExpr: { args: [counted, integerNode(0)] } })
    }
    const kind = args.length === 1 ? kindOf(args[0], this.#level) : null
    if (kind === null) return null
    const type = kind.type.replace(/\(.*?\)/, '')
    const small = type === 'smallint' || type === 'integer'
    const exact = small || type === 'bigint' || type === 'numeric'
    switch (name) {
      case 'sum':
        if (!exact) return null
        return small ? bigintNode(summed('sum', plain('bigint'))) : summed('sum', plain('numeric'))
      case 'avg':
        if (!exact) return null
        return operatorNode(
          '/',
          summed('sum', plain(small ? 'bigint' : 'numeric')),
          summed('count', plain('bigint')),
        )
      case 'min':
      case 'max': {
        if (!exact && !/^(text|date|timestamp with(out)? time zone)$/.test(type)) return null
        const of = { FuncCall: { ...call, funcname: [{ String: { sval: name } }] } }
        return callNode(name, columnNode(this.#column(of, { ...kind, type })))
      }
      default:
        return null
    }
  }
}

function plain(type: string): Kind {
  return { type, collation: '' }
}

const ranks = ['smallint', 'integer', 'bigint', 'numeric']

/** The type of an expression over columns; null: not known here. */
function kindOf(node: Tree | undefined, level: Level): Kind | null {
  const column = columnOf(node, level)
  if (column !== null) {
    const known = column.ref.columns?.columns.find(one => one.name === column.column)
    return known === undefined ? null : { type: known.type, collation: known.collation }
  }
  const [kind, value] = opened(node)
  if (kind === 'A_Expr' && text(value, 'kind') === 'AEXPR_OP') {
    if (!/^[-+*]$/.test(words(value, 'name').join('.'))) return null
    const [left, right] = [field(value, 'lexpr'), field(value, 'rexpr')].map(one => numberKind(one, level))
    if (left === null || right === null || left === undefined || right === undefined) return null
    return plain(ranks[Math.max(left, right)] as string)
  }
  if (kind === 'FuncCall' && bareName(words(value, 'funcname').join('.')) === 'date_trunc') {
    const args = list(value, 'args')
    const of = args.length === 2 ? kindOf(args[1], level) : null
    return of !== null && /^timestamp with(out)? time zone$/.test(of.type) ? of : null
  }
  return null
}

function numberKind(node: Tree | undefined, level: Level): number | null {
  const constant = field(node, 'A_Const')
  if (field(constant, 'ival') !== undefined) return ranks.indexOf('integer')
  if (constant !== undefined) return null
  const at = ranks.indexOf((kindOf(node, level)?.type ?? '').replace(/\(.*?\)/, ''))
  return at < 0 ? null : at
}
