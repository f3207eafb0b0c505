// The tables of a statement, level by level: which relation each name means, which conditions hold for its rows, whether an
// outer join may put NULLs in their place.

import type { ShardMap, TablePlace } from '../../../policy/shard/contract.ts'
import { field, isTree, list, opened, type Tree, text, truth, words } from '../tree.ts'
import type { CatalogueTable, ShardedCatalogue } from './contract.ts'

export interface TableRef {
  readonly alias: string
  /** `schema.table`. */
  readonly table: string
  readonly place: TablePlace
  readonly columns: CatalogueTable | undefined
  readonly range: Tree
  readonly level: Level
  /** Rows of NULLs may stand for its own. */
  readonly nullable: boolean
}

/** A condition that rows of a level must meet. */
export interface Condition {
  readonly node: Tree
  /** Null: it may pin any table. Else only these: the condition stands at an outer join whose other side it does not touch. */
  readonly pins: ReadonlySet<TableRef> | null
  readonly where: boolean
}

export interface Level {
  readonly parent: Level | null
  readonly select: Tree | null
  readonly refs: TableRef[]
  /** Aliases that are no tables: subqueries, functions, common table expressions. */
  readonly derived: Set<string>
  readonly conditions: Condition[]
  /** JOIN USING: the same column of several tables. */
  readonly equal: {
    readonly refs: readonly TableRef[]
    readonly column: string
    readonly pins: ReadonlySet<TableRef> | null
  }[]
}

/** Everything that a plan asks of a statement's tree. */
export interface Survey {
  readonly levels: Level[]
  readonly refs: TableRef[]
  /** Names that are neither in the map nor the server's own. */
  readonly unknown: string[]
  readonly views: string[]
  /** INSERT and the like inside the statement. */
  readonly nestedWrites: boolean
  readonly locks: boolean
  readonly natural: boolean
  /** Every function that is called, as it is written. */
  readonly functions: ReadonlySet<string>
  /** The last part of every column name; `*` for all of them. */
  readonly columns: ReadonlySet<string>
  /** Names in front of columns, or columns that stand alone: perhaps whole rows. */
  readonly qualifiers: ReadonlySet<string>
  readonly catalogue: boolean
}

export interface SurveyContext {
  readonly map: ShardMap
  readonly catalogue: ShardedCatalogue
  readonly searchPath: readonly string[]
}

type Names = ReadonlySet<string>
const noNames: Names = new Set()
const serverSchemas = new Set(['pg_catalog', 'information_schema', 'tenfold'])

export class Surveyor {
  readonly #context: SurveyContext
  readonly survey: Survey & {
    unknown: string[]
    nestedWrites: boolean
    locks: boolean
    natural: boolean
    catalogue: boolean
    functions: Set<string>
    columns: Set<string>
    qualifiers: Set<string>
  } = {
    levels: [],
    refs: [],
    unknown: [],
    views: [],
    nestedWrites: false,
    locks: false,
    natural: false,
    functions: new Set(),
    columns: new Set(),
    qualifiers: new Set(),
    catalogue: false,
  }

  constructor(context: SurveyContext) {
    this.#context = context
  }

  level(parent: Level | null, select: Tree | null): Level {
    const level: Level = { parent, select, refs: [], derived: new Set(), conditions: [], equal: [] }
    this.survey.levels.push(level)
    return level
  }

  select(select: Tree, parent: Level | null, outer: Names = noNames): void {
    const names = this.with(select, parent, outer)
    if (list(select, 'lockingClause').length > 0) this.survey.locks = true
    const left = field(select, 'larg')
    const right = field(select, 'rarg')
    if (left !== undefined && right !== undefined) {
      this.select(opened(left)[0] === 'SelectStmt' ? opened(left)[1] : left, parent, names)
      this.select(opened(right)[0] === 'SelectStmt' ? opened(right)[1] : right, parent, names)
      for (const part of ['sortClause', 'limitCount', 'limitOffset'])
        this.expressions(select[part], this.level(parent, null), names)
      return
    }
    const level = this.level(parent, select)
    for (const item of list(select, 'fromClause')) this.from(item, level, names, false)
    this.where(field(select, 'whereClause'), level, names)
    for (const [part, value] of Object.entries(select))
      if (part !== 'fromClause' && part !== 'whereClause' && part !== 'withClause')
        this.expressions(value, level, names)
  }

