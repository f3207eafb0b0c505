// CLOCK: a FIFO whose slots carry one bit, set by a hit. The hand clears a set bit and passes; the first slot without it
// goes. The ring is a list here: to pass means to move from its tail to its head. A hit needs no lock.

import type { EvictionKind } from './contract.ts'
import type { Memory } from './memory.ts'
import { passesMax } from './passes.ts'
import { QueuePolicy } from './queue-policy.ts'

export class Clock extends QueuePolicy {
  readonly kind: EvictionKind = 'clock'
  readonly hitIsLockFree: boolean = true
  readonly #marks: Uint8Array

  constructor(memory: Memory, slots: number) {
    super(memory, slots)
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
    let node = this.ring.oldest
    for (let passes = 0; node !== 0 && this.#marks[node] === 1 && passes < passesMax; passes++) {
      this.#marks[node] = 0
      this.ring.renew(node)
      node = this.ring.oldest
    }
    return this.takeOut(node)
  }
}
