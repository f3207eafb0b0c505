// The in-process tier: keys to slots, values and their facts in arrays by slot, order and victims by an eviction policy.
// Synchronous; knows no loads, leases or other tiers. Bounded by entries and, if asked, by bytes. What is dead is found
// by reads and by two looks at each insert, so no timer runs; absent things have a bounded share of the entries.

import { type BoundedQueue, boundedQueue } from '../../kit/bounded-queue.ts'
import { type EvictionKind, type EvictionPolicy, evictionFactory } from '../../policy/evict/index.ts'
import { hashText } from '../../policy/hash.ts'
import { TagVerdict, type TagVersions } from './tag-versions.ts'

export interface MemoryOptions {
  readonly entriesMax: number
  /** 0: entries count, not bytes. */
  readonly bytesMax: number
  readonly valueBytesMax: number
  /** Share of the entries that may be known absences. */
  readonly negativeShare: number
  readonly eviction: EvictionKind
  readonly seed: number
}

/** What is put in. Times in microseconds of the cache's clock. */
export interface Held {
  readonly value: unknown
  readonly negative: boolean
  readonly bytes: number
  /** No early load before then. */
  readonly calmUntil: number
  readonly freshUntil: number
  readonly deadAt: number
  readonly loadUs: number
  readonly version: number
  readonly tags: readonly string[]
  /** `TagVersions.latest` when the load of it began. */
  readonly since: number
}

export const Found = { absent: 0, fresh: 1, stale: 2, tagged: 3, expired: 4 } as const

const noTags: readonly string[] = []

export class Memory {
  readonly #slotOf = new Map<string, number>()
  readonly #tagVersions: TagVersions
  readonly #options: MemoryOptions
  readonly #policy: EvictionPolicy
  readonly #keys: string[]
  readonly #values: unknown[]
  readonly #tags: (readonly string[])[]
  readonly #calmUntil: Float64Array
  readonly #freshUntil: Float64Array
  readonly #deadAt: Float64Array
  readonly #loadUs: Float64Array
  readonly #versions: Float64Array
  /** Infinity where there are no tags. */
  readonly #since: Float64Array
  readonly #bytes: Float64Array
  readonly #negative: Uint8Array
  readonly #free: Int32Array
  #freeCount: number
  /** Keys that were stored as absent, longest ago first; some may be so no longer. */
  readonly #negatives: BoundedQueue<string>
  #hand = 0
  #bytesHeld = 0
  evictions = 0

