// How long things take, drawn from the laws of the workload. One class with a kind, not a class a law: whoever draws
// does it millions of times, and the call stays of one shape. Times are whole microseconds; means below about 5 us lose
// accuracy to that (an exponential of mean 2 us loses 1 % of it, of mean 10 us 0.04 %).

import type { CheckedTime } from '../../file/checked-workload.ts'
import { assert } from '../../kit/failure.ts'
import type { Stream } from './streams.ts'

const Kind = { fixed: 0, exponential: 1, logNormal: 2, measured: 3 } as const

export class Law {
  readonly meanUs: number
  /** Variance over the square of the mean. */
  readonly cv2: number
  readonly #kind: number
  readonly #mu: number
  readonly #sigma: number
  readonly #shares: readonly number[]
  readonly #bounds: readonly number[]

  constructor(time: CheckedTime) {
    this.#kind = kindOf(time)
    this.#shares = time.kind === 'measured' ? time.shares : []
    this.#bounds = time.kind === 'measured' ? time.boundsUs : []
    this.#sigma = time.kind === 'log-normal' ? time.sigma : 0
    const [mean, square] = moments(time)
    assert(mean >= 0 && Number.isFinite(mean), `law: mean ${mean}`)
    this.meanUs = mean
    this.cv2 = mean > 0 ? Math.max(0, square / mean ** 2 - 1) : 0
    this.#mu = Math.log(mean) - this.#sigma ** 2 / 2
  }

  /** @param times the draw is that many times as long */
  draw(stream: Stream, times = 1): number {
    switch (this.#kind) {
      case Kind.fixed:
        return Math.round(this.meanUs * times)
      case Kind.exponential:
        return Math.round(stream.exponential() * this.meanUs * times)
      case Kind.logNormal:
        return Math.round(Math.exp(this.#mu + this.#sigma * stream.normal()) * times)
      default:
        return Math.round(this.#measured(stream.float()) * times)
    }
  }

  /** The value below which the share `u` lies: straight lines between what was measured. */
  #measured(u: number): number {
    const shares = this.#shares
    let low = 0
    let high = shares.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((shares[middle] as number) > u) high = middle
      else low = middle + 1
    }
    const from = low === 0 ? 0 : (shares[low - 1] as number)
    const fromUs = low === 0 ? 0 : (this.#bounds[low - 1] as number)
    const width = (shares[low] as number) - from
    return width <= 0 ? fromUs : fromUs + (((this.#bounds[low] as number) - fromUs) * (u - from)) / width
  }
}

function kindOf(time: CheckedTime): number {
  if (time.kind === 'fixed') return Kind.fixed
  if (time.kind === 'exponential') return Kind.exponential
  return time.kind === 'log-normal' ? Kind.logNormal : Kind.measured
}

/** First and second moment. */
function moments(time: CheckedTime): [number, number] {
  if (time.kind === 'fixed') return [time.us, time.us ** 2]
  if (time.kind === 'exponential') return [time.meanUs, 2 * time.meanUs ** 2]
  if (time.kind === 'log-normal') return [time.meanUs, time.meanUs ** 2 * Math.exp(time.sigma ** 2)]
  let mean = 0
  let square = 0
  let share = 0
  let low = 0
  for (const [at, high] of time.boundsUs.entries()) {
    const weight = (time.shares[at] as number) - share
    mean += (weight * (low + high)) / 2
    square += (weight * (low * low + low * high + high * high)) / 3
    share = time.shares[at] as number
    low = high
  }
  return [mean, square]
}
