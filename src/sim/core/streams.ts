// Named streams of chance: one a component's name and purpose, so that a part that is added draws nothing from the
// others' (common random numbers), and each run with one seed is the same. Counts its draws: two equal runs draw alike.

import { type Random, seededRandom } from '../../kit/random.ts'
import { hashText, mixPair } from '../../policy/hash.ts'

export class Stream implements Random {
  readonly name: string
  draws = 0
  readonly #random: Random

  constructor(name: string, seed: number) {
    this.name = name
    this.#random = seededRandom(mixPair(hashText(name), seed >>> 0))
  }

  uint32(): number {
    this.draws++
    return this.#random.uint32()
  }
  float(): number {
    this.draws++
    return this.#random.uint32() / 4_294_967_296
  }
  below(bound: number): number {
    return Math.floor(this.float() * bound)
  }

  /** Exponential with mean 1, by inversion; 0 to 22.2. */
  exponential(): number {
    return -Math.log((this.uint32() + 1) / 4_294_967_296)
  }

  #spare = 0
  #hasSpare = false
  /** Standard normal (Marsaglia's polar method). */
  normal(): number {
    if (this.#hasSpare) {
      this.#hasSpare = false
      return this.#spare
    }
    for (;;) {
      const u = 2 * this.float() - 1
      const v = 2 * this.float() - 1
      const square = u * u + v * v
      if (square >= 1 || square === 0) continue
      const scale = Math.sqrt((-2 * Math.log(square)) / square)
      this.#spare = v * scale
      this.#hasSpare = true
      return u * scale
    }
  }
}
