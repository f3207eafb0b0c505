// While rows move between shards, some lie on two. What goes to one shard by its key sees that key only; what goes to several
// reads each table of a family that moves through `tenfold."holds FAMILY"(key)`, which says what the shard has now. Plans are
// made as ever; here the texts that they send to several shards get the filter.

import { parseSync } from 'libpg-query'
import { field, list, opened, type Tree, text as textOf, truth } from '../tree.ts'
import type { AcrossPlan, CombinePart, ShardPlan, ShardRefusal } from './contract.ts'
import { refusal, refuse } from './refusals.ts'
import { closedAt, nameEnd, replaced, wordAt } from './scan.ts'
import { type SurveyContext, Surveyor, type TableRef } from './scope.ts'
import { quoted } from './select.ts'

/** Statements that change no table's shape or rows, whatever moves. */
const harmless = new Set(['VacuumStmt', 'CheckPointStmt', 'ReindexStmt', 'CommentStmt'])

/** The function of a family on each shard. */
export function holdsName(family: string): string {
  return `tenfold.${quoted(`holds ${family}`)}`
}

/**
 * @param text the statement's own
 * @param moving families, by their names in the map
 */
export function filteredPlan(
  plan: ShardPlan,
  type: string,
  text: string,
  context: SurveyContext,
  moving: ReadonlySet<string>,
): ShardPlan {
  const filter = new Filter(context, moving)
  try {
    switch (plan.kind) {
      case 'ddl':
        return harmless.has(type)
          ? plan
          : refuse('shard-moving', 'Rows are being moved between shards: what tables are can not change now.')
      case 'all':
        return { ...plan, across: filter.across(plan.across, text) }
      case 'keys':
        return 'code' in plan.across ? plan : { ...plan, across: filter.across(plan.across, text) }
      case 'copy-out':
        return plan.across === 'concat' ? { ...plan, sql: filter.copy(text) } : plan
      default:
        return plan
    }
  } catch (error) {
    if (!(error instanceof Unfiltered)) throw error
    return plan.kind === 'keys'
      ? { ...plan, across: error.refusal }
      : { kind: 'refuse', refusal: error.refusal }
  }
}

class Unfiltered extends Error {
  readonly refusal: ShardRefusal
  constructor(message: string) {
    super(message)
    this.refusal = refusal('shard-moving', message)
  }
}

class Filter {
  readonly #context: SurveyContext
  readonly #moving: ReadonlySet<string>

  constructor(context: SurveyContext, moving: ReadonlySet<string>) {
    this.#context = context
    this.#moving = moving
  }

