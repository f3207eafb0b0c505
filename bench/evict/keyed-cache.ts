// The least that makes a cache of an eviction policy: text keys to slots, values by slot, room made before a key comes in.
// No times, tags or loads: the same that the peers do, so that policies are compared and not features.

import { type EvictionKind, type EvictionPolicy, evictionFactory } from '../../src/policy/evict/index.ts'
import { hashText } from '../../src/policy/hash.ts'

export class KeyedCache<V> {
  readonly #policy: EvictionPolicy
  readonly #entriesMax: number
  readonly #slotOf = new Map<string, number>()
  readonly #keys: string[] = []
  readonly #values: V[] = []
  readonly #hashes: boolean
  #used = 0
  /** Asked for and not found, and nothing has changed since: who sets it next need not look again. */
  #missed: string | undefined

  constructor(kind: EvictionKind, entriesMax: number) {
    this.#policy = evictionFactory(kind).create({ slots: entriesMax, capacity: entriesMax, seed: 1 })
    this.#hashes = this.#policy.usesHashes
    this.#entriesMax = entriesMax
  }

  get(key: string): V | undefined {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) {
      this.#missed = key
      return undefined
    }
    this.#policy.hit(slot)
    return this.#values[slot]
  }

  set(key: string, value: V): void {
    const known = this.#missed === key ? undefined : this.#slotOf.get(key)
    if (known === undefined) this.#add(key, value)
    else {
      this.#values[known] = value
      this.#policy.hit(known)
    }
  }

  #add(key: string, value: V): void {
    const hash = this.#hashes ? hashText(key) | 0 : 0
    if (this.#hashes) this.#policy.miss(hash)
    const slot = this.#used < this.#entriesMax ? this.#used++ : this.#evicted()
    this.#slotOf.set(key, slot)
    this.#keys[slot] = key
    this.#values[slot] = value
    this.#policy.insert(slot, hash, 1)
    this.#missed = undefined
  }

  #evicted(): number {
    const slot = this.#policy.evict()
    this.#slotOf.delete(this.#keys[slot]!)
    return slot
  }
}
