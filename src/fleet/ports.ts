// The ports of our instances: none is given twice while its life lasts.

import { freePort } from '../io/free-port.ts'
import type { Random } from '../kit/random.ts'

export class PortBook {
  readonly #host: string
  readonly #random: Random
  readonly #taken = new Set<number>()

  constructor(host: string, random: Random) {
    this.#host = host
    this.#random = random
  }

  async take(): Promise<number> {
    for (;;) {
      const port = await freePort(this.#host, this.#random, this.#taken)
      // Another life may have taken it while we looked.
      if (this.#taken.has(port)) continue
      this.#taken.add(port)
      return port
    }
  }

  /** A port that an adopted life holds. */
  note(port: number): void {
    this.#taken.add(port)
  }

  giveBack(port: number): void {
    this.#taken.delete(port)
  }
}
