// Caches of a checked system written as a system file has them, every default spelled out.

import type {
  CheckedCache,
  CheckedCachedQueries,
  CheckedEdgeCache,
  CheckedRouteCache,
} from './checked-caches.ts'
import { defined } from './shapes.ts'
import { ms, msOf } from './spell-values.ts'

export function spellRouteCache(one: CheckedRouteCache): object {
  const { key, negativeMs } = one
  return defined({
    ttl: msOf(one.ttlMs),
    key: defined({
      query: key.query,
      headers: key.headers,
      cookies: key.cookies,
      device: key.device,
      country: key.countryHeader,
      languages: key.languages,
    }),
    swr: msOf(one.staleWhileRevalidateMs),
    staleIfError: msOf(one.staleIfErrorMs),
    negative:
      negativeMs &&
      Object.fromEntries(Object.entries(negativeMs).map(([status, time]) => [status, ms(time)])),
    tags: one.tags,
    bypass: one.bypass,
    browserTtl: msOf(one.browserTtlMs),
    immutable: one.immutable,
    heuristics: one.heuristics,
    stripCookies: one.stripCookies,
    refreshAhead: one.refreshAhead === 0 ? false : one.refreshAhead,
    collapse: one.collapseMs === 0 ? false : ms(one.collapseMs),
  })
}

export function spellEdgeCache(one: CheckedEdgeCache): object {
  const { disk, parent } = one
  return defined({
    memory: one.memoryBytes,
    entries: one.entriesMax,
    objectMax: one.objectBytesMax,
    eviction: one.eviction,
    disk: disk
      ? defined({
          directory: disk.directory ?? undefined,
          size: disk.bytes,
          objectMax: disk.objectBytesMax,
        })
      : false,
    parent: parent && defined({ url: parent.url, caFile: parent.caFile }),
    backgroundMax: one.backgroundMax,
    peers: one.peers,
  })
}

export function spellCache({ kind, urls, access }: CheckedCache): object {
  return defined({ redis: urls.length === 1 ? urls[0] : urls, kind, access: access ?? undefined })
}

export function spellCachedQueries(one: CheckedCachedQueries): object {
  return {
    ...(one.rules.length > 0
      ? { rules: one.rules.map(({ tables, ttlMs }) => ({ tables, ttl: ms(ttlMs) })) }
      : {}),
    memory: one.bytesMax,
    resultMax: one.resultBytesMax,
    hints: one.hintTtlMsMax === 0 ? false : ms(one.hintTtlMsMax),
  }
}
