// What the parts of the application cache agree on: what a user may choose, and the port between the core (in-process
// tier, flights, fences) and a tier that several processes share. Types only; knows no Redis and no clock.
//
// Leases (Nishtala et al., "Scaling Memcache at Facebook", 2013, 3.2): a miss hands out a token; whatever forgets the key
// voids it; a set with a void token is refused. A writer's fence is the tombstone beside it: while one stands, nobody
// gets a lease, so nobody can store what he read before the writer's commit. The core does the same in its own process.

/** Names of what to forget. A tag forgets every entry that carries it, in O(1): versions are compared at read. */
export interface Forgotten {
  readonly keys: readonly string[]
  readonly tags: readonly string[]
  readonly everything: boolean
  /** Expired, not gone: what has grace may still be served while it is loaded again. */
  readonly soft: boolean
}

/** One word of an encoded value: text or bytes, as the serialiser of the cache gives it. */
export type Encoded = string | Uint8Array

/** How values become text or bytes for a shared tier or a journal. `decode` gets what `encode` gave; both may throw. */
export interface Serialiser {
  /** Written beside each value: another serialiser's values are misses, not errors. 1-16 of a-z, 0-9, `-`. */
  readonly name: string
  encode(value: unknown): Encoded
  decode(encoded: Encoded): unknown
}

/** An entry as a shared tier keeps it. Times are durations, counted by the tier's own clock: hosts disagree. */
export interface TierEntry {
  /** Null: known not to exist (negative). */
  readonly value: Encoded | null
  /** Name of the serialiser. */
  readonly format: string
  readonly tags: readonly string[]
  /** Only goes up: a set with a lower one than what is stored, or than the key's floor, is refused. -1: none. */
  readonly version: number
  /** Fresh for so long from now; may be 0 or less in what `get` gives: then it is stale, within its grace. */
  readonly freshMs: number
  /** Kept for so long after that. */
  readonly graceMs: number
  /** What it took to load, for early refresh. */
  readonly loadMs: number
}

/**
 * - `hit`: fresh. `lease`: null.
 * - `stale`: within grace. With a lease the asker should load; without one somebody else does, or a fence stands.
 * - `miss`: nothing, or nothing valid (a tag was invalidated). With a lease the asker loads and sets.
 * - `wait`: nothing, and another process holds the lease: ask again after `retryMs`, or load without storing.
 * - `fenced`: a writer is at work: load, and do not store.
 */
export type TierAnswer =
  | { readonly kind: 'hit'; readonly entry: TierEntry }
  | { readonly kind: 'stale'; readonly entry: TierEntry; readonly lease: string | null }
  | { readonly kind: 'miss'; readonly lease: string | null }
  | { readonly kind: 'wait'; readonly retryMs: number }
  | { readonly kind: 'fenced' }

export type SetOutcome =
  | 'stored'
  /** The lease is void: something forgot the key, or a tag of it, after the lease was given. */
  | 'void'
  /** A writer's fence stands. */
  | 'fenced'
  /** A newer version is stored, or was announced. */
  | 'older'
  /** Larger than the tier takes. */
  | 'too-big'

/** Told by a tier as it hears of it, in every process; the causer itself need not be told: its core has done it already. */
export interface TierListener {
  forget(what: Forgotten): void
  /** Invalidations may be missed from now on: the connection that brings them is gone. */
  lost(): void
  /** They are heard again. What was stored in process before this moment must be forgotten first. */
  regained(): void
}

/**
 * A tier that several processes share. Every promise settles within the tier's own time-out, and rejects where the tier
 * can't be asked; the core then goes on without it. Whoever could not be told of a `forget` or `fence` is told
 * before anything is served from it again (or the whole tier is forgotten): that is the tier's duty, not the core's.
 */
export interface Tier {
  readonly name: string
  /** False: do not ask now (circuit open). Cheap: read on each miss. */
  readonly usable: boolean
  /** @param leased ask for a lease, if there is none; false: just look */
  get(key: string, leased: boolean): Promise<TierAnswer>
  /**
   * With a lease: only while that holds; ends it. Null: without (`cache.set`): voids the key's lease, is refused by
   * a fence, and tells the listeners to forget what they had. With a fence's own token (write-through): stored under it,
   * unless another fence of the key stood at any time since this one was put up: whose commit came last is not known
   * then ('fenced').
   */
  set(key: string, entry: TierEntry, lease: string | null): Promise<SetOutcome>
  /** A lease on what is still fresh, for who loads ahead of its end; null: somebody else has it, or a fence stands. */
  lease?(key: string): Promise<string | null>
  /** A load failed: the next asker gets a lease at once. */
  release(key: string, lease: string): Promise<void>
  /** Gone for all, leases voided, told to all listeners. */
  forget(what: Forgotten): Promise<void>
  /**
   * Forgets keys and tags, voids leases, and refuses leases and sets of these keys, and sets of entries with these
   * tags, until `lift` or until `ttlMs` has passed. Several fences on a name stand beside each other. Calling it again
   * with the token renews `ttlMs`.
   * @param token chosen by the caller, unique
   */
  fence(names: FenceNames, token: string, ttlMs: number): Promise<void>
  /**
   * Ends a fence. Forgets keys (but those that were set under its token) and tags once more, and tells the listeners.
   * @param floor sets of these keys with a lower version are refused from now on (for as long as entries live); -1: none
   */
  lift(names: FenceNames, token: string, floor: number): Promise<void>
  /** One listener for each cache of the process. Returns how to end it. */
  subscribe(listener: TierListener): () => void
  close(): Promise<void>
}

export interface FenceNames {
  readonly keys: readonly string[]
  readonly tags: readonly string[]
}

/** Why something happened, as metrics and events name it. */
export type CacheReason =
  | 'hit'
  | 'hit-negative'
  | 'hit-early'
  | 'hit-stale'
  | 'miss-absent'
  | 'miss-expired'
  | 'miss-tag'
  | 'miss-fenced'
  | 'joined'
  | 'loaded'
  | 'load-failed'
  | 'load-timeout'
  | 'stale-on-error'
  | 'stored'
  | 'refused-void'
  | 'refused-fenced'
  | 'refused-older'
  | 'refused-too-big'
  | 'evicted'
  | 'forgotten'
  | 'tier-failed'
  | 'tier-hit'
  | 'tier-miss'

/** Something an operator may want to know; never on a hit's way. */
export type CacheEvent =
  | { readonly kind: 'tier-lost' | 'tier-regained'; readonly cache: string }
  | { readonly kind: 'feed-lost' | 'feed-regained' | 'feed-gap'; readonly cache: string }
  | { readonly kind: 'load-failed'; readonly cache: string; readonly key: string; readonly cause: unknown }
  | { readonly kind: 'tier-failed'; readonly cache: string; readonly call: string; readonly cause: unknown }
  | { readonly kind: 'save-failed'; readonly cache: string; readonly key: string; readonly cause: unknown }
  | { readonly kind: 'journal-damaged'; readonly cache: string; readonly lines: number }
