// What a cache counts, by reason, and its metrics. Counting is one addition; reading costs only who reads.

import type { Labels, Metrics, Sample } from '../../kit/metrics.ts'
import type { CacheReason } from './contract.ts'

export type CacheCounts = { [R in CacheReason]: number }

export function newCounts(): CacheCounts {
  return {
    hit: 0,
    'hit-negative': 0,
    'hit-early': 0,
    'hit-stale': 0,
    'miss-absent': 0,
    'miss-expired': 0,
    'miss-tag': 0,
    'miss-fenced': 0,
    joined: 0,
    loaded: 0,
    'load-failed': 0,
    'load-timeout': 0,
    'stale-on-error': 0,
    stored: 0,
    'refused-void': 0,
    'refused-fenced': 0,
    'refused-older': 0,
    'refused-too-big': 0,
    evicted: 0,
    forgotten: 0,
    'tier-failed': 0,
    'tier-hit': 0,
    'tier-miss': 0,
  }
}

/** What `stats` gives: counts since the start, and what is held now. */
export interface CacheStats {
  readonly name: string
  readonly counts: Readonly<CacheCounts>
  readonly entries: number
  readonly bytes: number
  readonly loading: number
  /** Invalidations from outside can't be heard at the moment. */
  readonly deaf: boolean
}

/** Puts the figures of all these caches into a registry, under `cache_...`, by cache and reason. */
export function cacheMetrics(metrics: Metrics, stats: () => Iterable<CacheStats>): void {
  const each = function* (of: (one: CacheStats) => Iterable<readonly [Labels, number]>): Iterable<Sample> {
    for (const one of stats())
      for (const [labels, value] of of(one)) yield { labels: { cache: one.name, ...labels }, value }
  }
  const spec = (name: string, help: string, ...labels: string[]) => ({
    name,
    help,
    labels: ['cache', ...labels],
  })
  metrics.pull('counter', spec('cache_events_total', 'What happened in a cache, by reason.', 'reason'), () =>
    each(one => Object.entries(one.counts).map(([reason, count]) => [{ reason }, count] as const)),
  )
  metrics.pull('gauge', spec('cache_entries', 'Entries held in process.'), () =>
    each(one => [[{}, one.entries]]),
  )
  metrics.pull('gauge', spec('cache_bytes', 'Bytes held in process, as estimated.'), () =>
    each(one => [[{}, one.bytes]]),
  )
  metrics.pull('gauge', spec('cache_loads', 'Loads under way.'), () => each(one => [[{}, one.loading]]))
  metrics.pull('gauge', spec('cache_deaf', '1 while invalidations from outside are not heard.'), () =>
    each(one => [[{}, one.deaf ? 1 : 0]]),
  )
}
