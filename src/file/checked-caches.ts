// What the checked system says about caches: types only. The shapes under a route fit the edge's snapshot one to one.
// Durations are `...Ms` numbers, sizes are bytes, paths stay as written, secrets stay references.

import type { EvictionKind } from '../policy/evict/contract.ts'
import type { AddressService, EnvValue } from './checked.ts'

/** A route's cache. */
export interface CheckedRouteCache {
  /** Absent: what the origin says. */
  readonly ttlMs?: number
  readonly key: CheckedCacheKey
  readonly staleWhileRevalidateMs?: number
  readonly staleIfErrorMs?: number
  /** By status (`404`) or class (`5xx`). */
  readonly negativeMs?: Readonly<Record<string, number>>
  /** With `{name}` of the route's path. */
  readonly tags: readonly string[]
  readonly bypass: CheckedBypass
  readonly browserTtlMs?: number
  readonly immutable: boolean
  readonly heuristics: boolean
  readonly stripCookies: boolean
  /** 0..1; 0: not. */
  readonly refreshAhead: number
  /** 0: each request asks for itself. */
  readonly collapseMs: number
}

export interface CheckedCacheKey {
  readonly query:
    | 'all'
    | 'none'
    | { readonly only: readonly string[] }
    | { readonly except: readonly string[] }
  /** Lower case. */
  readonly headers: readonly string[]
  readonly cookies: readonly string[]
  readonly device: boolean
  /** Lower case. */
  readonly countryHeader?: string
  readonly languages: readonly string[]
}

export interface CheckedBypass {
  /** Lower case. */
  readonly headers: readonly string[]
  readonly cookies: readonly string[]
  readonly query: readonly string[]
}

/** The store that all routes share. */
export interface CheckedEdgeCache {
  readonly memoryBytes: number
  readonly entriesMax: number
  readonly objectBytesMax: number
  readonly eviction: EvictionKind
  readonly disk?: CheckedCacheDisk
  readonly parent?: CheckedParent
  /** Per worker thread. */
  readonly backgroundMax: number
  readonly peers: readonly CheckedPeer[]
}

export interface CheckedCacheDisk {
  /** As written; null: `cache` in the state directory. */
  readonly directory: string | null
  readonly bytes: number
  readonly objectBytesMax: number
}

/** Another Tenfold that is asked before the routes' own services. */
export interface CheckedParent {
  /** `https://shield.example`, without a path. */
  readonly url: string
  readonly caFile?: string
  /** How it is reached; named as no service of a file can be. */
  readonly service: AddressService
}

/** The control API of another Tenfold that forgets when we do. */
export interface CheckedPeer {
  readonly url: string
  readonly token: EnvValue
}

/** The shared tier of application caches and sessions. */
export interface CheckedCache {
  readonly name: string
  readonly kind: 'server' | 'cluster' | 'ring'
  readonly urls: readonly EnvValue[]
  /** Services that get CACHE_URL; null: every one that Tenfold runs. */
  readonly access: readonly string[] | null
}

/** What caches forget when rows of a table change; `{column}` is filled in. */
export interface CheckedInvalidation {
  /** `films` or `shop.films`. */
  readonly on: string
  readonly tags: readonly string[]
  readonly urls: readonly string[]
  readonly keys: readonly string[]
}

/** Results of reads that the database router keeps. */
export interface CheckedCachedQueries {
  /** Of all results together. */
  readonly bytesMax: number
  /** Larger results are not kept. */
  readonly resultBytesMax: number
  /** Reads of tables that are all in one of these. */
  readonly rules: readonly { readonly tables: readonly string[]; readonly ttlMs: number }[]
  /** The longest time that a statement's own hint may ask for; 0: hints are not obeyed. */
  readonly hintTtlMsMax: number
}
