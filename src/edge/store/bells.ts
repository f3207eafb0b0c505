// How a thread that waits for another one is woken: it says that it waits, the other rings its bell (`Atomics.notify`), and
// one promise of `Atomics.waitAsync` a thread hears it. A slow tick beside it ends waits that are over, and hears a ring
// that came in between. A thread that waits for nothing costs the others one load.

import type { StoreViews } from './layout.ts'

const tickMs = 20

export class Bells {
  readonly #thread: StoreViews['thread']
  readonly #row: number
  readonly #rows: number
  readonly #look: () => void
  #waiting = 0
  #armed = false
  #asked = false
  #tick: NodeJS.Timeout | null = null
  #closed = false

  /** `look` is called after a ring, and with each tick, while something waits. */
  constructor(views: StoreViews, row: number, look: () => void) {
    this.#thread = views.thread
    this.#row = row
    this.#rows = views.workers + 1
    this.#look = look
    Atomics.store(views.thread.waiting, row, 0)
  }

  /** What waits here has changed by so many. */
  count(change: number): void {
    this.#waiting += change
    Atomics.store(this.#thread.waiting, this.#row, this.#waiting)
    if (this.#waiting > 0) this.#listen()
    else if (this.#tick !== null) {
      clearInterval(this.#tick)
      this.#tick = null
    }
  }

  /** Something changed for which others may wait; this thread looks in a later turn. */
  ring(): void {
    const { waiting, bell } = this.#thread
    for (let row = 0; row < this.#rows; row++) {
      if (Atomics.load(waiting, row) === 0) continue
      if (row === this.#row) this.soon()
      else {
        Atomics.add(bell, row, 1)
        Atomics.notify(bell, row)
      }
    }
  }

  /** Looks when the callback that runs has returned. */
  soon(): void {
    if (this.#asked) return
    this.#asked = true
    queueMicrotask(() => {
      this.#asked = false
      if (!this.#closed) this.#look()
    })
  }

  close(): void {
    this.#closed = true
    this.count(-this.#waiting)
  }

  #listen(): void {
    this.#tick ??= setInterval(() => this.#look(), tickMs).unref()
    if (this.#armed) return
    const { bell } = this.#thread
    const heard = Atomics.waitAsync(bell, this.#row, Atomics.load(bell, this.#row))
    if (!heard.async) return
    this.#armed = true
    void heard.value.then(() => {
      this.#armed = false
      if (this.#waiting === 0 || this.#closed) return
      this.#listen()
      this.#look()
    })
  }
}