  across(plan: AcrossPlan, text: string): AcrossPlan {
    switch (plan.how) {
      case 'concat':
        return { ...plan, sql: this.#select(plan.sql ?? text) }
      case 'merge':
        return { ...plan, sql: this.#select(plan.sql) }
      case 'combine': {
        const parts = (all: readonly CombinePart[]): CombinePart[] =>
          all.map(part => ({ ...part, sql: this.#select(part.sql) }))
        const { everywhere } = plan
        return {
          ...plan,
          parts: parts(plan.parts),
          everywhere: { ...everywhere, parts: parts(everywhere.parts) },
        }
      }
      case 'write':
        return { ...plan, sql: this.#write(text) }
      case 'move':
        return { ...plan, take: this.#write(plan.take) }
      default:
        return plan
    }
  }

  /** COPY of a table becomes COPY of what is read of it; COPY of a query reads filtered tables. */
  copy(text: string): string {
    const [, statement] = opened(this.#parsed(text))
    const relation = field(statement, 'relation')
    if (relation === undefined) return this.#select(text)
    const surveyor = new Surveyor(this.#context)
    const ref = surveyor.table(relation, surveyor.level(null, null), new Set(), false)
    const holds = ref === null ? null : this.#holds(ref, '')
    if (ref === null || holds === null) return text
    const bytes = Buffer.from(text)
    const from = Number(relation.location ?? 0)
    const named = nameEnd(bytes, from)
    const listed = list(statement, 'attlist').map(one => quoted(textOf(field(one, 'String'), 'sval')))
    const known = ref.columns?.columns.filter(one => !one.generated).map(one => quoted(one.name))
    const columns = listed.length > 0 ? listed : known
    if (columns === undefined) throw new Unfiltered(`The columns of '${ref.table}' are not known yet.`)
    const open = bytes.indexOf('(', named)
    const to = listed.length > 0 ? closedAt(bytes, open) : named
    const name = bytes.utf8Slice(from, named)
    return replaced(text, [
      { from, to, by: `(SELECT ${columns.join(', ')} FROM ONLY ${name} WHERE ${holds})` },
    ])
  }

  #parsed(sql: string): Tree {
    const [statement] = list(parseSync(sql) as unknown as Tree, 'stmts')
    return field(statement, 'stmt') ?? {}
  }

  /** Null: the table's rows do not move. */
  #holds(ref: TableRef, qualifier: string): string | null {
    const { place } = ref
    if (place.kind !== 'sharded' || !this.#moving.has(place.family)) return null
    const before = qualifier === '' ? '' : `${quoted(qualifier)}.`
    return `${holdsName(place.family)}(${place.key.map(column => `${before}${quoted(column)}`).join(', ')})`
  }

  /** Each table of a statement that reads, wherever it stands in it. */
  #select(sql: string): string {
    const surveyor = new Surveyor(this.#context)
    const [type, statement] = opened(this.#parsed(sql))
    const select = type === 'CopyStmt' ? field(field(statement, 'query'), 'SelectStmt') : statement
    if (select === undefined) throw new Unfiltered('The statement does not read.')
    surveyor.select(select, null)
    const bytes = Buffer.from(sql)
    const pieces: { from: number; to: number; by: string }[] = []
    for (const ref of surveyor.survey.refs) {
      const holds = this.#holds(ref, '')
      if (holds === null) continue
      if (!truth(ref.range, 'inh') || JSON.stringify(select).includes('"RangeTableSample"'))
        throw new Unfiltered('Rows are being moved between shards: ONLY and TABLESAMPLE must wait.')
      const from = Number(ref.range.location ?? 0)
      const to = nameEnd(bytes, from)
      const alias = field(ref.range, 'alias') === undefined ? ` AS ${quoted(ref.alias)}` : ''
      pieces.push({ from, to, by: `(SELECT * FROM ${bytes.utf8Slice(from, to)} WHERE ${holds})${alias}` })
    }
    const made = replaced(sql, pieces)
    this.#parsed(made)
    return made
  }

  /** UPDATE and DELETE of one table: only rows that the shard has. */
  #write(sql: string): string {
    const [type, statement] = opened(this.#parsed(sql))
    if (type !== 'UpdateStmt' && type !== 'DeleteStmt')
      throw new Unfiltered('Rows are being moved between shards: the statement must name one key.')
    const surveyor = new Surveyor(this.#context)
    const relation = field(statement, 'relation') ?? {}
    const ref = surveyor.table(relation, surveyor.level(null, null), new Set(), false)
    const holds = ref === null ? null : this.#holds(ref, ref.alias)
    if (holds === null) return sql
    const bytes = Buffer.from(sql.replace(/;\s*$/, ''))
    const where = wordAt(bytes, 'WHERE')
    const returning = wordAt(bytes, 'RETURNING')
    const end = returning?.from ?? bytes.length
    const made =
      where === null
        ? `${bytes.utf8Slice(0, end)} WHERE ${holds} ${bytes.utf8Slice(end, bytes.length)}`
        : `${bytes.utf8Slice(0, where.to)} ${holds} AND (${bytes.utf8Slice(where.to, end)}) ${bytes.utf8Slice(end, bytes.length)}`
    const condition = field(opened(this.#parsed(made))[1], 'whereClause')
    if (condition === undefined || !JSON.stringify(condition).includes('"holds '))
      throw new Unfiltered('Rows are being moved between shards: the statement must name one key.')
    return made
  }
}
