// Rules of the file, made ready: which columns a table's templates need, and what they say about a row. Pure.

import type { RelationColumn, Tuple, TupleValue } from '../../wire/postgres/index.ts'
import type { FeedSpec, InvalidationRule } from './contract.ts'
import type { Names } from './names.ts'

/** `films` is `public.films`. */
export function qualified(table: string): string {
  return table.includes('.') ? table : `public.${table}`
}

type Part = { readonly text: string } | { readonly column: string }

interface Template {
  readonly to: 'tags' | 'urls' | 'keys'
  readonly parts: readonly Part[]
}

export interface TableRules {
  readonly table: string
  readonly templates: readonly Template[]
  /** Columns that templates name. */
  readonly columns: ReadonlySet<string>
}

/** By `schema.table`: every table of the spec, also those whose name alone is wanted. */
export function rulesByTable(spec: FeedSpec): ReadonlyMap<string, TableRules> {
  const tables = [...new Set([...spec.rules.map(rule => rule.on), ...spec.tables].map(qualified))]
  return new Map(
    tables.map(table => {
      const templates = spec.rules.filter(rule => qualified(rule.on) === table).flatMap(templatesOf)
      const columns = templates.flatMap(one =>
        one.parts.flatMap(part => ('column' in part ? [part.column] : [])),
      )
      return [table, { table, templates, columns: new Set(columns) }]
    }),
  )
}

function templatesOf(rule: InvalidationRule): Template[] {
  return (['tags', 'urls', 'keys'] as const).flatMap(to =>
    rule[to].map(text => ({ to, parts: partsOf(text) })),
  )
}

function partsOf(text: string): Part[] {
  return text
    .split(/(\{[^{}]+\})/)
    .filter(piece => piece !== '')
    .map(piece => (/^\{[^{}]+\}$/.test(piece) ? { column: piece.slice(1, -1) } : { text: piece }))
}

/** A relation as the server described it last, with what is to be said of its rows. */
export class WatchedRelation {
  readonly rules: TableRules
  readonly #at: ReadonlyMap<string, number>
  readonly #keys: ReadonlySet<string>

  constructor(rules: TableRules, columns: readonly RelationColumn[]) {
    this.rules = rules
    this.#at = new Map(columns.map(({ name }, index) => [name, index]))
    this.#keys = new Set(columns.filter(column => column.key).map(column => column.name))
  }

  insert(row: Tuple, names: Names): void {
    this.#say(name => this.#valueIn(row, name), names)
  }

  /**
   * Before and after. What did not change is not always sent: a large value is then the old row's, and the key of the old row
   * is the new one's where no old row came.
   */
  update(old: Tuple | null, oldWhole: boolean, row: Tuple, names: Names): void {
    this.#say(name => this.#valueIn(row, name) ?? this.#unchanged(old, oldWhole, row, name), names)
    if (old !== null) this.#say(name => this.#before(old, oldWhole, name), names, true)
  }

  /** Of a row of which only the key is known, what its other columns named can't be told. */
  delete(old: Tuple, oldWhole: boolean, names: Names): void {
    this.#say(name => this.#before(old, oldWhole, name), names)
  }

  #valueIn(row: Tuple, name: string): TupleValue {
    const at = this.#at.get(name)
    // A template that names no column of the table is told when the table is looked at; no rule applies by it.
    return at === undefined ? null : row[at]
  }

  #unchanged(old: Tuple | null, oldWhole: boolean, row: Tuple, name: string): TupleValue {
    const value = this.#valueIn(row, name)
    return value === null || old === null || !oldWhole ? value : this.#valueIn(old, name)
  }

  #before(old: Tuple, oldWhole: boolean, name: string): TupleValue {
    return oldWhole || this.#keys.has(name) || !this.#at.has(name) ? this.#valueIn(old, name) : undefined
  }

  /** @param lenient what can't be told is left out instead of `everything` */
  #say(value: (column: string) => TupleValue, names: Names, lenient = false): void {
    for (const { to, parts } of this.rules.templates) {
      const texts = parts.map(part => {
        if ('text' in part) return part.text
        const found = value(part.column)
        return to === 'urls' && typeof found === 'string' ? encodeURIComponent(found) : found
      })
      if (texts.includes(null)) continue
      if (!texts.includes(undefined)) names.add(to, texts.join(''))
      else if (!lenient) names.forgetAll()
    }
  }
}
