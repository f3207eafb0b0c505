// S3-FIFO (Yang et al., SOSP 2023): new slots enter a small queue; those used at least twice there move to the main
// queue, the others go and leave a ghost; who comes back while its ghost is there enters main at once. Main gives its
// slots another round for each use, three at most. Shares are of the capacity: small a tenth, main the rest, ghosts nine
// tenths. A hit only counts in a byte of its own slot: it needs no lock.

import type { EvictionKind, EvictionOptions } from './contract.ts'
import { Ghosts } from './ghost.ts'
import { Links } from './links.ts'
import type { Memory } from './memory.ts'
import { passesMax } from './passes.ts'
import { SlotPolicy } from './slot-policy.ts'

const small = 1
const main = 2
const marksMax = 3
/** Uses in the small queue that take a slot into main. */
const promotedFrom = 2

export class S3Fifo extends SlotPolicy {
  readonly kind: EvictionKind = 's3-fifo'
  readonly hitIsLockFree: boolean = true
  override readonly usesHashes: boolean = true
  readonly #mainShare: number
  readonly #ghostShare: number
  readonly #links: Links
  readonly #marks: Uint8Array
  readonly #hashes: Int32Array
  readonly #ghosts: Ghosts
  /** Size in the main queue. */
  readonly #mainSize: Float64Array

  constructor(memory: Memory, { slots, capacity }: EvictionOptions) {
    super(memory, slots)
    this.#mainShare = capacity - Math.floor(capacity * 0.1)
    this.#ghostShare = Math.floor(capacity * 0.9)
    this.#mainSize = memory.f64(1)
    this.#links = new Links(memory, slots, 2)
    this.#hashes = memory.i32(slots + 1)
    this.#marks = memory.u8(slots + 1)
    this.#ghosts = new Ghosts(memory, Math.floor(slots * 0.9))
  }

  insert(slot: number, hash: number, size: number): void {
    const list = this.#ghosts.take(hash | 0) ? main : small
    const node = this.enter(slot, size, list)
    this.#hashes[node] = hash
    this.#marks[node] = 0
    this.#links.push(list, node)
    if (list === main) this.#mainSize[0]! += size
  }

  hit(slot: number): void {
    const node = slot + 1
    this.countUse(node)
    if (this.#marks[node]! < marksMax) this.#marks[node]!++
  }

  evict(): number {
    for (let passes = 0; ; passes++) {
      const fromMain = this.#mainSize[0]! > this.#mainShare || this.#links.tail[small] === 0
      const node = this.#links.tail[fromMain ? main : small]!
      if (node === 0) return -1
      const mayStay = passes < passesMax
      if (mayStay && fromMain && this.#marks[node]! > 0) this.#anotherRound(node)
      else if (mayStay && !fromMain && this.#marks[node]! >= promotedFrom) this.#promote(node)
      else return this.#goes(node)
    }
  }

  remove(slot: number): void {
    if (this.place[slot + 1] !== 0) this.#takeOut(slot + 1)
  }

  override clear(): void {
    super.clear()
    this.#links.clear()
    this.#ghosts.clear()
    this.#mainSize[0] = 0
  }

  #anotherRound(node: number): void {
    this.#marks[node]!--
    this.#links.renew(main, node)
  }

  #promote(node: number): void {
    this.#links.unlink(small, node)
    this.#links.push(main, node)
    this.place[node] = main
    this.#marks[node] = 0
    this.#mainSize[0]! += this.sizes[node]!
  }

  #goes(node: number): number {
    if (this.place[node] === small) this.#ghosts.add(this.#hashes[node]!, this.sizes[node]!, this.#ghostShare)
    return this.#takeOut(node)
  }

  #takeOut(node: number): number {
    const list = this.place[node]!
    if (list === main) this.#mainSize[0]! -= this.sizes[node]!
    this.#links.unlink(list, node)
    return this.leave(node)
  }
}
