// Rows that must be kept before they can be passed on, because their order or their place is known only later. Bounded.

import type { GatherLimits } from './input.ts'
import { combineTooLarge } from './refusals.ts'

export class Kept {
  readonly #limits: GatherLimits
  #rows = 0
  #bytes = 0

  constructor(limits: GatherLimits) {
    this.#limits = limits
  }

  /** Counts one that is kept; throws when it is one too many. */
  count(bytes: number): void {
    this.#rows++
    this.#bytes += bytes
    const { rowsMax, bytesMax } = this.#limits
    if (this.#rows > rowsMax) throw combineTooLarge(`${rowsMax} rows`)
    if (this.#bytes > bytesMax) throw combineTooLarge(`${bytesMax >> 20} MiB`)
  }
}
