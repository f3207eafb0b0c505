// What changes of a source mean in a copy on one shard. Rows: those whose key in the copy is placed there, deleted and inserted whole.
// Totals: what rows add to their key and take away from it. Only rows whose own key is placed on the source's shard count: what a
// resharding left behind is nobody's. The source's replica identity is FULL, so that what was is known. No I/O.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { compilePlacement, type Placement } from '../../../policy/shard/placement.ts'
import type { LogicalMessage, Tuple } from '../../../wire/postgres/index.ts'
import type { ChangeMaker } from '../reshard/applier.ts'
import { type Change, deletes } from '../reshard/batch.ts'
import { literal, StreamBroken } from '../reshard/changes.ts'
import { quotedName } from '../reshard/places.ts'
import { type CopyShape, copyTable, names, shardColumn } from './shape.ts'

interface Columns {
  /** Places in the source's tuples: of the copy's columns, its key, the primary key, the source's own key, what is summed. */
  readonly written: readonly number[]
  readonly by: readonly number[]
  readonly primary: readonly number[]
  readonly key: readonly number[]
  readonly summed: readonly number[]
}

const nothing: readonly Change[] = []

export class CopyChanges implements ChangeMaker {
  readonly #shape: CopyShape
  readonly #placement: Placement
  readonly #from: number
  readonly #into: number
  readonly #relations = new Map<number, Columns | null>()
  readonly #table: { readonly schema: string; readonly name: string }
  readonly #inserts: string
  readonly #deletes: string
  readonly #shard: string

  constructor(shape: CopyShape, map: ShardMap, from: string, into: string) {
    const { copy } = shape
    this.#shape = shape
    this.#placement = compilePlacement(map)
    this.#from = map.shards.indexOf(from)
    this.#into = map.shards.indexOf(into)
    const [schema = '', name = ''] = copy.of.split('.')
    this.#table = { schema, name }
    this.#inserts = `INSERT INTO ${copyTable(copy)} (${names(shape).map(quotedName).join(', ')}) VALUES `
    const keys = [...shape.primary.map(quotedName), shardColumn].join(', ')
    this.#deletes = `${deletes}${copyTable(copy)} WHERE (${keys}) IN (`
    this.#shard = literal(from)
  }

  relation({ id, schema, name, columns }: Extract<LogicalMessage, { kind: 'relation' }>): void {
    if (schema !== this.#table.schema || name !== this.#table.name) return void this.#relations.set(id, null)
    const place = (column: string): number => {
      const at = columns.findIndex(one => one.name === column)
      if (at < 0) throw new StreamBroken(`${schema}.${name} has no column '${column}' any more`)
      return at
    }
    const { copy } = this.#shape
    this.#relations.set(id, {
      written: this.#shape.columns.map(place),
      by: copy.by.map(place),
      primary: this.#shape.primary.map(place),
      key: copy.key.map(place),
      summed: Object.keys(copy.totals?.sums ?? {}).map(place),
    })
  }

  tableOf(relation: number): { readonly schema: string; readonly name: string } | null {
    return this.#relations.get(relation) ? this.#table : null
  }

  change(message: LogicalMessage, relation: number): readonly Change[] {
    const columns = this.#relations.get(relation)
    if (columns === undefined) throw new StreamBroken('a change of a relation that was not described')
    if (columns === null) return nothing
    switch (message.kind) {
      case 'insert':
        return this.#comes(columns, message.row)
      case 'delete':
        return this.#goes(columns, message.old)
      case 'update': {
        const { old, row } = message
        if (old === null || !message.oldWhole)
          throw new StreamBroken(`the replica identity of ${this.#shape.copy.of} is not FULL any more`)
        // A large value that did not change is not sent.
        const is = row.map((value, at) => (value === undefined ? old[at] : value))
        const looked = [...columns.written, ...columns.by, ...columns.key, ...columns.summed]
        if (looked.every(at => is[at] === old[at])) return nothing
        return [...this.#goes(columns, old), ...this.#comes(columns, is)]
      }
      case 'truncate': {
        const { copy } = this.#shape
        if (copy.totals !== null) throw new StreamBroken(`${copy.of} was emptied: its totals are made anew`)
        const sql = `${deletes}${copyTable(copy)} WHERE ${shardColumn} = ${this.#shard}`
        return [{ kind: 'statement', sql, meets: -1 }]
      }
      default:
        return nothing
    }
  }

  /** It belongs to the source's shard, and its copy to this one. */
  #here({ by, key }: Columns, row: Tuple): boolean {
    const { copy } = this.#shape
    const own = this.#placement.place(
      copy.family,
      key.map(at => row[at] ?? null),
    )
    if (!('shard' in own) || own.shard !== this.#from) return false
    const copied = this.#placement.place(
      copy.table,
      by.map(at => row[at] ?? null),
    )
    return 'shard' in copied && copied.shard === this.#into
  }

  #comes(columns: Columns, row: Tuple): readonly Change[] {
    if (!this.#here(columns, row)) return nothing
    if (this.#shape.copy.totals !== null) return [this.#adds(columns, row, 1)]
    const values = columns.written.map(at => {
      const value = row[at]
      if (value !== undefined) return literal(value)
      throw new StreamBroken(`a row of ${this.#shape.copy.of} came without one of its values`)
    })
    return [{ kind: 'row', head: this.#inserts, row: `(${values.join(', ')}, ${this.#shard})`, tail: '' }]
  }

  #goes(columns: Columns, old: Tuple): readonly Change[] {
    if (!this.#here(columns, old)) return nothing
    const { copy } = this.#shape
    if (copy.totals === null) {
      const values = columns.primary.map(at => literal(old[at] ?? null)).join(', ')
      return [
        {
          kind: 'row',
          head: this.#deletes,
          row: `(${values}, ${this.#shard})`,
          tail: ')',
        },
      ]
    }
    const key = columns.by.map(
      (at, index) => `${quotedName(copy.by[index] as string)} = ${literal(old[at] ?? null)}`,
    )
    const sql = `${deletes}${copyTable(copy)} WHERE ${key.join(' AND ')} AND ${quotedName(copy.totals.count)} = 0`
    return [this.#adds(columns, old, -1), { kind: 'statement', sql, meets: -1 }]
  }

  #adds({ by, summed }: Columns, row: Tuple, sign: 1 | -1): Change {
    const { copy } = this.#shape
    const table = copyTable(copy)
    const added = [copy.totals?.count ?? '', ...Object.values(copy.totals?.sums ?? {})].map(quotedName)
    const values = [
      ...by.map(at => literal(row[at] ?? null)),
      String(sign),
      ...summed.map(at => `${sign < 0 ? '-' : ''}(${literal(summable(row[at] ?? '0'))}::numeric)`),
    ]
    const key = copy.by.map(quotedName).join(', ')
    const sets = added.map(name => `${name} = t.${name} + excluded.${name}`).join(', ')
    const sql = `INSERT INTO ${table} AS t (${key}, ${added.join(', ')}) VALUES (${values.join(', ')}) ON CONFLICT (${key}) DO UPDATE SET ${sets}`
    return { kind: 'statement', sql, meets: -1 }
  }
}

/** What is no number, or infinite, can't be taken away again: it is left out. */
function summable(value: string): string {
  return /^(NaN|-?Infinity)$/.test(value) ? '0' : value
}
