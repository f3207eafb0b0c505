// Naive models of the policies that have one right answer: arrays of objects, searched from end to end, written from the
// rules and not from the code they judge. For tests only.

import type { EvictionKind } from '../contract.ts'

interface Entry {
  readonly slot: number
  readonly hash: number
  readonly size: number
  marks: number
  /** LFU: when it came to its count. */
  since: number
}

export interface Model {
  insert(slot: number, hash: number, size: number): void
  hit(slot: number): void
  evict(): number
  remove(slot: number): void
}

const sum = (entries: readonly { readonly size: number }[]): number =>
  entries.reduce((total, one) => total + one.size, 0)

/** From the oldest to the newest. */
abstract class QueueModel implements Model {
  protected entries: Entry[] = []

  insert(slot: number, hash: number, size: number): void {
    this.entries.push({ slot, hash, size, marks: 0, since: 0 })
  }

  hit(_slot: number): void {}

  abstract evict(): number

  remove(slot: number): void {
    this.entries = this.entries.filter(one => one.slot !== slot)
  }

  protected find(slot: number): Entry {
    return this.entries.find(one => one.slot === slot)!
  }

  protected go(entry: Entry | undefined): number {
    if (!entry) return -1
    this.remove(entry.slot)
    return entry.slot
  }
}

class FifoModel extends QueueModel {
  evict(): number {
    return this.go(this.entries[0])
  }
}

class LifoModel extends QueueModel {
  evict(): number {
    return this.go(this.entries.at(-1))
  }
}

class LruModel extends FifoModel {
  override hit(slot: number): void {
    const entry = this.find(slot)
    this.remove(slot)
    this.entries.push(entry)
  }
}

class MruModel extends LruModel {
  override evict(): number {
    return this.go(this.entries.at(-1))
  }
}

class LfuModel extends QueueModel {
  #now = 0

  override insert(slot: number, hash: number, size: number): void {
    super.insert(slot, hash, size)
    this.find(slot).since = this.#now++
  }

  override hit(slot: number): void {
    const entry = this.find(slot)
    entry.marks++
    entry.since = this.#now++
  }

  evict(): number {
    return this.go(this.entries.toSorted((a, b) => a.marks - b.marks || a.since - b.since)[0])
  }
}

/** A ring in the literal sense: the hand points at a place, and who comes in stands right behind the hand. */
class ClockModel implements Model {
  #ring: Entry[] = []
  #hand = 0

  insert(slot: number, hash: number, size: number): void {
    this.#ring.splice(this.#hand, 0, { slot, hash, size, marks: 0, since: 0 })
    this.#hand = (this.#hand + 1) % this.#ring.length
  }

  hit(slot: number): void {
    this.#ring.find(one => one.slot === slot)!.marks = 1
  }

