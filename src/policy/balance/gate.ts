// What stands between a key and the member it hashes to, shared by all hash policies: eligibility, the bound on loads
// and slow start. Also the last resort when a walk finds nobody.

import type { Group } from '../group.ts'
import { mixPair } from '../hash.ts'
import { Reason } from '../reason.ts'

/**
 * One pick's gate. `passedOver` tells why the member asked about last was refused.
 *
 * Bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2018): with factor c a member takes at most
 * ceil(c x (total + 1) x weight / weights) requests, totals over the eligible members; since c > 1 the capacities sum
 * to more than total + 1, so somebody always has room.
 *
 * Slow start: a warming member takes those keys whose own lot falls below its warmth, relative to the warmest member:
 * each key moves to it once, and a group that is cold as a whole is not shuffled.
 */
export class Gate {
  passedOver: number = Reason.none
  readonly #loadFactor: number
  #capacityPerWeight = 0
  #warmest = 0

  /** @param loadFactor above 1; 0 = unbounded */
  constructor(loadFactor: number) {
    this.#loadFactor = loadFactor
  }

  /** Called once a pick, before `admits`. */
  begin(group: Group, now: number): void {
    this.passedOver = Reason.none
    this.#warmest = 0
    if (this.#loadFactor === 0) return
    let weights = 0
    let total = 0
    for (let i = 0; i < group.count; i++) {
      if (!group.eligible(i, now)) continue
      weights += group.weight(i)
      total += group.inFlight(i)
    }
    this.#capacityPerWeight = (this.#loadFactor * (total + 1)) / weights
  }

  admits(group: Group, i: number, now: number, key: number): boolean {
    if (!this.#fits(group, i, now)) return false
    const warmth = group.warmth(i, now)
    if (warmth < 1 && !this.#warmEnough(group, i, now, key, warmth)) return this.#refuse(Reason.hashNextCold)
    return true
  }

  /**
   * For a walk that found nobody: the member of the highest rank that the gate admits, else that is within the bound,
   * else that is eligible; -1 when none is.
   */
  lastResort(group: Group, now: number, key: number): number {
    let chosen = -1
    let highest = -1
    for (let i = 0; i < group.count; i++) {
      if (!group.eligible(i, now)) continue
      const level = this.#fits(group, i, now) ? (this.admits(group, i, now, key) ? 2 : 1) : 0
      const standing = level * 4_294_967_296 + rankOf(group.hash(i), key)
      if (standing <= highest) continue
      highest = standing
      chosen = i
    }
    return chosen
  }

  #fits(group: Group, i: number, now: number): boolean {
    if (!group.eligible(i, now)) return this.#refuse(Reason.hashNextIneligible)
    if (this.#loadFactor > 0 && group.inFlight(i) >= Math.ceil(this.#capacityPerWeight * group.weight(i)))
      return this.#refuse(Reason.hashNextOverBound)
    return true
  }

  #warmEnough(group: Group, i: number, now: number, key: number, warmth: number): boolean {
    if (this.#warmest === 0) this.#warmest = warmestOf(group, now)
    return mixPair(group.hash(i), key) < (warmth / this.#warmest) * 4_294_967_296
  }

  #refuse(reason: number): boolean {
    this.passedOver = reason
    return false
  }
}

function warmestOf(group: Group, now: number): number {
  let warmest = 0
  for (let i = 0; i < group.count; i++)
    if (group.eligible(i, now)) warmest = Math.max(warmest, group.warmth(i, now))
  return warmest > 0 ? warmest : 1
}

/** Rank of a member for a key: the pair's hash; the highest ranks first. */
export function rankOf(memberHash: number, key: number): number {
  return mixPair(key, memberHash)
}
