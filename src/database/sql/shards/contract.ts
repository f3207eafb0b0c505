// What a statement is to a sharded database: found once for each text from PostgreSQL's own parse tree, kept by text. A
// value; which shard a key has is asked only when the statement runs. The planner never guesses: what it can't prove to give
// what one PostgreSQL would give is a refusal.

/** What the planner must know of a table: from the map, and of its columns from the servers' catalogue. */
export interface ShardedCatalogue {
  /** `schema.table` -> its columns in their order; also of views, which the planner takes apart or refuses. */
  readonly tables: ReadonlyMap<string, CatalogueTable>
  /** Names of functions (`name`, `schema.name`) that are not volatile in any overload. */
  readonly calm: ReadonlySet<string>
}

export interface CatalogueTable {
  readonly kind: 'table' | 'view' | 'other'
  readonly columns: readonly CatalogueColumn[]
  /** Of a view. */
  readonly definition?: string
  /** Column lists of unique and primary keys, the primary key first. */
  readonly unique: readonly (readonly string[])[]
  /** There is a primary key, of all its rows. */
  readonly primary?: true
  /** Somebody's foreign key points here with CASCADE, SET NULL or SET DEFAULT. */
  readonly cascades: boolean
  readonly triggers: boolean
}

export interface CatalogueColumn {
  readonly name: string
  /** As format_type says it: `bigint`, `character varying(20)`, `numeric(10,2)`. */
  readonly type: string
  /** `default`, or the collation's name; '' where the type has none. */
  readonly collation: string
  readonly notNull: boolean
  /** Its default, identity or generated expression is volatile (nextval, now is not, random is). */
  readonly volatileDefault: boolean
  readonly generated: boolean
  /** Has a default, an identity or a generation expression. */
  readonly hasDefault: boolean
}

/** Where a key's value comes from when the statement runs. */
export type KeySource =
  /** `$1` is 0. `array`: every element is a key of its own (`= ANY($1)`). */
  | { readonly from: 'parameter'; readonly index: number; readonly array?: boolean }
  /** PostgreSQL's text form; null: NULL. */
  | { readonly from: 'literal'; readonly text: string | null }

/** A refusal: nothing was sent. */
export interface ShardRefusal {
  readonly sqlState: string
  /** Stable: `shard-key-null`, `shard-broadcast`, ...: the anchor in docs/reference/sharding.md. */
  readonly code: string
  readonly message: string
  readonly hint: string
}

export type ShardPlan =
  /** Where it runs. */
  | {
      readonly kind: 'one'
      /** any: whichever shard; fixed: always the first (advisory locks, LISTEN, sequences); or this shard's id. */
      readonly on: 'any' | 'fixed' | { readonly shard: string }
      readonly writes: boolean
    }
  /** By keys: all of one shard -> sent there untouched. Several shards -> `across`. */
  | {
      readonly kind: 'keys'
      readonly family: string
      /** One tuple for each alternative (IN, rows of an INSERT); each as long as the family's key. */
      readonly keys: readonly (readonly KeySource[])[]
      readonly writes: boolean
      readonly across: AcrossPlan | ShardRefusal
    }
  /** On every shard. */
  | { readonly kind: 'all'; readonly writes: boolean; readonly across: AcrossPlan }
  /** BEGIN, COMMIT, SAVEPOINT, PREPARE TRANSACTION ... by `StatementInfo.transaction`. */
  | { readonly kind: 'transaction' }
  /** SET, RESET, DISCARD, DEALLOCATE ALL ...: said to every shard. SHOW and the like are `one`. */
  | { readonly kind: 'session' }
  /** DECLARE name: its inner plan decides; FETCH, MOVE, CLOSE go where it was declared. */
  | { readonly kind: 'cursor'; readonly name: string; readonly declares: ShardPlan | null }
  | {
      readonly kind: 'copy-in'
      readonly table: string
      readonly columns: readonly string[] | null
      readonly options: CopyOptions
    }
  | {
      readonly kind: 'copy-out'
      readonly across: 'concat' | ShardRefusal
      readonly keys: ShardPlan | null
      /** Sent where several shards are asked, in place of the client's text. */
      readonly sql?: string
      /** Lines of a header and marks of the binary format come once. Not said: as text without a header. */
      readonly options?: CopyOptions
    }
  /** CREATE, ALTER, DROP ...: on all shards; `transactional` false: one shard after another (CONCURRENTLY, VACUUM). */
  | { readonly kind: 'ddl'; readonly transactional: boolean }
  | { readonly kind: 'explain'; readonly of: ShardPlan; readonly sql: string; readonly analyze: boolean }
  | { readonly kind: 'refuse'; readonly refusal: ShardRefusal }