  evict(): number {
    if (this.#ring.length === 0) return -1
    while (this.#ring[this.#hand]!.marks === 1) {
      this.#ring[this.#hand]!.marks = 0
      this.#hand = (this.#hand + 1) % this.#ring.length
    }
    const { slot } = this.#ring[this.#hand]!
    this.remove(slot)
    return slot
  }

  remove(slot: number): void {
    const index = this.#ring.findIndex(one => one.slot === slot)
    this.#ring.splice(index, 1)
    if (index < this.#hand) this.#hand--
    if (this.#hand >= this.#ring.length) this.#hand = 0
  }
}

class SieveModel extends QueueModel {
  #hand: Entry | undefined

  override hit(slot: number): void {
    this.find(slot).marks = 1
  }

  evict(): number {
    let hand = this.#hand ?? this.entries[0]
    while (hand && hand.marks === 1) {
      hand.marks = 0
      hand = this.#after(hand) ?? this.entries[0]
    }
    this.#hand = hand
    return this.go(hand)
  }

  override remove(slot: number): void {
    if (this.#hand?.slot === slot) this.#hand = this.#after(this.#hand)
    super.remove(slot)
  }

  #after(entry: Entry): Entry | undefined {
    return this.entries[this.entries.indexOf(entry) + 1]
  }
}

class S3FifoModel implements Model {
  #small: Entry[] = []
  #main: Entry[] = []
  #ghosts: { hash: number; size: number }[] = []
  readonly #capacity: number
  readonly #ghostsMax: number

  constructor(slots: number, capacity: number) {
    this.#capacity = capacity
    this.#ghostsMax = Math.floor(0.9 * slots)
  }

  insert(slot: number, hash: number, size: number): void {
    const known = this.#ghosts.some(ghost => ghost.hash === hash)
    this.#ghosts = this.#ghosts.filter(ghost => ghost.hash !== hash)
    const queue = known ? this.#main : this.#small
    queue.push({ slot, hash, size, marks: 0, since: 0 })
  }

  hit(slot: number): void {
    const entry = [...this.#small, ...this.#main].find(one => one.slot === slot)!
    entry.marks = Math.min(3, entry.marks + 1)
  }

  evict(): number {
    while (this.#small.length + this.#main.length > 0) {
      const mainShare = this.#capacity - Math.floor(this.#capacity * 0.1)
      const useMain = sum(this.#main) > mainShare || this.#small.length === 0
      const entry = (useMain ? this.#main : this.#small).shift()!
      if (!useMain && entry.marks >= 2) this.#main.push({ ...entry, marks: 0 })
      else if (useMain && entry.marks >= 1) this.#main.push({ ...entry, marks: entry.marks - 1 })
      else {
        if (!useMain) this.#remember(entry)
        return entry.slot
      }
    }
    return -1
  }

  remove(slot: number): void {
    this.#small = this.#small.filter(one => one.slot !== slot)
    this.#main = this.#main.filter(one => one.slot !== slot)
  }

  #remember({ hash, size }: Entry): void {
    const most = Math.floor(this.#capacity * 0.9)
    if (size > most || this.#ghosts.some(ghost => ghost.hash === hash)) return
    this.#ghosts.push({ hash, size })
    while (this.#ghosts.length > this.#ghostsMax || sum(this.#ghosts) > most) this.#ghosts.shift()
  }
}

/** Undefined: the kind has no model that says which slot goes. */
export function modelOf(kind: EvictionKind, slots: number, capacity: number): Model | undefined {
  if (kind === 'fifo') return new FifoModel()
  if (kind === 'lifo') return new LifoModel()
  if (kind === 'lru') return new LruModel()
  if (kind === 'mru') return new MruModel()
  if (kind === 'lfu') return new LfuModel()
  if (kind === 'clock') return new ClockModel()
  if (kind === 'sieve') return new SieveModel()
  if (kind === 's3-fifo') return new S3FifoModel(slots, capacity)
  return undefined
}

/**
 * ARC as in figure 4 of the paper, a page at a time: `request` says whether it was a hit. Lists run from LRU to MRU.
 */
export class ArcModel {
  #t1: number[] = []
  #t2: number[] = []
  #b1: number[] = []
  #b2: number[] = []
  #p = 0
  readonly #c: number

  constructor(c: number) {
    this.#c = c
  }

  request(x: number): boolean {
    if (this.#t1.includes(x) || this.#t2.includes(x)) {
      this.#t1 = this.#t1.filter(one => one !== x)
      this.#t2 = [...this.#t2.filter(one => one !== x), x]
      return true
    }
    if (this.#b1.includes(x)) this.#caseTwo(x)
    else if (this.#b2.includes(x)) this.#caseThree(x)
    else this.#caseFour(x)
    return false
  }

  #caseTwo(x: number): void {
    const step = this.#b1.length >= this.#b2.length ? 1 : this.#b2.length / this.#b1.length
    this.#p = Math.min(this.#p + step, this.#c)
    this.#replace(x)
    this.#b1 = this.#b1.filter(one => one !== x)
    this.#t2.push(x)
  }

  #caseThree(x: number): void {
    const step = this.#b2.length >= this.#b1.length ? 1 : this.#b1.length / this.#b2.length
    this.#p = Math.max(this.#p - step, 0)
    this.#replace(x)
    this.#b2 = this.#b2.filter(one => one !== x)
    this.#t2.push(x)
  }

  #caseFour(x: number): void {
    const l1 = this.#t1.length + this.#b1.length
    const l2 = this.#t2.length + this.#b2.length
    if (l1 === this.#c) {
      if (this.#t1.length < this.#c) {
        this.#b1.shift()
        this.#replace(x)
      } else this.#t1.shift()
    } else if (l1 + l2 >= this.#c) {
      if (l1 + l2 === 2 * this.#c) this.#b2.shift()
      this.#replace(x)
    }
    this.#t1.push(x)
  }

  #replace(x: number): void {
    const size = this.#t1.length
    if (size >= 1 && (size > this.#p || (this.#b2.includes(x) && size === this.#p)))
      this.#b1.push(this.#t1.shift()!)
    else this.#b2.push(this.#t2.shift()!)
  }
}
