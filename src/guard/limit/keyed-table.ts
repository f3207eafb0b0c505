// A table of fixed size in memory that threads share: a key of 64 bits has a state of 52 bits, which changes by compare and
// exchange. Nothing is ever locked: a thread may die at any instruction, and what it had begun is finished by whoever comes
// next. Knows nothing of limits; who uses it says which entries are idle, that is, worth no more than an absent one.
//
// Each key belongs to one bucket of 16 entries. A key of an entry changes only through the bucket's head, in four steps:
//   1. propose: the head names worker, entry and a new number; what is to be written stands in the worker's own proposal
//   2. the idle state becomes the new key's empty one, whose upper 12 bits (the tie) are the new key's: from here on, who
//      found the entry by its old key sees another tie, and his exchange fails
//   3. the key is exchanged     4. the head is cleared
// Who meets a head that is not clear does 2 to 4 himself before he goes on. Since the head counts, a key that was looked
// for in vain can't have been put in by somebody else meanwhile: there are never two entries of one key.

export const entriesPerBucket = 16
/** Workers and the main thread. */
export const tableWorkersMax = 255

const headInts = 16
const proposalWords = 5
const pendingBit = 0x80000000 | 0
const tieUnit = 2 ** 20
const stateHighMask = 0xfffff
// A head: pending, worker (8 bits), entry of the bucket (4), number of the change (19).
const workerShift = 23
const entryShift = 19
const numberMask = 0x7ffff
/** Far more than threads can hinder each other. */
const triesMax = 100_000

export interface TableSize {
  /** A power of two. */
  readonly entries: number
  readonly workers: number
}

export function keyedTableBytes({ entries, workers }: TableSize): number {
  const buckets = entries / entriesPerBucket
  return headInts * 4 + entries * 20 + buckets * 4 + (workers + 1) * proposalWords * 8 + 8
}

/** What of a table is counted; places in its first numbers. */
export const tableCounts = { inserted: 0, replaced: 1, full: 2, hindered: 3 } as const

export class KeyedTable {
  readonly entries: number
  /** First numbers of the memory: counts, then whatever the user of the table keeps there. */
  readonly head: Int32Array
  /** The same memory: where the time base is kept. */
  readonly base: Float64Array
  readonly idleAt: Int32Array
  readonly #worker: number
  readonly #mask: number
  readonly #keyInts: Int32Array
  readonly #keys: BigInt64Array
  readonly #states: BigInt64Array
  /** The same memory, for reads that make no BigInt. */
  readonly #stateInts: Int32Array
  readonly #heads: Int32Array
  readonly #proposals: BigInt64Array
  readonly #word = new BigInt64Array(1)
  readonly #ints = new Int32Array(this.#word.buffer)
  readonly #isIdle: (entry: number, state: number, now: number) => boolean
  readonly #overwritten: ((state: number) => void) | null

