// What changes of the source mean at the target, as SQL: rows of the stream are written, rows that leave it are deleted, rows
// that come into it are inserted whole. A table with large values, or whose shard key is not in its primary key, has the
// replica identity FULL for as long as it moves. Knows the relations that the source has described. No I/O.

import { compilePlacement, type Placement } from '../../../policy/shard/placement.ts'
import type { LogicalMessage, RelationColumn, Tuple } from '../../../wire/postgres/index.ts'
import { type Change, deletes } from './batch.ts'
import type { MovedTable, MoveStream } from './contract.ts'
import { quotedName, tableName } from './places.ts'

/** The stream can't go on as it is: trying again does not help. */
export class StreamBroken extends Error {}

/** By `schema.table`: columns of the target that take no value in an UPDATE (GENERATED ALWAYS AS IDENTITY). */
export type FixedColumns = ReadonlyMap<string, readonly string[]>

interface Relation {
  readonly table: MovedTable
  readonly columns: readonly RelationColumn[]
  /** Positions in the source's tuples: of what is written, of the primary key, of the shard's key. */
  readonly written: readonly number[]
  readonly primary: readonly number[]
  readonly key: readonly number[]
  /** Positions that an UPDATE can't set. */
  readonly fixed: readonly number[]
  /** How statements begin. */
  readonly inserts: string
  readonly deletes: string
}

export class ChangeWriter {
  readonly #tables: ReadonlyMap<string, MovedTable>
  readonly #relations = new Map<number, Relation | null>()
  readonly #before: Placement
  readonly #next: Placement
  readonly #from: number
  readonly #into: number

  readonly #fixed: FixedColumns

  constructor(stream: MoveStream, fixed: FixedColumns) {
    this.#fixed = fixed
    this.#tables = new Map(stream.tables.map(table => [`${table.schema}.${table.name}`, table]))
    this.#before = compilePlacement(stream.before)
    this.#next = compilePlacement(stream.next)
    this.#from = stream.before.shards.indexOf(stream.from.shard)
    this.#into = stream.next.shards.indexOf(stream.into.shard)
  }

