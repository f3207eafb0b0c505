// Which thing is asked for: Zipf's law over 1..count, the n-th with a share of n^-alpha. Rejection-inversion (Hörmann and
// Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", 1996): no table, a little
// over one draw each, for 10 things and for 10^9.

import { assert } from '../../kit/failure.ts'
import type { Stream } from './streams.ts'

export class Zipf {
  readonly count: number
  readonly alpha: number
  readonly #integralFirst: number
  readonly #integralLast: number
  readonly #shortcut: number

  /** @param count from 1 to 2^31 - 1 @param alpha 0 (all alike) and more */
  constructor(count: number, alpha: number) {
    assert(count >= 1 && count < 2 ** 31 && alpha >= 0, `zipf: ${count} things, alpha ${alpha}`)
    this.count = count
    this.alpha = alpha
    this.#integralFirst = this.#integral(1.5) - 1
    this.#integralLast = this.#integral(count + 0.5)
    this.#shortcut = 2 - this.#inverse(this.#integral(2.5) - 2 ** -alpha)
  }

  /** From 1, the most popular, to `count`. */
  draw(stream: Stream): number {
    if (this.count === 1) return 1
    for (;;) {
      // Two draws: 32 bits would leave out most of 10^9 things.
      const u01 = stream.float() + stream.float() / 4_294_967_296
      const u = this.#integralLast + u01 * (this.#integralFirst - this.#integralLast)
      const x = this.#inverse(u)
      const k = Math.min(this.count, Math.max(1, Math.round(x)))
      if (k - x <= this.#shortcut || u >= this.#integral(k + 0.5) - k ** -this.alpha) return k
    }
  }

  /** Integral of x^-alpha, up to a constant. */
  #integral(x: number): number {
    const log = Math.log(x)
    return expm1Over((1 - this.alpha) * log) * log
  }

  #inverse(x: number): number {
    const t = Math.max(-1, x * (1 - this.alpha))
    return Math.exp(log1pOver(t) * x)
  }
}

/** (e^x - 1) / x, also near 0. */
function expm1Over(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.expm1(x) / x : 1 + x / 2 + (x * x) / 6
}

/** log(1 + x) / x, also near 0. */
function log1pOver(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.log1p(x) / x : 1 - x / 2 + (x * x) / 3
}
