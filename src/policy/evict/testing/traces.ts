// Requests as keys: the shapes that tell policies apart, and Zipf; with the closed forms of what hits they allow. For tests
// and for the hit ratios of the bench.

import { seededRandom } from '../../../kit/random.ts'

function traceOf(length: number, write: (at: number) => number): Int32Array {
  return Int32Array.from({ length }, (_, at) => write(at))
}

/** Each key is read once, and once again 100 keys later; never after. */
export function readAgainSoon(): Int32Array {
  const keys: number[] = []
  for (let i = 0; i < 100_000; i++) {
    keys.push(i)
    if (i >= 100) keys.push(i - 100)
  }
  return Int32Array.from(keys)
}

export function loop(keys: number, length: number): Int32Array {
  return traceOf(length, at => at % keys)
}

/** A loop over 400 keys between keys that never come back. */
export function loopAndScan(): Int32Array {
  return traceOf(500_000, at => (at % 2 === 0 ? (at / 2) % 400 : 1000 + (at - 1) / 2))
}

/** The recent past matters, and fades: LRU is at its best. */
export function fading(length: number, seed: number): Int32Array {
  const random = seededRandom(seed)
  return traceOf(length, at => 100_000 + Math.floor(at / 10) + Math.floor(Math.log(1 - random.float()) * 400))
}

/** Shares of the keys, by rank. */
export function zipfShares(keys: number, exponent: number): Float64Array {
  const shares = Float64Array.from({ length: keys }, (_, rank) => (rank + 1) ** -exponent)
  const total = shares.reduce((sum, share) => sum + share, 0)
  return shares.map(share => share / total)
}

export function zipf(keys: number, exponent: number, length: number, seed: number): Int32Array {
  const random = seededRandom(seed)
  let sum = 0
  const upTo = zipfShares(keys, exponent).map(share => (sum += share))
  return traceOf(length, () => firstAbove(upTo, random.float() * sum))
}

function firstAbove(ascending: Float64Array, value: number): number {
  let [from, to] = [0, ascending.length - 1]
  while (from < to) {
    const middle = (from + to) >> 1
    if (ascending[middle]! < value) from = middle + 1
    else to = middle
  }
  return from
}

/** Che's approximation of LRU under independent requests, in percent. */
export function cheLruPercent(shares: Float64Array, entries: number): number {
  const inCache = (share: number, time: number): number => 1 - Math.exp(-share * time)
  return closedForm(shares, entries, inCache)
}

/** The same for FIFO and random. */
export function cheFifoPercent(shares: Float64Array, entries: number): number {
  const inCache = (share: number, time: number): number => (share * time) / (1 + share * time)
  return closedForm(shares, entries, inCache)
}

/** The time for which as many are in as there is room for, and the hits that this gives. */
function closedForm(
  shares: Float64Array,
  entries: number,
  inCache: (share: number, time: number) => number,
): number {
  const held = (time: number): number => shares.reduce((sum, share) => sum + inCache(share, time), 0)
  let [low, high] = [0, 1]
  while (held(high) < entries) high *= 2
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2
    if (held(middle) < entries) low = middle
    else high = middle
  }
  return 100 * shares.reduce((sum, share) => sum + share * inCache(share, high), 0)
}

/** A loop over `keys` with random victims: the root of h = e^(-(1 - h) keys / entries), in percent. */
export function randomLoopPercent(keys: number, entries: number): number {
  let hits = 0
  for (let step = 0; step < 1000; step++) hits = Math.exp((-(1 - hits) * keys) / entries)
  return 100 * hits
}
