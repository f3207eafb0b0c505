// What changes of the source mean at the target, as SQL: rows of the stream are written, rows that leave it are deleted, rows
// that come into it are inserted whole. A table with large values, or whose shard key is not in its primary key, has the
// replica identity FULL for as long as it moves. Knows the relations that the source has described. No I/O.

import { compilePlacement, type Placement } from '../../../policy/shard/placement.ts'
import type { LogicalMessage, RelationColumn, Tuple } from '../../../wire/postgres/index.ts'
import type { MovedTable, MoveStream } from './contract.ts'
import { quotedName, tableName } from './places.ts'

interface Relation {
  readonly table: MovedTable
  readonly columns: readonly RelationColumn[]
  /** Positions in the source's tuples: of what is written, of the primary key, of the shard's key. */
  readonly written: readonly number[]
  readonly primary: readonly number[]
  readonly key: readonly number[]
}

export class ChangeWriter {
  readonly #tables: ReadonlyMap<string, MovedTable>
  readonly #relations = new Map<number, Relation | null>()
  readonly #before: Placement
  readonly #next: Placement
  readonly #from: number
  readonly #into: number

  constructor(stream: MoveStream) {
    this.#tables = new Map(stream.tables.map(table => [`${table.schema}.${table.name}`, table]))
    this.#before = compilePlacement(stream.before)
    this.#next = compilePlacement(stream.next)
    this.#from = stream.before.shards.indexOf(stream.from.shard)
    this.#into = stream.next.shards.indexOf(stream.into.shard)
  }

  /** A relation as the source describes it from now on. Throws where a table is not as it was. */
  relation(message: Extract<LogicalMessage, { kind: 'relation' }>): void {
    const table = this.#tables.get(`${message.schema}.${message.name}`)
    if (table === undefined) return void this.#relations.set(message.id, null)
    const position = (column: string): number => {
      const at = message.columns.findIndex(one => one.name === column)
      if (at < 0)
        throw new Error(`table ${message.schema}.${message.name} has no column '${column}' any more`)
      return at
    }
    for (const { name } of message.columns)
      if (!table.columns.includes(name) && !table.generated.includes(name))
        throw new Error(`table ${message.schema}.${message.name} has a new column '${name}'`)
    this.#relations.set(message.id, {
      table,
      columns: message.columns,
      written: message.columns.flatMap(({ name }, at) => (table.columns.includes(name) ? [at] : [])),
      primary: table.primary.map(position),
      key: table.key.map(position),
    })
  }

  /** `schema.table` of a change; null: of none that moves. */
  tableOf(relation: number): MovedTable | null {
    return this.#relations.get(relation)?.table ?? null
  }

  /** Null: nothing of it belongs to the stream. */
  change(message: LogicalMessage, relation: number): string | null {
    const known = this.#relations.get(relation)
    if (known === undefined) throw new Error('a change of a relation that was not described')
    if (known === null) return null
    switch (message.kind) {
      case 'insert':
        return this.#goes(known, message.row) ? this.#insert(known, message.row, null) : null
      case 'delete':
        return this.#goes(known, message.old) ? deletion(known, message.old) : null
      case 'update':
        return this.#update(known, message.row, message.old)
      case 'truncate':
        return `DELETE FROM ONLY ${tableName(known.table)} WHERE ${known.table.where}`
      default:
        return null
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

  #update(relation: Relation, row: Tuple, old: Tuple | null): string | null {
    const was = old === null ? this.#goes(relation, row) : this.#goes(relation, filled(relation, old, row))
    const is = this.#goes(relation, row)
    if (was && !is) return deletion(relation, old ?? row)
    if (is && !was) return this.#insert(relation, row, old)
    if (!is) return null
    // Without an old tuple the identity is as it was; what is as it was need not be said, and an identity column may not.
    const kept = (at: number): boolean =>
      row[at] === undefined || (old === null ? relation.primary.includes(at) : old[at] === row[at])
    const sets = relation.written.flatMap(at =>
      kept(at) ? [] : [`${nameAt(relation, at)} = ${literal(row[at] ?? null)}`],
    )
    if (sets.length === 0) return null
    return `UPDATE ONLY ${tableName(relation.table)} SET ${sets.join(', ')} WHERE ${identity(relation, old ?? row)}`
  }

  #insert(relation: Relation, row: Tuple, old: Tuple | null): string {
    const { written, table } = relation
    const values = written.map(at => {
      const value = row[at] === undefined ? old?.[at] : row[at]
      if (value !== undefined) return literal(value)
      // Its identity is FULL, so that the old tuple has what was not sent.
      throw new Error(`a row of ${table.schema}.${table.name} came without ${nameAt(relation, at)}`)
    })
    const names = written.map(at => nameAt(relation, at)).join(', ')
    return `INSERT INTO ${tableName(table)} (${names}) OVERRIDING SYSTEM VALUE VALUES (${values.join(', ')})`
  }
}

/** An old tuple may have the columns of the identity only; the shard's key is among them, or it did not change. */
function filled({ columns }: Relation, old: Tuple, row: Tuple): Tuple {
  return columns.map(({ key }, at) => (key || old[at] != null ? old[at] : row[at]))
}

function deletion(relation: Relation, old: Tuple): string {
  return `DELETE FROM ONLY ${tableName(relation.table)} WHERE ${identity(relation, old)}`
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