  /**
   * @param worker which of the threads this view is for; each has its own
   * @param isIdle may this entry be given to another key?
   * @param overwritten called before an idle state is replaced
   */
  constructor(
    buffer: SharedArrayBuffer,
    size: TableSize,
    worker: number,
    isIdle: (entry: number, state: number, now: number) => boolean,
    overwritten: ((state: number) => void) | null = null,
  ) {
    const { entries, workers } = size
    const buckets = entries / entriesPerBucket
    let at = 0
    const next = (bytes: number): number => {
      const from = at
      at += bytes
      return from
    }
    this.entries = entries
    this.#worker = worker
    this.#mask = buckets - 1
    this.#isIdle = isIdle
    this.#overwritten = overwritten
    this.head = new Int32Array(buffer, 0, headInts)
    this.base = new Float64Array(buffer, 0, headInts / 2)
    next(headInts * 4)
    this.#keyInts = new Int32Array(buffer, at, entries * 2)
    this.#keys = new BigInt64Array(buffer, next(entries * 8), entries)
    this.#stateInts = new Int32Array(buffer, at, entries * 2)
    this.#states = new BigInt64Array(buffer, next(entries * 8), entries)
    this.#proposals = new BigInt64Array(
      buffer,
      next((workers + 1) * proposalWords * 8),
      (workers + 1) * proposalWords,
    )
    this.idleAt = new Int32Array(buffer, next(entries * 4), entries)
    this.#heads = new Int32Array(buffer, next(buckets * 4), buckets)
    this.#finishForPredecessor()
  }

  /** The proposal's place is about to be used again. */
  #finishForPredecessor(): void {
    const bucket = Number(Atomics.load(this.#proposals, this.#worker * proposalWords + 4))
    const head = Atomics.load(this.#heads, bucket)
    if ((head & pendingBit) !== 0 && ((head >>> workerShift) & 255) === this.#worker)
      this.#finish(bucket, head)
  }

  /** Entry of the key, or -1. */
  find(low: number, high: number): number {
    const from = (low & this.#mask) * entriesPerBucket
    const keys = this.#keyInts
    for (let entry = from; entry < from + entriesPerBucket; entry++)
      if (keys[entry * 2] === low && keys[entry * 2 + 1] === high) return entry
    return -1
  }

  /** Entry of the key, made where there is none; -1: its bucket is full of entries that are not idle. */
  place(low: number, high: number, now: number): number {
    const bucket = low & this.#mask
    for (let tries = 0; tries < triesMax; tries++) {
      const head = Atomics.load(this.#heads, bucket)
      if ((head & pendingBit) !== 0) {
        this.#finish(bucket, head)
        continue
      }
      const found = this.find(low, high)
      if (found >= 0 && this.#tieOf(Atomics.load(this.#states, found)) === tieOf(high)) return found
      const entry = found >= 0 ? found : this.#idleEntry(bucket, tieOf(high), now)
      if (entry < 0) break
      this.#propose(bucket, head, entry, low, high)
    }
    Atomics.add(this.head, tableCounts.full, 1)
    return -1
  }

  /** The one that has been idle longest. */
  #idleEntry(bucket: number, tie: number, now: number): number {
    let best = -1
    let since = 0
    const from = bucket * entriesPerBucket
    for (let entry = from; entry < from + entriesPerBucket; entry++) {
      const word = Atomics.load(this.#states, entry)
      const idle = this.idleAt[entry]!
      if (best >= 0 && idle >= since) continue
      if (this.#tieOf(word) === tie || !this.#isIdle(entry, this.#stateOf(word), now)) continue
      best = entry
      since = idle
    }
    return best
  }

  #propose(bucket: number, head: number, entry: number, low: number, high: number): void {
    const at = this.#worker * proposalWords
    const oldState = Atomics.load(this.#states, entry)
    const oldKey = Atomics.load(this.#keys, entry)
    Atomics.store(this.#proposals, at, oldKey)
    Atomics.store(this.#proposals, at + 1, this.#pair(low, high))
    Atomics.store(this.#proposals, at + 2, oldState)
    Atomics.store(this.#proposals, at + 3, this.#wordOf(tieOf(high), 0))
    Atomics.store(this.#proposals, at + 4, BigInt(bucket))
    const number = (head + 1) & numberMask
    const proposed =
      pendingBit | (this.#worker << workerShift) | ((entry & (entriesPerBucket - 1)) << entryShift) | number
    if (Atomics.compareExchange(this.#heads, bucket, head, proposed) !== head) return
    Atomics.add(this.head, oldKey === 0n ? tableCounts.inserted : tableCounts.replaced, 1)
    this.#finish(bucket, proposed)
  }

  #finish(bucket: number, head: number): void {
    const entry = bucket * entriesPerBucket + ((head >>> entryShift) & (entriesPerBucket - 1))
    const at = ((head >>> workerShift) & 255) * proposalWords
    const oldKey = Atomics.load(this.#proposals, at)
    const newKey = Atomics.load(this.#proposals, at + 1)
    const oldState = Atomics.load(this.#proposals, at + 2)
    const newState = Atomics.load(this.#proposals, at + 3)
    // Still that proposal? Then all of it was.
    if (Atomics.load(this.#heads, bucket) !== head) return
    this.#overwritten?.(this.#stateOf(oldState))
    const was = Atomics.compareExchange(this.#states, entry, oldState, newState)
    // Another tie: its old key was used again before; the proposal is void.
    if (was === oldState || this.#tieOf(was) === this.#tieOf(newState))
      Atomics.compareExchange(this.#keys, entry, oldKey, newKey)
    Atomics.compareExchange(this.#heads, bucket, head, head & numberMask)
  }

  /** The state of the entry as one word; `stateOf` reads it. */
  load(entry: number): bigint {
    return Atomics.load(this.#states, entry)
  }

  /** Does the entry still belong to the key that it was found by? */
  fits(word: bigint, high: number): boolean {
    return this.#tieOf(word) === tieOf(high)
  }

  stateOf(word: bigint): number {
    return this.#stateOf(word)
  }

  /** False: somebody was faster, or the entry has another key by now. */
  exchange(entry: number, word: bigint, state: number): boolean {
    this.#word[0] = word
    const high = this.#ints[1]!
    this.#ints[0] = state | 0
    this.#ints[1] = (high & ~stateHighMask) | ((state / 4_294_967_296) & stateHighMask)
    if (Atomics.compareExchange(this.#states, entry, word, this.#word[0]!) === word) return true
    Atomics.add(this.head, tableCounts.hindered, 1)
    return false
  }

  // --- in halves: as above without a BigInt, which costs more than all else of a decision ---------------------------------
  // Read one after the other they may be of two states. What is exchanged is proved by the exchange; who decides without
  // one asks `holds`.

  lowHalf(entry: number): number {
    return this.#stateInts[entry * 2]!
  }

  highHalf(entry: number): number {
    return this.#stateInts[entry * 2 + 1]!
  }

  halfFits(highHalf: number, high: number): boolean {
    return highHalf >>> 20 === tieOf(high)
  }

  stateOfHalves(lowHalf: number, highHalf: number): number {
    return (highHalf & stateHighMask) * 4_294_967_296 + (lowHalf >>> 0)
  }

  holds(entry: number, lowHalf: number, highHalf: number): boolean {
    return Atomics.load(this.#states, entry) === this.#pair(lowHalf, highHalf)
  }

  /** As `exchange`. */
  exchangeHalves(entry: number, lowHalf: number, highHalf: number, state: number): boolean {
    return this.exchange(entry, this.#pair(lowHalf, highHalf), state)
  }

  /** Never lowers it: who raises it less must not undo what another thread needs. */
  raiseIdleAt(entry: number, at: number): void {
    // Usually somebody has, a moment ago: it only grows.
    if (this.idleAt[entry]! >= at) return
    for (;;) {
      const now = Atomics.load(this.idleAt, entry)
      if (now >= at || Atomics.compareExchange(this.idleAt, entry, now, at) === now) return
    }
  }

  /** Each entry that has a key: its halves, its state. Others go on writing meanwhile. */
  each(visit: (entry: number, low: number, high: number, state: number) => void): void {
    for (let entry = 0; entry < this.entries; entry++) {
      const low = this.#keyInts[entry * 2]!
      const high = this.#keyInts[entry * 2 + 1]!
      if (low === 0 && high === 0) continue
      const word = Atomics.load(this.#states, entry)
      if (this.#tieOf(word) === tieOf(high)) visit(entry, low, high, this.#stateOf(word))
    }
  }

  #pair(low: number, high: number): bigint {
    this.#ints[0] = low
    this.#ints[1] = high
    return this.#word[0]!
  }

  #tieOf(word: bigint): number {
    this.#word[0] = word
    return this.#ints[1]! >>> 20
  }

  #stateOf(word: bigint): number {
    this.#word[0] = word
    return (this.#ints[1]! & stateHighMask) * 4_294_967_296 + (this.#ints[0]! >>> 0)
  }

  #wordOf(tie: number, state: number): bigint {
    this.#ints[0] = state | 0
    this.#ints[1] = (tie * tieUnit) | ((state / 4_294_967_296) & stateHighMask)
    return this.#word[0]!
  }
}

/** 1 to 4,095: an entry without a key has 0. */
function tieOf(high: number): number {
  return 1 + ((high >>> 4) % 4_095)
}
