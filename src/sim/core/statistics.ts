// What is measured in a run: latencies in batches of time, and time averages. Memory does not grow with the run. Each
// figure comes with a 95 % interval by the method of batch means (Law and Kelton; Schmeiser, 1982: 10 to 30 batches are
// enough); batches that still depend on each other widen it, and say so.

import { assert } from '../../kit/failure.ts'
import { studentQuantile } from '../../kit/student.ts'

/** A figure and half the width of its 95 % interval; null: too little was seen for an interval. */
export interface Estimate {
  readonly value: number
  readonly halfWidth: number | null
}

/** 128 buckets for each power of two: a bucket is 0.8 % wide, and quantiles are taken on a line inside it. */
const subBits = 7
const subCount = 1 << subBits
const octaves = 46
const bucketCount = octaves * subCount

/** Counts of values from 0 to 2^52, one row a batch. */
export class Sketch {
  readonly counts: Float64Array = new Float64Array(bucketCount)
  count = 0
  sum = 0
  max = 0

  /** @param value 0 and more */
  add(value: number): void {
    this.counts[bucketOf(value)]!++
    this.count++
    this.sum += value
    if (value > this.max) this.max = value
  }

  merge(other: Sketch): void {
    for (let at = 0; at < bucketCount; at++) this.counts[at]! += other.counts[at] as number
    this.count += other.count
    this.sum += other.sum
    if (other.max > this.max) this.max = other.max
  }

  clear(): void {
    if (this.count === 0) return
    this.counts.fill(0)
    this.count = this.sum = this.max = 0
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }

  /** The value below which the share `q` lies, on a straight line inside its bucket; 0 when nothing was counted. */
  quantile(q: number): number {
    if (this.count === 0) return 0
    const rank = q * this.count
    let seen = 0
    for (let at = 0; at < bucketCount; at++) {
      const here = this.counts[at] as number
      if (here === 0 || seen + here < rank) {
        seen += here
        continue
      }
      const low = bucketLow(at)
      return Math.min(
        this.max,
        low + (bucketLow(at + 1) - low) * Math.min(1, Math.max(0, (rank - seen) / here)),
      )
    }
    return this.max
  }

  /** Share of values above `bound`. */
  shareAbove(bound: number): number {
    if (this.count === 0) return 0
    let above = 0
    for (let at = bucketOf(bound) + 1; at < bucketCount; at++) above += this.counts[at] as number
    return above / this.count
  }
}

/** Exported for its test. */
export function bucketOf(value: number): number {
  const whole = Math.floor(value)
  if (whole < subCount) return Math.max(0, whole)
  const exponent = exponentOf(whole)
  if (exponent - subBits + 1 >= octaves) return bucketCount - 1
  const low = 2 ** exponent
  return (exponent - subBits + 1) * subCount + Math.floor(((value - low) / low) * subCount)
}

function exponentOf(whole: number): number {
  return whole < 4_294_967_296 ? 31 - Math.clz32(whole) : 63 - Math.clz32(Math.floor(whole / 4_294_967_296))
}

function bucketLow(bucket: number): number {
  if (bucket < subCount) return bucket
  const exponent = Math.floor(bucket / subCount) + subBits - 1
  return 2 ** exponent * (1 + (bucket % subCount) / subCount)
}

/** Latencies (or any values) in equal batches of time. */
export class BatchedValues {
  readonly batches: readonly Sketch[]
  readonly #fromUs: number
  readonly #batchUs: number
  #whole: Sketch | null = null

  /** @param fromUs end of the warm-up: what came before is not counted */
  constructor(fromUs: number, toUs: number, batches: number) {
    assert(toUs > fromUs && batches >= 1, `batches: ${batches} from ${fromUs} to ${toUs}`)
    this.batches = Array.from({ length: batches }, () => new Sketch())
    this.#fromUs = fromUs
    this.#batchUs = (toUs - fromUs) / batches
  }

