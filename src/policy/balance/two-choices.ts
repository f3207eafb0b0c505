// Power of two choices (Mitzenmacher, "The power of two choices in randomized load balancing", 2001): draw two
// different eligible members by weight, take the one with fewer requests in flight by weight. Nearly as even as least
// connections at constant cost, and without its herd: the choice for groups above some dozens of members.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { Reason } from '../reason.ts'
import { sampleMember, weightMax } from './sample.ts'

export class TwoChoices implements Balancer {
  reason: number = Reason.none
  #ceiling = 0

  rebuild(group: Group): void {
    this.#ceiling = weightMax(group)
  }

  pick(group: Group, now: number, _key: number, random: Random): number {
    const first = sampleMember(group, now, this.#ceiling, -1, random)
    if (first < 0) {
      this.reason = Reason.noneEligible
      return -1
    }
    const second = sampleMember(group, now, this.#ceiling, first, random)
    if (second < 0) {
      this.reason = Reason.onlyOne
      return first
    }
    this.reason = Reason.twoChoices
    return load(group, second, now) < load(group, first, now) ? second : first
  }
}

// Without the "+1" of least connections: two idle members tie, and the draw has followed the weights already.
function load(group: Group, i: number, now: number): number {
  return group.inFlight(i) / (group.weight(i) * group.warmth(i, now))
}
