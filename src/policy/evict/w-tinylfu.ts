// W-TinyLFU (Einziger, Friedman & Manes, 2017): new slots enter a window, an LRU. Who leaves the window is judged: it stays
// only if it was asked for more often lately than the one that would go for it. Who stays is on probation, and protected
// after another hit. A sketch counts how often keys were asked for, also those that are not in; it ages. The window's size
// climbs towards the better hit ratio.

import { mixPair } from '../hash.ts'
import type { EvictionKind, EvictionOptions } from './contract.ts'
import { Links } from './links.ts'
import type { Memory } from './memory.ts'
import { Sketch } from './sketch.ts'
import { SlotPolicy } from './slot-policy.ts'
import { WindowClimber } from './window-climber.ts'

const window = 1
/** Out of the window and not judged yet. */
const waiting = 2
const probation = 3
const guarded = 4
/** Of what the window leaves. */
const guardedShare = 0.8
/** Requests for each entry after which the sketch is halved. */
const sketchPeriod = 10
/** Slots that one call moves from list to list; what is left is moved by the next ones. */
const movesMax = 16
/** A loser asked for this often gets in one time in 128: who knows the hash can't lock a key out by heating another. */
const warmFrom = 6
const luckyMask = 127

export class WindowTinyLfu extends SlotPolicy {
  readonly kind: EvictionKind = 'w-tinylfu'
  readonly hitIsLockFree: boolean = false
  override readonly usesHashes: boolean = true
  readonly #capacity: number
  readonly #entriesLeast: number
  readonly #seed: number
  readonly #links: Links
  readonly #hashes: Int32Array
  readonly #sketch: Sketch
  readonly #climber: WindowClimber
  /** By list. */
  readonly #listSizes: Float64Array
  /** [0] 1 + the hash counted last, as long as its insert may follow, [1] counted since the sketch was halved, [2] draws. */
  readonly #state: Float64Array

  constructor(memory: Memory, { slots, capacity, seed = 0 }: EvictionOptions) {
    super(memory, slots)
    const entries = Math.min(slots, capacity)
    this.#capacity = capacity
    this.#entriesLeast = Math.max(16, entries / 64)
    this.#seed = seed
    this.#climber = new WindowClimber(memory, capacity)
    this.#listSizes = memory.f64(5)
    this.#state = memory.f64(3)
    this.#links = new Links(memory, slots, 4)
    this.#hashes = memory.i32(slots + 1)
    this.#sketch = new Sketch(memory, entries)
  }

  override miss(hash: number): void {
    this.#climber.miss()
    this.#count(hash | 0)
    this.#state[0] = (hash >>> 0) + 1
  }

  insert(slot: number, hash: number, size: number): void {
    if (this.#state[0] !== (hash >>> 0) + 1) this.miss(hash)
    this.#state[0] = 0
    const node = this.enter(slot, size, window)
    this.#hashes[node] = hash
    this.#links.push(window, node)
    this.#listSizes[window]! += size
    // Nobody had to go since these left the window: there was room.
    this.#moveOldest(waiting, probation, 0)
    this.#moveOldest(window, waiting, this.#climber.window)
  }

  hit(slot: number): void {
    const node = slot + 1
    const list = this.place[node]!
    if (list === 0) return
    this.countUse(node)
    this.#climber.hit()
    this.#count(this.#hashes[node]!)
    if (list === window || list === guarded) this.#links.renew(list, node)
    else this.#move(node, guarded)
    this.#moveOldest(guarded, probation, (this.#capacity - this.#climber.window) * guardedShare)
  }

  evict(): number {
    const candidate = this.#links.tail[waiting]!
    const victim = this.#links.tail[probation]! || this.#links.tail[guarded]!
    if (candidate === 0) return this.#takeOut(victim || this.#links.tail[window]!)
    if (victim === 0 || !this.#isAdmitted(candidate, victim)) return this.#takeOut(candidate)
    this.#move(candidate, probation)
    return this.#takeOut(victim)
  }

  remove(slot: number): void {
    if (this.place[slot + 1] !== 0) this.#takeOut(slot + 1)
  }

  override clear(): void {
    super.clear()
    this.#links.clear()
    this.#sketch.clear()
    this.#climber.clear()
    this.#listSizes.fill(0)
    this.#state.fill(0)
  }

  #count(hash: number): void {
    const entries = Math.max(this.#entriesLeast, this.count)
    this.#climber.climb(entries)
    this.#sketch.add(hash)
    if (++this.#state[1]! < sketchPeriod * entries) return
    this.#sketch.halve()
    this.#state[1]! /= 2
  }

  #isAdmitted(candidate: number, victim: number): boolean {
    const asked = this.#sketch.count(this.#hashes[candidate]!)
    if (asked > this.#sketch.count(this.#hashes[victim]!)) return true
    return asked >= warmFrom && (mixPair(this.#seed, this.#state[2]!++) & luckyMask) === 0
  }

  /** The oldest of one list to the head of another, until the rest is no larger than `sizeMax`. */
  #moveOldest(from: number, to: number, sizeMax: number): void {
    for (let moves = 0; moves < movesMax && this.#listSizes[from]! > sizeMax; moves++)
      this.#move(this.#links.tail[from]!, to)
  }

  #move(node: number, to: number): void {
    this.#unlink(node)
    this.#links.push(to, node)
    this.#listSizes[to]! += this.sizes[node]!
    this.place[node] = to
  }

  #unlink(node: number): void {
    const list = this.place[node]!
    this.#links.unlink(list, node)
    this.#listSizes[list]! -= this.sizes[node]!
  }

  #takeOut(node: number): number {
    if (node === 0) return -1
    this.#unlink(node)
    return this.leave(node)
  }
}
