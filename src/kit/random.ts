// Seeded randomness: the only kind that policies and the simulator may use. xoshiro128** (Blackman & Vigna, 2018),
// seeded through splitmix32 so that any 32-bit seed gives a well mixed state. Not for secrets.

export interface Random {
  /** Uniform integer in [0, 2^32). */
  uint32(): number
  /** Uniform float in [0, 1), 32 bits of it random. */
  float(): number
  /** Uniform integer in [0, bound). `bound` is an integer from 1 to 2^32. */
  below(bound: number): number
}

class Xoshiro128 implements Random {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    let state = seed >>> 0
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return (z ^ (z >>> 16)) >>> 0
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  uint32(): number {
    const x = Math.imul(this.#b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  float(): number {
    return this.uint32() / 4_294_967_296
  }

  below(bound: number): number {
    return Math.floor(this.float() * bound)
  }
}

/** @param seed any number; its low 32 bits are used. */
export function seededRandom(seed: number): Random {
  return new Xoshiro128(seed)
}
