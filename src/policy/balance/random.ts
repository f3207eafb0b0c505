// Random: each eligible member with a probability of its weight x warmth. Keeps no state between picks.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { Reason } from '../reason.ts'
import { sampleMember, weightMax } from './sample.ts'

export class RandomBalancer implements Balancer {
  reason: number = Reason.none
  #ceiling = 0

  rebuild(group: Group): void {
    this.#ceiling = weightMax(group)
  }

  pick(group: Group, now: number, _key: number, random: Random): number {
    const chosen = sampleMember(group, now, this.#ceiling, -1, random)
    this.reason = chosen < 0 ? Reason.noneEligible : Reason.random
    return chosen
  }
}
