// Hit ratios against closed forms and published tables. Deterministic policies have exact answers from an empty cache:
// a difference in the second decimal is a fault.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EvictionKind } from './contract.ts'
import { evictionKinds } from './index.ts'
import { hitPercent } from './testing/owner.ts'
import {
  cheFifoPercent,
  cheLruPercent,
  fading,
  loop,
  loopAndScan,
  randomLoopPercent,
  readAgainSoon,
  zipf,
  zipfShares,
} from './testing/traces.ts'

const exactly = (actual: number, wanted: number, what: string): void =>
  assert.equal(actual.toFixed(2), wanted.toFixed(2), what)

function near(actual: number, wanted: number, within: number, what: string): void {
  const sentence = `${what}: ${actual.toFixed(2)} % instead of ${wanted.toFixed(2)} +- ${within}`
  assert.ok(Math.abs(actual - wanted) <= within, sentence)
}

type Row = readonly [EvictionKind, again: number, loop: number, scan: number]
/** 512 entries, from empty. */
const exact: readonly Row[] = [
  ['fifo', 49.97, 0, 0],
  ['lru', 49.97, 0, 0],
  ['clock', 49.92, 0, 0],
  ['lfu', 0.21, 0, 0],
  ['mru', 49.97, 51.1, 0.05],
  ['sieve', 0.21, 0, 0],
  ['s3-fifo', 49.97, 0, 49.84],
]

describe('shapes that tell policies apart', () => {
  const traces = [readAgainSoon(), loop(1000, 500_000), loopAndScan()] as const

  for (const [kind, ...wanted] of exact) {
    test(`${kind} hits exactly as often as is known`, () => {
      for (const [index, trace] of traces.entries()) {
        exactly(hitPercent(kind, trace, 512), wanted[index]!, `shape ${'ABC'[index]}`)
      }
    })
  }

  test('random comes within a point of what is known, with any seed', () => {
    for (const seed of [1, 2, 3]) {
      for (const [index, wanted] of [39.4, 21.6, 12.9].entries()) {
        near(hitPercent('random', traces[index]!, 512, seed), wanted, 1, `shape ${'ABC'[index]}`)
      }
    }
  })

  test("W-TinyLFU's window finds keys that are read again soon, and the loops lose little by it", () => {
    const [again, looped, scanned] = traces.map(trace => hitPercent('w-tinylfu', trace, 512)) as [
      number,
      number,
      number,
    ]
    assert.ok(again >= 0.9 * 49.97, `shape A: ${again} %`)
    assert.ok(looped >= 43.58 - 3, `shape B: ${looped} %`)
    assert.ok(scanned >= 49.89 - 1, `shape C: ${scanned} %`)
  })

  test('ARC is level with LRU where LRU is best', () => {
    near(hitPercent('arc', traces[0], 512), 49.97, 0.1, 'shape A')
  })
})

describe('closed forms', () => {
  const shares = zipfShares(20_000, 0.99)
  const trace = zipf(20_000, 0.99, 500_000, 7)

  for (const entries of [200, 2000]) {
    test(`LRU follows Che's approximation on Zipf requests with ${entries} entries`, () => {
      near(hitPercent('lru', trace, entries), cheLruPercent(shares, entries), 0.5, 'lru')
    })

    test(`FIFO and random follow theirs with ${entries} entries`, () => {
      for (const kind of ['fifo', 'random'] as const) {
        near(hitPercent(kind, trace, entries), cheFifoPercent(shares, entries), 0.5, kind)
      }
    })
  }

  test('on a loop, random hits what the root says, and MRU all but the swapped ones', () => {
    near(hitPercent('random', loop(600, 200_000), 300), randomLoopPercent(600, 300), 1, 'random')
    near(hitPercent('mru', loop(600, 200_000), 300), (100 * 299) / 599, 0.2, 'mru')
  })

  test('the closed forms themselves give the published figures', () => {
    const published = zipfShares(100_000, 0.99)
    exactly(cheLruPercent(published, 10_000), 72.5, 'LRU, 10,000')
    exactly(cheFifoPercent(published, 10_000), 68.79, 'FIFO, 10,000')
    near(randomLoopPercent(2, 1), 20.3, 0.05, 'random, a loop of twice the cache')
  })
})

test('on Zipf requests each kind comes to its published ratio', () => {
  const trace = zipf(100_000, 0.99, 2_000_000, 5)
  const published: Partial<Record<EvictionKind, number>> = {
    lru: 72.4,
    clock: 73.3,
    lfu: 77,
    sieve: 77,
    's3-fifo': 77.3,
    'w-tinylfu': 77.6,
  }
  for (const kind of evictionKinds) {
    const wanted = published[kind]
    if (wanted !== undefined)
      near(hitPercent(kind, trace, 10_000), wanted, kind === 'w-tinylfu' ? 1 : 0.2, kind)
  }
})

test('where the past fades, the window grows and W-TinyLFU leaves LFU and SIEVE far behind', () => {
  const trace = fading(500_000, 9)
  const [lru, lfu, sieve, tiny] = (['lru', 'lfu', 'sieve', 'w-tinylfu'] as const).map(kind =>
    hitPercent(kind, trace, 512),
  ) as [number, number, number, number]
  assert.ok(lfu < 10 && sieve < 40, `LFU ${lfu} %, SIEVE ${sieve} %`)
  assert.ok(tiny >= 0.85 * lru, `W-TinyLFU ${tiny} %, LRU ${lru} %`)
})
