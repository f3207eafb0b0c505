// Partitions of one table on its server: what the file asks for, what there is, what is to be done. Plain values.

/** Lengths of time partitions; all begin in UTC. */
export const partitionPeriods = ['hour', 'day', 'week', 'month', 'year'] as const
export type PartitionPeriod = (typeof partitionPeriods)[number]

export type PartitionRule =
  /** RANGE over a column of time: one partition a period. */
  | { readonly by: 'time'; readonly column: string; readonly every: PartitionPeriod }
  /** RANGE over an integer column: one partition for each `step` values. */
  | { readonly by: 'step'; readonly column: string; readonly step: number }
  /** HASH: so many partitions, for good. */
  | { readonly by: 'hash'; readonly column: string; readonly count: number }

export interface PartitionSpec {
  /** `schema.table`. */
  readonly table: string
  readonly rule: PartitionRule
  /** Partitions that are there before they are needed, beside the one that is needed now. */
  readonly ahead: number
  /** Whole partitions that stay behind the one that is needed now; null: all. */
  readonly keep: number | null
  /** What becomes of older ones. */
  readonly old: 'detach' | 'drop'
}

/** From inclusive, to exclusive: microseconds since 1970 for times, values for integers. Infinite where it is open. */
export interface PartitionRange {
  readonly from: number
  readonly to: number
}

export type FoundPartition =
  | ({ readonly kind: 'range'; readonly name: string } & PartitionRange)
  | {
      readonly kind: 'hash'
      readonly name: string
      readonly modulus: number
      readonly remainder: number
    }
  | { readonly kind: 'default'; readonly name: string }
  /** Bounds of a kind that is not made here. */
  | { readonly kind: 'other'; readonly name: string }

export interface WantedPartition {
  /** Without its schema. */
  readonly name: string
  /** What follows FOR VALUES. */
  readonly bounds: string
  /** Null: HASH. */
  readonly range: PartitionRange | null
}

export interface PartitionPlan {
  /** In their order. */
  readonly make: readonly WantedPartition[]
  /** Names of those that are older than what is kept; the oldest first. */
  readonly remove: readonly string[]
  /** Sentences: what was found in the way. */
  readonly troubles: readonly string[]
}