  with(statement: Tree, parent: Level | null, outer: Names): Names {
    const clause = field(statement, 'withClause')
    if (clause === undefined) return outer
    const names = new Set(outer)
    const recursive = truth(clause, 'recursive')
    const tables = list(clause, 'ctes').map(one => field(one, 'CommonTableExpr') ?? {})
    if (recursive) for (const one of tables) names.add(text(one, 'ctename'))
    for (const one of tables) {
      const [type, inner] = opened(field(one, 'ctequery'))
      if (type === 'SelectStmt') this.select(inner, parent, names)
      else {
        this.survey.nestedWrites = true
        this.expressions(inner, this.level(parent, null), names)
      }
      names.add(text(one, 'ctename'))
    }
    return names
  }

  where(node: Tree | undefined, level: Level, names: Names): void {
    if (node === undefined) return
    for (const one of conjuncts(node)) level.conditions.push({ node: one, pins: null, where: true })
    this.expressions(node, level, names)
  }

  /** Adds an item of FROM; answers its tables. */
  from(node: Tree, level: Level, names: Names, nullable: boolean): TableRef[] {
    const [type, item] = opened(node)
    switch (type) {
      case 'RangeVar': {
        const ref = this.table(item, level, names, nullable)
        return ref === null ? [] : [ref]
      }
      case 'JoinExpr':
        return this.#join(item, level, names, nullable)
      case 'RangeSubselect': {
        level.derived.add(text(field(item, 'alias'), 'aliasname'))
        const [, inner] = opened(field(item, 'subquery'))
        this.select(inner, level, names)
        return []
      }
      case 'RangeTableSample': {
        // A sample of each part is no sample of the whole.
        this.survey.functions.add('tablesample')
        this.expressions(item, level, names)
        const relation = field(item, 'relation')
        return relation === undefined ? [] : this.from(relation, level, names, nullable)
      }
      default:
        level.derived.add(text(field(item, 'alias'), 'aliasname'))
        this.expressions(item, level, names)
        return []
    }
  }

  #join(item: Tree, level: Level, names: Names, nullable: boolean): TableRef[] {
    const type = text(item, 'jointype')
    const leftNull = nullable || type === 'JOIN_RIGHT' || type === 'JOIN_FULL'
    const rightNull = nullable || type === 'JOIN_LEFT' || type === 'JOIN_FULL'
    const left = this.from(field(item, 'larg') ?? {}, level, names, leftNull)
    const right = this.from(field(item, 'rarg') ?? {}, level, names, rightNull)
    const pinned =
      type === 'JOIN_LEFT'
        ? new Set(right)
        : type === 'JOIN_RIGHT'
          ? new Set(left)
          : type === 'JOIN_FULL'
            ? new Set<TableRef>()
            : null
    const quals = field(item, 'quals')
    if (quals !== undefined) {
      for (const node of conjuncts(quals)) level.conditions.push({ node, pins: pinned, where: false })
      this.expressions(quals, level, names)
    }
    if (truth(item, 'isNatural')) this.survey.natural = true
    for (const column of words(item, 'usingClause')) {
      const has = (refs: TableRef[]): TableRef[] =>
        refs.filter(ref => !level.derived.has(ref.alias) && hasColumn(ref, column))
      const [one, ...more] = has(left)
      const [other, ...others] = has(right)
      if (one !== undefined && other !== undefined && more.length + others.length === 0)
        level.equal.push({ refs: [one, other], column, pins: pinned })
      this.survey.columns.add(column)
    }
    // Another name for all of it hides the names inside.
    const alias = text(field(item, 'alias'), 'aliasname')
    if (alias !== '') level.derived.add(alias)
    if (list(field(item, 'alias'), 'colnames').length > 0) this.survey.columns.add('*')
    return [...left, ...right]
  }

  table(range: Tree, level: Level, names: Names, nullable: boolean): TableRef | null {
    const schema = text(range, 'schemaname')
    const name = text(range, 'relname')
    const alias = text(field(range, 'alias'), 'aliasname') || name
    if (schema === '' && names.has(name)) {
      level.derived.add(alias)
      return null
    }
    const known = this.resolve(schema, name)
    if (known === 'server') {
      this.survey.catalogue = true
      level.derived.add(alias)
      return null
    }
    if (known === null) {
      this.survey.unknown.push(schema === '' ? name : `${schema}.${name}`)
      return null
    }
    const { place, columns, table } = known
    if (columns?.kind === 'view') this.survey.views.push(table)
    // Its columns have other names here, by their places.
    if (list(field(range, 'alias'), 'colnames').length > 0) {
      level.derived.add(alias)
      this.survey.columns.add('*')
    }
    const ref: TableRef = { alias, table, place, columns, range, level, nullable }
    level.refs.push(ref)
    this.survey.refs.push(ref)
    return ref
  }

  /** As the search path finds it. */
  resolve(
    schema: string,
    name: string,
  ): { table: string; place: TablePlace; columns: CatalogueTable | undefined } | 'server' | null {
    const { map, catalogue, searchPath } = this.#context
    if (serverSchemas.has(schema)) return 'server'
    const among = schema === '' ? searchPath : [schema]
    for (const one of among) {
      const table = `${one}.${name}`
      const place = map.tables[table]
      if (place !== undefined) return { table, place, columns: catalogue.tables.get(table) }
      if (catalogue.tables.has(table)) return null
    }
    return schema === '' && /^pg_/.test(name) ? 'server' : null
  }

  /** What an expression holds: subqueries, functions, columns. */
  expressions(value: unknown, level: Level, names: Names): void {
    if (Array.isArray(value)) {
      for (const one of value) this.expressions(one, level, names)
      return
    }
    if (!isTree(value)) return
    for (const [key, inner] of Object.entries(value)) {
      if (!isTree(inner)) {
        this.expressions(inner, level, names)
        continue
      }
      switch (key) {
        case 'SelectStmt':
          this.select(inner, level, names)
          break
        case 'InsertStmt':
        case 'UpdateStmt':
        case 'DeleteStmt':
        case 'MergeStmt':
          this.survey.nestedWrites = true
          this.expressions(inner, level, names)
          break
        case 'RangeVar':
          this.table(inner, level, names, true)
          break
        case 'FuncCall':
          this.survey.functions.add(words(inner, 'funcname').join('.'))
          this.expressions(inner, level, names)
          break
        case 'JsonArrayAgg':
        case 'JsonObjectAgg':
          this.survey.functions.add('json_agg')
          this.expressions(inner, level, names)
          break
        case 'ColumnRef':
          this.#column(inner)
          break
        case 'SQLValueFunction':
          this.survey.functions.add(valueFunction(text(inner, 'op')))
          break
        default:
          this.expressions(inner, level, names)
      }
    }
  }

  #column(node: Tree): void {
    const fields = list(node, 'fields')
    const last = fields.at(-1)
    const parts = fields.map(one => text(field(one, 'String'), 'sval'))
    this.survey.columns.add(field(last, 'A_Star') === undefined ? (parts.at(-1) as string) : '*')
    this.survey.qualifiers.add(parts[0] as string)
    if (fields.length > 2) this.survey.qualifiers.add('*')
  }
}

