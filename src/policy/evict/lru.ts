// LRU: the one that was not used for the longest time goes.

import type { EvictionKind } from './contract.ts'
import { RecencyPolicy } from './recency-policy.ts'

export class Lru extends RecencyPolicy {
  readonly kind: EvictionKind = 'lru'

  evict(): number {
    return this.takeOut(this.nodes[1]!)
  }
}
