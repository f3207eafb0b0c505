// Which member serves a request: makes the balancer that the settings name. One file a family under `balance/`;
// `README.md` tells how to add one. Decides among eligible members only; who is eligible is the shell's business.

import { LeastBandwidth, LeastConnections, LeastResponseTime, LeastUtilised } from './balance/least.ts'
import { MaglevHash } from './balance/maglev.ts'
import { RandomBalancer } from './balance/random.ts'
import { Rendezvous } from './balance/rendezvous.ts'
import { RingHash } from './balance/ring.ts'
import { RoundRobin, WeightedRoundRobin } from './balance/round-robin.ts'
import { TwoChoices } from './balance/two-choices.ts'
import type { Balancer } from './group.ts'
import { Reason } from './reason.ts'
import type { BalanceSettings } from './settings.ts'

/** A fresh balancer, one a worker and upstream. Call `rebuild` before the first pick. */
export function createBalancer(settings: BalanceSettings): Balancer {
  switch (settings.kind) {
    case 'round-robin':
      return new RoundRobin()
    case 'weighted-round-robin':
      return new WeightedRoundRobin()
    case 'random':
      return new RandomBalancer()
    case 'least-connections':
      return new LeastConnections()
    case 'least-response-time':
      return new LeastResponseTime()
    case 'least-bandwidth':
      return new LeastBandwidth()
    case 'two-choices':
      return new TwoChoices()
    case 'resource':
      return new LeastUtilised()
    case 'ip-hash':
      return new Rendezvous(Reason.ipHash, 0)
    case 'ring-hash':
      return new RingHash(settings.loadFactor ?? 0)
    case 'rendezvous-hash':
      return new Rendezvous(Reason.rendezvousHash, settings.loadFactor ?? 0)
    case 'maglev-hash':
      return new MaglevHash(settings.loadFactor ?? 0)
  }
}

/** Does the policy use the key given to `pick`? */
export function usesKey(settings: BalanceSettings): boolean {
  return settings.kind.endsWith('-hash')
}
