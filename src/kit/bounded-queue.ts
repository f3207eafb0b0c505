// A first-in, first-out queue with a limit: it says when it is full instead of growing. A ring over an array that
// doubles up to the limit, so that a large limit costs nothing until it is used. Never waits, never drops by itself.

import { assert } from './failure.ts'

export interface BoundedQueue<T> {
  readonly length: number
  readonly limit: number
  readonly full: boolean
  /** False, and nothing kept, when the queue is full. O(1), amortised where the ring grows. */
  push(item: T): boolean
  /** Takes the oldest item; undefined when empty. O(1). */
  shift(): T | undefined
  peek(): T | undefined
  /** Takes out the oldest item that is `item`; the order of the others stays. O(length): for time-outs and aborts. */
  remove(item: T): boolean
  /** Empties the queue and gives what was in it, oldest first. */
  drain(): T[]
}

const startCapacity = 16

class Ring<T extends object | string | number> implements BoundedQueue<T> {
  readonly limit: number
  #slots: (T | undefined)[]
  #head = 0
  #length = 0

  constructor(limit: number) {
    assert(
      Number.isInteger(limit) && limit >= 0,
      `bounded queue: limit ${limit} is not a whole number from 0`,
    )
    this.limit = limit
    this.#slots = new Array<T | undefined>(Math.min(startCapacity, Math.max(1, limit)))
  }

  get length(): number {
    return this.#length
  }

  get full(): boolean {
    return this.#length >= this.limit
  }

  push(item: T): boolean {
    if (this.full) return false
    if (this.#length === this.#slots.length) this.#grow()
    this.#slots[(this.#head + this.#length) % this.#slots.length] = item
    this.#length++
    return true
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#slots.length
    this.#length--
    return item
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head]
  }

  remove(item: T): boolean {
    const all = this.#inOrder()
    const index = all.indexOf(item)
    if (index < 0) return false
    all.splice(index, 1)
    this.#slots.fill(undefined)
    for (let place = 0; place < all.length; place++) this.#slots[place] = all[place]
    this.#head = 0
    this.#length = all.length
    return true
  }

  drain(): T[] {
    const all = this.#inOrder()
    this.#slots = new Array<T | undefined>(Math.min(startCapacity, Math.max(1, this.limit)))
    this.#head = 0
    this.#length = 0
    return all
  }

  #inOrder(): T[] {
    const all: T[] = []
    for (let place = 0; place < this.#length; place++) {
      all.push(this.#slots[(this.#head + place) % this.#slots.length] as T)
    }
    return all
  }

  #grow(): void {
    const all = this.#inOrder()
    this.#slots = new Array<T | undefined>(Math.min(this.limit, this.#slots.length * 2))
    for (let place = 0; place < all.length; place++) this.#slots[place] = all[place]
    this.#head = 0
  }
}

/** @param limit most items held at once; 0 refuses everything. */
export function boundedQueue<T extends object | string | number>(limit: number): BoundedQueue<T> {
  return new Ring<T>(limit)
}
