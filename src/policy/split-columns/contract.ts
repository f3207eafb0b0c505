// What splitting a table into a hot and a cold half is made of: what must be known of the table, what is planned, and the journal
// that says how far it has come. Plain JSON.

/** A table as its server's catalogue has it. Names are bare; types, collations and expressions are whole SQL texts. */
export interface TableFacts {
  /** pg_class.relkind; null: there is no such table. */
  readonly kind: string | null
  readonly persistence: string
  readonly owner: string
  readonly rowSecurity: boolean
  /** Partitions, inheritance, tables of a composite type. */
  readonly inherits: boolean
  readonly columns: readonly ColumnFacts[]
  /** Of the primary key, in its order. */
  readonly key: readonly string[]
  readonly keyDeferrable: boolean
  readonly indexes: readonly IndexFacts[]
  readonly constraints: readonly ConstraintFacts[]
  /** Foreign keys of other tables that point here: `table.constraint`, and the columns here. */
  readonly inbound: readonly Named[]
  readonly statistics: readonly Named[]
  readonly triggers: readonly string[]
  readonly rules: readonly string[]
  /** Views, functions, policies, columns of its row type: what PostgreSQL knows to need it. */
  readonly dependents: readonly string[]
  /** That name the table; those of all tables do not count. */
  readonly publications: readonly string[]
  readonly grants: readonly Grant[]
  /** Names in its schema that are taken already. */
  readonly taken: readonly string[]
  /** By the statistics; -1: never counted. */
  readonly rows: number
  readonly bytes: number
  /** Changes with every definition that matters here. */
  readonly fingerprint: string
}

export interface ColumnFacts {
  readonly name: string
  readonly type: string
  /** Null: its type's own. */
  readonly collation: string | null
  readonly notNull: boolean
  /** Null: none; of generated columns, too. */
  readonly default: string | null
  readonly identity: '' | 'a' | 'd'
  readonly generated: '' | 's' | 'v'
  /** Columns that its generation expression reads. */
  readonly from: readonly string[]
  readonly ownsSequence: boolean
  /** Null: its type's own. */
  readonly storage: string | null
  readonly compression: string | null
  /** Bytes of a value on average; 0: not known. */
  readonly width: number
}

export interface Named {
  readonly name: string
  readonly columns: readonly string[]
}

export interface IndexFacts extends Named {
  readonly primary: boolean
  /** Of a constraint: it is made again as that. */
  readonly constraint: boolean
  /** What comes behind `CREATE INDEX name ON table`; null: not understood. */
  readonly tail: string | null
  readonly unique: boolean
  readonly replicaIdentity: boolean
}

export interface ConstraintFacts extends Named {
  /** c: CHECK; f: FOREIGN KEY; u, x: UNIQUE, EXCLUDE; n: NOT NULL that is not valid for all rows. */
  readonly type: string
  readonly definition: string
}

export interface Grant {
  /** '': everybody. */
  readonly grantee: string
  readonly privilege: string
  readonly grantable: boolean
  /** Null: of the whole table. */
  readonly column: string | null
}

export interface SplitAsk {
  readonly schema: string
  readonly table: string
  readonly cold: readonly string[]
}

/** Everything that texts are made of. */
export interface SplitPlan extends SplitAsk {
  readonly key: readonly string[]
  /** Of the view, in their order. */
  readonly columns: readonly ColumnFacts[]
  readonly owner: string
  readonly unlogged: boolean
  readonly coldIndexes: readonly IndexFacts[]
  readonly coldConstraints: readonly ConstraintFacts[]
  readonly grants: readonly Grant[]
  readonly fingerprint: string
}

export type SplitDecision =
  | { readonly kind: 'plan'; readonly plan: SplitPlan; readonly warnings: readonly string[] }
  | { readonly kind: 'refused'; readonly why: readonly string[] }

/** In their order; `taking-back` ends in `cancelled` or `undone`. */
export const splitSteps = [
  /** The cold table, and triggers that keep it the same. */
  'preparing',
  /** Rows that were there before, in pieces. */
  'copying',
  /** Row by row. */
  'comparing',
  /** A moment under a lock: the table becomes the hot one, the view takes its name. */
  'switching',
  'validating',
  /** Both halves are kept, and the old columns, too: it can go back at once. */
  'split',
  'finishing',
  'rewriting',
  'taking-back',
  'done',
  'cancelled',
  'undone',
] as const
export type SplitStep = (typeof splitSteps)[number]

/** How far one shard is. A database without shards has one, ''. */
export interface ShardSplit {
  /** The last key that was copied, as texts; null: none yet. */
  readonly after: readonly string[] | null
  readonly copied: boolean
  readonly compared: boolean
  readonly rows: number
  /** Of the primary that rows were copied on: another one may lack what was said to be done. */
  readonly epoch: number
  /** Clients waited for so long at the switch; -1: it has not been yet. */
  readonly pauseMs: number
  readonly rewritten: boolean
}

export interface SplitJournal {
  readonly format: 1
  readonly id: string
  readonly database: string
  readonly step: SplitStep
  readonly plan: SplitPlan
  readonly shards: Readonly<Record<string, ShardSplit>>
  readonly wishes: {
    readonly cancel: boolean
    readonly undo: boolean
    readonly finish: boolean
    /** With `finish`: the hot table is written anew, under a lock. */
    readonly rewrite: boolean
  }
  readonly trouble: string
  readonly begunAt: number
}
