// What was used and may not be used again, in memory that all workers of an edge share: of a hundred parallel attempts
// exactly one succeeds. Ids are ours and random. A bucket that is full forgets what would have expired first, and from
// then on refuses everything in it that is as old: what was forgotten can never be used twice. Lives as long as the
// process; who needs more says so with Redis (`spent.ts`).
//
// A bucket is one lock word, one watermark and its entries. The lock holds the worker's number: the main thread frees the
// locks of a worker that died (`release`), which may lose or duplicate nothing: an entry counts once its expiry is there,
// written last.

import { hash } from 'node:crypto'

/** 64-byte lines do not divide a bucket evenly; it is looked at a few times a second at most. */
const entriesPerBucket = 14
const words = 2 + entriesPerBucket * 3
const bucketCount = 16_384
/** A bucket is held for a microsecond, unless its holder lost its core: then a few looks a millisecond apart; then no. */
const spinsMax = 1_000
const waitsMax = 100
/** Expiries are kept as seconds since 2020, in 32 bits. */
const epochSeconds = 1_577_836_800

export const spentTableBytes: number = bucketCount * words * 4

export class SpentTable {
  readonly #words: Int32Array
  readonly #holder: number

  /** @param holder number of the thread, from 1. */
  constructor(memory: ArrayBufferLike, holder: number) {
    this.#words = new Int32Array(memory)
    this.#holder = holder
  }

  /** True once for each id. False: it was spent, has expired, or nobody can know any more. */
  spend(id: string, expiresAtMs: number, nowMs: number): boolean {
    const expiry = secondsOf(expiresAtMs)
    const now = secondsOf(nowMs)
    if (nowMs > expiresAtMs) return false
    const digest = hash('sha256', id, 'buffer')
    const at = (digest.readUInt32LE(8) % this.#buckets) * words
    if (!this.#lock(at)) return false
    try {
      return this.#insert(at, digest.readInt32LE(0), digest.readInt32LE(4), expiry, now)
    } finally {
      Atomics.store(this.#words, at, 0)
    }
  }

  /** Nobody spent it, as far as can be known. Changes nothing. */
  isFresh(id: string, expiresAtMs: number): boolean {
    const digest = hash('sha256', id, 'buffer')
    const at = (digest.readUInt32LE(8) % this.#buckets) * words
    const forgotten = secondsOf(expiresAtMs) <= (this.#words[at + 1] as number)
    return !forgotten && this.#find(at, digest.readInt32LE(0), digest.readInt32LE(4)) < 0
  }

  /** A worker died: what it held in the middle of something is free again. */
  release(holder: number): void {
    for (let at = 0; at < this.#words.length; at += words) Atomics.compareExchange(this.#words, at, holder, 0)
  }

  get #buckets(): number {
    return Math.floor(this.#words.length / words)
  }

  #lock(at: number): boolean {
    const table = this.#words
    for (let tries = 0; tries < spinsMax + waitsMax; tries++) {
      const held = Atomics.compareExchange(table, at, 0, this.#holder)
      if (held === 0) return true
      if (tries >= spinsMax) Atomics.wait(table, at, held, 1)
    }
    return false
  }

  #find(at: number, low: number, high: number): number {
    const table = this.#words
    for (let entry = at + 2; entry < at + words; entry += 3)
      if (table[entry] === low && table[entry + 1] === high && table[entry + 2] !== 0) return entry
    return -1
  }

  #insert(at: number, low: number, high: number, expiry: number, now: number): boolean {
    const table = this.#words
    if (this.#find(at, low, high) >= 0) return false
    let place = -1
    let oldest = Infinity
    for (let entry = at + 2; entry < at + words; entry += 3) {
      const until = table[entry + 2] as number
      if (until < oldest) {
        oldest = until
        place = entry
      }
    }
    // Something of the same age may have been forgotten here, and this may be it.
    if (expiry <= (table[at + 1] as number)) return false
    if (oldest >= now) {
      // Nothing here has expired. Whoever expires first goes, which may be the one that comes.
      if (expiry <= oldest) return false
      table[at + 1] = oldest
    }
    table[place + 2] = 0
    table[place] = low
    table[place + 1] = high
    table[place + 2] = expiry
    return true
  }
}

function secondsOf(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000) - epochSeconds)
}
