// Who has signed a request, with a bound on what looking costs.

import type { Clock } from '../../kit/clock.ts'
import { fieldId } from '../../wire/fields.ts'
import type { Passage } from '../passage.ts'
import type { KeyDirectories } from './key-directories.ts'
import { type Budget, type NonceBook, signedAgent } from './signature.ts'

/** Of one worker: some 3 % of a core. What is above is taken for unsigned. */
const perSecondMax = 300

export class Signers implements Budget {
  readonly directories: KeyDirectories
  readonly #nonces: NonceBook
  readonly #clock: Clock
  #second = 0
  #taken = 0

  constructor(directories: KeyDirectories, nonces: NonceBook, clock: Clock) {
    this.directories = directories
    this.#nonces = nonces
    this.#clock = clock
  }

  /** The agent of the file that has signed; null: nobody that is believed. */
  agentOf(passage: Passage): string | null {
    if (passage.head.firstOf(fieldId['signature-input']) < 0) return null
    const nowSeconds = Math.floor(this.#clock.wall() / 1e6)
    return signedAgent(passage, nowSeconds, this.directories, this.#nonces, this)
  }

  take(): boolean {
    const second = Math.floor(this.#clock.monotonic() / 1e6)
    if (second !== this.#second) {
      this.#second = second
      this.#taken = 0
    }
    this.#taken++
    return this.#taken <= perSecondMax
  }
}
