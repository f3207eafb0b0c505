// SIEVE (Zhang et al., NSDI 2024): one queue, one bit a slot, set by a hit. The hand walks from the tail to the head, clears
// set bits and passes their slots where they stand; the first slot without it goes, and the hand waits at the gap. It is
// strong on web traffic and fails where keys are read again once, soon, and never after. A hit needs no lock.

import type { EvictionKind } from './contract.ts'
import type { Memory } from './memory.ts'
import { passesMax } from './passes.ts'
import { QueuePolicy } from './queue-policy.ts'

export class Sieve extends QueuePolicy {
  readonly kind: EvictionKind = 'sieve'
  readonly hitIsLockFree: boolean = true
  readonly #marks: Uint8Array
  /** The node that is looked at next; 0: begin at the tail. */
  readonly #hand: Int32Array

  constructor(memory: Memory, slots: number) {
    super(memory, slots)
    this.#hand = memory.i32(1)
    this.#marks = memory.u8(slots + 1)
  }

  override insert(slot: number, hash: number, size: number): void {
    super.insert(slot, hash, size)
    this.#marks[slot + 1] = 0
  }

  hit(slot: number): void {
    this.countUse(slot + 1)
    if (this.#marks[slot + 1] === 0) this.#marks[slot + 1] = 1
  }

  evict(): number {
    let node = this.#hand[0]! || this.ring.oldest
    for (let passes = 0; node !== 0 && this.#marks[node] === 1 && passes < passesMax; passes++) {
      this.#marks[node] = 0
      node = this.ring.newer(node) || this.ring.oldest
    }
    this.#hand[0] = this.ring.newer(node)
    return this.takeOut(node)
  }

  override remove(slot: number): void {
    if (this.#hand[0] === slot + 1) this.#hand[0] = this.ring.newer(slot + 1)
    super.remove(slot)
  }

  override clear(): void {
    super.clear()
    this.#hand[0] = 0
  }
}
