// What LRU and MRU share: a hit makes its slot the newest, so hits need the owner's lock. All of a slot's state lies in 16
// bytes, one line of the processor's cache: the victim of an LRU is cold, and every further column would be one more wait
// for memory. Nodes form a ring closed by node 0, as in `ring.ts`.

import { assert } from '../../kit/failure.ts'
import type { EvictionKind, EvictionPolicy } from './contract.ts'
import type { Memory } from './memory.ts'

/** Words of a node: the next older one, the next newer one (both as the index of their first word), size, state. */
const words = 4
const newer = 1
const sized = 2
const state = 3
/** Bit of the state: the slot is in. Below it stand its uses. */
const isIn = 16
/** As in `slot-policy.ts`. Of its own, because an imported constant is loaded each time: 3 of a hit's 12 ns. */
const usesMax = 15

export abstract class RecencyPolicy implements EvictionPolicy {
  abstract readonly kind: EvictionKind
  readonly hitIsLockFree: boolean = false
  readonly usesHashes: boolean = false
  protected readonly nodes: Int32Array
  /** [0] slots that are in, [1] their size. */
  readonly #totals: Float64Array

  constructor(memory: Memory, slots: number) {
    this.#totals = memory.f64(2)
    this.nodes = memory.i32(words * (slots + 1))
  }

  get count(): number {
    return this.#totals[0]!
  }

  get size(): number {
    return this.#totals[1]!
  }

  abstract evict(): number

  miss(_hash: number): void {}

  insert(slot: number, _hash: number, size: number): void {
    const nodes = this.nodes
    const node = (slot + 1) * words
    assert(nodes[node + state]! < isIn, 'a slot is inserted only while it is out')
    nodes[node + state] = isIn
    nodes[node + sized] = size
    const second = nodes[0]!
    nodes[node] = second
    nodes[node + newer] = 0
    nodes[second + newer] = node
    nodes[0] = node
    this.#totals[0]! += 1
    this.#totals[1]! += size
  }

  hit(slot: number): void {
    const nodes = this.nodes
    const node = (slot + 1) * words
    const before = nodes[node + state]!
    if (before < isIn) return
    if (before < isIn + usesMax) nodes[node + state] = before + 1
    const head = nodes[0]!
    if (head === node) return
    this.#unlink(node)
    nodes[node] = head
    nodes[node + newer] = 0
    nodes[head + newer] = node
    nodes[0] = node
  }

  remove(slot: number): void {
    const node = (slot + 1) * words
    if (this.nodes[node + state]! >= isIn) this.takeOut(node)
  }

  uses(slot: number): number {
    return this.nodes[(slot + 1) * words + state]! & usesMax
  }

  clear(): void {
    this.#totals.fill(0)
    this.nodes.fill(0)
  }

  /** @param node the index of its first word; 0: there is none, and -1 is returned. */
  protected takeOut(node: number): number {
    if (node === 0) return -1
    const nodes = this.nodes
    this.#unlink(node)
    nodes[node + state]! -= isIn
    this.#totals[0]! -= 1
    this.#totals[1]! -= nodes[node + sized]! >>> 0
    return (node >> 2) - 1
  }

  #unlink(node: number): void {
    const nodes = this.nodes
    const olderOne = nodes[node]!
    const newerOne = nodes[node + newer]!
    nodes[newerOne] = olderOne
    nodes[olderOne + newer] = newerOne
  }
}
