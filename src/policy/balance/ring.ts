// Consistent hashing on a ring (Karger et al., 1997) with virtual nodes: points sorted in typed arrays, the first
// point at or after the key's place owns it, refused members are walked past. O(log points) a pick.
// A member has up to 1,024 points by weight, so its share is even to about 3 %. Removing one of n moves its own keys.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { mix32, mixPair } from '../hash.ts'
import { Reason } from '../reason.ts'
import { Gate } from './gate.ts'

/** Points of a member with the largest weight (rounded up to a power of two), and of the whole ring. */
const memberPointsMax = 1024
const ringPointsMax = 131_072
/**
 * Owners and places are packed into one float while sorting: 32 bits of place, 20 of owner. The built-in sort is native;
 * a radix sort of our own took ten times as long in the cold code that a rebuild is.
 */
const ownerBits = 2 ** 20

export class RingHash implements Balancer {
  reason: number = Reason.none
  readonly #gate: Gate
  #places = new Uint32Array(0)
  #owners = new Uint32Array(0)
  #members = -1

  constructor(loadFactor: number) {
    this.#gate = new Gate(loadFactor)
  }

  rebuild(group: Group): void {
    const packed = pointsOf(group).sort()
    this.#members = group.count
    this.#places = new Uint32Array(packed.length)
    this.#owners = new Uint32Array(packed.length)
    for (let p = 0; p < packed.length; p++) {
      const place = Math.floor(packed[p]! / ownerBits)
      this.#places[p] = place
      this.#owners[p] = packed[p]! - place * ownerBits
    }
  }

  pick(group: Group, now: number, key: number, _random: Random): number {
    if (this.#members !== group.count) this.rebuild(group)
    this.#gate.begin(group, now)
    const points = this.#places.length
    const first = this.#firstAtOrAfter(mix32(key))
    // A bound on the walk: past it the few who are left are ranked instead, which depends on the key alone too.
    const stepsMax = Math.min(points, 64 + 8 * group.count)
    let refused = -1
    let why: number = Reason.ringHash
    for (let step = 0; step < stepsMax; step++) {
      const owner = this.#owners[first + step < points ? first + step : first + step - points]!
      if (owner === refused) continue
      if (this.#gate.admits(group, owner, now, key)) {
        this.reason = why
        return owner
      }
      if (refused < 0) why = this.#gate.passedOver
      refused = owner
    }
    const chosen = this.#gate.lastResort(group, now, key)
    this.reason = chosen < 0 ? Reason.noneEligible : why
    return chosen
  }

  #firstAtOrAfter(place: number): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#places[middle]! < place) low = middle + 1
      else high = middle
    }
    return low === this.#places.length ? 0 : low
  }
}

/** Every member's points, packed, unsorted. A point depends on the member's id and its number only. */
function pointsOf(group: Group): Float64Array {
  const unit = pointsPerWeight(group)
  let total = 0
  for (let i = 0; i < group.count; i++) total += pointCount(group.weight(i), unit)
  const packed = new Float64Array(total)
  let next = 0
  for (let i = 0; i < group.count; i++) {
    const count = pointCount(group.weight(i), unit)
    for (let p = 0; p < count; p++) packed[next++] = mixPair(group.hash(i), p) * ownerBits + i
  }
  return packed
}

function pointCount(weight: number, unit: number): number {
  return Math.max(1, Math.round(weight * unit))
}

/** In powers of two, so that a member more or less seldom changes how many points the others have. */
function pointsPerWeight(group: Group): number {
  let heaviest = 0
  for (let i = 0; i < group.count; i++) heaviest = Math.max(heaviest, group.weight(i))
  if (heaviest === 0) return 1
  const crowd = Math.max(1, 2 ** Math.ceil(Math.log2((group.count * memberPointsMax) / ringPointsMax)))
  return memberPointsMax / crowd / 2 ** Math.ceil(Math.log2(heaviest))
}
