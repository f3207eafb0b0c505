// What statements look for: which columns of which tables are compared, and how, from PostgreSQL's own parse tree. What can't be
// told from a tree is left out: advice that is missing costs less than advice that is wrong.

import { parseSync } from 'libpg-query'
import type { StatementUse, TableUse } from '../../policy/advise/contract.ts'
import { builtinFunctions, builtinOperators, builtinTypes } from '../sql/builtins.generated.ts'
import { columnOf, type Level, type SurveyContext, Surveyor, type TableRef } from '../sql/shards/scope.ts'
import { field, isTree, list, opened, type Tree, text, words } from '../sql/tree.ts'

/** Longer ones are cut by PostgreSQL, or take the parser's memory. */
const textMax = 100_000

export interface CountedStatement {
  readonly text: string
  readonly calls: number
  readonly totalMs: number
}

interface MadeUse {
  readonly equal: Set<string>
  readonly range: Set<string>
  order: string[]
  deletes: boolean
}

/** Null: it does not parse. The parser must have been loaded. */
export function statementUse(statement: CountedStatement, context: SurveyContext): StatementUse | null {
  const tree = parsed(statement.text)
  if (tree === null) return null
  const surveyor = new Surveyor(context)
  const deleted = surveyed(tree, surveyor)
  const uses = new Map<TableRef, MadeUse>()
  const useOf = (ref: TableRef): MadeUse => {
    const known = uses.get(ref)
    if (known !== undefined) return known
    const made = { equal: new Set<string>(), range: new Set<string>(), order: [], deletes: ref === deleted }
    uses.set(ref, made)
    return made
  }
  for (const level of surveyor.survey.levels) {
    for (const { node } of level.conditions) compared(node, level, useOf)
    for (const { refs, column } of level.equal) for (const ref of refs) useOf(ref).equal.add(column)
    sorted(level, useOf)
  }
  const found = [...uses].map(
    ([{ table }, { equal, range, order, deletes }]): TableUse => ({
      table,
      equal: [...equal],
      range: [...range],
      order,
      ...(deletes ? { deletes: true as const } : {}),
    }),
  )
  return { ...statement, uses: found }
}

function parsed(sql: string): Tree | null {
  if (sql.length > textMax) return null
  try {
    const statements = list(parseSync(sql) as unknown as Tree, 'stmts')
    return statements.length === 1 ? (field(statements[0], 'stmt') ?? null) : null
  } catch {
    return null
  }
}

/** It has nothing but what PostgreSQL brings along: planning it runs no code of users. */
export function isOwnCode(sql: string): boolean {
  const tree = parsed(sql)
  return tree !== null && ownCode(tree)
}

function ownCode(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(ownCode)
  if (!isTree(value)) return true
  return Object.entries(value).every(([key, inner]) => {
    if (!isTree(inner)) return ownCode(inner)
    if (key === 'FuncCall' && !known(words(inner, 'funcname'), builtinFunctions)) return false
    if (key === 'A_Expr' && !known(words(inner, 'name'), builtinOperators)) return false
    if (key === 'TypeName' || key === 'typeName')
      if (!known(words(inner, 'names'), builtinTypes)) return false
    return ownCode(inner)
  })
}

function known(names: readonly string[], builtin: ReadonlySet<string>): boolean {
  if (names.length === 2 && names[0] !== 'pg_catalog') return false
  return builtin.has(names.at(-1) ?? '')
}

/** Answers the table that rows are deleted from. */
function surveyed(tree: Tree, surveyor: Surveyor): TableRef | null {
  const [type, statement] = opened(tree)
  const level = surveyor.level(null, null)
  switch (type) {
    case 'SelectStmt':
      surveyor.select(statement, null)
      return null
    case 'InsertStmt': {
      const source = field(field(statement, 'selectStmt'), 'SelectStmt')
      if (source !== undefined) surveyor.select(source, null)
      return null
    }
    case 'UpdateStmt':
    case 'DeleteStmt': {
      const names = surveyor.with(statement, null, new Set())
      const target = surveyor.table(field(statement, 'relation') ?? {}, level, new Set(), false)
      for (const part of ['fromClause', 'usingClause'])
        for (const item of list(statement, part)) surveyor.from(item, level, names, false)
      surveyor.where(field(statement, 'whereClause'), level, names)
      return type === 'DeleteStmt' ? target : null
    }
    default:
      return null
  }
}

const ranges = new Set(['<', '<=', '>', '>='])

function compared(node: Tree, level: Level, useOf: (ref: TableRef) => MadeUse): void {
  const expression = field(node, 'A_Expr')
  if (expression === undefined) return
  const kind = text(expression, 'kind')
  const operator = words(expression, 'name').at(-1) ?? ''
  const left = columnOf(field(expression, 'lexpr'), level)
  const right = columnOf(field(expression, 'rexpr'), level)
  switch (kind) {
    case 'AEXPR_OP':
      // Of one row: no index finds that.
      if (left !== null && right !== null && left.ref === right.ref) return
      for (const side of [left, right]) {
        if (side === null) continue
        if (operator === '=') useOf(side.ref).equal.add(side.column)
        else if (ranges.has(operator)) useOf(side.ref).range.add(side.column)
      }
      return
    case 'AEXPR_IN':
    case 'AEXPR_OP_ANY':
      if (left !== null && operator === '=') useOf(left.ref).equal.add(left.column)
      return
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
      if (left !== null) useOf(left.ref).range.add(left.column)
      return
    default:
  }
}

/** ORDER BY of one table's columns, all in one direction: what a B-tree has, forwards or backwards. */
function sorted({ select, refs, ...rest }: Level, useOf: (ref: TableRef) => MadeUse): void {
  const level = { select, refs, ...rest }
  const keys = list(select ?? undefined, 'sortClause').map(one => field(one, 'SortBy'))
  const directions = new Set(keys.map(one => (text(one, 'sortby_dir') === 'SORTBY_DESC' ? 'down' : 'up')))
  const plain = keys.every(one => text(one, 'sortby_nulls') === 'SORTBY_NULLS_DEFAULT')
  if (keys.length === 0 || directions.size > 1 || !plain) return
  const columns = keys.map(one => columnOf(field(one, 'node'), level))
  const [first] = columns
  if (first === undefined || first === null || columns.some(one => one?.ref !== first.ref)) return
  useOf(first.ref).order = columns.map(one => one?.column ?? '')
}
