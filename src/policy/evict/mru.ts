// MRU: the one that was used last goes. Best on loops that are longer than the cache, bad on nearly everything else.

import type { EvictionKind } from './contract.ts'
import { QueuePolicy, queue } from './queue-policy.ts'

export class Mru extends QueuePolicy {
  readonly kind: EvictionKind = 'mru'
  readonly hitIsLockFree: boolean = false

  hit(slot: number): void {
    const node = slot + 1
    if (this.place[node] === 0) return
    this.countUse(node)
    this.links.renew(queue, node)
  }

  evict(): number {
    return this.takeOut(this.links.head[queue]!)
  }
}
