// Conditions that every row must meet: `key = value` pins, `key = key` links. Read from the top of a WHERE or an ON,
// through AND only; what stands below OR, NOT or CASE says nothing that is certain.

import { constant, field, isTree, list, opened, type Tree, text, words } from '../tree.ts'
import type { KeySource } from './contract.ts'

export type Condition =
  | { readonly kind: 'pin'; readonly column: readonly string[]; readonly values: readonly KeySource[] }
  | { readonly kind: 'equal'; readonly left: readonly string[]; readonly right: readonly string[] }
  /** `column IN (SELECT ...)`: its first output equals the column. */
  | { readonly kind: 'within'; readonly column: readonly string[]; readonly link: Tree }

/** More values than this are as good as none. */
const valuesMax = 10_000

export function conditionsOf(node: Tree | undefined): Condition[] {
  const [type, body] = opened(node)
  if (type === 'BoolExpr' && text(body, 'boolop') === 'AND_EXPR')
    return list(body, 'args').flatMap(conditionsOf)
  if (type === 'BoolExpr' && text(body, 'boolop') === 'OR_EXPR') return oneOf(list(body, 'args'))
  if (type === 'SubLink') return within(body)
  return type === 'A_Expr' ? comparison(body) : []
}

/** `k = 1 OR k = 2` of one column. */
function oneOf(alternatives: readonly Tree[]): Condition[] {
  const values: KeySource[] = []
  let column: readonly string[] | null = null
  for (const alternative of alternatives) {
    const [only, ...more] = conditionsOf(alternative)
    if (only?.kind !== 'pin' || more.length > 0) return []
    if (column !== null && column.join('.') !== only.column.join('.')) return []
    column = only.column
    values.push(...only.values)
  }
  return column === null || values.length > valuesMax ? [] : [{ kind: 'pin', column, values }]
}

function within(link: Tree): Condition[] {
  if (text(link, 'subLinkType') !== 'ANY_SUBLINK') return []
  const operator = words(link, 'operName')
  if (operator.length > 0 && operator.join('.') !== '=') return []
  const column = columnReference(field(link, 'testexpr'))
  return column === null ? [] : [{ kind: 'within', column, link }]
}

function comparison(body: Tree): Condition[] {
  if (words(body, 'name').join('.') !== '=') return []
  const kind = text(body, 'kind')
  const [left, right] = [field(body, 'lexpr'), field(body, 'rexpr')]
  if (kind === 'AEXPR_OP') return equality(left, right)
  const column = columnReference(left)
  if (column === null) return []
  const values = kind === 'AEXPR_IN' ? listed(right) : kind === 'AEXPR_OP_ANY' ? elements(right) : null
  return values === null ? [] : [{ kind: 'pin', column, values }]
}

function equality(left: Tree | undefined, right: Tree | undefined): Condition[] {
  const [leftRow, rightRow] = [rowOf(left), rowOf(right)]
  if (leftRow !== null && rightRow !== null && leftRow.length === rightRow.length)
    return leftRow.flatMap((one, i) => equality(one, rightRow[i]))
  const [leftColumn, rightColumn] = [columnReference(left), columnReference(right)]
  if (leftColumn !== null && rightColumn !== null)
    return [{ kind: 'equal', left: leftColumn, right: rightColumn }]
  const column = leftColumn ?? rightColumn
  const value = sourceOf(leftColumn === null ? left : right)
  return column === null || value === null ? [] : [{ kind: 'pin', column, values: [value] }]
}

function rowOf(node: Tree | undefined): readonly Tree[] | null {
  const row = field(node, 'RowExpr')
  return row === undefined ? null : list(row, 'args')
}

function listed(node: Tree | undefined): readonly KeySource[] | null {
  const items = list(field(node, 'List'), 'items')
  if (items.length > valuesMax) return null
  const values = items.map(sourceOf)
  return values.every(value => value !== null) ? values : null
}

/** `ANY ($1)`, `ANY ($1::bigint[])`, `ANY (ARRAY[1, 2])`. */
function elements(node: Tree | undefined): readonly KeySource[] | null {
  const [type, body] = opened(node)
  if (type === 'TypeCast') return elements(field(body, 'arg'))
  if (type === 'ParamRef') return [{ kind: 'elements', number: numberOf(body) }]
  if (type !== 'A_ArrayExpr') return null
  return listed({ List: { items: body.elements } })
}

/** Names of a plain column; null: it is something else. */
export function columnReference(node: Tree | undefined): readonly string[] | null {
  const reference = field(node, 'ColumnRef')
  return reference === undefined || isStarred(reference) ? null : words(reference, 'fields')
}

/** A literal or a parameter, perhaps cast; null: anything that must be computed. */
export function sourceOf(node: Tree | undefined): KeySource | null {
  const [type, body] = opened(node)
  if (type === 'ParamRef') return { kind: 'parameter', number: numberOf(body), cast: '' }
  if (type === 'TypeCast') return castOf(body)
  if (type === 'A_Expr' && text(body, 'kind') === 'AEXPR_OP' && words(body, 'name').join('') === '-')
    return negative(body)
  const value = constant(node)
  if (value === undefined || value === null) return null
  return { kind: 'text', text: String(value), cast: '' }
}

/** A cast to a type with a length may cut: then it is not known what is compared. */
function castOf(body: Tree): KeySource | null {
  const inner = sourceOf(field(body, 'arg'))
  const type = field(body, 'typeName')
  const cast = words(type, 'names').at(-1) ?? ''
  const cuts = list(type, 'typmods').length > 0 || list(type, 'arrayBounds').length > 0
  if (inner === null || inner.kind === 'elements' || cuts || inner.cast !== '') return null
  return { ...inner, cast }
}

function negative(body: Tree): KeySource | null {
  if (field(body, 'lexpr') !== undefined) return null
  const number = field(field(body, 'rexpr'), 'A_Const')
  const value =
    number === undefined || field(number, 'sval') !== undefined ? undefined : constant(field(body, 'rexpr'))
  return typeof value === 'string' ? { kind: 'text', text: `-${value}`, cast: '' } : null
}

function numberOf(body: Tree): number {
  return typeof body.number === 'number' ? body.number : 0
}

/** Every node below, but for what queries inside hold: those are handed to `query` as they are met. */
export function walkExpression(
  value: unknown,
  visit: { node(type: string, body: Tree): void; query(link: Tree): void },
): void {
  if (Array.isArray(value)) for (const item of value) walkExpression(item, visit)
  else if (isTree(value))
    for (const key in value) {
      const inner = value[key]
      if (key === 'SubLink' && isTree(inner)) {
        visit.query(inner)
        walkExpression(inner.testexpr, visit)
      } else if (key !== 'A_Const') {
        if (isTree(inner)) visit.node(key, inner)
        walkExpression(inner, visit)
      }
    }
}

export function isStarred(node: Tree): boolean {
  return list(node, 'fields').some(part => field(part, 'A_Star') !== undefined || 'A_Star' in part)
}
