// Keys that went, known by their hash: a queue with a table over it, bounded in entries and in size. Two keys with one
// 32-bit hash count as one; a policy then remembers a stranger, which costs it a little and harms nobody. Hashes are signed
// in here: a uint32 from 2^31 up is no small integer, and would be boxed on its way through a call.

import { Links } from './links.ts'
import type { Memory } from './memory.ts'

/** The only list. */
const queue = 1

export class Ghosts {
  readonly #entriesMax: number
  readonly #links: Links
  readonly #hashes: Int32Array
  readonly #sizes: Uint32Array
  /** The next node with the same bucket, or the next free node. */
  readonly #chain: Int32Array
  readonly #buckets: Int32Array
  /** [0] entries, [1] nodes ever used, [2] first free node, [3] total size. */
  readonly #totals: Float64Array

  constructor(memory: Memory, entriesMax: number) {
    this.#entriesMax = entriesMax
    this.#totals = memory.f64(4)
    this.#links = new Links(memory, entriesMax, 1)
    this.#hashes = memory.i32(entriesMax + 1)
    this.#sizes = memory.u32(entriesMax + 1)
    this.#chain = memory.i32(entriesMax + 1)
    this.#buckets = memory.i32(powerOfTwo(entriesMax))
  }

  get count(): number {
    return this.#totals[0]!
  }

  get size(): number {
    return this.#totals[3]!
  }

  /** Its node, or 0. Good until something is added or taken. */
  find(hash: number): number {
    let node = this.#buckets[this.#bucket(hash)]!
    while (node !== 0 && this.#hashes[node] !== hash) node = this.#chain[node]!
    return node
  }

  sizeOf(node: number): number {
    return this.#sizes[node]!
  }

  /**
   * The newest from now on, unless its hash is there already; the oldest go until it fits. One larger than `sizeMax` is
   * not kept. Returns its node, or 0.
   */
  add(hash: number, size: number, sizeMax: number): number {
    if (size > sizeMax || this.#entriesMax === 0) return 0
    const known = this.find(hash)
    if (known !== 0) return known
    while (this.count >= this.#entriesMax || this.size + size > sizeMax) this.dropOldest()
    const node = this.#freeNode()
    const bucket = this.#bucket(hash)
    this.#hashes[node] = hash
    this.#sizes[node] = size
    this.#chain[node] = this.#buckets[bucket]!
    this.#buckets[bucket] = node
    this.#links.push(queue, node)
    this.#totals[0]! += 1
    this.#totals[3]! += size
    return node
  }

  /** Whether it was there; it is not any more. */
  take(hash: number): boolean {
    const node = this.find(hash)
    if (node !== 0) this.#drop(node)
    return node !== 0
  }

  dropOldest(): void {
    const node = this.#links.tail[queue]!
    if (node !== 0) this.#drop(node)
  }

  clear(): void {
    this.#totals.fill(0)
    this.#links.clear()
    this.#buckets.fill(0)
  }

  #bucket(hash: number): number {
    return hash & (this.#buckets.length - 1)
  }

  #freeNode(): number {
    const free = this.#totals[2]!
    if (free === 0) return (this.#totals[1]! += 1)
    this.#totals[2] = this.#chain[free]!
    return free
  }

  #drop(node: number): void {
    const bucket = this.#bucket(this.#hashes[node]!)
    const after = this.#chain[node]!
    let before = this.#buckets[bucket]!
    if (before === node) this.#buckets[bucket] = after
    else {
      while (this.#chain[before] !== node) before = this.#chain[before]!
      this.#chain[before] = after
    }
    this.#links.unlink(queue, node)
    this.#chain[node] = this.#totals[2]!
    this.#totals[2] = node
    this.#totals[0]! -= 1
    this.#totals[3]! -= this.#sizes[node]!
  }
}

/** The least power of two that is not below `count`, at least 1. */
export function powerOfTwo(count: number): number {
  let power = 1
  while (power < count) power *= 2
  return power
}
