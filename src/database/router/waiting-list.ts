// First in, first out, and out of the middle for who gives up: a linked list through the ones that wait. Its bound is its
// user's: who waits is counted for the whole database.

export interface Waiter {
  waitsIn: WaitingList | null
  waitNext: Waiter | null
  waitPrevious: Waiter | null
}

export class WaitingList<W extends Waiter = Waiter> {
  #head: Waiter | null = null
  #tail: Waiter | null = null
  length = 0

  push(waiter: W): void {
    waiter.waitsIn = this as unknown as WaitingList
    waiter.waitPrevious = this.#tail
    waiter.waitNext = null
    if (this.#tail === null) this.#head = waiter
    else this.#tail.waitNext = waiter
    this.#tail = waiter
    this.length++
  }

  get first(): W | null {
    return this.#head as W | null
  }

  shift(): W | null {
    const first = this.#head
    if (first !== null) this.remove(first as W)
    return first as W | null
  }

  remove(waiter: W): void {
    const { waitNext: next, waitPrevious: previous } = waiter
    if (previous === null) this.#head = next
    else previous.waitNext = next
    if (next === null) this.#tail = previous
    else next.waitPrevious = previous
    waiter.waitNext = waiter.waitPrevious = waiter.waitsIn = null
    this.length--
  }
}
