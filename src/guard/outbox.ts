// What a worker has to say to the main thread: gathered for a turn of the loop and sent as one batch. Bounded: what was
// sent counts until the main thread has taken it, and what comes beyond the bound is dropped and counted.

import type { GuardFromWorker, WorkerBatch } from './messages.ts'

/** Messages under way, of one worker. */
const waitingMax = 8_192

export class Outbox {
  readonly #send: (batch: WorkerBatch) => void
  #gathered: GuardFromWorker[] = []
  #waiting = 0
  /** Since it was last asked for. */
  #dropped = 0

  constructor(send: (batch: WorkerBatch) => void) {
    this.#send = send
  }

  /** False: dropped. */
  push(message: GuardFromWorker): boolean {
    if (this.#waiting >= waitingMax) {
      this.#dropped++
      return false
    }
    this.#waiting++
    if (this.#gathered.push(message) === 1) setImmediate(() => this.flush())
    return true
  }

  flush(): void {
    if (this.#gathered.length === 0) return
    const batch = this.#gathered
    this.#gathered = []
    this.#send({ batch })
  }

  took(count: number): void {
    this.#waiting -= count
  }

  takeDropped(): number {
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }
}
