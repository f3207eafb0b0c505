// Edges with a cache, for tests: specs of which a test writes only what it is about.

import type { CacheSpec, EdgeCacheSpec, EdgeSnapshot, RouteSpec } from '../../src/edge/snapshot.ts'
import { proxyRoute } from './edge-harness.ts'

export function cacheSpec(change: Partial<CacheSpec> = {}): CacheSpec {
  return {
    key: { query: 'all', headers: [], cookies: [], device: false, languages: [] },
    tags: [],
    bypass: { headers: [], cookies: [], query: [] },
    immutable: false,
    heuristics: false,
    stripCookies: false,
    refreshAhead: 0,
    collapseMs: 20_000,
    ...change,
  }
}

export function cachedRoute(
  path = '/*',
  change: Partial<CacheSpec> = {},
  route: Partial<RouteSpec> = {},
  action: Parameters<typeof proxyRoute>[2] = {},
): RouteSpec {
  return proxyRoute(path, { cache: cacheSpec(change), ...route }, action)
}

/** What a snapshot has more. */
export function withCache(
  change: Partial<EdgeCacheSpec> = {},
  store: Partial<EdgeCacheSpec['store']> = {},
): Partial<EdgeSnapshot> {
  return {
    cache: {
      store: {
        memoryBytes: 16 << 20,
        entriesMax: 10_000,
        objectBytesMax: 2 << 20,
        eviction: 's3-fifo',
        ...store,
      },
      name: 'tenfold',
      backgroundMax: 64,
      ...change,
    },
  }
}
