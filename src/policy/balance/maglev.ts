// Maglev hashing (Eisenbud et al., NSDI 2016): a table of 65,537 slots that members fill in turns, each by its own
// permutation, weighted as Envoy does it. One table read a pick, shares even to 1 %; removing one of n moves its own
// keys and a few others (measured in `hash-policies.test.ts`). A refused member's keys go on through the key's own permutation.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { mix32, mixPair } from '../hash.ts'
import { Reason } from '../reason.ts'
import { Gate } from './gate.ts'

/** Prime, as the permutations need it. At most 65,535 members fit. */
export const maglevSlots = 65_537

export class MaglevHash implements Balancer {
  reason: number = Reason.none
  readonly #gate: Gate
  #table: Uint16Array = new Uint16Array(0)
  #members = -1

  constructor(loadFactor: number) {
    this.#gate = new Gate(loadFactor)
  }

  rebuild(group: Group): void {
    this.#members = group.count
    this.#table = maglevTable(group)
  }

  pick(group: Group, now: number, key: number, _random: Random): number {
    if (this.#members !== group.count) this.rebuild(group)
    if (group.count === 0) {
      this.reason = Reason.noneEligible
      return -1
    }
    this.#gate.begin(group, now)
    const own = this.#table[mix32(key) % maglevSlots]!
    if (this.#gate.admits(group, own, now, key)) {
      this.reason = Reason.maglevHash
      return own
    }
    const why = this.#gate.passedOver
    const chosen = this.#walk(group, now, key)
    this.reason = chosen < 0 ? Reason.noneEligible : why
    return chosen
  }

  #walk(group: Group, now: number, key: number): number {
    const skip = 1 + (mixPair(key, 1) % (maglevSlots - 1))
    let slot = mix32(key) % maglevSlots
    for (let step = 0; step < 16 + 2 * group.count; step++) {
      slot = (slot + skip) % maglevSlots
      const owner = this.#table[slot]!
      if (this.#gate.admits(group, owner, now, key)) return owner
    }
    return this.#gate.lastResort(group, now, key)
  }
}

/** Slot -> member. Members take turns in the order of their hashes, so that indices do not matter. */
export function maglevTable(group: Group): Uint16Array {
  const count = Math.min(group.count, 0xffff)
  const table = new Uint16Array(maglevSlots)
  if (count === 0) return table
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => group.hash(a) - group.hash(b))
  const slot = Uint32Array.from({ length: count }, (_, i) => mixPair(group.hash(i), 1) % maglevSlots)
  const skip = Uint32Array.from(
    { length: count },
    (_, i) => 1 + (mixPair(group.hash(i), 2) % (maglevSlots - 1)),
  )
  const weight = Float64Array.from({ length: count }, (_, i) => group.weight(i))
  const heaviest = weight.reduce((a, b) => Math.max(a, b), 0)
  const owed = new Float64Array(count)
  const taken = new Uint8Array(maglevSlots)

  let filled = 0
  for (let round = 1; filled < maglevSlots; round++) {
    for (let turn = 0; turn < count && filled < maglevSlots; turn++) {
      const i = order[turn]!
      if (round * weight[i]! < owed[i]!) continue
      owed[i]! += heaviest
      while (taken[slot[i]!] === 1) slot[i] = (slot[i]! + skip[i]!) % maglevSlots
      taken[slot[i]!] = 1
      table[slot[i]!] = i
      filled++
    }
  }
  return table
}