  /** @param at when what is measured began: a slow request counts where it came, not where it ended */
  add(at: number, value: number): void {
    if (at < this.#fromUs) return
    const batch = Math.floor((at - this.#fromUs) / this.#batchUs)
    this.batches[batch]?.add(value)
  }

  get whole(): Sketch {
    this.#whole = new Sketch()
    for (const batch of this.batches) this.#whole.merge(batch)
    return this.#whole
  }

  mean(): Estimate {
    const seen = this.batches.filter(batch => batch.count > 0)
    return estimate(
      this.whole.mean,
      seen.map(batch => batch.mean),
    )
  }

  /** An interval only where each batch holds at least 20 values beyond the quantile. */
  quantile(q: number): Estimate {
    const enough = this.batches.every(batch => batch.count * (1 - q) >= 20)
    return estimate(this.whole.quantile(q), enough ? this.batches.map(batch => batch.quantile(q)) : [])
  }
}

/** The mean over time of a level that changes in steps: a queue's length, busy servers. */
export class TimeAverage {
  readonly #sums: Float64Array
  readonly #fromUs: number
  readonly #toUs: number
  readonly #batchUs: number
  #level = 0
  #since = 0
  #total = 0
  #totalSince = 0
  max = 0

  constructor(fromUs: number, toUs: number, batches: number) {
    assert(toUs > fromUs && batches >= 1, `batches: ${batches} from ${fromUs} to ${toUs}`)
    this.#sums = new Float64Array(batches)
    this.#fromUs = fromUs
    this.#toUs = toUs
    this.#batchUs = (toUs - fromUs) / batches
  }

  get level(): number {
    return this.#level
  }

  set(now: number, level: number): void {
    if (level === this.#level) return
    this.#total += this.#level * (now - this.#totalSince)
    this.#totalSince = now
    if (now > this.#fromUs && this.#level !== 0) this.#fill(now)
    this.#since = now
    this.#level = level
    if (now >= this.#fromUs && level > this.max) this.max = level
  }
  add(now: number, by: number): void {
    this.set(now, this.#level + by)
  }

  /** Level times microseconds since the beginning, warm-up included. */
  total(now: number): number {
    return this.#total + this.#level * (now - this.#totalSince)
  }

  #fill(now: number): void {
    const last = this.#sums.length - 1
    let at = Math.max(this.#since, this.#fromUs)
    const end = Math.min(now, this.#toUs)
    let batch = Math.min(last, Math.floor((at - this.#fromUs) / this.#batchUs))
    // Counted on, not computed anew: a boundary's quotient may fall on either side of it.
    for (; at < end; batch++) {
      const until = batch >= last ? end : Math.min(end, this.#fromUs + (batch + 1) * this.#batchUs)
      this.#sums[Math.min(batch, last)]! += this.#level * Math.max(0, until - at)
      at = Math.max(at, until)
    }
  }

  /** Mean of each batch so far. @param now end of what is known, after the last `set` */
  means(now: number): number[] {
    if (this.#level !== 0 && now > this.#since) {
      this.#fill(now)
      this.#since = now
    }
    return Array.from(this.#sums, sum => sum / this.#batchUs)
  }

  mean(now: number): Estimate {
    const means = this.means(now)
    return estimate(meanOf(means), means)
  }
}

/** A figure with its interval from figures of batches that should be alike. */
export function estimate(value: number, batches: readonly number[]): Estimate {
  const count = batches.length
  if (count < 5) return { value, halfWidth: null }
  const mean = meanOf(batches)
  let square = 0
  let lagged = 0
  for (const [at, one] of batches.entries()) {
    square += (one - mean) ** 2
    if (at > 0) lagged += (one - mean) * ((batches[at - 1] as number) - mean)
  }
  if (square === 0) return { value, halfWidth: 0 }
  // Batches that follow each other up and down: an autoregressive correction of order 1, bounded.
  const correlation = Math.min(0.9, Math.max(0, lagged / square))
  const widened = Math.sqrt((1 + correlation) / (1 - correlation))
  const error = Math.sqrt(square / (count - 1) / count)
  return { value, halfWidth: studentQuantile(0.975, count - 1) * error * widened }
}

/** Mann and Kendall's test for a trend, in standard deviations of chance: above 3 the batches rise. */
export function trend(batches: readonly number[]): number {
  const count = batches.length
  if (count < 8) return 0
  let score = 0
  for (let a = 0; a < count; a++)
    for (let b = a + 1; b < count; b++) score += Math.sign((batches[b] as number) - (batches[a] as number))
  return score / Math.sqrt((count * (count - 1) * (2 * count + 5)) / 18)
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length
}