export interface CopyOptions {
  readonly format: 'text' | 'csv' | 'binary'
  readonly delimiter: string
  readonly nullText: string
  readonly quote: string
  readonly escape: string
  readonly header: boolean
}

/** How a statement runs on several shards and becomes one answer. */
export type AcrossPlan =
  /** The statement as it is, on each shard; rows one after another in any order, counts added. */
  | {
      readonly how: 'concat'
      readonly limit: KeySource | null
      readonly offset: KeySource | null
      readonly sql: string | null
    }
  /** `sql` on each shard gives ordered rows; merged as they come. */
  | {
      readonly how: 'merge'
      readonly sql: string
      /** By result column; the last `hidden` columns are there for the order only, and are cut off. */
      readonly order: readonly MergeKey[]
      readonly hidden: number
      readonly limit: KeySource | null
      readonly offset: KeySource | null
    }
  /**
   * Rows of each part, from all shards (or one, if `everywhere` is not there), go into temporary tables of a scratch session on
   * one shard; `sql` there gives the answer.
   */
  | {
      readonly how: 'combine'
      readonly parts: readonly CombinePart[]
      /** Every sharded table is a part; tables that are everywhere are read in place. */
      readonly sql: string
      /** The same where tables that are everywhere are parts too: for transactions that have written. */
      readonly everywhere: { readonly parts: readonly CombinePart[]; readonly sql: string }
    }
  /** The statement as it is on each shard in one distributed transaction; counts added, RETURNING rows one after another. */
  /** `sql`: sent in place of the statement. */
  | { readonly how: 'write'; readonly sql?: string }
  /** INSERT of several rows: `rows` with the same index as `keys`; each shard gets its own. */
  | {
      readonly how: 'split-insert'
      readonly head: string
      readonly rows: readonly string[]
      readonly tail: string
    }
  /** The same rows everywhere: on all shards in one distributed transaction; counts must be equal; one answer. */
  | { readonly how: 'everywhere'; readonly copyRows: EverywhereInsert | null }
  /** UPDATE of the key: rows are taken from their shards and put where they belong. */
  | {
      readonly how: 'move'
      readonly table: string
      /** Where the rows are now; null: on any shard. */
      readonly from: { readonly family: string; readonly keys: readonly (readonly KeySource[])[] } | null
      /** DELETE ... RETURNING the row as it shall be, in text. */
      readonly take: string
      readonly columns: readonly string[]
      /** Places of the key's columns in `columns`. */
      readonly key: readonly number[]
    }

/** INSERT with volatile defaults into a table that is everywhere: run on the first shard with RETURNING, its rows copied. */
export interface EverywhereInsert {
  /** The statement with RETURNING of all columns. */
  readonly sql: string
  readonly table: string
  readonly columns: readonly string[]
  /** How many columns of the client's RETURNING come first; 0: it has none. */
  readonly returning: number
}

export interface MergeKey {
  /** Result column, from 0. */
  readonly column: number
  readonly descending: boolean
  readonly nullsFirst: boolean
  readonly compare: 'number' | 'bytes' | 'timestamp' | 'boolean'
}

export interface CombinePart {
  /** The temporary table's name in `sql`. */
  readonly name: string
  /** Its columns and their types. */
  readonly columns: readonly { readonly name: string; readonly type: string; readonly collation: string }[]
  /** The table's primary key, where the statement groups: other columns may depend on it. */
  readonly primary?: readonly string[]
  /** Run on each shard (`all`), or by keys on the shards that have them. */
  readonly sql: string
  /** The table has the same rows everywhere: one shard is asked. */
  readonly once?: true
  readonly keys: { readonly family: string; readonly keys: readonly (readonly KeySource[])[] } | null
}
