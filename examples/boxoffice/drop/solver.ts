// The machine that the crowd solves proofs of work with: one core for all of them, which is what makes a proof cost something.

import { Worker } from 'node:worker_threads'
import type { Challenge, Solution } from 'altcha-lib'

export class Solver {
  readonly #waiting = new Map<number, (solution: Solution | null) => void>()
  #thread: Worker | null = null
  #ids = 0
  #ended = false
  solved = 0

  /** Null: it was all over before. */
  solve(challenge: Challenge): Promise<Solution | null> {
    if (this.#ended) return Promise.resolve(null)
    const thread = this.#thread ?? this.#start()
    const id = this.#ids++
    return new Promise(resolve => {
      this.#waiting.set(id, resolve)
      thread.postMessage({ id, challenge })
    })
  }

  #start(): Worker {
    const thread = new Worker(new URL('./solver-thread.ts', import.meta.url))
    thread.on('message', ({ id, solution }: { id: number; solution: Solution | null }) => {
      this.solved++
      this.#waiting.get(id)?.(solution)
      this.#waiting.delete(id)
    })
    thread.on('error', () => this.end())
    this.#thread = thread
    return thread
  }

  async end(): Promise<void> {
    this.#ended = true
    for (const resolve of this.#waiting.values()) resolve(null)
    this.#waiting.clear()
    await this.#thread?.terminate()
  }
}
