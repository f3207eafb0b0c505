// Hit ratio of a cache from its size, and the size for a hit ratio, in steady state and under independent requests: Che's
// approximation for LRU (Che, Tung & Wang, 2002), its form for FIFO and RANDOM (Fricker, Robert & Roberts, 2012), the best
// objects kept for a perfect LFU; and caches by time to live. Che's form is within .0005 of simulations from 100 entries on.

import { type Answer, firstWrong, given, notNegative, positive, share, whole } from './answer.ts'
import { rootOf } from './numerics.ts'
import type { Popularity } from './popularity.ts'

export type CacheKind = 'lru' | 'fifo' | 'random' | 'lfu'

export interface CacheFigures {
  /** Share of requests that hit. */
  readonly hitRatio: number
  /** How long an object stays without being asked for, in requests to the cache; null: LFU, or everything fits. */
  readonly characteristicTime: number | null
}

/** @param entries objects that the cache holds; 0 and more */
export function cacheHitRatio(
  popularity: Popularity,
  kind: CacheKind,
  entries: number,
): Answer<CacheFigures> {
  const wrong = firstWrong(notNegative('entries', entries))
  if (wrong) return wrong
  if (entries >= popularity.objects) return given({ hitRatio: 1, characteristicTime: null })
  if (entries === 0) return given({ hitRatio: 0, characteristicTime: null })
  if (kind === 'lfu') return given({ hitRatio: bestShare(popularity, entries), characteristicTime: null })
  const inCache = kept(kind)
  const time = Math.exp(
    rootOf(
      log => sumOf(popularity, inCache, Math.exp(log), false) - entries,
      Math.log(entries) - 1,
      longest(popularity),
    ),
  )
  return given({ hitRatio: Math.min(1, sumOf(popularity, inCache, time, true)), characteristicTime: time })
}

/** Entries for a wanted hit ratio: the inverse of `cacheHitRatio`, rounded up. */
export function cacheEntriesFor(popularity: Popularity, kind: CacheKind, hitRatio: number): Answer<number> {
  const wrong = firstWrong(share('hit ratio', hitRatio))
  if (wrong) return wrong
  if (hitRatio === 0) return given(0)
  if (hitRatio === 1) return given(popularity.objects)
  if (kind === 'lfu') return given(bestEntries(popularity, hitRatio))
  const inCache = kept(kind)
  const shortest = Math.log(hitRatio / (popularity.probability[0] as number)) - 50
  const time = Math.exp(
    rootOf(log => sumOf(popularity, inCache, Math.exp(log), true) - hitRatio, shortest, longest(popularity)),
  )
  return given(Math.min(popularity.objects, Math.ceil(sumOf(popularity, inCache, time, false) - 1e-9)))
}

/** P(in cache) of an object that is asked for x times, on average, in a characteristic time. */
function kept(kind: 'lru' | 'fifo' | 'random'): (x: number) => number {
  return kind === 'lru' ? x => -Math.expm1(-x) : x => x / (1 + x)
}

/** Σ P(in cache): entries; or weighted by requests: the hit ratio. */
function sumOf(from: Popularity, inCache: (x: number) => number, time: number, byRequests: boolean): number {
  let sum = 0
  for (let at = from.count.length - 1; at >= 0; at--) {
    const probability = from.probability[at] as number
    const part = (from.count[at] as number) * inCache(probability * time)
    sum += byRequests ? part * probability : part
  }
  return sum
}

/** Logarithm of a time in which the rarest object that is asked for at all comes 10^18 times: all is in the cache. */
function longest(from: Popularity): number {
  let rarest = 1
  for (const probability of from.probability)
    if (probability > 0 && probability < rarest) rarest = probability
  return Math.log(1e18) - Math.log(rarest)
}

