// LRU: the one that was not used for the longest time goes. A hit moves its slot, so hits need the owner's lock.

import type { EvictionKind } from './contract.ts'
import { QueuePolicy, queue } from './queue-policy.ts'

export class Lru extends QueuePolicy {
  readonly kind: EvictionKind = 'lru'
  readonly hitIsLockFree: boolean = false

  hit(slot: number): void {
    const node = slot + 1
    if (this.place[node] === 0) return
    this.countUse(node)
    this.links.renew(queue, node)
  }

  evict(): number {
    return this.takeOut(this.links.tail[queue]!)
  }
}
