// Hit ratios against the table (itself held against simulations of 2e7 requests), sums over every object, and inverses.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CacheKind,
  cacheBytes,
  cacheEntriesFor,
  cacheHitRatio,
  coldStartSeconds,
  cyclicScanHitRatio,
  layeredHitRatio,
  missRate,
  ttlCache,
} from './caches.ts'
import { type Popularity, popularityOf, zipf } from './popularity.ts'
import { near, same, value } from './testing.ts'

const hit = (popularity: Popularity, kind: CacheKind, entries: number): number =>
  value(cacheHitRatio(popularity, kind, entries)).hitRatio

test('LRU, FIFO and LFU over Zipf: the table, 100,000 objects', () => {
  const rows: [number, string, string, string][] = [
    [0.6, '.0077 .0536 .2521', '.0074 .0478 .2289', '.0558 .1519 .3934'],
    [0.8, '.0678 .2043 .4687', '.0573 .1792 .4284', '.1785 .3395 .5950'],
    [0.9, '.1560 .3421 .6052', '.1314 .3063 .5637', '.2896 .4742 .7069'],
    [1.0, '.2898 .5062 .7373', '.2500 .4648 .7010', '.4291 .6191 .8096'],
    [1.2, '.6057 .7953 .9176', '.5530 .7627 .8999', '.7076 .8516 .9426'],
  ]
  for (const [alpha, lru, fifo, lfu] of rows) {
    const popularity = value(zipf(alpha, 100_000))
    for (const [at, entries] of [100, 1000, 10_000].entries())
      for (const [kind, row] of [
        ['lru', lru],
        ['fifo', fifo],
        ['random', fifo],
        ['lfu', lfu],
      ] as const)
        same(
          hit(popularity, kind, entries),
          row.split(' ')[at] as string,
          `${kind} of ${entries} at ${alpha}`,
        )
  }
})

test('groups of ranks give what a sum over every object gives, to 1e-6', () => {
  for (const alpha of [0.6, 1, 1.3]) {
    const objects = 50_000
    const each = value(popularityOf(Array.from({ length: objects }, (_, at) => (at + 1) ** -alpha)))
    const grouped = value(zipf(alpha, objects))
    assert.ok(grouped.count.length < 6000)
    for (const entries of [50, 40_000])
      for (const kind of ['lru', 'fifo', 'lfu'] as const) {
        const [one, other] = [hit(grouped, kind, entries), hit(each, kind, entries)]
        assert.ok(Math.abs(one - other) < 1e-6, `${kind} of ${entries} at ${alpha}: ${one} and ${other}`)
      }
  }
})

test('a billion objects: probabilities add up, the harmonic sum is right, and the cache is soon computed', () => {
  const popularity = value(zipf(1, 1_000_000_000))
  const total = popularity.count.reduce(
    (sum, count, at) => sum + count * (popularity.probability[at] as number),
    0,
  )
  near(total, 1, 1e-12)
  near(
    popularity.count.reduce((sum, count) => sum + count, 0),
    1e9,
    1e-15,
  )
  // 1/H(10^9), H(n) = ln n + γ + 1/2n.
  near(popularity.probability[0] as number, 1 / (Math.log(1e9) + 0.5772156649015329 + 0.5e-9), 1e-9)
  const figures = value(cacheHitRatio(popularity, 'lru', 10_000_000))
  assert.ok(figures.hitRatio > 0.7 && figures.hitRatio < 0.8, `${figures.hitRatio}`)
  near(value(coldStartSeconds(figures, 1000)), (figures.characteristicTime as number) / 1000, 1e-12)
})

test('size and hit ratio are inverses, more memory hits more, LFU is best and FIFO is last', () => {
  const kinds = ['lru', 'fifo', 'lfu'] as const
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 2, noNaN: true }),
      fc.integer({ min: 100, max: 1_000_000 }),
      fc.double({ min: 0.05, max: 0.9, noNaN: true }),
      (alpha, objects, part) => {
        const popularity = value(zipf(alpha, objects))
        const entries = Math.max(2, Math.floor(objects * part))
        const hits = kinds.map(kind => hit(popularity, kind, entries))
        const [lru, fifo, lfu] = hits as [number, number, number]
        assert.ok(fifo <= lru + 1e-9 && lru <= lfu + 1e-9, `${fifo} ${lru} ${lfu}`)
        for (const [at, kind] of kinds.entries()) {
          assert.ok(hit(popularity, kind, entries - 1) <= (hits[at] as number) + 1e-12)
          const back = value(cacheEntriesFor(popularity, kind, hits[at] as number))
          // Where the rare objects are hardly asked for, a double can't tell more than this.
          assert.ok(Math.abs(back - entries) <= 1 + entries * 1e-6, `${kind}: ${back} for ${entries}`)
        }
      },
    ),
    { numRuns: 20 },
  )
})

