// Text of trees. What is written is parsed again, and taken only if it is what was meant.

import { parseSync } from 'libpg-query'
import { field, list, type Tree } from '../tree.ts'

type Deparse = (tree: object) => string
let deparser: Deparse | null = null

/** To be awaited once, where a database has shards. Without it conditions are not sent on, and rows are combined. */
export async function loadDeparser(): Promise<void> {
  deparser ??= (await import('pgsql-deparser')).deparseSync as unknown as Deparse
}

/** Of a whole tree, or a node of it; `loadDeparser` has been awaited. */
export function deparse(tree: Tree): string {
  if (deparser === null) throw new Error('the deparser is not loaded')
  return deparser(tree)
}

/** A condition or value as text; null: there is none that the parser reads as the same. */
export function expressionText(node: Tree): string | null {
  try {
    const text = deparse(node)
    const select = onlySelect(`SELECT WHERE ${text}`)
    return select !== null && sameTree(select.whereClause, node) ? text : null
  } catch {
    return null
  }
}

/** A SELECT as text; null as above. */
export function selectText(select: Tree): string | null {
  try {
    const text = deparse({ SelectStmt: select })
    const parsed = onlySelect(text)
    return parsed !== null && sameTree(parsed, select) ? text : null
  } catch {
    return null
  }
}

function onlySelect(text: string): Tree | null {
  const parsed = list(parseSync(text) as unknown as Tree, 'stmts')
  return parsed.length === 1 ? (field(field(parsed[0], 'stmt'), 'SelectStmt') ?? null) : null
}

export function sameTree(one: unknown, other: unknown): boolean {
  return withoutPlaces(one) === withoutPlaces(other)
}

const places = /^(location|stmt_location|stmt_len|list_start|list_end|rexpr_list_start|rexpr_list_end)$/

/** Trees are the same whatever place in a text they have, and whatever the order of their fields. */
export function withoutPlaces(tree: unknown): string {
  return JSON.stringify(tree, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    const fields = Object.entries(value).filter(([name]) => !places.test(name))
    return Object.fromEntries(fields.sort(([one], [other]) => (one < other ? -1 : 1)))
  })
}

// --- nodes that are made -------------------------------------------------------------------------------------------

export function columnNode(...names: readonly string[]): Tree {
  return { ColumnRef: { fields: names.map(name => ({ String: { sval: name } })) } }
}

export function integerNode(value: number): Tree {
  if (value > 2_147_483_647) return { A_Const: { fval: { fval: String(value) } } }
  return { A_Const: { ival: value === 0 ? {} : { ival: value } } }
}

export function callNode(name: string, ...args: readonly Tree[]): Tree {
  return { FuncCall: { funcname: [{ String: { sval: name } }], args, funcformat: 'COERCE_EXPLICIT_CALL' } }
}

export function operatorNode(name: string, left: Tree, right: Tree): Tree {
  return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: name } }], lexpr: left, rexpr: right } }
}

export function bigintNode(value: Tree): Tree {
  const names = [{ String: { sval: 'pg_catalog' } }, { String: { sval: 'int8' } }]
  return { TypeCast: { arg: value, typeName: { names, typemod: -1 } } }
}
