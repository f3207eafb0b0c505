// What the control API says about caches, as types. Sizes are bytes, times milliseconds.

/** What is to be forgotten. */
export interface PurgeWish {
  /** Exact, with their query: for one host (`https://shop.example/films`, `shop.example/films`) or all (`/films`). */
  readonly urls?: readonly string[] | undefined
  /** Everything below: `/films/`, `shop.example/films/`. */
  readonly prefixes?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  readonly all?: boolean | undefined
  /** Stale from now on, instead of gone. */
  readonly soft?: boolean | undefined
}

export interface PurgeView {
  readonly text: string
  /** Every edge has forgotten. */
  readonly complete: boolean
  readonly edges: readonly PurgedEdgeView[]
}

export interface PurgedEdgeView {
  /** `edge process 4711`, or the URL of a peer. */
  readonly edge: string
  readonly done: boolean
  /** Empty when it is done. */
  readonly why: string
}

export interface PushWish {
  readonly urls: readonly string[]
  /** Absent: each URL is asked for as a client would. */
  readonly body?: {
    readonly base64: string
    readonly contentType: string
    readonly ttlMs: number
    readonly tags?: readonly string[] | undefined
  }
}

export interface PushView {
  readonly text: string
  readonly complete: boolean
  readonly results: readonly {
    readonly url: string
    readonly stored: boolean
    readonly status: number
    readonly bytes: number
    /** Empty when it is stored. */
    readonly why: string
  }[]
}

export interface CacheView {
  /** As in Cache-Status. */
  readonly name: string
  readonly eviction: string
  readonly store: CacheStoreView
  readonly routes: readonly CachedRouteView[]
  readonly peers: readonly CachePeerView[]
}

export interface CacheStoreView {
  readonly entries: number
  readonly bytes: number
  readonly bytesMax: number
  readonly evicted: number
  /** Too large, or no room. */
  readonly refused: number
  readonly purges: number
  readonly diskEntries: number
  readonly diskBytes: number
  readonly diskFailures: number
}

export interface CachedRouteView {
  readonly id: string
  readonly hits: number
  readonly stale: number
  readonly revalidated: number
  readonly collapsed: number
  readonly misses: number
  readonly bypassed: number
  readonly hitBytes: number
  /** 0..1: answered without asking the service, of all that the cache was asked for; null: none yet. */
  readonly hitRatio: number | null
}

export interface CachePeerView {
  readonly url: string
  /** Purges that it has not been told yet. */
  readonly waiting: number
  readonly why: string
}

export interface CacheLookView {
  readonly url: string
  readonly route: string | null
  readonly key: string
  readonly why: string
  readonly entry: {
    readonly status: number
    readonly state: 'fresh' | 'stale' | 'filling'
    readonly ageMs: number
    readonly freshForMs: number
    readonly bodyBytes: number
    readonly fields: string
  } | null
}

/** Part of the status. */
export interface CacheSummaryView {
  readonly entries: number
  readonly bytes: number
  readonly bytesMax: number
  readonly hitRatio: number | null
}

/** Servers behind one of `caches`, seen by one application cache. */
export interface SharedCacheView {
  readonly cache: string
  /** Name of the application cache (`createCache({ name })`). */
  readonly of: string
  readonly servers: readonly {
    readonly server: string
    readonly ready: boolean
    /** Why it is away. */
    readonly cause: string | null
    readonly entries: number
    /** False: estimated. */
    readonly counted: boolean
    readonly memoryBytes: number
    /** 0: unbounded. */
    readonly memoryBytesMax: number
    readonly policy: string
    readonly evicted: number
    readonly hits: number
    readonly misses: number
  }[]
  readonly warnings: readonly string[]
}

export interface SharedEntryView {
  readonly cache: string
  readonly of: string
  readonly key: string
  readonly state: 'hit' | 'stale' | 'miss' | 'wait' | 'fenced'
  readonly entry: {
    /** Null: known not to exist, or bytes that are no text. */
    readonly value: string | null
    readonly bytes: number
    readonly format: string
    readonly tags: readonly string[]
    /** -1: none. */
    readonly version: number
    readonly freshMs: number
    readonly graceMs: number
  } | null
}

export interface SharedPurgeWish {
  readonly of: string
  readonly keys?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  readonly all?: boolean | undefined
  /** Expired instead of gone. */
  readonly soft?: boolean | undefined
}
