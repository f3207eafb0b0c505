// Whether a key was forgotten since a moment: a counter for each of 4,096 groups of keys, compared before what was
// loaded is stored or shared. Two keys of a group are taken for one: a load too much now and then, never one too few.

import { hashText } from '../../policy/hash.ts'

const groups = 4_096

export class KeyClocks {
  readonly #ticks = new Uint32Array(groups)
  #all = 0

  at(key: string): number {
    // Both counters only grow, so their sum is another one after each tick of either.
    return this.#all + this.#ticks[hashText(key) & (groups - 1)]!
  }

  tick(key: string): void {
    this.#ticks[hashText(key) & (groups - 1)]!++
  }

  tickAll(): void {
    this.#all++
  }
}
