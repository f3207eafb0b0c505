// The least that an owner of slots does: keys to slots, room made before a key comes in. Counts hits. For tests and for the
// hit ratios of the bench.

import { mix32 } from '../../hash.ts'
import type { EvictionKind, EvictionPolicy } from '../contract.ts'
import { evictionFactory } from '../index.ts'

export class Owner {
  readonly policy: EvictionPolicy
  hits = 0
  requests = 0
  readonly #capacity: number
  readonly #slotOf = new Map<number, number>()
  readonly #keyOf: number[] = []
  readonly #free: number[] = []

  constructor(policy: EvictionPolicy, slots: number, capacity: number) {
    this.policy = policy
    this.#capacity = capacity
    for (let slot = slots - 1; slot >= 0; slot--) this.#free.push(slot)
  }

  /** Whether it was in; afterwards it is. */
  request(key: number, size = 1): boolean {
    this.requests++
    const slot = this.#slotOf.get(key)
    if (slot !== undefined) {
      this.hits++
      this.policy.hit(slot)
      return true
    }
    this.policy.miss(mix32(key))
    while (this.policy.size + size > this.#capacity || this.#free.length === 0) this.#evict()
    this.#insert(key, size)
    return false
  }

  has(key: number): boolean {
    return this.#slotOf.has(key)
  }

  #evict(): void {
    const slot = this.policy.evict()
    if (slot < 0) throw new Error('nothing is in, and yet there is no room')
    this.#slotOf.delete(this.#keyOf[slot]!)
    this.#free.push(slot)
  }

  #insert(key: number, size: number): void {
    const slot = this.#free.pop()!
    this.#slotOf.set(key, slot)
    this.#keyOf[slot] = key
    this.policy.insert(slot, mix32(key), size)
  }
}

/** Percent of hits, from an empty cache of so many entries. */
export function hitPercent(kind: EvictionKind, trace: Int32Array, entries: number, seed = 1): number {
  const policy = evictionFactory(kind).create({ slots: entries, capacity: entries, seed })
  const owner = new Owner(policy, entries, entries)
  for (const key of trace) owner.request(key)
  return (100 * owner.hits) / owner.requests
}
