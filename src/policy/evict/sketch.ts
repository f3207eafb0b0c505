// How often a hash was seen lately, roughly and never too little: a count-min sketch of 4-bit counters (Cormode &
// Muthukrishnan, 2005), four a key, all in one block of 64 bytes. Only the smallest of a key's counters grow, so strangers
// disturb it less. `halve` ages everything; when to call it is the owner's matter.

import { mix32 } from '../hash.ts'
import { powerOfTwo } from './ghost.ts'
import type { Memory } from './memory.ts'

/** Of 8 counters each: four rows of four. */
const blockWords = 16
const countMax = 15

export class Sketch {
  readonly #words: Uint32Array
  readonly #blockMask: number

  /** @param keys of which it can tell the counts apart; 8 to 16 bytes each. */
  constructor(memory: Memory, keys: number) {
    const blocks = powerOfTwo(Math.ceil(keys / 8))
    this.#blockMask = blocks - 1
    this.#words = memory.u32(blocks * blockWords)
  }

  /** 0 to 15. */
  count(hash: number): number {
    const spread = mix32(hash)
    const block = (spread & this.#blockMask) * blockWords
    const places = mix32(spread ^ 0x9e3779b9)
    let least = countMax
    for (let row = 0; row < 4; row++) least = Math.min(least, this.#counter(block, row, places))
    return least
  }

  add(hash: number): void {
    const spread = mix32(hash)
    const block = (spread & this.#blockMask) * blockWords
    const places = mix32(spread ^ 0x9e3779b9)
    let least = countMax
    for (let row = 0; row < 4; row++) least = Math.min(least, this.#counter(block, row, places))
    if (least === countMax) return
    for (let row = 0; row < 4; row++) {
      if (this.#counter(block, row, places) !== least) continue
      const place = places >>> (row * 5)
      this.#words[block + row * 4 + (place & 3)]! += 1 << (((place >>> 2) & 7) * 4)
    }
  }

  /** Every count to its half, rounded down. */
  halve(): void {
    const words = this.#words
    for (let i = 0; i < words.length; i++) words[i] = (words[i]! >>> 1) & 0x77777777
  }

  clear(): void {
    this.#words.fill(0)
  }

  /** Five bits of `places` a row: two for the word, three for the counter in it. */
  #counter(block: number, row: number, places: number): number {
    const place = places >>> (row * 5)
    return (this.#words[block + row * 4 + (place & 3)]! >>> (((place >>> 2) & 7) * 4)) & 15
  }
}