  /** A relation as the source describes it from now on. Throws where a table is not as it was. */
  relation(message: Extract<LogicalMessage, { kind: 'relation' }>): void {
    const name = `${message.schema}.${message.name}`
    const table = this.#tables.get(name)
    if (table === undefined) return void this.#relations.set(message.id, null)
    const { columns } = message
    const position = (column: string): number => {
      const at = columns.findIndex(one => one.name === column)
      if (at < 0) throw new StreamBroken(`table ${name} has no column '${column}' any more`)
      return at
    }
    const identified = (column: string): number => {
      const at = position(column)
      if (columns[at]?.key !== true)
        throw new StreamBroken(`column '${column}' is not in the replica identity of table ${name} any more`)
      return at
    }
    for (const column of columns)
      if (!table.columns.includes(column.name) && !table.generated.includes(column.name))
        throw new StreamBroken(`table ${name} has a new column '${column.name}'`)
    for (const column of table.columns) position(column)
    const written = columns.flatMap((column, at) => (table.columns.includes(column.name) ? [at] : []))
    const names = written.map(at => quotedName((columns[at] as RelationColumn).name)).join(', ')
    const primary = table.primary.map(identified)
    const keys = table.primary.map(quotedName)
    this.#relations.set(message.id, {
      table,
      columns,
      written,
      primary,
      key: table.key.map(identified),
      fixed: (this.#fixed.get(name) ?? []).map(position),
      inserts: `INSERT INTO ${tableName(table)} (${names}) OVERRIDING SYSTEM VALUE VALUES `,
      deletes: `${deletes}${tableName(table)} WHERE ${keys.length === 1 ? keys[0] : `(${keys.join(', ')})`} IN (`,
    })
  }

  /** `schema.table` of a change; null: of none that moves. */
  tableOf(relation: number): MovedTable | null {
    return this.#relations.get(relation)?.table ?? null
  }

  /** None: nothing of it belongs to the stream. */
  change(message: LogicalMessage, relation: number): readonly Change[] {
    const known = this.#relations.get(relation)
    if (known === undefined) throw new StreamBroken('a change of a relation that was not described')
    if (known === null) return nothing
    switch (message.kind) {
      case 'insert':
        return this.#goes(known, message.row) ? [insertion(known, message.row)] : nothing
      case 'delete':
        return this.#goes(known, message.old) ? [deletion(known, message.old)] : nothing
      case 'update':
        return this.#update(known, message)
      case 'truncate': {
        const { table } = known
        const sql = `DELETE FROM ONLY ${tableName(table)} WHERE ${table.where}`
        return [{ kind: 'statement', sql, meets: -1 }]
      }
      default:
        return nothing
    }
  }

  #goes({ table, key }: Relation, row: Tuple): boolean {
    if (key.length === 0) return true
    const values = key.map(at => row[at] ?? null)
    const before = this.#before.place(table.family, values)
    if (!('shard' in before) || before.shard !== this.#from) return false
    const next = this.#next.place(table.family, values)
    return 'shard' in next && next.shard === this.#into
  }

  #update(
    relation: Relation,
    { old, oldWhole, row }: Extract<LogicalMessage, { kind: 'update' }>,
  ): readonly Change[] {
    const { columns, written, fixed, table } = relation
    // Without an old tuple the identity is as it was; without a whole one nothing else is known of what was.
    const was = columns.map(({ key }, at) =>
      old === null ? (key ? row[at] : undefined) : oldWhole || key ? old[at] : undefined,
    )
    // A large value that did not change is not sent.
    const is = row.map((value, at) => (value === undefined ? was[at] : value))
    const cameIn = this.#goes(relation, is)
    if (this.#goes(relation, was)) {
      if (!cameIn) return [deletion(relation, was)]
    } else return cameIn ? [insertion(relation, is)] : nothing
    const changed = written.filter(
      at => row[at] !== undefined && (was[at] === undefined || was[at] !== row[at]),
    )
    if (changed.length === 0) return nothing
    if (changed.some(at => fixed.includes(at))) return [deletion(relation, was), insertion(relation, is)]
    const sets = changed.map(at => `${nameAt(relation, at)} = ${literal(row[at] ?? null)}`)
    const sql = `UPDATE ONLY ${tableName(table)} SET ${sets.join(', ')} WHERE ${identity(relation, was)}`
    return [{ kind: 'statement', sql, meets: 1 }]
  }
}

/** For an applier of rows that move. */
export function writerOf(stream: MoveStream): (fixed: FixedColumns) => ChangeWriter {
  return fixed => new ChangeWriter(stream, fixed)
}

const nothing: readonly Change[] = []

/** Throws for a row that is not whole: its identity is FULL, so that the old tuple has what was not sent. */
function insertion(relation: Relation, row: Tuple): Change {
  const { written, table, inserts } = relation
  const values = written.map(at => {
    const value = row[at]
    if (value !== undefined) return literal(value)
    throw new StreamBroken(`a row of ${table.schema}.${table.name} came without ${nameAt(relation, at)}`)
  })
  return { kind: 'row', head: inserts, row: `(${values.join(', ')})`, tail: '' }
}

function deletion(relation: Relation, old: Tuple): Change {
  const values = relation.primary.map(at => literal(old[at] ?? null)).join(', ')
  const row = relation.primary.length === 1 ? values : `(${values})`
  return { kind: 'row', head: relation.deletes, row, tail: ')' }
}

function identity(relation: Relation, row: Tuple): string {
  return relation.primary.map(at => `${nameAt(relation, at)} = ${literal(row[at] ?? null)}`).join(' AND ')
}

function nameAt({ columns }: Relation, at: number): string {
  return quotedName((columns[at] as RelationColumn).name)
}

export function literal(value: string | null): string {
  if (value === null) return 'NULL'
  const doubled = value.replaceAll("'", "''")
  return value.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}
