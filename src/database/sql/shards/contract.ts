// What a statement says about sharded tables by its text alone: which keys it pins, and whether the rows that it reads
// can be found shard by shard. Where the pinned keys lie, and what the parameters are, is known only when it runs.

/** What the system file says of one table. */
export interface TableRule {
  readonly name: string
  /** `elsewhere`: it lives in another database as a whole. */
  readonly kind: 'sharded' | 'everywhere' | 'elsewhere'
  /** Columns of the key, in order; empty unless `sharded`. */
  readonly columns: readonly string[]
  /** Tables of one group keep rows of equal keys together. */
  readonly group: string
}

export interface ShardRules {
  /** By `name` or `schema.name`, as PostgreSQL folds names; null: the file does not name it. */
  table(name: string): TableRule | null
  /** All columns of a table, in order, once the catalogue is known. */
  columns(name: string): readonly string[] | null
  isAggregate(name: string): boolean
}

/** One value that a key column is compared with. */
export type KeySource =
  /** `cast`: of the literal, as written (`bigint`); ''. */
  | { readonly kind: 'text'; readonly text: string; readonly cast: string }
  | { readonly kind: 'parameter'; readonly number: number; readonly cast: string }
  /** `= ANY ($1)`: each element of an array. */
  | { readonly kind: 'elements'; readonly number: number }

/** One appearance of a sharded table. */
export interface TableUse {
  readonly table: string
  readonly group: string
  /** For each key column: it equals one of these. Null: nothing is known of it. */
  readonly pins: readonly (readonly KeySource[] | null)[]
}

/**
 * `replicated`: no sharded table is read; any one shard can answer. `partitioned`: what all shards answer, each from its
 * own rows, is together what is asked, up to the outermost grouping, order and limit. `mixed`: rows of different shards
 * meet; somebody must bring them together.
 */
export type Spread = 'replicated' | 'partitioned' | 'mixed'

/** One row of INSERT ... VALUES: the sources of its key; null where it is an expression; undefined where it is left out. */
export type InsertRow = readonly (KeySource | null | undefined)[]

export interface ShardFacts {
  readonly uses: readonly TableUse[]
  readonly spread: Spread
  /** Of `partitioned`: nothing is left to do but to put the answers one behind the other, in order, up to the limit. */
  readonly complete: boolean
  /** Of `mixed`: why. */
  readonly why: string
  /** Tables held everywhere that are written. */
  readonly writesEverywhere: readonly string[]
  /** Sharded tables that are written. */
  readonly writesSharded: readonly string[]
  /** Tables of other databases, and tables that the file does not name. */
  readonly elsewhere: readonly string[]
  readonly unnamed: readonly string[]
  /** INSERT ... VALUES into a sharded table. */
  readonly insert: { readonly table: string; readonly rows: readonly InsertRow[] } | null
  /** UPDATE sets a key column. */
  readonly movesRows: boolean
  /** Something that only one shard can do: MERGE, a data-changing WITH. */
  readonly oneShardOnly: string
}