test('the ends: nothing, everything, one more than there is', () => {
  const popularity = value(zipf(0.9, 1000))
  for (const kind of ['lru', 'fifo', 'random', 'lfu'] as const) {
    assert.equal(hit(popularity, kind, 0), 0)
    assert.equal(hit(popularity, kind, 1000), 1)
    assert.equal(hit(popularity, kind, 5000), 1)
    assert.equal(value(cacheEntriesFor(popularity, kind, 0)), 0)
    assert.equal(value(cacheEntriesFor(popularity, kind, 1)), 1000)
  }
  // All alike: a hit is as likely as its place.
  const even = value(zipf(0, 1000))
  for (const kind of ['lru', 'fifo', 'lfu'] as const) near(hit(even, kind, 250), 0.25, 1e-9)
})

test('objects that nobody asks for take no place, wherever they stand', () => {
  const asked = value(zipf(0.9, 1000))
  const beside: Popularity = {
    objects: 3000,
    probability: Float64Array.from([...asked.probability, 0]),
    count: Float64Array.from([...asked.count, 2000]),
  }
  for (const kind of ['lru', 'fifo', 'lfu'] as const) {
    near(hit(beside, kind, 100), hit(asked, kind, 100), 1e-12)
    near(hit(beside, kind, 2000), 1, 1e-9)
    assert.equal(value(cacheEntriesFor(beside, kind, 0.5)), value(cacheEntriesFor(asked, kind, 0.5)))
  }
})

test('time to live: one object by hand, and no bound on size reaches what the characteristic time says', () => {
  const one = value(zipf(1, 1))
  near(value(ttlCache(one, 2, 3, 'fixed')).hitRatio, 6 / 7, 1e-12)
  near(value(ttlCache(one, 2, 3, 'sliding')).hitRatio, 1 - Math.exp(-6), 1e-12)
  assert.deepEqual(value(ttlCache(one, 2, 0, 'fixed')), { hitRatio: 0, entries: 0 })
  const many = value(zipf(0.9, 10_000))
  const lru = value(cacheHitRatio(many, 'lru', 500))
  const sliding = value(ttlCache(many, 10, (lru.characteristicTime as number) / 10, 'sliding'))
  near(sliding.hitRatio, lru.hitRatio, 1e-9)
  near(sliding.entries, 500, 1e-9)
})

test('memory, misses, levels and scans', () => {
  // Twitter's medians: 36 B keys, 224 B values; 70 B around them.
  assert.equal(value(cacheBytes(1_000_000, 36, 224, 70)), 330_000_000)
  near(value(missRate(50_000, 0.9)), 5000, 1e-9)
  near(value(layeredHitRatio([0.5, 0.8])), 0.9, 1e-12)
  assert.equal(value(cyclicScanHitRatio(1011, 1010, 505_500)), 0)
  same(value(cyclicScanHitRatio(1011, 1011, 505_500)), '.998')
})

test('what can not be is named', () => {
  const popularity = value(zipf(1, 10))
  for (const bad of [
    zipf(-1, 10),
    zipf(Number.NaN, 10),
    zipf(11, 10),
    zipf(1, 0),
    zipf(1, 1e13),
    popularityOf([]),
    popularityOf([0, 0]),
    popularityOf([1, -1]),
    cacheHitRatio(popularity, 'lru', -1),
    cacheHitRatio(popularity, 'lru', Number.NaN),
    cacheEntriesFor(popularity, 'lru', 1.1),
    ttlCache(popularity, -1, 1, 'fixed'),
    missRate(1, 2),
    layeredHitRatio([]),
    cyclicScanHitRatio(0, 1, 1),
  ])
    assert.ok(!bad.ok && !bad.unstable && /must be|is asked for/.test(bad.why), JSON.stringify(bad))
})
