// What the change feed tells: committed changes of watched tables, as names of what caches must forget. One message a
// transaction, in commit order, at least once; forgetting twice does no harm.

import type { Lsn } from '../contract.ts'

/** `on`: table, `schema.table` or just its name in `public`. Templates: `{column}` is filled in from the old and the new row. */
export interface InvalidationRule {
  readonly on: string
  /** Tags of the edge's cache and of application caches: `film:{id}`. */
  readonly tags: readonly string[]
  /** Edge URLs, with or without a host: `/films/{slug}`. */
  readonly urls: readonly string[]
  /** Keys of application caches. */
  readonly keys: readonly string[]
}

export interface FeedSpec {
  readonly database: string
  readonly rules: readonly InvalidationRule[]
  /** Further tables whose names alone are wanted: cached statements read them. */
  readonly tables: readonly string[]
}

export interface Invalidation {
  readonly database: string
  /** Of the commit. */
  readonly lsn: Lsn
  readonly timeline: number
  /** What was missed can't be known (the slot is gone, TRUNCATE of everything, too many rows): forget all that rules could name. */
  readonly everything: boolean
  readonly tags: readonly string[]
  readonly urls: readonly string[]
  readonly keys: readonly string[]
  /** `schema.table` */
  readonly tables: readonly string[]
}

/** Resolves when nobody who listens can serve what is older. Rejecting or being late keeps the feed at this commit. */
export type InvalidationSink = (invalidation: Invalidation) => Promise<void>
