// The edge's response store as one worker thread sees it. Bodies and heads lie in memory that all worker threads share,
// bounded in bytes and entries; a disk tier may stand behind it. It knows keys, heads, bodies, tags and eviction; whether
// an answer may be stored or used is decided by `policy/freshness` and done by `edge/cache`.

import type { EvictionKind } from '../../policy/evict/contract.ts'

/** Fixed for the life of an edge process: the memory is shared by its threads from the start. */
export interface StoreSpec {
  readonly memoryBytes: number
  readonly entriesMax: number
  /** Larger bodies are not stored in memory. */
  readonly objectBytesMax: number
  readonly eviction: EvictionKind
  /** Absent: memory only. */
  readonly disk?: { readonly directory: string; readonly bytes: number; readonly objectBytesMax: number }
}

/** What the cache's policies want to know again of a stored response. Times in microseconds. Opaque to the store. */
export interface StoredMeta {
  status: number
  /** Monotonic time when the response came (on disk: wall time, translated when it is loaded). */
  receivedAtUs: number
  /** Corrected initial age (RFC 9111 4.2.3). */
  initialAgeUs: number
  freshForUs: number
  staleWhileRevalidateUs: number
  staleIfErrorUs: number
  /** Bits of `policy/freshness`. */
  flags: number
}

export interface Piece {
  bytes: Buffer
  from: number
  to: number
}

/** A response that is stored. Pinned: what it shows stays as it is until `release`, whatever is evicted, purged or replaced. */
export interface StoredEntry {
  readonly key: string
  readonly meta: StoredMeta
  /** Marked stale by a soft purge. */
  readonly purgedSoftly: boolean
  /** Field lines, Latin-1, each with its CRLF. */
  readonly fields: string
  /** Of the whole body; -1 while it is still coming and nobody said. */
  readonly bodyBytes: number
  /** The whole body as Latin-1 text, where it is small (`textBytesMax`) and all here. */
  text(): string | null
  /**
   * Bytes from offset `at` on, without a copy, as many as lie together; null: they are not here yet (`whenMore`), or
   * `at` is the end (`ended(at)`).
   */
  piece(at: number, into: Piece): Piece | null
  /** The body is complete and `at` is its end. */
  ended(at: number): boolean
  /** Once: more than `at` bytes are here, or the end; false: the rest will never come (its fill was cut, the disk failed). */
  whenMore(at: number, told: (ok: boolean) => void): void
  release(): void
}

/** One answer on its way into the store. Its key is led by this worker until it ends by one of the last four. */
export interface Fill {
  readonly key: string
  /**
   * The answer may be stored. `bodyBytes`: -1 where its length is unknown. False: it can't be (too large, no room): the
   * fill is over as by `abort`, and waiters go their own ways.
   */
  begin(meta: StoredMeta, fields: string, tags: readonly string[], bodyBytes: number): boolean
  /** False: it turned out too large; over, as by `abort`. The bytes are copied. */
  write(bytes: Buffer, from: number, to: number): boolean
  writeText(text: string): boolean
  /** Whole: seen by everybody from now on, in place of what was under its key. */
  commit(): void
  /** Cut short or failed: nothing is kept. Waiters are told 'failed': the first of them leads. */
  abort(): void
  /** What is stored under the key is good again (304, `store.freshen`): over, waiters are told 'stored'. */
  validated(): void
  /** Not to be shared: waiters are told 'alone', and for `forUs` nobody waits on this key. */
  alone(forUs: number): void
}

/** What became of the answer that somebody waited for: look again; lead; go your own way. */
export type WaitEnd = 'stored' | 'failed' | 'alone' | 'late'

export interface WorkerStore {
  /** Under this key, whole or (`meta` and fields known) still being written, not purged since. Counts as a use. */
  get(key: string): StoredEntry | null
  /** Not in memory: true when the disk tier may have it; `told` then comes once, in a later turn. */
  load(key: string, told: (entry: StoredEntry | null) => void): boolean
  /**
   * One fill a key over all workers. A fill: this worker leads. Null: somebody else does:
   * `wait` for it. `asOf`: purges count from when that fill was led (the answer to it turned out to be a variant).
   */
  lead(key: string, asOf?: Fill): Fill | null
  /** Whether the last answers under this key were not to be shared: nobody should wait on it. */
  isAlone(key: string): boolean
  wait(key: string, waitUs: number, told: (end: WaitEnd) => void): Wait
  /** After a 304: new times and fields for what is stored. A purge since wins. */
  freshen(entry: StoredEntry, meta: StoredMeta, fields: string): void
  remove(key: string): void
  /** What is stored under the key is also written to the disk tier, where there is one, used or not: what was pushed. */
  keep(key: string): void
  /** In this worker at once; others within milliseconds (shared memory: in fact at once). */
  purge(what: Purge): void
  /** Number of the last purge that began. */
  readonly purgesBegun: number
  /** Whether a purge after that one concerns what would stand under the key with these tags. */
  isPurgedSince(key: string, tags: readonly string[], purgesBegun: number): boolean
  readonly counts: StoreCounts
}

export interface Wait {
  /** Its exchange is over: `told` does not come. */
  cancel(): void
}

/**
 * What goes. A key is `host SP target [SP variant]` (no other spaces). `targets`: exact, for every host (`/films?page=2`)
 * or for one (`tickets.example/films`). `prefixes`: whole path segments (`/films/`, `tickets.example/films/`).
 * Everything that was asked of an origin before the purge is gone, also what is still on its way.
 */
export interface Purge {
  readonly all?: boolean
  readonly targets?: readonly string[]
  readonly prefixes?: readonly string[]
  readonly tags?: readonly string[]
  /** Whole keys, as the store has them. */
  readonly keys?: readonly string[]
  /** Stale from now on instead of gone: may be served while it is validated, or when the origin is down. */
  readonly soft?: boolean
}

export interface StoreCounts {
  readonly entries: number
  readonly bytes: number
  readonly bytesMax: number
  readonly evicted: number
  readonly refused: number
  readonly purges: number
  readonly diskEntries: number
  readonly diskBytes: number
  readonly diskFailures: number
}
