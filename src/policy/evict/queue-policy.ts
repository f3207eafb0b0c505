// What the policies with one queue share: new slots come in at its newest end, and a slot that is removed leaves a gap
// that closes.

import type { Memory } from './memory.ts'
import { Ring } from './ring.ts'
import { SlotPolicy } from './slot-policy.ts'

/** The only place to be in. */
const queue = 1

export abstract class QueuePolicy extends SlotPolicy {
  protected readonly ring: Ring

  constructor(memory: Memory, slots: number) {
    super(memory, slots)
    this.ring = new Ring(memory, slots)
  }

  insert(slot: number, _hash: number, size: number): void {
    this.ring.push(this.enter(slot, size, queue))
  }

  remove(slot: number): void {
    if (this.place[slot + 1] !== 0) this.takeOut(slot + 1)
  }

  override clear(): void {
    super.clear()
    this.ring.clear()
  }

  /** @param node 0: there is none, and -1 is returned. */
  protected takeOut(node: number): number {
    if (node === 0) return -1
    this.ring.unlink(node)
    return this.leave(node)
  }
}
