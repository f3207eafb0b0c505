// The table of entries: found by key without the lock, linked, dropped and swept under it. Never waits, never calls back.
//
// A slot's states (`entryState`): free -> filling (its fill writes on; found by readers) -> stored (whole, known to the
// eviction policy) -> doomed (found by nobody; its memory stays until the last pin goes) -> free. Filling may also be doomed.
//
// Why a reader needs no lock: it pins first and looks at the state after; whoever dooms sets the state first and counts
// pins after. So either the reader sees `doomed` and lets go, or its pin is counted and the memory stays.

import { hashText } from '../../policy/hash.ts'
import { blockBytes, bodyRunHeadBytes, entryState, headBytes, type StoreViews, spillSlots } from './layout.ts'
import { PurgeClocks } from './purge-clocks.ts'
import { Runs } from './runs.ts'
import { StoreLock } from './store-lock.ts'

/** More keys in one bucket than this never happen with keys that nobody chose: the next one is refused. */
const chainMax = 32
const looksMax = 64
/** A read that meets changes starts again so often. */
const readsMax = 3
const pinsMax = 60_000
/** At most one part in so many of the memory waits for the disk. */
const spillShare = 4
/** For the room of one run. */
const evictionsMax = 512
const wordsOfBlock = blockBytes / 4

/** Offsets in a head run, in 4-byte words. Before them: five times as doubles. */
export const headWord = {
  status: 10,
  flags: 11,
  keyBytes: 12,
  fieldsBytes: 13,
  tags: 14,
  blocks: 15,
  nextLimbo: 16,
  /** After `headBytes`. */
  firstTag: 20,
} as const
/** In a body run. */
export const bodyWord = { next: 0, bytes: 1, blocks: 2 } as const

export class Entries {
  readonly views: StoreViews
  readonly lock: StoreLock
  readonly clocks: PurgeClocks
  readonly runs: Runs
  /** Of this thread: its row of pins begins here. */
  readonly #pinRow: number
  readonly #bucketMask: number
  readonly #capacity: number
  constructor(views: StoreViews, row: number, life: number) {
    this.views = views
    this.lock = new StoreLock(views, life)
    this.clocks = new PurgeClocks(views)
    this.runs = new Runs(views)
    this.#pinRow = row * views.slots
    this.#bucketMask = views.buckets.length - 1
    this.#capacity = Math.floor(views.spec.memoryBytes * 0.95)
  }

  hashOf(key: string): number {
    return hashText(key, this.views.seed)
  }

  // --- readers, without the lock ------------------------------------------------------------------------------

