// The pending events: a 4-ary heap over typed arrays, ordered by (time, priority, sequence), so that the order is total
// and a run is the same each time. An event is two small integers for a handler's code; no object, no closure. What is
// cancelled stays as a mark until it comes up or until marks outnumber events (then all are taken out at once).

import { assert } from '../../kit/failure.ts'

/** An event's number for `cancel`: its slot and how often the slot was used before. */
export type EventId = number

const slotSpan = 2 ** 24
/** Priority and sequence share one double: 2^44 events a run, 256 priorities. */
const prioritySpan = 2 ** 44
const dead = -1

export class EventHeap {
  readonly #pendingMax: number
  #times: Float64Array
  #orders: Float64Array
  #slots: Int32Array
  #codes: Int32Array
  #firsts: Int32Array
  #seconds: Int32Array
  #lives: Int32Array
  #free: Int32Array
  #freeCount: number
  /** Entries of the heap, the taken root (`#hole`) and cancelled ones among them. */
  #size = 0
  #cancelled = 0
  /** The root was taken and nothing came in its place yet: an event that is added now is put there at once. */
  #hole = false
  #sequence = 0
  /** Of the event that `take` gave last. */
  code = 0
  first = 0
  second = 0
  time = 0

  constructor(pendingMax: number) {
    assert(pendingMax >= 1 && pendingMax < slotSpan, `heap: ${pendingMax} pending events`)
    this.#pendingMax = pendingMax
    const size = Math.min(256, pendingMax + 1)
    this.#times = new Float64Array(size)
    this.#orders = new Float64Array(size)
    this.#slots = new Int32Array(size)
    this.#codes = new Int32Array(size)
    this.#firsts = new Int32Array(size)
    this.#seconds = new Int32Array(size)
    this.#lives = new Int32Array(size)
    this.#free = Int32Array.from({ length: size }, (_, at) => size - 1 - at)
    this.#freeCount = size
  }

  /** Events that will come up. */
  get pending(): number {
    return this.#size - this.#cancelled - (this.#hole ? 1 : 0)
  }
  get bound(): number {
    return this.#pendingMax
  }

  /** False: there is no room. `lastId` names what was added. */
  add(time: number, priority: number, code: number, first: number, second: number): boolean {
    if (this.#freeCount === 0 && !this.#grow()) return false
    const slot = this.#free[--this.#freeCount] as number
    this.#codes[slot] = code
    this.#firsts[slot] = first
    this.#seconds[slot] = second
    this.lastId = (this.#lives[slot] as number) * slotSpan + slot
    const order = priority * prioritySpan + this.#sequence++
    if (this.#hole) {
      this.#hole = false
      this.#sink(0, time, order, slot)
    } else this.#rise(this.#size++, time, order, slot)
    return true
  }

  lastId: EventId = 0

  /** False: it came up already, or was cancelled before. */
  cancel(id: EventId): boolean {
    const slot = id % slotSpan
    const life = (id - slot) / slotSpan
    if (this.#lives[slot] !== life || this.#codes[slot] === dead) return false
    this.#codes[slot] = dead
    this.#cancelled++
    if (this.#cancelled > 64 && this.#cancelled * 2 > this.#size) this.#sweep()
    return true
  }

  /** The next event at or before `until`; false: there is none. */
  take(until: number): boolean {
    for (;;) {
      this.#closeHole()
      if (this.#size === 0 || (this.#times[0] as number) > until) return false
      const slot = this.#slots[0] as number
      const code = this.#codes[slot] as number
      this.time = this.#times[0] as number
      this.#release(slot)
      this.#hole = true
      if (code !== dead) {
        this.code = code
        this.first = this.#firsts[slot] as number
        this.second = this.#seconds[slot] as number
        return true
      }
      this.#cancelled--
    }
  }

  /** Time of the next event, cancelled ones among them; Infinity: there is none. */
  get nextTime(): number {
    this.#closeHole()
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number)
  }

  #release(slot: number): void {
    this.#lives[slot] = ((this.#lives[slot] as number) + 1) & 0x1fff_ffff
    this.#free[this.#freeCount++] = slot
  }

  #closeHole(): void {
    if (!this.#hole) return
    this.#hole = false
    const last = --this.#size
    if (last === 0) return
    this.#sink(0, this.#times[last] as number, this.#orders[last] as number, this.#slots[last] as number)
  }

  #rise(from: number, time: number, order: number, slot: number): void {
    const times = this.#times
    const orders = this.#orders
    const slots = this.#slots
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 2
      const aboveTime = times[above] as number
      if (time > aboveTime || (time === aboveTime && order > (orders[above] as number))) break
      times[at] = aboveTime
      orders[at] = orders[above] as number
      slots[at] = slots[above] as number
      at = above
    }
    times[at] = time
    orders[at] = order
    slots[at] = slot
  }

  #sink(from: number, time: number, order: number, slot: number): void {
    const times = this.#times
    const orders = this.#orders
    const slots = this.#slots
    const size = this.#size
    let at = from
    for (;;) {
      let best = at * 4 + 1
      if (best >= size) break
      const end = Math.min(best + 4, size)
      let bestTime = times[best] as number
      for (let child = best + 1; child < end; child++) {
        const childTime = times[child] as number
        if (childTime > bestTime) continue
        if (childTime === bestTime && (orders[child] as number) > (orders[best] as number)) continue
        best = child
        bestTime = childTime
      }
      if (bestTime > time || (bestTime === time && (orders[best] as number) > order)) break
      times[at] = bestTime
      orders[at] = orders[best] as number
      slots[at] = slots[best] as number
      at = best
    }
    times[at] = time
    orders[at] = order
    slots[at] = slot
  }

  /** Takes the cancelled out. The order is total, so what comes up when does not change. */
  #sweep(): void {
    this.#closeHole()
    let kept = 0
    for (let at = 0; at < this.#size; at++) {
      const slot = this.#slots[at] as number
      if (this.#codes[slot] === dead) {
        this.#release(slot)
        continue
      }
      this.#times[kept] = this.#times[at] as number
      this.#orders[kept] = this.#orders[at] as number
      this.#slots[kept] = slot
      kept++
    }
    this.#size = kept
    this.#cancelled = 0
    for (let at = (kept - 2) >> 2; at >= 0; at--)
      this.#sink(at, this.#times[at] as number, this.#orders[at] as number, this.#slots[at] as number)
  }

  #grow(): boolean {
    const before = this.#codes.length
    // One more than the bound: the root that is being handled keeps its place until its hole is closed.
    const size = Math.min(before * 2, this.#pendingMax + 1)
    if (size <= before) return false
    const wider = <T extends Float64Array | Int32Array>(column: T): T => {
      const next = new (column.constructor as new (length: number) => T)(size)
      next.set(column)
      return next
    }
    this.#times = wider(this.#times)
    this.#orders = wider(this.#orders)
    this.#slots = wider(this.#slots)
    this.#codes = wider(this.#codes)
    this.#firsts = wider(this.#firsts)
    this.#seconds = wider(this.#seconds)
    this.#lives = wider(this.#lives)
    this.#free = wider(this.#free)
    for (let slot = size - 1; slot >= before; slot--) this.#free[this.#freeCount++] = slot
    return true
  }
}
