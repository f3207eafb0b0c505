// Random: any slot that is in goes, each with the same probability. The n-th draw is a function of the seed and n, and n
// lies in the memory: all views draw from one sequence.

import { mixPair } from '../hash.ts'
import type { EvictionKind, EvictionOptions } from './contract.ts'
import type { Memory } from './memory.ts'
import { SlotPolicy } from './slot-policy.ts'

/** The only place to be in. */
const pool = 1

export class RandomEviction extends SlotPolicy {
  readonly kind: EvictionKind = 'random'
  readonly hitIsLockFree: boolean = true
  readonly #seed: number
  /** The nodes that are in, without gaps, and where each stands. */
  readonly #nodes: Int32Array
  readonly #standing: Int32Array
  readonly #draws: Uint32Array

  constructor(memory: Memory, { slots, seed = 0 }: EvictionOptions) {
    super(memory, slots)
    this.#seed = seed
    this.#draws = memory.u32(1)
    this.#nodes = memory.i32(slots)
    this.#standing = memory.i32(slots + 1)
  }

  insert(slot: number, _hash: number, size: number): void {
    const index = this.count
    const node = this.enter(slot, size, pool)
    this.#nodes[index] = node
    this.#standing[node] = index
  }

  hit(slot: number): void {
    this.countUse(slot + 1)
  }

  evict(): number {
    const count = this.count
    if (count === 0) return -1
    const draw = mixPair(this.#seed, this.#draws[0]!++)
    return this.#takeOut(this.#nodes[Math.floor((draw / 4_294_967_296) * count)]!)
  }

  remove(slot: number): void {
    if (this.place[slot + 1] !== 0) this.#takeOut(slot + 1)
  }

  override clear(): void {
    super.clear()
    this.#draws[0] = 0
  }

  #takeOut(node: number): number {
    const index = this.#standing[node]!
    const last = this.#nodes[this.count - 1]!
    this.#nodes[index] = last
    this.#standing[last] = index
    return this.leave(node)
  }
}
