// What all policies share: which slots are in, their sizes, how often each was used, and the totals. Inside, slot s is
// node s + 1, because 0 is none. A policy decides the order; this only keeps the books. No order is kept here.

import { assert } from '../../kit/failure.ts'
import type { EvictionKind, EvictionPolicy } from './contract.ts'
import type { Memory } from './memory.ts'

/** Uses beyond are not counted: a hot slot's byte is then only read, and stays in every core's cache. */
const usesMax = 15

export abstract class SlotPolicy implements EvictionPolicy {
  abstract readonly kind: EvictionKind
  abstract readonly hitIsLockFree: boolean
  readonly usesHashes: boolean = false
  /** Integers, 0 to 2^32 - 1. */
  protected readonly sizes: Uint32Array
  protected readonly used: Uint8Array
  /** Number of the list that the node is in; 0: it is out. */
  protected readonly place: Uint8Array
  /** [0] nodes that are in, [1] their size. */
  protected readonly totals: Float64Array

  constructor(memory: Memory, slots: number) {
    this.totals = memory.f64(2)
    this.sizes = memory.u32(slots + 1)
    this.used = memory.u8(slots + 1)
    this.place = memory.u8(slots + 1)
  }

  abstract insert(slot: number, hash: number, size: number): void
  abstract hit(slot: number): void
  abstract evict(): number
  abstract remove(slot: number): void

  miss(_hash: number): void {}

  get count(): number {
    return this.totals[0]!
  }

  get size(): number {
    return this.totals[1]!
  }

  /** Since it came in; it can still be asked after the slot went, until it is used again. */
  uses(slot: number): number {
    return this.used[slot + 1]!
  }

  clear(): void {
    this.totals.fill(0)
    this.place.fill(0)
  }

  /** Into the books, as a node of `list`. */
  protected enter(slot: number, size: number, list: number): number {
    const node = slot + 1
    assert(this.place[node] === 0, 'a slot is inserted only while it is out')
    this.place[node] = list
    this.sizes[node] = size
    this.used[node] = 0
    this.totals[0]! += 1
    this.totals[1]! += size
    return node
  }

  /** Out of the books; returns the slot. */
  protected leave(node: number): number {
    this.place[node] = 0
    this.totals[0]! -= 1
    this.totals[1]! -= this.sizes[node]!
    return node - 1
  }

  protected countUse(node: number): void {
    if (this.used[node]! < usesMax) this.used[node]!++
  }
}
