// What the HTTP cache's policies (RFC 9111 as a shared cache) take and give. Fields are read through `Fields`, dates
// through `ReadDate`; what a route wants comes as `CacheRules` and `KeyRules`, the shapes of a snapshot's `CacheSpec` and
// `CacheKeySpec`. Times in microseconds where the name says `Us`, in milliseconds in rules; flags are bits of `Flag`.

/** All values of a field by lower-case name, joined by `, ` (RFC 9110 5.3); undefined where absent. */
export interface Fields {
  find(name: string): string | undefined
}

/** Seconds since 1970; NaN when the text is no HTTP date. */
export type ReadDate = (text: string, nowSeconds: number) => number

/** A route's rules, which stand above what the origin says. */
export interface CacheRules {
  /** Fresh for so long, unless the origin says private, no-store or sets a cookie. Clients' directives are then ignored. */
  readonly ttlMs?: number
  readonly staleWhileRevalidateMs?: number
  readonly staleIfErrorMs?: number
  /** By status (`404`) or class (`5xx`). */
  readonly negativeMs?: Readonly<Record<string, number>>
  readonly browserTtlMs?: number
  readonly immutable: boolean
  readonly heuristics: boolean
  /** Stored without their Set-Cookie; who asked still gets his. */
  readonly stripCookies: boolean
  /** Set-Cookie is stored and shared, as RFC 9111 7.3 has it. Only for origins whose cookies are the same for everybody. */
  readonly shareCookies?: boolean
  /** 0..1; 0: not. */
  readonly refreshAhead: number
}

export interface KeyRules {
  readonly query:
    | 'all'
    | 'none'
    | { readonly only: readonly string[] }
    | { readonly except: readonly string[] }
  /** Lower case. */
  readonly headers: readonly string[]
  readonly cookies: readonly string[]
  readonly device: boolean
  readonly countryHeader?: string
  readonly languages: readonly string[]
}

/** Computed once, when a response is stored; a hit only compares these numbers. The store's `StoredMeta`. */
export interface FreshnessMeta {
  status: number
  receivedAtUs: number
  initialAgeUs: number
  freshForUs: number
  staleWhileRevalidateUs: number
  staleIfErrorUs: number
  flags: number
}

export const Flag = {
  /** must-revalidate, proxy-revalidate, s-maxage or no-cache: never served stale (RFC 9111 4.2.4), whatever a client asks. */
  strict: 1,
  /** no-cache: validated before each use. */
  alwaysValidate: 2,
  /** RFC 8246; a client's reload need not be validated while it is fresh. */
  immutable: 4,
  /** Freshness is a guess (4.2.2). */
  heuristic: 8,
  /** Freshness is a rule's. */
  byRule: 16,
  /** Has an ETag or Last-Modified, so that it can be validated. */
  validators: 32,
  /** Has a Vary: stored under a secondary key. */
  varies: 64,
  /** The answer to a request with Authorization. */
  authorized: 128,
  /** A failure of the origin, kept by a `negative` rule. */
  negative: 256,
} as const

/** Of a request, read once. `flags`: bits of `Ask`; seconds are -1 where absent. */
export interface RequestDirectives {
  readonly flags: number
  readonly maxAgeSeconds: number
  readonly maxStaleSeconds: number
  readonly minFreshSeconds: number
}
export const Ask = { noCache: 1, noStore: 2, onlyIfCached: 4 } as const

/** What to do with what is stored. Why: `reuseReason`, when somebody looks. */
export const Reuse = {
  /** Serve it. */
  fresh: 0,
  /** Serve it, and validate in the background: its life is nearly over (refresh ahead). */
  freshRefresh: 1,
  /** Serve it stale, and validate in the background (RFC 5861 3). */
  staleRevalidate: 2,
  /** Serve it stale: the client allows it (max-stale). */
  staleAllowed: 3,
  /** Ask the origin, with conditions where there are validators. Should that fail: `mayServeOnError`. */
  validate: 4,
  /** Nothing may be served and the client wants nobody asked: 504 (only-if-cached). */
  gatewayTimeout: 5,
} as const
export type ReuseCode = (typeof Reuse)[keyof typeof Reuse]

export interface StorageQuestion {
  readonly method: string
  /** As it went to the origin. */
  readonly request: Fields
  readonly status: number
  readonly response: Fields
  readonly rules: CacheRules
  /** Of the route: values that are part of the key are not shared between users. */
  readonly key: KeyRules
  /** Monotonic: the request was sent, the response's head came. */
  readonly requestAtUs: number
  readonly responseAtUs: number
  /** Wall time of the response's head. */
  readonly wallSeconds: number
  readonly readDate: ReadDate
}

/** The verdict on an answer. `store` false: why says why not; the numbers are then those it would have had. */
export interface Judged extends FreshnessMeta {
  readonly store: boolean
  /** Code of `CacheReason`; `cacheReasonText(why, whyNumber)`. */
  readonly why: number
  readonly whyNumber: number
  /** Nobody else may have this answer, whoever waits for it: private, no-store, a cookie, `Vary: *`. Implies not stored. */
  readonly personal: boolean
  /**
   * Lower-case names of fields that are not to be stored: Age (it is in the numbers), stripped cookies, those of
   * `no-cache="a"` and `private="b"`. Whoever asked gets them still.
   */
  readonly drop: readonly string[]
  /** Lower-case names of Vary, sorted, without repeats; empty where it varies by nothing. */
  readonly vary: readonly string[]
}
