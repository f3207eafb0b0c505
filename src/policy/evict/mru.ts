// MRU: the one that was used last goes. Best on loops that are longer than the cache, bad on nearly everything else.

import type { EvictionKind } from './contract.ts'
import { RecencyPolicy } from './recency-policy.ts'

export class Mru extends RecencyPolicy {
  readonly kind: EvictionKind = 'mru'

  evict(): number {
    return this.takeOut(this.nodes[0]!)
  }
}
