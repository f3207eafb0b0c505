// What the parts of resharding need of each other: the mover (copy, changes, comparison), the preparation of servers, and the
// executor that goes through the steps.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import type { LinkTarget } from '../../reads/link.ts'

/** A shard's primary as it is now, as the superuser. Throws where there is none. */
export interface ShardEnd {
  readonly shard: string
  readonly target: () => LinkTarget
}

/** A table of which rows move. */
export interface MovedTable {
  readonly schema: string
  readonly name: string
  /** Columns that are written, in their order: all but generated ones. */
  readonly columns: readonly string[]
  /** Stored generated columns: the publication has them (an identity FULL must not lack them); the target makes its own. */
  readonly generated: readonly string[]
  /** Of the primary key. */
  readonly primary: readonly string[]
  /** Columns of the shard's key; none: every row goes (a table that is everywhere, or without a key). */
  readonly key: readonly string[]
  /** Of the map; '' where every row goes. */
  readonly family: string
  /** SQL that is true, on both sides, for the rows of this stream; 'true': all. Columns without a qualifier. */
  readonly where: string
}

/** Rows from one shard to another; its name is `FROM>INTO`. */
export interface MoveStream {
  readonly from: ShardEnd
  readonly into: ShardEnd
  readonly tables: readonly MovedTable[]
  /** Rows that `before` places on `from` and `next` on `into` go; whatever else lies at `from` stays. */
  readonly before: ShardMap
  readonly next: ShardMap
  /** `tenfold_reshard_ID_FROM_INTO`: of the slot at the source and the origin at the target. */
  readonly slot: string
  /** Of all tables, at the source. */
  readonly publication: string
}

export interface MoveProgress {
  readonly table: string
  readonly rows: number
  readonly bytes: number
}

/** A row that is not the same on both sides. */
export interface RowDifference {
  readonly table: string
  /** Values of the primary key. */
  readonly key: readonly (string | null)[]
  readonly kind: 'missing' | 'extra' | 'different'
}
