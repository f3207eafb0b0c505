// LFU: the one with the fewest uses since it came in goes; of several, the one that has had that count for the longest
// time. Slots with one count stand in one queue, and the queues in a ring by count: everything is O(1). Counts do not fade,
// so what was popular once stays: W-TinyLFU is the one that forgets.

import type { EvictionKind } from './contract.ts'
import { Links } from './links.ts'
import type { Memory } from './memory.ts'
import { SlotPolicy } from './slot-policy.ts'

/** The only place to be in; which queue is in `#queueOf`. */
const counted = 1

export class Lfu extends SlotPolicy {
  readonly kind: EvictionKind = 'lfu'
  readonly hitIsLockFree: boolean = false
  readonly #links: Links
  readonly #queueOf: Int32Array
  /** Uses of the slots in a queue. */
  readonly #uses: Float64Array
  /** The ring of queues by count; 0 stands between the highest and the lowest. Of a free queue: the next free one. */
  readonly #higher: Int32Array
  readonly #lower: Int32Array
  /** [0] queues ever used, [1] the first free one. */
  readonly #free: Int32Array

  constructor(memory: Memory, slots: number) {
    super(memory, slots)
    // One more than slots: a slot's new queue is made before its old one goes.
    const queues = slots + 1
    this.#links = new Links(memory, slots, queues)
    this.#queueOf = memory.i32(slots + 1)
    this.#uses = memory.f64(queues + 1)
    this.#higher = memory.i32(queues + 1)
    this.#lower = memory.i32(queues + 1)
    this.#free = memory.i32(2)
  }

  insert(slot: number, _hash: number, size: number): void {
    this.#join(this.enter(slot, size, counted), this.#queueWith(0, 0))
  }

  hit(slot: number): void {
    const node = slot + 1
    if (this.place[node] === 0) return
    this.countUse(node)
    const queue = this.#queueOf[node]!
    const uses = this.#uses[queue]! + 1
    if (this.#isAlone(queue) && this.#uses[this.#higher[queue]!] !== uses) {
      this.#uses[queue] = uses
      return
    }
    const next = this.#queueWith(uses, queue)
    this.#part(node)
    this.#join(node, next)
  }

  evict(): number {
    const lowest = this.#higher[0]!
    return lowest === 0 ? -1 : this.#takeOut(this.#links.tail[lowest]!)
  }

  remove(slot: number): void {
    if (this.place[slot + 1] !== 0) this.#takeOut(slot + 1)
  }

  override clear(): void {
    super.clear()
    this.#links.clear()
    this.#higher.fill(0)
    this.#lower.fill(0)
    this.#free.fill(0)
  }

  #isAlone(queue: number): boolean {
    return this.#links.head[queue] === this.#links.tail[queue]
  }

  /** The queue with this count, which is the one after `lower`, or a new one there. */
  #queueWith(uses: number, lower: number): number {
    const higher = this.#higher[lower]!
    if (higher !== 0 && this.#uses[higher] === uses) return higher
    const queue = this.#freeQueue()
    this.#uses[queue] = uses
    this.#higher[queue] = higher
    this.#lower[queue] = lower
    this.#higher[lower] = queue
    this.#lower[higher] = queue
    return queue
  }

  #freeQueue(): number {
    const free = this.#free[1]!
    if (free === 0) return ++this.#free[0]!
    this.#free[1] = this.#higher[free]!
    return free
  }

  #join(node: number, queue: number): void {
    this.#queueOf[node] = queue
    this.#links.push(queue, node)
  }

  /** Out of its queue, which goes when nobody is left in it. */
  #part(node: number): void {
    const queue = this.#queueOf[node]!
    this.#links.unlink(queue, node)
    if (this.#links.head[queue] !== 0) return
    const lower = this.#lower[queue]!
    const higher = this.#higher[queue]!
    this.#higher[lower] = higher
    this.#lower[higher] = lower
    this.#higher[queue] = this.#free[1]!
    this.#free[1] = queue
  }

  #takeOut(node: number): number {
    this.#part(node)
    return this.leave(node)
  }
}