/** `SVFOP_CURRENT_TIMESTAMP_N` is current_timestamp. */
function valueFunction(op: string): string {
  return op.replace('SVFOP_', '').replace(/_N$/, '').toLowerCase()
}

export function hasColumn(ref: TableRef, column: string): boolean {
  if (ref.columns !== undefined) return ref.columns.columns.some(one => one.name === column)
  return ref.place.kind === 'sharded' && ref.place.key.includes(column)
}

/** What AND joins at the top. */
export function conjuncts(node: Tree): Tree[] {
  const [type, inner] = opened(node)
  if (type === 'BoolExpr' && text(inner, 'boolop') === 'AND_EXPR')
    return list(inner, 'args').flatMap(conjuncts)
  return [node]
}

/** JOIN USING made one column of them: with an inner or left join that of the first table. */
function merged(level: Level, column: string, first: TableRef, others: readonly TableRef[]): boolean {
  return others.every(other =>
    level.equal.some(
      ({ refs, column: name, pins }) =>
        name === column && refs[0] === first && refs[1] === other && (pins === null || pins.has(other)),
    ),
  )
}

/** The table that a column belongs to, as seen from a level; null: none, or it can't be said. */
export function columnOf(node: Tree | undefined, level: Level): { ref: TableRef; column: string } | null {
  const column = field(node, 'ColumnRef')
  if (column === undefined) return null
  const parts = words(column, 'fields')
  if (parts.length === 0 || parts.length > 2 || parts.includes('')) return null
  const name = parts.at(-1) as string
  if (parts.length === 2) {
    for (let at: Level | null = level; at !== null; at = at.parent) {
      if (at.derived.has(parts[0] as string)) return null
      const ref = at.refs.find(one => one.alias === parts[0])
      if (ref !== undefined) return { ref, column: name }
    }
    return null
  }
  // Without a table's name it is the nearest level's that has such a column; what subqueries have is not known.
  for (let at: Level | null = level; at !== null; at = at.parent) {
    if (at.derived.size > 0) return null
    if (at.refs.length === 1 && at.refs[0]?.columns === undefined) {
      const ref = at.refs[0] as TableRef
      return hasColumn(ref, name) ? { ref, column: name } : null
    }
    if (at.refs.some(ref => ref.columns === undefined)) return null
    const [ref, ...others] = at.refs.filter(one => hasColumn(one, name))
    if (ref !== undefined)
      return others.length === 0 || merged(at, name, ref, others) ? { ref, column: name } : null
  }
  return null
}
