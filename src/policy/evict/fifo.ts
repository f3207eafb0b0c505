// FIFO: the oldest goes, however often it was used.

import type { EvictionKind } from './contract.ts'
import { QueuePolicy } from './queue-policy.ts'

export class Fifo extends QueuePolicy {
  readonly kind: EvictionKind = 'fifo'
  readonly hitIsLockFree: boolean = true

  hit(slot: number): void {
    this.countUse(slot + 1)
  }

  evict(): number {
    return this.takeOut(this.ring.oldest)
  }
}
