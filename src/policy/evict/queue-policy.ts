// What the policies with one list share: new slots come in at its head, and a slot that is removed leaves a gap that closes.

import { Links } from './links.ts'
import type { Memory } from './memory.ts'
import { SlotPolicy } from './slot-policy.ts'

/** The only list. */
export const queue = 1

export abstract class QueuePolicy extends SlotPolicy {
  protected readonly links: Links

  constructor(memory: Memory, slots: number) {
    super(memory, slots)
    this.links = new Links(memory, slots, 1)
  }

  insert(slot: number, _hash: number, size: number): void {
    this.links.push(queue, this.enter(slot, size, queue))
  }

  remove(slot: number): void {
    if (this.place[slot + 1] !== 0) this.takeOut(slot + 1)
  }

  override clear(): void {
    super.clear()
    this.links.clear()
  }

  /** @param node 0: there is none, and -1 is returned. */
  protected takeOut(node: number): number {
    if (node === 0) return -1
    this.links.unlink(queue, node)
    return this.leave(node)
  }
}
