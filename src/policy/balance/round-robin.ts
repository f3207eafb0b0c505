// Round robin, plain and smoothly weighted. State: a place in the order, a number a member. Each worker runs its own,
// begun at a random place so that workers do not all start with the first member.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { Reason } from '../reason.ts'

/**
 * One after the other, weights ignored. Continues after the member that was taken, not after the place that was
 * looked at, so the one behind an ineligible member gets no double share. A member that is warming up collects its
 * warmth as credit and is passed over until that makes a whole turn.
 */
export class RoundRobin implements Balancer {
  reason: number = Reason.none
  #last = -1
  #credit = new Float64Array(0)

  rebuild(group: Group): void {
    this.#credit = new Float64Array(group.count)
    if (this.#last >= group.count) this.#last = -1
  }

  pick(group: Group, now: number, _key: number, random: Random): number {
    const count = group.count
    if (this.#credit.length !== count) this.rebuild(group)
    if (this.#last < 0 && count > 0) this.#last = random.below(count)
    let nearest = -1
    for (let step = 1; step <= count; step++) {
      const i = this.#last + step < count ? this.#last + step : this.#last + step - count
      if (!group.eligible(i, now)) continue
      this.#credit[i]! += group.warmth(i, now)
      if (this.#credit[i]! >= 1) return this.#take(i)
      if (nearest < 0 || this.#credit[i]! > this.#credit[nearest]!) nearest = i
    }
    if (nearest >= 0) return this.#take(nearest)
    this.reason = Reason.noneEligible
    return -1
  }

  #take(i: number): number {
    this.#credit[i] = Math.max(0, this.#credit[i]! - 1)
    this.#last = i
    this.reason = Reason.roundRobin
    return i
  }
}

/**
 * nginx's smooth weighted round robin (Dounin, 2012): each eligible member gains its weight x warmth, the richest is
 * taken and pays what all gained. Weights 5, 1, 1 give a a b a c a a, not a a a a a b c. O(n).
 */
export class WeightedRoundRobin implements Balancer {
  reason: number = Reason.none
  #current = new Float64Array(0)
  #begun = false

  rebuild(group: Group): void {
    this.#current = new Float64Array(group.count)
    this.#begun = false
  }

  pick(group: Group, now: number, _key: number, random: Random): number {
    if (this.#current.length !== group.count) this.rebuild(group)
    if (!this.#begun) this.#begin(group, now, random)
    const chosen = this.#round(group, now)
    this.reason = chosen < 0 ? Reason.noneEligible : Reason.weightedRoundRobin
    return chosen
  }

  #begin(group: Group, now: number, random: Random): void {
    this.#begun = true
    for (let rounds = random.below(Math.max(1, group.count)); rounds > 0; rounds--) this.#round(group, now)
  }

  #round(group: Group, now: number): number {
    const current = this.#current
    let chosen = -1
    let total = 0
    for (let i = 0; i < current.length; i++) {
      if (!group.eligible(i, now)) continue
      const gain = group.weight(i) * group.warmth(i, now)
      total += gain
      current[i]! += gain
      if (chosen < 0 || current[i]! > current[chosen]!) chosen = i
    }
    if (chosen >= 0) current[chosen]! -= total
    return chosen
  }
}
