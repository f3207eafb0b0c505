// Where rows live: an explicit, versioned map from keys to shards. Plain JSON; routers get it with their snapshot, SQL on
// the servers can check it. A shard is named by its id ('1', '2', ...), never reused; everything else counts by its index
// in `shards`.

import type { CopySpec } from './copies.ts'

/** Types a key may have. Values are PostgreSQL's text forms. */
export const keyTypes = [
  'smallint',
  'integer',
  'bigint',
  'text',
  'uuid',
  'date',
  'timestamp',
  'timestamptz',
  'boolean',
] as const
export type KeyType = (typeof keyTypes)[number]

export interface ShardMap {
  readonly format: 1
  /** Counted up by every change; routers never go back. */
  readonly version: number
  /** Ids in their order. */
  readonly shards: readonly string[]
  /** Families by the name of their first table: tables of one family with the same key are on the same shard. */
  readonly families: Readonly<Record<string, Family>>
  /** By `schema.table`. */
  readonly tables: Readonly<Record<string, TablePlace>>
}

export interface Family {
  /** Of the key's columns, in their order; one, or two for composite rules. */
  readonly types: readonly KeyType[]
  readonly rule: PlacementRule
  /** Keys with a place of their own, whatever the rule says. */
  readonly exceptions?: readonly KeyException[]
}

export interface KeyException {
  /** PostgreSQL's text forms. */
  readonly key: readonly string[]
  readonly shard: number
}

export type TablePlace =
  /** By the key in these columns. `unique`: column lists that are unique over all shards, kept by look-up tables. */
  | {
      readonly kind: 'sharded'
      readonly family: string
      readonly key: readonly string[]
      readonly unique?: readonly (readonly string[])[]
      /** Tenfold alone writes it: a copy of another table by this key. */
      readonly copy?: CopySpec
    }
  /** The same rows on every shard; written to all in one distributed transaction. */
  | { readonly kind: 'everywhere' }
  /** On one shard only. */
  | { readonly kind: 'on'; readonly shard: string }
  /** No key: each row on whichever shard is next; only appended to and read as a whole. */
  | { readonly kind: 'round-robin' }

/** `shard`: an index in `shards`. Null: no shard has it, and rows with it are refused. */
export type PlacementRule =
  /** PostgreSQL's own hash of the key, modulo `slots.length`; `slots[slot]` is the shard. */
  | { readonly by: 'hash'; readonly slots: readonly number[] }
  /** A ring with `points` virtual nodes a shard; the ring cut into equal slots, `slots[slot]` is the shard. */
  | { readonly by: 'consistent'; readonly points: number; readonly slots: readonly number[] }
  /** From each bound (inclusive) up to the next; the first may be null: everything below. Ordered as the key's type is. */
  | { readonly by: 'range' | 'time'; readonly ranges: readonly KeyRange[] }
  | { readonly by: 'list'; readonly lists: readonly KeyList[]; readonly otherwise: number | null }
  /** The region of a column. `near`: who is asked first where no region is known. */
  | { readonly by: 'geo'; readonly regions: readonly KeyList[]; readonly otherwise: number | null }
  /**
   * Rows of the look-up table `tenfold.directory`; `otherwise` for keys that have none, or `assign`: their first row gives
   * them one. Never both.
   */
  | { readonly by: 'directory'; readonly otherwise: number | null; readonly assign?: AssignPolicy }
  /** The first column chooses a list, the second is placed by that list's rule. */
  | {
      readonly by: 'list-then'
      readonly lists: readonly ListThen[]
      readonly otherwise: PlacementRule | null
    }

/** The shard with the fewest keys of the family; or one after the other. */
export const assignPolicies = ['least-full', 'round-robin'] as const
export type AssignPolicy = (typeof assignPolicies)[number]

export interface KeyRange {
  readonly from: string | null
  readonly shard: number
}
export interface KeyList {
  readonly values: readonly string[]
  readonly shard: number
}
export interface ListThen {
  readonly values: readonly string[]
  readonly rule: PlacementRule
}

/** Reason codes of a key that has no place. */
export type NoPlace = 'null-key' | 'unmapped' | 'not-a-value' | 'unknown-directory'

export type Placed =
  /** `slot` -1: the rule has no slots. */
  | { readonly shard: number; readonly slot: number }
  | { readonly refused: NoPlace; readonly value: string | null }
