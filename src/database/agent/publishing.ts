// What routers were told last, and what they are told next: in order, each only when it differs. Decides nothing.

import type { DatabaseLog, Topology } from '../contract.ts'

export class Publishing {
  readonly #publish: (topology: Topology) => Promise<void>
  readonly #log: DatabaseLog
  #last: Topology | null = null
  #text = ''
  #queue: Promise<void> = Promise.resolve()

  constructor(publish: (topology: Topology) => Promise<void>, log: DatabaseLog) {
    this.#publish = publish
    this.#log = log
  }

  get last(): Topology | null {
    return this.#last
  }

  /** Resolves when routers obey it. A failure is logged: they obey the next one, and epochs keep the order. */
  tell(topology: Topology): Promise<void> {
    const text = JSON.stringify(topology)
    if (text === this.#text) return this.#queue
    this.#text = text
    this.#last = topology
    this.#queue = this.#queue
      .then(() => this.#publish(topology))
      .catch(cause => {
        // Told again with whatever comes next, also when it is the same.
        this.#text = ''
        this.#log.warn({ cause, database: topology.database }, `routers could not be told: ${cause.message}`)
      })
    return this.#queue
  }
}
