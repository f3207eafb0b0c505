// Which of a rehearsal's faults are needed for what went wrong: one after another is left out, and stays out where it goes
// wrong all the same. What is left can't do without any of them.

import type { CheckedFault, CheckedRehearsal } from '../../file/checked-rehearsals.ts'

export class Shrinker {
  readonly #rehearsal: CheckedRehearsal
  #kept: readonly CheckedFault[]
  #at = 0
  /** Rehearsals that were asked for. */
  tried = 0

  /** @param rehearsal one that goes wrong */
  constructor(rehearsal: CheckedRehearsal) {
    this.#rehearsal = rehearsal
    this.#kept = rehearsal.faults
  }

  /** The next one to play; null: nothing more can be left out. */
  next(): CheckedRehearsal | null {
    if (this.#at >= this.#kept.length) return null
    this.tried++
    return { ...this.#rehearsal, faults: this.#kept.filter((_, at) => at !== this.#at) }
  }

  /** What came of it. */
  tell(goesWrong: boolean): void {
    if (goesWrong) this.#kept = this.#kept.filter((_, at) => at !== this.#at)
    else this.#at++
  }

  /** The smallest one that is known to go wrong. */
  get smallest(): CheckedRehearsal {
    return { ...this.#rehearsal, faults: this.#kept }
  }
}
