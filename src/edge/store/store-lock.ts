// The lock around the store's structure: insert, remove, evict, allocate. Held for microseconds, never across a callback.
// Its value is the life of the holder, so that a dead one is known. A thread that can't have it in time goes without: a
// request is then answered as if nothing were stored. Reading needs no lock.

import type { StoreViews } from './layout.ts'

const spins = 200
const sleepMs = 1
/** A request waits no longer. */
const requestWaitMs = 20

export class StoreLock {
  readonly #cells: Int32Array
  readonly #waiters: Int32Array
  readonly #life: number

  constructor(views: StoreViews, life: number) {
    this.#cells = views.common.lock
    this.#waiters = views.common.lockWaiters
    this.#life = life
  }

  /** False: it could not be had in time. */
  enter(waitMs: number = requestWaitMs): boolean {
    const cells = this.#cells
    for (let i = 0; i < spins; i++) if (Atomics.compareExchange(cells, 0, 0, this.#life) === 0) return true
    return this.#sleep(waitMs)
  }

  #sleep(waitMs: number): boolean {
    const cells = this.#cells
    Atomics.add(this.#waiters, 0, 1)
    const endMs = performance.now() + waitMs
    let got = false
    do {
      const holder = Atomics.load(cells, 0)
      if (holder !== 0) Atomics.wait(cells, 0, holder, sleepMs)
      got = Atomics.compareExchange(cells, 0, 0, this.#life) === 0
    } while (!got && performance.now() < endMs)
    Atomics.sub(this.#waiters, 0, 1)
    return got
  }

  leave(): void {
    Atomics.store(this.#cells, 0, 0)
    if (Atomics.load(this.#waiters, 0) > 0) Atomics.notify(this.#cells, 0, 1)
  }

  /** The thread of that life is dead: the lock is ours, if it had it. */
  takeFrom(life: number): boolean {
    return Atomics.compareExchange(this.#cells, 0, life, this.#life) === life
  }
}
