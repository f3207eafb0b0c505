// Names in a query: what `o.customer_id` or `customer_id` means where it stands. A name that can't be told for certain
// (columns of a table are not known yet) means nothing here, which only makes a statement's way wider.

import type { Use } from './graph.ts'
import type { Level } from './level.ts'

/** Nodes of key columns that a column is: several where it comes out of a UNION. */
export type KeyColumn = readonly number[]

/** `other`: a column, no key. `none`: there is no such column. `unknown`: perhaps. */
export type Found = KeyColumn | 'other' | 'none' | 'unknown'

export interface Resolved {
  readonly column: KeyColumn
  /** Of a query further out. */
  readonly outer: boolean
  /** The query inside that shows it; null: a table. */
  readonly through: Level | null
}

export interface Item {
  /** As the query calls it; '' = it can't be named. */
  readonly alias: string
  find(name: string): Found
}

export class UseItem implements Item {
  readonly alias: string
  readonly use: Use
  readonly #columns: readonly string[] | null

  constructor(alias: string, use: Use, columns: readonly string[] | null) {
    this.alias = alias
    this.use = use
    this.#columns = columns
  }

  find(name: string): Found {
    const at = this.use.rule.columns.indexOf(name)
    return at < 0 ? columnOf(this.#columns, name) : [this.use.first + at]
  }
}

export class TableItem implements Item {
  readonly alias: string
  readonly #columns: readonly string[] | null

  constructor(alias: string, columns: readonly string[] | null) {
    this.alias = alias
    this.#columns = columns
  }

  find(name: string): Found {
    return columnOf(this.#columns, name)
  }
}

/** A subquery, or the name of one. `renamed`: its columns have other names here, by position. */
export class QueryItem implements Item {
  readonly alias: string
  readonly level: Level
  readonly #renamed: readonly string[]

  constructor(alias: string, level: Level, renamed: readonly string[]) {
    this.alias = alias
    this.level = level
    this.#renamed = renamed
  }

  /** Key columns of all tables inside. */
  get nodes(): readonly number[] {
    return this.level.sources.flatMap(({ rule, first }) => rule.columns.map((_, column) => first + column))
  }

  find(name: string): Found {
    if (this.#renamed.length === 0) return this.level.output(name)
    const at = this.#renamed.indexOf(name)
    return at < 0 ? 'unknown' : this.level.outputAt(at)
  }
}

/** Two joined: it has an alias of its own only where the join has one. */
export class Scope {
  readonly parent: Scope | null
  readonly items: Item[] = []
  /** Columns that a JOIN ... USING made one. */
  readonly merged: Set<string> = new Set()
  readonly queries: Map<string, Level> = new Map()
  /** Key columns that an outer join may make NULL here. */
  readonly nullable: Set<number> = new Set()

  constructor(parent: Scope | null) {
    this.parent = parent
  }

  query(name: string): Level | undefined {
    return this.queries.get(name) ?? this.parent?.query(name)
  }

  /** What a reference means, and how many queries further out; null: nothing certain, or no key. */
  resolve(parts: readonly string[]): Resolved | null {
    const [name = '', alias] = [parts.at(-1), parts.at(-2)]
    for (let scope: Scope | null = this; scope !== null; scope = scope.parent) {
      const found = alias === undefined ? scope.#bare(name) : scope.#of(alias, name)
      if (found === 'none') continue
      if (typeof found === 'string') return null
      return { column: found, outer: scope !== this, through: scope.#levelOf(found) }
    }
    return null
  }

  #levelOf(column: KeyColumn): Level | null {
    for (const item of this.items)
      if (item instanceof QueryItem && column.every(node => item.nodes.includes(node))) return item.level
    return null
  }

  #of(alias: string, name: string): Found {
    const item = this.items.find(one => one.alias === alias)
    return item === undefined ? 'none' : item.find(name)
  }

  #bare(name: string): Found {
    let best: Found = 'none'
    for (const item of this.items) {
      const found = item.find(name)
      if (typeof found !== 'string') {
        // Two keys of one name are one only where a join made them so; else PostgreSQL refuses.
        if (typeof best === 'string' || this.merged.has(name)) best = typeof best === 'string' ? found : best
        else return 'unknown'
      } else if (typeof best === 'string' && rank[found] > rank[best]) best = found
    }
    return best
  }
}

const rank: Readonly<Record<'none' | 'unknown' | 'other', number>> = { none: 0, unknown: 1, other: 2 }

function columnOf(columns: readonly string[] | null, name: string): Found {
  if (columns === null) return 'unknown'
  return columns.includes(name) ? 'other' : 'none'
}
