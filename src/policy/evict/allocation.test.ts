// Nothing is allocated once a policy was made: the heap's own count of allocated bytes stands still over a million
// operations. What the compiler allocates beside them is far below a byte an operation; an object, a closure or a boxed
// number in any path would be 12 bytes and more.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapStatistics } from 'node:v8'
import { seededRandom } from '../../kit/random.ts'
import { mix32 } from '../hash.ts'
import type { EvictionKind, EvictionPolicy } from './contract.ts'
import { evictionFactory, evictionKinds } from './index.ts'

const slots = 1000
const keys = 4000
const bytesMax = 1_000_000

/** An owner that allocates nothing either. */
class FlatOwner {
  readonly #slotOf = new Int32Array(keys).fill(-1)
  readonly #keyOf = new Int32Array(slots)
  readonly #policy: EvictionPolicy
  #free = slots

  constructor(kind: EvictionKind) {
    this.#policy = evictionFactory(kind).create({ slots, capacity: slots, seed: 1 })
  }

  run(trace: Int32Array): void {
    const [policy, slotOf] = [this.#policy, this.#slotOf]
    for (let at = 0; at < trace.length; at++) {
      const key = trace[at]!
      if (slotOf[key]! >= 0) policy.hit(slotOf[key]!)
      else this.#comesIn(key)
      if (at % 1024 === 0) this.#removed()
    }
  }

  #comesIn(key: number): void {
    // Signed: from 2^31 up the owner itself would box it.
    const hash = mix32(key) | 0
    this.#policy.miss(hash)
    const slot = this.#free > 0 ? --this.#free : this.#policy.evict()
    if (this.#slotOf[this.#keyOf[slot]!] === slot) this.#slotOf[this.#keyOf[slot]!] = -1
    this.#keyOf[slot] = key
    this.#slotOf[key] = slot
    this.#policy.insert(slot, hash, 1)
  }

  /** Removed by its owner and inserted again under its key. */
  #removed(): void {
    this.#policy.remove(slots - 1)
    this.#policy.insert(slots - 1, mix32(this.#keyOf[slots - 1]!), 1)
  }
}

for (const kind of evictionKinds) {
  test(`${kind} allocates nothing over a million operations`, () => {
    const random = seededRandom(1)
    const trace = Int32Array.from({ length: 250_000 }, () => Math.min(random.below(keys), random.below(keys)))
    const owner = new FlatOwner(kind)
    // Code that is not compiled yet boxes numbers: what counts is the code that runs from then on, whenever that is.
    let least = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < 40 && least >= bytesMax; attempt++) {
      least = Math.min(
        least,
        allocatedBy(() => passes(owner, trace)),
      )
    }
    assert.ok(least < bytesMax, `${least} bytes over a million operations`)
  })
}

function passes(owner: FlatOwner, trace: Int32Array): void {
  for (let pass = 0; pass < 4; pass++) owner.run(trace)
}

function allocatedBy(work: () => void): number {
  const before = getHeapStatistics().total_allocated_bytes
  work()
  return getHeapStatistics().total_allocated_bytes - before
}
