// Histograms of non-negative integers (microseconds, bytes) in fixed memory, one row a series, over plain or shared
// memory: log-linear buckets as HdrHistogram has them. Recording is O(1) and allocates nothing; reading sums rows into a
// `Distribution`. Never keeps values, so nothing here is exact except the count.
//
// Buckets: 0..63 one each; above that 32 buckets for every power of two, up to 2^32 - 1 (an hour of microseconds is
// 3.6e9). A quantile is its bucket's middle, so it is off by at most 1/64 of itself. A row has one writer (cells.ts).

import { assert } from './failure.ts'

const subBucketBits = 5
const subBuckets = 1 << subBucketBits
const valueMax = 0xffff_ffff
/** Largest index + 1: octaves 5 to 31 with 32 buckets each, after the 32 smallest values. */
const bucketCount = (32 - subBucketBits) * subBuckets + subBuckets
const rowBytes = 16 + bucketCount * 4

export interface Histograms {
  readonly buffer: ArrayBufferLike
  readonly rows: number
  /** Counts one value. Below zero and NaN count as 0, what is too large as the largest. */
  record(row: number, value: number): void
  zero(row: number): void
  /** The sum of the rows: e.g. one route's rows of all workers. */
  read(rows: readonly number[]): Distribution
}

export interface Distribution {
  readonly count: number
  readonly sum: number
  readonly max: number
  /** The value below which the share `q` (0..1) of all values lies; 0 when there is none. */
  quantile(q: number): number
  /** How many values are at most `bound`, to within the bucket that holds it. */
  countUpTo(bound: number): number
  /** What was recorded after `earlier` was read; rows zeroed in between count from zero. */
  since(earlier: Distribution): Distribution
}

/** Exported for the tests of its bounds. */
export function bucketOf(value: number): number {
  const exponent = 31 - Math.clz32(value | subBuckets)
  const octave = value >= subBuckets ? exponent - subBucketBits : 0
  return (octave << subBucketBits) + (value >>> octave)
}

function bucketLow(bucket: number): number {
  const octave = Math.max(0, (bucket >>> subBucketBits) - 1)
  return (bucket - (octave << subBucketBits)) * 2 ** octave
}

function bucketMiddle(bucket: number): number {
  const low = bucketLow(bucket)
  return low + (bucketLow(bucket + 1) - 1 - low) / 2
}

class Counts implements Distribution {
  readonly count: number
  readonly sum: number
  readonly max: number
  readonly buckets: Float64Array

  constructor(buckets: Float64Array, sum: number, max: number) {
    let count = 0
    for (const value of buckets) count += value
    this.count = count
    this.sum = sum
    this.max = max
    this.buckets = buckets
  }

  quantile(q: number): number {
    if (this.count === 0) return 0
    const rank = Math.max(1, Math.ceil(Math.min(1, Math.max(0, q)) * this.count))
    let seen = 0
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      seen += this.buckets[bucket]!
      if (seen >= rank) return Math.min(bucketMiddle(bucket), this.max)
    }
    return this.max
  }

  countUpTo(bound: number): number {
    if (bound < 0) return 0
    const last = bucketOf(Math.min(bound, valueMax) >>> 0)
    let seen = 0
    for (let bucket = 0; bucket <= last; bucket++) seen += this.buckets[bucket]!
    return seen
  }

  since(earlier: Distribution): Distribution {
    const before = earlier as Counts
    const buckets = this.buckets.map((value, bucket) => Math.max(0, value - before.buckets[bucket]!))
    return new Counts(buckets, Math.max(0, this.sum - before.sum), this.max)
  }
}

/** No values: what a window starts from. */
export const emptyDistribution: Distribution = new Counts(new Float64Array(bucketCount), 0, 0)

/** Bytes that `rows` histograms take: 3,600 each. */
export function histogramBytes(rows: number): number {
  return rows * rowBytes
}

export function createHistograms(rows: number, options: { shared?: boolean } = {}): Histograms {
  const bytes = histogramBytes(rows)
  return attachHistograms(options.shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes), rows)
}

/** A view over memory that `createHistograms` made, here or in another thread. */
export function attachHistograms(buffer: ArrayBufferLike, rows: number): Histograms {
  assert(
    buffer.byteLength >= histogramBytes(rows),
    `histograms: ${rows} rows do not fit ${buffer.byteLength} bytes`,
  )
  const sums = new Float64Array(buffer, 0, rows)
  const maxima = new Float64Array(buffer, rows * 8, rows)
  const buckets = new Uint32Array(buffer, rows * 16, rows * bucketCount)

  function read(list: readonly number[]): Distribution {
    const total = new Float64Array(bucketCount)
    let sum = 0
    let max = 0
    for (const row of list) {
      const base = row * bucketCount
      for (let bucket = 0; bucket < bucketCount; bucket++) total[bucket]! += buckets[base + bucket]!
      sum += sums[row]!
      max = Math.max(max, maxima[row]!)
    }
    return new Counts(total, sum, max)
  }

  return {
    buffer,
    rows,
    record: (row, value) => {
      const kept = value >= 0 ? (value <= valueMax ? value >>> 0 : valueMax) : 0
      buckets[row * bucketCount + bucketOf(kept)]!++
      sums[row]! += kept
      if (kept > maxima[row]!) maxima[row] = kept
    },
    zero: row => {
      sums[row] = 0
      maxima[row] = 0
      buckets.fill(0, row * bucketCount, (row + 1) * bucketCount)
    },
    read,
  }
}
