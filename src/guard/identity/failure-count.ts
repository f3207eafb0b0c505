// Wrong credentials by address within a minute, in one worker. Bounded; whoever fails too often is banned by the step.

import type { Clock } from '../../kit/clock.ts'

const failuresMax = 30
const windowUs = 60_000_000
const addressesMax = 10_000

export class FailureCount {
  readonly #clock: Clock
  readonly #counts = new Map<string, { since: number; count: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one more. */
  isTooMany(address: string): boolean {
    const now = this.#clock.monotonic()
    const known = this.#counts.get(address)
    if (known === undefined || now - known.since > windowUs) {
      this.#counts.delete(address)
      this.#counts.set(address, { since: now, count: 1 })
      this.#forgetOldest()
      return false
    }
    known.count++
    return known.count > failuresMax
  }

  #forgetOldest(): void {
    if (this.#counts.size <= addressesMax) return
    const [oldest] = this.#counts.keys()
    if (oldest !== undefined) this.#counts.delete(oldest)
  }
}