  constructor(options: MemoryOptions, tagVersions: TagVersions) {
    // One more than asked for: a new entry is put in before the policy says who goes, and it may be the new one.
    const slots = options.entriesMax + 1
    const numbers = (): Float64Array => new Float64Array(slots)
    this.#options = options
    this.#tagVersions = tagVersions
    this.#policy = evictionFactory(options.eviction).create({
      slots,
      capacity: options.bytesMax || options.entriesMax,
      seed: options.seed,
    })
    this.#keys = new Array<string>(slots).fill('')
    this.#values = new Array<unknown>(slots).fill(undefined)
    this.#tags = new Array<readonly string[]>(slots).fill(noTags)
    this.#calmUntil = numbers()
    this.#freshUntil = numbers()
    this.#deadAt = numbers()
    this.#loadUs = numbers()
    this.#versions = numbers()
    this.#since = numbers()
    this.#bytes = numbers()
    this.#negative = new Uint8Array(slots)
    this.#free = new Int32Array(slots)
    for (let slot = 0; slot < slots; slot++) this.#free[slot] = slots - 1 - slot
    this.#freeCount = slots
    this.#negatives = boundedQueue(Math.max(1, Math.floor(options.entriesMax * options.negativeShare)))
  }

  get count(): number {
    return this.#slotOf.size
  }

  get bytes(): number {
    return this.#bytesHeld
  }

  /** The hot path: the slot of what is fresh and far from its end, counted as a use; else -1. */
  calm(key: string, now: number): number {
    const slot = this.#slotOf.get(key)
    if (slot === undefined || now >= this.#calmUntil[slot]!) return -1
    if (this.#since[slot]! < this.#tagVersions.latest && !this.#tagsHold(slot)) return -1
    this.#policy.hit(slot)
    return slot
  }

  value(slot: number): unknown {
    return this.#values[slot]
  }

  isNegative(slot: number): boolean {
    return this.#negative[slot] === 1
  }

  freshUntil(slot: number): number {
    return this.#freshUntil[slot]!
  }

  loadUs(slot: number): number {
    return this.#loadUs[slot]!
  }

  tags(slot: number): readonly string[] {
    return this.#tags[slot]!
  }

  /** Whatever is held under the key, valid or not; -1: nothing. No use is counted. */
  slotOf(key: string): number {
    return this.#slotOf.get(key) ?? -1
  }

  version(slot: number): number {
    return this.#versions[slot]!
  }

  deadAt(slot: number): number {
    return this.#deadAt[slot]!
  }

  /** What is held under the key, one of `Found`; dead and forgotten entries are freed. Counts a use where there is one. */
  look(key: string, now: number): number {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) {
      this.#policy.miss(hashText(key))
      return Found.absent
    }
    if (this.#since[slot]! < this.#tagVersions.latest && this.#tagsGone(slot, now)) return Found.tagged
    if (now >= this.#deadAt[slot]!) {
      this.#drop(slot)
      return Found.expired
    }
    this.#policy.hit(slot)
    return now < this.#freshUntil[slot]! ? Found.fresh : Found.stale
  }

  /** False: too big. An older version never replaces a newer one: see `version`. */
  put(key: string, held: Held, now: number): boolean {
    const known = this.#slotOf.get(key)
    if (held.bytes > this.#options.valueBytesMax) {
      if (known !== undefined) this.#drop(known)
      return false
    }
    if (known !== undefined && this.#sizeOf(held) === this.#policySize(known)) {
      this.#write(known, key, held)
      this.#policy.hit(known)
    } else {
      if (known !== undefined) this.#drop(known)
      this.#insert(key, held)
    }
    if (held.negative) this.#boundNegatives(key)
    this.#sweep(now)
    return true
  }

  /** True if something was there. */
  remove(key: string): boolean {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) return false
    this.#drop(slot)
    return true
  }

  /** No longer fresh; what has grace stays. */
  expire(key: string, now: number): void {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) return
    this.#expireSlot(slot, now)
  }

  clear(): void {
    for (const slot of [...this.#slotOf.values()]) this.#release(slot)
    this.#slotOf.clear()
    this.#policy.clear()
    this.#negatives.drain()
  }

  /** Keys and how long each is fresh still, for tools; a copy. */
  entries(now: number): { key: string; freshMs: number; bytes: number; tags: readonly string[] }[] {
    return [...this.#slotOf].map(([key, slot]) => ({
      key,
      freshMs: Math.round((this.#freshUntil[slot]! - now) / 1_000),
      bytes: this.#bytes[slot]!,
      tags: this.#tags[slot]!,
    }))
  }

  #insert(key: string, held: Held): void {
    const slot = this.#free[--this.#freeCount]!
    this.#slotOf.set(key, slot)
    this.#write(slot, key, held)
    this.#policy.insert(slot, hashText(key), this.#sizeOf(held))
    const { entriesMax, bytesMax } = this.#options
    while (this.#policy.count > entriesMax || (bytesMax > 0 && this.#policy.size > bytesMax)) {
      const victim = this.#policy.evict()
      if (victim < 0) return
      this.evictions++
      this.#slotOf.delete(this.#keys[victim]!)
      this.#release(victim)
    }
  }

  #sizeOf(held: Held): number {
    return this.#options.bytesMax > 0 ? Math.max(1, Math.ceil(held.bytes)) : 1
  }

  #policySize(slot: number): number {
    return this.#options.bytesMax > 0 ? Math.max(1, Math.ceil(this.#bytes[slot]!)) : 1
  }

  #write(slot: number, key: string, held: Held): void {
    this.#bytesHeld += held.bytes - this.#bytes[slot]!
    this.#keys[slot] = key
    this.#values[slot] = held.value
    this.#tags[slot] = held.tags
    this.#calmUntil[slot] = held.calmUntil
    this.#freshUntil[slot] = held.freshUntil
    this.#deadAt[slot] = held.deadAt
    this.#loadUs[slot] = held.loadUs
    this.#versions[slot] = held.version
    this.#since[slot] = held.tags.length === 0 ? Number.POSITIVE_INFINITY : held.since
    this.#bytes[slot] = held.bytes
    this.#negative[slot] = held.negative ? 1 : 0
  }

  /** Drops a slot that is in, for another reason than room. */
  #drop(slot: number): void {
    this.#policy.remove(slot)
    this.#slotOf.delete(this.#keys[slot]!)
    this.#release(slot)
  }

  #release(slot: number): void {
    this.#bytesHeld -= this.#bytes[slot]!
    this.#bytes[slot] = 0
    this.#values[slot] = undefined
    this.#tags[slot] = noTags
    this.#keys[slot] = ''
    this.#free[this.#freeCount++] = slot
  }

  /** For the hot path: true if the tags are as they were. */
  #tagsHold(slot: number): boolean {
    const { latest } = this.#tagVersions
    if (this.#tagVersions.verdict(this.#tags[slot]!, this.#since[slot]!) !== TagVerdict.valid) return false
    this.#since[slot] = latest
    return true
  }

  /** Drops what a tag has forgotten, expires what one has expired. */
  #tagsGone(slot: number, now: number): boolean {
    const verdict = this.#tagVersions.verdict(this.#tags[slot]!, this.#since[slot]!)
    if (verdict === TagVerdict.gone) {
      this.#drop(slot)
      return true
    }
    if (verdict === TagVerdict.expired) this.#expireSlot(slot, now)
    this.#since[slot] = this.#tagVersions.latest
    return false
  }

  #expireSlot(slot: number, now: number): void {
    const grace = this.#deadAt[slot]! - this.#freshUntil[slot]!
    this.#freshUntil[slot] = Math.min(this.#freshUntil[slot]!, now)
    this.#deadAt[slot] = this.#freshUntil[slot]! + grace
    this.#calmUntil[slot] = Math.min(this.#calmUntil[slot]!, now)
  }

  #boundNegatives(key: string): void {
    while (!this.#negatives.push(key)) {
      const slot = this.#slotOf.get(this.#negatives.shift()!)
      if (slot !== undefined && this.#negative[slot] === 1 && this.#keys[slot] !== key) this.#drop(slot)
    }
  }

  /** Two slots a call, in turn: all are seen once in as many inserts as half of them. */
  #sweep(now: number): void {
    for (let looks = 0; looks < 2; looks++) {
      this.#hand = this.#hand + 1 < this.#keys.length ? this.#hand + 1 : 0
      const slot = this.#hand
      if (this.#keys[slot] !== '' && now >= this.#deadAt[slot]!) this.#drop(slot)
    }
  }
}
