// When requests arrive: a level in requests a second times a shape over time. Poisson shapes are thinned from their
// highest rate (Lewis and Shedler, 1979); even and bursty ones stretch gaps of mean 1 by the rate of the moment. The exact
// time is kept as a fraction, so that rounding to microseconds never changes the rate.

import type { CheckedArrivalShape } from '../../file/checked-rehearsals.ts'
import { assert } from '../../kit/failure.ts'
import type { Stream } from './streams.ts'

/** Counts of equal steps, read from a trace file by the shell: arrivals in each step. */
export interface TraceCounts {
  readonly stepUs: number
  readonly counts: readonly number[]
}

/** No arrival comes any more. */
export const never: number = Number.POSITIVE_INFINITY

const dayUs = 86_400_000_000

export class Arrivals {
  readonly #perUs: number
  readonly #shape: CheckedArrivalShape
  readonly #trace: TraceCounts | null
  readonly #traceMax: number
  readonly #fromUs: number
  #surge = 1
  #at: number

  /**
   * @param perSecond mean rate of the level; 0: none ever. Of a trace: what its mean step stands for
   * @param fromUs virtual time at which the shape's own clock is 0 (the end of the warm-up)
   */
  constructor(
    shape: CheckedArrivalShape,
    perSecond: number,
    fromUs: number,
    trace: TraceCounts | null = null,
  ) {
    assert(perSecond >= 0 && Number.isFinite(perSecond), `arrivals: ${perSecond} a second`)
    assert(
      (shape.kind === 'trace') === (trace !== null),
      `arrivals: ${shape.kind} with the counts of a trace`,
    )
    this.#perUs = perSecond / 1e6
    this.#shape = shape
    this.#trace = trace
    this.#traceMax = trace === null ? 0 : trace.counts.reduce((a, b) => Math.max(a, b), 0) / meanOf(trace)
    this.#fromUs = fromUs
    this.#at = 0
  }

  /** Load on top, from now on; whoever changes it asks for the next arrival anew. */
  surge(times: number, now: number): void {
    this.#surge = times
    this.#at = Math.max(this.#at, now)
  }

  /** The level's multiple at a moment, without surges. */
  factor(now: number): number {
    const shape = this.#shape
    const t = now - this.#fromUs
    if (shape.kind === 'diurnal') return diurnal(shape.lowest, shape.peakAtMs, shape.startAtMs, t)
    if (shape.kind === 'flash') return flash(shape, t)
    if (shape.kind === 'trace') return this.#traced(t)
    return 1
  }

  #traced(t: number): number {
    const { stepUs, counts } = this.#trace as TraceCounts
    const at = Math.floor(t / stepUs)
    // Before its first step (the warm-up) as in the first; after the last one nothing comes.
    return at >= counts.length ? 0 : (counts[Math.max(0, at)] as number) / meanOf(this.#trace as TraceCounts)
  }

  get #factorMax(): number {
    const shape = this.#shape
    if (shape.kind === 'diurnal') return 2 - shape.lowest
    if (shape.kind === 'flash') return Math.max(1, shape.times)
    return shape.kind === 'trace' ? this.#traceMax : 1
  }

  /** The next arrival after the last one, in whole microseconds; `never`. */
  next(stream: Stream): number {
    if (this.#shape.kind === 'even' || this.#shape.kind === 'bursty') return this.#stretched(stream)
    const highest = this.#perUs * this.#factorMax * this.#surge
    if (highest <= 0) return never
    const end = this.#end
    for (;;) {
      this.#at += stream.exponential() / highest
      if (this.#at > end) return never
      if (this.#shape.kind === 'poisson') break
      if (stream.float() * this.#factorMax < this.factor(this.#at)) break
    }
    return Math.round(this.#at)
  }

  get #end(): number {
    if (this.#trace === null) return Number.MAX_SAFE_INTEGER
    return this.#fromUs + this.#trace.stepUs * this.#trace.counts.length
  }

  #stretched(stream: Stream): number {
    const rate = this.#perUs * this.#surge
    if (rate <= 0) return never
    const gap = this.#shape.kind === 'bursty' ? bursty(this.#shape.cv2, stream) : 1
    this.#at += gap / rate
    return this.#at > Number.MAX_SAFE_INTEGER ? never : Math.round(this.#at)
  }
}

const means = new WeakMap<TraceCounts, number>()
function meanOf(trace: TraceCounts): number {
  let mean = means.get(trace)
  if (mean === undefined) {
    mean = trace.counts.reduce((a, b) => a + b, 0) / trace.counts.length
    means.set(trace, mean)
  }
  return mean
}

/** A cosine around 1 from `lowest` to 2 - lowest. */
function diurnal(lowest: number, peakAtMs: number, startAtMs: number, t: number): number {
  const phase = ((startAtMs - peakAtMs) * 1000 + t) / dayUs
  return 1 + (1 - lowest) * Math.cos(2 * Math.PI * phase)
}

function flash(shape: CheckedArrivalShape & { kind: 'flash' }, t: number): number {
  const since = t - shape.atMs * 1000
  if (since < 0) return 1
  const ramp = shape.rampMs * 1000
  if (since < ramp) return 1 + ((shape.times - 1) * since) / ramp
  const fading = since - ramp - shape.holdMs * 1000
  if (fading <= 0) return shape.times
  return shape.fadeMs === 0 ? 1 : 1 + (shape.times - 1) * Math.exp(-fading / (shape.fadeMs * 1000))
}

/** A gap of mean 1: two exponentials with balanced means (Whitt, "Approximating a point process", 1982). */
function bursty(cv2: number, stream: Stream): number {
  const share = (1 + Math.sqrt((cv2 - 1) / (cv2 + 1))) / 2
  const first = stream.float() < share
  return stream.exponential() / (2 * (first ? share : 1 - share))
}
