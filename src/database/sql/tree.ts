// Reading the parser's tree: JSON of PostgreSQL's raw parse nodes (parsenodes.h), in which a node is an object with its
// type as the only key, and fields that are zero, false or empty are left out. Knows shapes, never meanings.

export type Tree = Readonly<Record<string, unknown>>

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function field(tree: Tree | undefined, name: string): Tree | undefined {
  const value = tree?.[name]
  return isTree(value) ? value : undefined
}

export function list(tree: Tree | undefined, name: string): readonly Tree[] {
  const value = tree?.[name]
  return Array.isArray(value) ? value.filter(isTree) : []
}

export function text(tree: Tree | undefined, name: string): string {
  const value = tree?.[name]
  return typeof value === 'string' ? value : ''
}

export function truth(tree: Tree | undefined, name: string): boolean {
  return tree?.[name] === true
}

export function number(tree: Tree | undefined, name: string): number {
  const value = tree?.[name]
  return typeof value === 'number' ? value : 0
}

/** A node's type and what it holds; empty where there is no node. */
export function opened(node: Tree | undefined): readonly [string, Tree] {
  if (node !== undefined) for (const type in node) return [type, field(node, type) ?? {}]
  return ['', {}]
}

/** `[{String:{sval:'pg_catalog'}}, ...]` as words. */
export function words(tree: Tree | undefined, name: string): readonly string[] {
  return list(tree, name).map(node => text(field(node, 'String'), 'sval'))
}

/** `schema.name` or `name`; a database's name in front means nothing. */
export function dotted(parts: readonly string[]): string {
  return parts.slice(-2).join('.')
}

/** What a constant says: text, number as text, boolean; null for NULL; undefined: it is none. Casts of constants count. */
export function constant(node: Tree | undefined): string | boolean | null | undefined {
  const cast = field(node, 'TypeCast')
  if (cast !== undefined) return constant(field(cast, 'arg'))
  const value = field(node, 'A_Const')
  if (value === undefined) return undefined
  if (truth(value, 'isnull')) return null
  const string = field(value, 'sval')
  if (string !== undefined) return text(string, 'sval')
  const boolean = field(value, 'boolval')
  if (boolean !== undefined) return truth(boolean, 'boolval')
  const integer = field(value, 'ival')
  if (integer !== undefined) return String(number(integer, 'ival'))
  const float = field(value, 'fval')
  return float === undefined ? undefined : text(float, 'fval')
}

/** An option by name: `EXPLAIN (ANALYZE off)`; undefined: it is not there, null: without a value. */
export function option(tree: Tree, lists: string, name: string): string | null | undefined {
  for (const node of list(tree, lists)) {
    const element = field(node, 'DefElem')
    if (text(element, 'defname') === name) return optionValue(field(element, 'arg'))
  }
  return undefined
}

function optionValue(node: Tree | undefined): string | null {
  const [type, value] = opened(node)
  if (type === 'String') return text(value, 'sval')
  if (type === 'Integer') return String(number(value, 'ival'))
  if (type === 'Boolean') return String(truth(value, 'boolval'))
  if (type === '') return null
  const said = constant(node)
  return said === undefined || said === null ? null : String(said)
}

/** As PostgreSQL reads a boolean option: on unless it says otherwise (defGetBoolean). */
export function switchedOn(value: string | null | undefined): boolean {
  return value !== undefined && (value === null || !/^(off|false|no|f|n|0)$/i.test(value))
}