  /** The newest entry of the key, pinned; 0: none. */
  find(key: string, hash: number): number {
    const { entry, buckets } = this.views
    const bucket = hash & this.#bucketMask
    for (let reads = 0; reads < readsMax; reads++) {
      let moved = false
      let slot = Atomics.load(buckets, bucket)
      for (let looks = 0; slot !== 0 && looks < looksMax; looks++) {
        const next = Atomics.load(entry.next, slot)
        const found = Atomics.load(entry.hash, slot)
        if (found === hash && this.#pinIf(slot, key, hash)) return slot
        if ((found & this.#bucketMask) !== bucket) {
          moved = true
          break
        }
        slot = next
      }
      if (!moved) return 0
    }
    return 0
  }

  #pinIf(slot: number, key: string, hash: number): boolean {
    if (!this.pin(slot)) return false
    const { entry } = this.views
    const state = Atomics.load(entry.state, slot)
    const lives = state === entryState.stored || state === entryState.filling
    if (lives && entry.hash[slot] === hash && this.hasKey(slot, key)) return true
    this.unpin(slot)
    return false
  }

  pin(slot: number): boolean {
    const before = Atomics.add(this.views.pins, this.#pinRow + slot, 1)
    if (before < pinsMax) return true
    Atomics.sub(this.views.pins, this.#pinRow + slot, 1)
    return false
  }

  /** The last reader of what is doomed, or replaced, gives its memory back. */
  unpin(slot: number): void {
    const { entry, pins } = this.views
    const left = Atomics.sub(pins, this.#pinRow + slot, 1) - 1
    if (left > 0) return
    if (Atomics.load(entry.state, slot) === entryState.doomed || Atomics.load(entry.limbo, slot) !== 0)
      this.locked(() => this.sweep(slot))
  }

  /** Of a slot that is pinned, or under the lock. A hash alone may be crafted. */
  hasKey(slot: number, key: string): boolean {
    const { entry, words, bytes } = this.views
    const head = Atomics.load(entry.head, slot)
    const at = head * wordsOfBlock
    const length = words[at + headWord.keyBytes] as number
    if (length !== key.length) return false
    const from = head * blockBytes + headBytes + (words[at + headWord.tags] as number) * 4
    for (let i = 0; i < length; i++) if (bytes[from + i] !== key.charCodeAt(i)) return false
    return true
  }

  keyOf(slot: number): string {
    const { entry, words, bytes } = this.views
    const head = Atomics.load(entry.head, slot)
    const at = head * wordsOfBlock
    const from = head * blockBytes + headBytes + (words[at + headWord.tags] as number) * 4
    return bytes.latin1Slice(from, from + (words[at + headWord.keyBytes] as number))
  }

  /** Since its origin was asked; of a slot that is pinned, or under the lock. */
  isPurged(slot: number, key: string, soft: boolean): boolean {
    const { entry, words } = this.views
    const at = Atomics.load(entry.head, slot) * wordsOfBlock
    const tags = words[at + headWord.tags] as number
    const serial = Atomics.load(entry.serial, slot)
    const hash = entry.hash[slot] as number
    return this.clocks.isPurged(soft, key, hash, serial, words, at + headWord.firstTag, tags)
  }

  // --- under the lock -----------------------------------------------------------------------------------------

  readonly #owed: (() => void)[] = []

  /** Does it under the lock; when that can't be had, with the next work that gets it. */
  locked(work: () => void, waitMs?: number): boolean {
    const done = this.lockedNow(work, waitMs)
    if (!done) this.#owed.push(work)
    return done
  }

  /** As `locked`, but now or never: for what nobody would know of later on. */
  lockedNow(work: () => void, waitMs?: number): boolean {
    if (!this.lock.enter(waitMs)) return false
    try {
      while (this.#owed.length > 0) (this.#owed.shift() as () => void)()
      work()
    } finally {
      this.lock.leave()
    }
    return true
  }

  get owes(): boolean {
    return this.#owed.length > 0
  }

  payOwed(): void {
    if (this.#owed.length > 0) this.locked(() => {})
  }

  /** A free slot and a head run of so many bytes, both not yet seen by anybody; 0: no room. */
  make(bytes: number): number {
    const slot = this.#takeSlot()
    if (slot === 0) return 0
    const blocks = Math.ceil(bytes / blockBytes)
    const run = this.takeRun(blocks, blocks)
    if (run === 0) {
      this.#giveSlot(slot)
      return 0
    }
    const { entry, words } = this.views
    words[run * wordsOfBlock + headWord.blocks] = blocks
    words[run * wordsOfBlock + headWord.nextLimbo] = 0
    Atomics.store(entry.head, slot, run)
    entry.body[slot] = 0
    Atomics.store(entry.limbo, slot, 0)
    entry.blocks[slot] = blocks
    return slot
  }

  /** As `Runs.take`, after evicting as many as that takes; 0: even so there is no such run. */
  takeRun(wanted: number, least: number): number {
    for (let i = 0; i <= evictionsMax; i++) {
      const run = this.runs.take(wanted, least)
      if (run !== 0 || !this.#evictOne()) return run
    }
    return 0
  }

  /** Readers find it from now on; false: too many keys share its bucket. */
  link(slot: number, hash: number): boolean {
    const { entry, buckets } = this.views
    const bucket = hash & this.#bucketMask
    const first = buckets[bucket] as number
    let length = 0
    for (let at = first; at !== 0; at = entry.next[at] as number) if (++length >= chainMax) return false
    Atomics.store(entry.hash, slot, hash)
    Atomics.store(entry.next, slot, first)
    Atomics.store(buckets, bucket, slot)
    return true
  }

  /** Whole: the policy knows it, and what was under its key goes. */
  settle(slot: number, key: string): void {
    const { entry, eviction, common } = this.views
    const hash = entry.hash[slot] as number
    this.dropKey(key, hash, slot)
    Atomics.store(entry.state, slot, entryState.stored)
    common.entries[0]!++
    eviction.insert(slot, hash, (entry.blocks[slot] as number) * blockBytes)
    while (eviction.size > this.#capacity && this.#evictOne());
  }

  /** Drops what is stored under the key, but for `except`. */
  dropKey(key: string, hash: number, except = 0): void {
    const { entry, buckets } = this.views
    let slot = buckets[hash & this.#bucketMask] as number
    while (slot !== 0) {
      const next = entry.next[slot] as number
      const stored = entry.state[slot] === entryState.stored
      if (slot !== except && stored && entry.hash[slot] === hash && this.hasKey(slot, key)) this.drop(slot)
      slot = next
    }
  }

  drop(slot: number): void {
    if (this.views.entry.state[slot] === entryState.stored) {
      this.views.eviction.remove(slot)
      this.views.common.entries[0]!--
    }
    this.#doom(slot)
  }

  #evictOne(): boolean {
    const { eviction, common, uses } = this.views
    const slot = eviction.evict()
    if (slot < 0) return false
    common.evicted[0]!++
    common.entries[0]!--
    if ((uses[slot] as number) > 0) this.spill(slot)
    this.#doom(slot)
    return true
  }

  /** To be written to the disk by the main thread, for which it is pinned; not where too much waits. */
  spill(slot: number): void {
    const { common, spills, pins, entry, slots, workers } = this.views
    if (common.diskOn[0] !== 1 || entry.whole[slot] !== 1) return
    const waiting = (common.spillsIn[0] as number) - (common.spillsOut[0] as number)
    const blocks = (common.spillBlocks[0] as number) + (entry.blocks[slot] as number)
    if (waiting >= spillSlots || blocks > this.views.blocks / spillShare) return
    spills[(common.spillsIn[0] as number) & (spillSlots - 1)] = slot
    common.spillsIn[0]!++
    common.spillBlocks[0] = blocks
    Atomics.add(pins, workers * slots + slot, 1)
  }

  #doom(slot: number): void {
    const { entry } = this.views
    this.#unlink(slot)
    Atomics.store(entry.state, slot, entryState.doomed)
    Atomics.add(entry.seq, slot, 1)
    this.sweep(slot)
  }

  #unlink(slot: number): void {
    const { entry, buckets } = this.views
    const bucket = (entry.hash[slot] as number) & this.#bucketMask
    const next = entry.next[slot] as number
    if (buckets[bucket] === slot) {
      Atomics.store(buckets, bucket, next)
      return
    }
    for (let at = buckets[bucket] as number; at !== 0; at = entry.next[at] as number) {
      if (entry.next[at] !== slot) continue
      Atomics.store(entry.next, at, next)
      return
    }
  }

  /** The old head stays while somebody may read it; where the body lies in it, as long as the body. */
  replaceHead(slot: number, head: number): void {
    const { entry, words } = this.views
    const before = entry.head[slot] as number
    const isBody = entry.body[slot] === before
    if (!isBody) {
      words[before * wordsOfBlock + headWord.nextLimbo] = entry.limbo[slot] as number
      Atomics.store(entry.limbo, slot, before)
    }
    entry.blocks[slot]! += this.runs.sizeOf(head) - (isBody ? 0 : this.runs.sizeOf(before))
    Atomics.store(entry.head, slot, head)
  }

  /** Gives back what nobody can see any more. */
  sweep(slot: number): void {
    if (this.#isPinned(slot)) return
    const { entry, words } = this.views
    for (let run = entry.limbo[slot] as number; run !== 0; ) {
      const next = words[run * wordsOfBlock + headWord.nextLimbo] as number
      this.runs.give(run)
      run = next
    }
    Atomics.store(entry.limbo, slot, 0)
    if (entry.state[slot] !== entryState.doomed) return
    for (const run of this.#runsOf(slot)) this.runs.give(run)
    this.#giveSlot(slot)
  }

  #isPinned(slot: number): boolean {
    const { pins, slots } = this.views
    for (let at = slot; at < pins.length; at += slots) if (Atomics.load(pins, at) !== 0) return true
    return false
  }

  /** Head and body. */
  #runsOf(slot: number): number[] {
    const { entry, words } = this.views
    const head = entry.head[slot] as number
    const body = entry.body[slot] as number
    if (entry.bodyAt[slot] !== bodyRunHeadBytes) return body === head || body === 0 ? [head] : [head, body]
    const found = [head]
    for (let run = body; run !== 0; run = words[run * wordsOfBlock + bodyWord.next] as number) found.push(run)
    return found
  }

  #takeSlot(): number {
    const { common, entry, slots } = this.views
    while (common.freeSlot[0] === 0) {
      if ((common.slotsUsed[0] as number) < slots - 1) return ++common.slotsUsed[0]!
      if (!this.#evictOne()) return 0
    }
    const slot = common.freeSlot[0] as number
    common.freeSlot[0] = entry.next[slot] as number
    return slot
  }

  #giveSlot(slot: number): void {
    const { common, entry } = this.views
    Atomics.store(entry.state, slot, entryState.free)
    // When everything is dropped it may still name runs that are somebody else's by now.
    Atomics.store(entry.limbo, slot, 0)
    Atomics.store(entry.next, slot, common.freeSlot[0] as number)
    common.freeSlot[0] = slot
  }

  // --- after the death of a thread ----------------------------------------------------------------------------

  /** What is filled by that life is dropped, and what it alone pinned is given back. Its pins are gone already. */
  repair(life: number): void {
    const { entry, common } = this.views
    for (let slot = 1; slot <= (common.slotsUsed[0] as number); slot++) {
      const state = entry.state[slot]
      if (state === entryState.filling && entry.owner[slot] === life) this.#doom(slot)
      else if (state === entryState.doomed || entry.limbo[slot] !== 0) this.sweep(slot)
    }
  }

  /**
   * Drops everything. Right whatever the structure looks like: of what there was it believes only the runs of pinned
   * entries, which are written before they are seen and never change while they are.
   */
  empty(): void {
    const { entry, buckets, common, eviction, pins, slots, workers } = this.views
    // What waits for the disk goes too; the main thread, whose work this is, pins nothing else in the meantime.
    pins.fill(0, workers * slots, (workers + 1) * slots)
    common.spillsOut[0] = common.spillsIn[0] as number
    common.spillBlocks[0] = 0
    Atomics.add(common.generation, 0, 1)
    buckets.fill(0)
    eviction.clear()
    common.entries[0] = 0
    common.freeSlot[0] = 0
    const kept: (readonly [number, number])[] = []
    for (let slot = common.slotsUsed[0] as number; slot > 0; slot--) {
      const used = entry.state[slot] !== entryState.free
      Atomics.add(entry.seq, slot, 1)
      if (used) Atomics.store(entry.state, slot, entryState.doomed)
      if (used && this.#isPinned(slot)) this.#keep(slot, kept)
      else this.#giveSlot(slot)
    }
    this.runs.rebuild(disjoint(kept))
  }

  #keep(slot: number, kept: (readonly [number, number])[]): void {
    const { entry, words } = this.views
    const [head, ...rest] = this.#runsOf(slot)
    const chained = entry.bodyAt[slot] === bodyRunHeadBytes
    kept.push([head as number, words[(head as number) * wordsOfBlock + headWord.blocks] as number])
    for (const run of rest) {
      const size = chained ? bodyWord.blocks : headWord.blocks
      kept.push([run, words[run * wordsOfBlock + size] as number])
    }
    for (let run = entry.limbo[slot] as number; run !== 0; ) {
      kept.push([run, words[run * wordsOfBlock + headWord.blocks] as number])
      run = words[run * wordsOfBlock + headWord.nextLimbo] as number
    }
  }
}

/** By place; the same run once. */
function disjoint(runs: (readonly [number, number])[]): (readonly [number, number])[] {
  const sorted = runs.filter(([run]) => run !== 0).sort(([one], [other]) => one - other)
  return sorted.filter(([run], i) => i === 0 || run !== sorted[i - 1]?.[0])
}
