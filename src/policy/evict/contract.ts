// What every eviction policy promises. A policy knows slots (small integers that its owner gives out), a hash and a size
// for each; it keeps its order in typed arrays over plain or shared memory and allocates nothing after it was made.
// It decides who goes next; who owns the slots does it.

export type EvictionKind =
  | 'fifo'
  | 'lifo'
  | 'lru'
  | 'mru'
  | 'lfu'
  | 'random'
  | 'clock'
  | 'sieve'
  | 's3-fifo'
  | 'arc'
  | 'w-tinylfu'

export interface EvictionOptions {
  /** Slots are 0 .. slots - 1. */
  readonly slots: number
  /** What the cache may hold, in the unit of `insert`'s size: 1 for each entry, or bytes. Shares (10 % of S3-FIFO) are of this. */
  readonly capacity: number
  readonly seed?: number
}

/**
 * The owner makes room first (`evict` until the new one fits), then inserts: LIFO and MRU mean that order, and so no
 * more than the capacity is ever in. One larger than the capacity it does not insert at all. `insert`, `evict`, `remove`
 * and `clear` need its lock where several threads share the memory, and `hit` too where it is not lock-free. What a
 * thread left half done when it died is put right by `clear`.
 */
export interface EvictionPolicy {
  readonly kind: EvictionKind
  /** `hit` writes nothing but marks of its own slot: several threads may call it at once, without the owner's lock. */
  readonly hitIsLockFree: boolean
  /** False: `insert` and `miss` look at no hash, and the owner need not make one. */
  readonly usesHashes: boolean
  /**
   * A key came into this free slot. `size`: integer, 0 to 2^32 - 1. `hash`: 32 bits of
   * the key, signed or not, by which it is known again after it went (ghosts, sketches).
   */
  insert(slot: number, hash: number, size: number): void
  hit(slot: number): void
  /**
   * Takes out the slot that should go next, which may be the newest (an admission filter refused it); -1: none is in.
   * The owner calls it until what is in fits its capacity.
   */
  evict(): number
  /** It went for another reason: purged, replaced, expired. */
  remove(slot: number): void
  /** Hash asked for and not found: what admission filters count. */
  miss(hash: number): void
  /** Entries and total size that are in. */
  readonly count: number
  readonly size: number
  /** Uses of this slot that the policy remembers, roughly (0, 1, 2, 3 ...): what decides whether a second tier takes it. */
  uses(slot: number): number
  /** As new, whatever state it was in. */
  clear(): void
}

/** `bytes` of zeroed memory, then `attach` in each thread, with the same options, at a multiple of 8; or `create` for one thread. */
export interface EvictionFactory {
  readonly kind: EvictionKind
  bytes(options: EvictionOptions): number
  attach(memory: ArrayBufferLike, byteOffset: number, options: EvictionOptions): EvictionPolicy
  create(options: EvictionOptions): EvictionPolicy
}
