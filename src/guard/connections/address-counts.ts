// Open connections by address, exact over the worker threads of an edge: shared memory of fixed size, a row of counts for
// each worker. What all count together is the sum over the rows, so a dead worker is repaired by zeroing its row.
//
// An entry belongs to the address whose tag it holds, and may be given to another one while its sum is zero. Whoever takes
// it over marks it first and looks at the sum again; whoever counts looks at the tag again: neither can miss the other.

import { type HashStart, hashKey, hashStart, type KeyHash } from '../../policy/limit/key-hash.ts'

const entries = 65_536
const ways = 8
const buckets = entries / ways
const seedWords = 2
/** An Int16 counts for each worker. */
export const perAddressMax = 32_000
const triesMax = 64

export const connectionCount = {
  /** The address has as many as it may. */
  refused: -1,
  /** All places of its bucket have open connections: not counted, and let through. */
  uncounted: -2,
} as const

export function createAddressCounts(workers: number, seed: () => number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer((seedWords + entries) * 4 + workers * entries * 2)
  const words = new Int32Array(memory, 0, seedWords)
  for (let at = 0; at < seedWords; at++) words[at] = seed() | 0
  return memory
}

export class AddressCounts {
  readonly #tags: Int32Array
  readonly #counts: Int16Array
  readonly #workers: number
  readonly #row: number
  readonly #mark: number
  readonly #start: HashStart
  readonly #hash: KeyHash = { low: 0, high: 0 }

  /** @param worker -1: only looks and repairs. */
  constructor(memory: SharedArrayBuffer, worker: number) {
    const seeds = new Int32Array(memory, 0, seedWords)
    this.#start = hashStart([seeds[0] as number, seeds[1] as number], 'connections')
    this.#tags = new Int32Array(memory, seedWords * 4, entries)
    this.#counts = new Int16Array(memory, (seedWords + entries) * 4)
    this.#workers = this.#counts.length / entries
    this.#row = worker * entries
    this.#mark = -1 - worker
  }

  /** The entry, for `close`; or one of `connectionCount`. @param key address key */
  open(key: string, max: number): number {
    hashKey(this.#start, key, this.#hash)
    // 0 is free, and below 0 are marks.
    const tag = this.#hash.low & 0x7fffffff || 1
    const bucket = ((this.#hash.high >>> 0) % buckets) * ways
    const most = Math.min(max, perAddressMax)
    for (let tries = 0; tries < triesMax; tries++) {
      const entry = this.#find(bucket, tag) ?? this.#claim(bucket, tag)
      if (entry === null) continue
      if (entry < 0) return connectionCount.uncounted
      Atomics.add(this.#counts, this.#row + entry, 1)
      if (Atomics.load(this.#tags, entry) !== tag) {
        this.close(entry)
        continue
      }
      if (this.#total(bucket, tag) <= most) return entry
      this.close(entry)
      return connectionCount.refused
    }
    return connectionCount.uncounted
  }

  close(entry: number): void {
    if (entry >= 0) Atomics.sub(this.#counts, this.#row + entry, 1)
  }

  #find(bucket: number, tag: number): number | null {
    for (let entry = bucket; entry < bucket + ways; entry++)
      if (Atomics.load(this.#tags, entry) === tag) return entry
    return null
  }

  /** Null: somebody was quicker, look again. -1: none is free. */
  #claim(bucket: number, tag: number): number | null {
    for (let entry = bucket; entry < bucket + ways; entry++) {
      const before = Atomics.load(this.#tags, entry)
      if (before < 0) return null
      if (before === 0) return Atomics.compareExchange(this.#tags, entry, 0, tag) === 0 ? entry : null
    }
    for (let entry = bucket; entry < bucket + ways; entry++) {
      const before = Atomics.load(this.#tags, entry)
      if (before < 0) return null
      if (this.#sum(entry) > 0) continue
      if (Atomics.compareExchange(this.#tags, entry, before, this.#mark) !== before) return null
      const free = this.#sum(entry) === 0
      Atomics.store(this.#tags, entry, free ? tag : before)
      return free ? entry : null
    }
    return -1
  }

  #sum(entry: number): number {
    let sum = 0
    for (let worker = 0; worker < this.#workers; worker++)
      sum += Atomics.load(this.#counts, worker * entries + entry)
    return sum
  }

  /** Of every entry with the tag: two workers may have made one each at the same moment. */
  #total(bucket: number, tag: number): number {
    let total = 0
    for (let entry = bucket; entry < bucket + ways; entry++)
      if (Atomics.load(this.#tags, entry) === tag) total += this.#sum(entry)
    return total
  }

  /** Its connections are gone with it; what it was taking over belongs to nobody. */
  workerDied(worker: number): void {
    this.#counts.fill(0, worker * entries, (worker + 1) * entries)
    for (let entry = 0; entry < entries; entry++)
      if (Atomics.load(this.#tags, entry) === -1 - worker) Atomics.store(this.#tags, entry, 0)
  }
}
