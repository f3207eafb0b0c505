// What index advice is made of: the statements that take time, what they look for, the tables as they are. Plain values.

/** One table of a statement, and how its rows are looked for. */
export interface TableUse {
  /** `schema.table`. */
  readonly table: string
  /** Columns that are compared with `=`, IN or ANY, or joined by equality. */
  readonly equal: readonly string[]
  /** Columns that are compared by order: <, >, BETWEEN. */
  readonly range: readonly string[]
  /** ORDER BY of plain columns of this table alone; none: it has none, or it is something else. */
  readonly order: readonly string[]
  /** Rows of it are deleted. */
  readonly deletes?: true
}

export interface StatementUse {
  /** As PostgreSQL normalises it. */
  readonly text: string
  readonly calls: number
  readonly totalMs: number
  readonly uses: readonly TableUse[]
}

export interface ColumnFacts {
  readonly name: string
  /** Distinct values among the rows, as an estimate; at least 1. */
  readonly distinct: number
  /** It can be in a B-tree. */
  readonly ordered: boolean
  /** It is a date or a timestamp: from the oldest to the newest of the sample, in days; null: it is something else, or nothing is known. */
  readonly spanDays?: number | null
}

export interface IndexFacts {
  readonly name: string
  /** Of a plain B-tree on columns; empty: it is something else (an expression, a condition, another method). */
  readonly columns: readonly string[]
  /** Nothing but these columns: every one in its own order, by its own rules, none included beside them. */
  readonly plain: boolean
  /** How pg_get_indexdef says it, without its name: equal for equal indexes. */
  readonly definition: string
  readonly unique: boolean
  /** A constraint, a replica identity or something else needs it. */
  readonly needed: boolean
  readonly valid: boolean
  readonly scans: number
  readonly bytes: number
}

export interface TableFacts {
  /** `schema.table`. */
  readonly table: string
  readonly rows: number
  readonly bytes: number
  readonly columns: readonly ColumnFacts[]
  readonly indexes: readonly IndexFacts[]
  /** It is cut into partitions already. */
  readonly partitioned?: true
  /** Rows inserted, updated and deleted since statistics began. */
  readonly writes: number
}

export interface IndexCandidate {
  readonly table: string
  readonly columns: readonly string[]
  /** Texts that it may serve; the one that takes most first. */
  readonly statements: readonly { readonly text: string; readonly calls: number; readonly totalMs: number }[]
}

export type IndexDrop =
  /** `like` does the same. */
  | {
      readonly kind: 'duplicate'
      readonly table: string
      readonly index: string
      readonly like: string
      readonly bytes: number
    }
  | { readonly kind: 'unused'; readonly table: string; readonly index: string; readonly bytes: number }
  /** What a CREATE INDEX CONCURRENTLY left behind. */
  | { readonly kind: 'invalid'; readonly table: string; readonly index: string; readonly bytes: number }

/** What was seen of a candidate on a copy of its table. */
export interface IndexTrial {
  /** Of the copy. */
  readonly rows: number
  /** Estimated costs of each statement's plan, in PostgreSQL's units; `used`: the plan has the index. */
  readonly statements: readonly {
    readonly text: string
    readonly before: number
    readonly after: number
    readonly used: boolean
  }[]
  /** Microseconds to insert a row, without it and with it. */
  readonly insertUs: { readonly before: number; readonly after: number }
  /** Of the index, a row. */
  readonly bytesPerRow: number
}

export interface PartitionAdvice {
  readonly table: string
  /** The column of the file's `by`. */
  readonly column: string
  readonly every: 'day' | 'week' | 'month' | 'year'
  readonly rows: number
  readonly bytes: number
  /** Statements that name a span of the column; those that delete by it. */
  readonly reads: number
  readonly deletes: number
}