function bestShare(from: Popularity, entries: number): number {
  let left = entries
  let sum = 0
  for (let at = 0; at < from.count.length && left > 0; at++) {
    const taken = Math.min(left, from.count[at] as number)
    sum += taken * (from.probability[at] as number)
    left -= taken
  }
  return Math.min(1, sum)
}

function bestEntries(from: Popularity, hitRatio: number): number {
  let left = hitRatio
  let entries = 0
  for (let at = 0; at < from.count.length; at++) {
    const probability = from.probability[at] as number
    const count = from.count[at] as number
    if (probability * count >= left)
      return Math.min(from.objects, entries + Math.ceil(left / probability - 1e-9))
    left -= probability * count
    entries += count
  }
  return from.objects
}

export interface TtlFigures {
  readonly hitRatio: number
  /** Mean number of objects that are held. */
  readonly entries: number
}

/**
 * A cache without a bound on its size, whose entries end by time. Renewal theory with Poisson requests: `fixed` from when it
 * was stored, h = λT/(1 + λT); `sliding` from the last request, h = 1 − e^(−λT).
 * @param requestRate requests per unit of time to the whole cache; `ttl` in the same unit
 */
export function ttlCache(
  popularity: Popularity,
  requestRate: number,
  ttl: number,
  from: 'fixed' | 'sliding',
): Answer<TtlFigures> {
  const wrong = firstWrong(notNegative('request rate', requestRate), notNegative('time to live', ttl))
  if (wrong) return wrong
  const inCache = kept(from === 'fixed' ? 'fifo' : 'lru')
  const time = Math.min(requestRate * ttl, Number.MAX_VALUE)
  return given({
    hitRatio: Math.min(1, sumOf(popularity, inCache, time, true)),
    entries: sumOf(popularity, inCache, time, false),
  })
}

/** What reaches the store behind: λ(1 − h). */
export function missRate(requestRate: number, hitRatio: number): Answer<number> {
  const wrong = firstWrong(notNegative('request rate', requestRate), share('hit ratio', hitRatio))
  return wrong ?? given(requestRate * (1 - hitRatio))
}

/** Bytes of `entries` with what each costs beside key and value: a place in the table, pointers, a length (50 to 90 B). */
export function cacheBytes(
  entries: number,
  keyBytes: number,
  valueBytes: number,
  overheadBytes: number,
): Answer<number> {
  const wrong = firstWrong(
    notNegative('entries', entries),
    notNegative('key bytes', keyBytes),
    notNegative('value bytes', valueBytes),
    notNegative('overhead bytes', overheadBytes),
  )
  return wrong ?? given(entries * (keyBytes + valueBytes + overheadBytes))
}

/** Seconds during which a cold cache sends (nearly) all requests on: its characteristic time at this rate. */
export function coldStartSeconds(figures: CacheFigures, requestsPerSecond: number): Answer<number> {
  const wrong = firstWrong(positive('requests per second', requestsPerSecond))
  return wrong ?? given((figures.characteristicTime ?? 0) / requestsPerSecond)
}

/**
 * Hit ratio of caches in a row, where each sees what the one before missed: 1 − Π(1 − h). The ratios are those that each
 * level has on its own, filtered, requests.
 */
export function layeredHitRatio(hitRatios: readonly number[]): Answer<number> {
  const wrong = firstWrong(
    whole('levels', hitRatios.length, 1, 100),
    ...hitRatios.map(h => share('hit ratio', h)),
  )
  return wrong ?? given(1 - hitRatios.reduce((missed, h) => missed * (1 - h), 1))
}

/** LRU under a scan of `keys` in a circle: nothing until all fit, then all but the first round. @param references in all */
export function cyclicScanHitRatio(keys: number, entries: number, references: number): Answer<number> {
  const wrong = firstWrong(
    whole('keys', keys, 1, 1e12),
    notNegative('entries', entries),
    whole('references', references, 1, 1e15),
  )
  if (wrong) return wrong
  return given(entries < keys ? 0 : Math.max(0, references - keys) / references)
}
