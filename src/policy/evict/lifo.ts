// LIFO: the newest goes. What came first stays for ever: for data whose first pages matter most.

import type { EvictionKind } from './contract.ts'
import { QueuePolicy } from './queue-policy.ts'

export class Lifo extends QueuePolicy {
  readonly kind: EvictionKind = 'lifo'
  readonly hitIsLockFree: boolean = true

  hit(slot: number): void {
    this.countUse(slot + 1)
  }

  evict(): number {
    return this.takeOut(this.ring.newest)
  }
}
