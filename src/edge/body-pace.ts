// How fast a client sends a request's body to a guarded route, so that drops of it can't hold an instance, or what is held
// of the body, for as long as its length allows. Only time in which somebody reads counts: who is told to wait is not slow.
// Routes without a guard have none: streams that are quiet for long are in their right there.

import type { Exchange } from './exchange.ts'

/** On average, once the grace is over. Slower is nobody who has a connection at all. */
const bytesPerSecondMin = 240

/** Null: the route asks for none. */
export function paceOf({ route, worker }: Exchange): BodyPace | null {
  if (route?.spec.guard === undefined) return null
  return new BodyPace(worker.snapshot.spec.limits.bodyTimeoutMs * 1000)
}

export class BodyPace {
  readonly #graceUs: number
  #readingUs = 0
  /** When reading went on; -1: nobody reads. */
  #since = -1

  /** @param graceUs of reading, before anything is asked of it */
  constructor(graceUs: number) {
    this.#graceUs = graceUs
  }

  reads(now: number): void {
    if (this.#since < 0) this.#since = now
  }

  waits(now: number): void {
    if (this.#since >= 0) this.#readingUs += now - this.#since
    this.#since = -1
  }

  /** @param bytes of the body so far, without its framing */
  isSlow(now: number, bytes: number): boolean {
    const us = this.#readingUs + (this.#since < 0 ? 0 : now - this.#since)
    return us > this.#graceUs && bytes * 1e6 < us * bytesPerSecondMin
  }
}
