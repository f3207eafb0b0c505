// The store as one thread sees it: `WorkerStore` over the shared memory. Whoever is here is on the way of a request: it
// waits at most 20 ms for the lock and goes on as if nothing were stored. The main thread has one too.

import { hostClock } from '../../io/clock.ts'
import type { Clock } from '../../kit/clock.ts'
import type {
  Fill,
  Purge,
  StoreCounts,
  StoredEntry,
  StoredMeta,
  Wait,
  WaitEnd,
  WorkerStore,
} from './contract.ts'
import { DiskReader } from './disk/disk-reader.ts'
import { Entries, headWord } from './entries.ts'
import { HotEntries } from './hot-entries.ts'
import {
  attachViews,
  blockBytes,
  entryState,
  headBytes,
  type StoreMemory,
  type StoreViews,
} from './layout.ts'
import { Leads } from './leads.ts'
import { type FillOwner, StoreFill } from './store-fill.ts'
import { HotEntry, PinnedEntry, textBytesMax, writeHead, writeMeta } from './stored-entry.ts'
import { later, Waits } from './waits.ts'

const wordsOfBlock = blockBytes / 4
const hotBytesMax = 16_777_216
/** Bodies above `textBytesMax` are worth a text of their own when they are used so often. */
const hotTextBytesMax = 131_072
const hotUsesLeast = 4
const usesMax = 255
/** Uses that wait for the lock, where the policy needs it. */
const hitsHeldMax = 64
/** Longer than for other work: who goes on without knowing who leads costs the origin a request. */
const leadWaitMs = 100

export interface StoreOptions {
  /** Of `clock`, where a test has its own. */
  readonly clock?: Clock
  /** This thread purged: the main thread is to write it down (`MainStore.logPurge`). */
  readonly onPurge?: (what: Purge) => void
}

export class ThreadStore implements WorkerStore, FillOwner {
  readonly views: StoreViews
  readonly entries: Entries
  readonly leads: Leads
  readonly life: number
  readonly waits: Waits
  readonly counts: StoreCounts
  readonly #clock: Clock
  readonly #onPurge: ((what: Purge) => void) | null
  readonly #hot: HotEntries
  readonly #hits: number[] = []
  readonly #reader: DiskReader | null

  /** `row`: the worker's index; the main thread's is the number of workers. */
  constructor(memory: StoreMemory, row: number, options: StoreOptions = {}) {
    this.views = attachViews(memory)
    this.life = Atomics.add(this.views.common.lives, 0, 1) + 1
    Atomics.store(this.views.thread.life, row, this.life)
    this.entries = new Entries(this.views, row, this.life)
    this.leads = new Leads(this.views)
    this.#clock = options.clock ?? hostClock
    this.#onPurge = options.onPurge ?? null
    this.waits = new Waits(this.views, row, this.leads, this.#clock)
    this.#hot = new HotEntries(Math.min(hotBytesMax, memory.spec.memoryBytes / 8))
    this.counts = countsOf(this.views)
    this.#reader =
      memory.spec.disk === undefined ? null : new DiskReader(this, memory.spec.disk.directory, this.#clock)
  }

  get bells(): Waits['bells'] {
    return this.waits.bells
  }

  get nowUs(): number {
    return this.#clock.monotonic()
  }

  // --- looking up ---------------------------------------------------------------------------------------------

  get(key: string): StoredEntry | null {
    const hot = this.#hot.get(key)
    if (hot !== undefined) {
      if (this.#stands(hot)) {
        this.#use(hot.slot, hot.seq)
        return hot
      }
      this.#hot.forget(key)
    }
    const entry = this.peek(key)
    if (entry === null) return null
    this.#use(entry.slot, entry.seq)
    return this.#warm(entry)
  }

  /** As `get`, without counting as a use. */
  peek(key: string): PinnedEntry | null {
    const slot = this.entries.find(key, this.entries.hashOf(key))
    return slot === 0 ? null : this.#checked(key, slot)
  }

  /** Not purged; lets go of it otherwise. */
  #checked(key: string, slot: number): PinnedEntry | null {
    const { entries } = this
    const { entry } = this.views
    const { clocks } = entries
    const ended = clocks.ended
    const begun = clocks.begun
    let soft = false
    if (Atomics.load(entry.checked, slot) !== ended) {
      if (this.entries.isPurged(slot, key, false)) {
        entries.unpin(slot)
        entries.locked(() => this.#dropPurged(slot, key))
        return null
      }
      soft = this.entries.isPurged(slot, key, true)
      if (!soft) Atomics.store(entry.checked, slot, ended)
    }
    return new PinnedEntry(entries, this.waits, key, slot, begun, soft)
  }

  /** Under the lock, where the slot may be another entry's by now. */
  #dropPurged(slot: number, key: string): void {
    const state = this.views.entry.state[slot]
    const lives = state === entryState.stored || state === entryState.filling
    if (lives && this.entries.hasKey(slot, key) && this.entries.isPurged(slot, key, false))
      this.entries.drop(slot)
  }

  #stands(hot: HotEntry): boolean {
    const { clocks } = this.entries
    if (Atomics.load(this.views.entry.seq, hot.slot) !== hot.seq) return false
    return hot.checkedPurges === clocks.ended || this.#stillStands(hot)
  }

  /** There was a purge since: whether of this entry is looked up once, as with any other. */
  #stillStands(hot: HotEntry): boolean {
    const ended = this.entries.clocks.ended
    const entry = this.peek(hot.key)
    if (entry === null) return false
    const same = entry.slot === hot.slot && entry.seq === hot.seq && !entry.purgedSoftly
    if (same) {
      hot.checkedPurges = ended
      hot.serial = entry.serial
    }
    entry.release()
    return same
  }

  /** A small or often used one becomes texts of this thread. */
  #warm(entry: PinnedEntry): StoredEntry {
    if (!entry.isWhole || entry.purgedSoftly) return entry
    const { bodyBytes } = entry
    const uses = this.views.uses[entry.slot] as number
    if (uses < (bodyBytes <= textBytesMax ? 2 : hotUsesLeast) || bodyBytes > hotTextBytesMax) return entry
    const hot = new HotEntry(entry, Atomics.load(this.views.entry.checked, entry.slot))
    entry.release()
    this.#hot.add(hot)
    return hot
  }

  #use(slot: number, seq: number): void {
    const { uses, eviction } = this.views
    const before = uses[slot] as number
    if (before < usesMax) uses[slot] = before + 1
    if (eviction.hitIsLockFree) {
      eviction.hit(slot)
      return
    }
    if (this.#hits.push(slot, seq) >= hitsHeldMax * 2) this.entries.locked(() => this.#tellHits())
  }

  /** Under the lock: those that are still there. */
  #tellHits(): void {
    const { entry, eviction } = this.views
    for (let i = 0; i < this.#hits.length; i += 2) {
      const slot = this.#hits[i] as number
      if (entry.seq[slot] === this.#hits[i + 1] && entry.state[slot] === entryState.stored) eviction.hit(slot)
    }
    this.#hits.length = 0
  }

  load(key: string, told: (entry: StoredEntry | null) => void): boolean {
    return this.#reader?.load(key, told) ?? false
  }

  /** What was read from the disk comes in as it was: with its number, and beside whoever leads the key. */
  fillAsOf(key: string, serial: number): StoreFill {
    return new StoreFill(this, key, this.entries.hashOf(key), { place: -1, turn: 0 }, serial)
  }

  // --- filling ------------------------------------------------------------------------------------------------

  lead(key: string, asOf: Fill | null = null): Fill | null {
    const hash = this.entries.hashOf(key)
    let fill: Fill | null = null
    const asked = this.entries.lockedNow(() => {
      this.#tellHits()
      const lead = this.leads.begin(key, hash, this.life)
      if (lead === null) return
      this.views.eviction.miss(hash)
      fill = new StoreFill(this, key, hash, lead, asOf)
    }, leadWaitMs)
    // Without the lock nobody can know who leads: this one goes to the origin for itself.
    return asked ? fill : new StoreFill(this, key, hash, { place: -1, turn: 0 }, asOf)
  }

  isAlone(key: string): boolean {
    return this.leads.isAlone(key, this.entries.hashOf(key), this.nowUs)
  }

  wait(key: string, waitUs: number, told: (end: WaitEnd) => void): Wait {
    const hash = this.entries.hashOf(key)
    if (this.leads.isAlone(key, hash, this.nowUs)) return later(() => told('alone'))
    return this.waits.forLead(this.leads.of(key, hash), waitUs, told)
  }

  freshen(entry: StoredEntry, meta: StoredMeta, fields: string): void {
    if (!(entry instanceof PinnedEntry || entry instanceof HotEntry)) return
    this.entries.locked(() => this.#freshen(entry, meta, fields))
  }

  /** Under the lock: a new head; the body stays where it is, and so does the old head while somebody reads it. */
  #freshen(from: PinnedEntry | HotEntry, meta: StoredMeta, fields: string): void {
    const { entries } = this
    const { entry, words } = this.views
    const { slot } = from
    const isSame = (): boolean =>
      entry.seq[slot] === from.seq &&
      entry.state[slot] === entryState.stored &&
      entries.hasKey(slot, from.key)
    if (!isSame()) return
    const before = entry.head[slot] as number
    const tagCount = words[before * wordsOfBlock + headWord.tags] as number
    const blocks = Math.ceil((headBytes + tagCount * 4 + from.key.length + fields.length) / blockBytes)
    const head = entries.takeRun(blocks, blocks)
    if (head === 0) return
    // Making room may have evicted it.
    if (!isSame()) {
      entries.runs.give(head)
      return
    }
    const firstTag = before * wordsOfBlock + headWord.firstTag
    const tags = [...words.subarray(firstTag, firstTag + tagCount)]
    words[head * wordsOfBlock + headWord.blocks] = blocks
    words[head * wordsOfBlock + headWord.nextLimbo] = 0
    writeMeta(entries, head, meta)
    writeHead(entries, head, from.key, fields, tags)
    entries.replaceHead(slot, head)
    // What was purged after it was looked at stays purged.
    Atomics.store(entry.serial, slot, from.serial)
    Atomics.store(entry.checked, slot, -1)
    Atomics.add(entry.seq, slot, 1)
    this.views.kept[slot] = 0
    entries.sweep(slot)
  }

  // --- going --------------------------------------------------------------------------------------------------

  remove(key: string): void {
    this.#hot.forget(key)
    this.purge({ keys: [key] })
    this.entries.locked(() => this.entries.dropKey(key, this.entries.hashOf(key)))
  }

  keep(key: string): void {
    const entry = this.peek(key)
    if (entry === null) return
    if (entry.isWhole) this.entries.lockedNow(() => this.entries.spill(entry.slot))
    entry.release()
  }

  purge(what: Purge): void {
    this.entries.clocks.purge(what)
    this.#onPurge?.(what)
  }

  get purgesBegun(): number {
    return this.entries.clocks.begun
  }

  isPurgedSince(key: string, tags: readonly string[], purgesBegun: number): boolean {
    const { clocks } = this.entries
    const hashes = Int32Array.from(tags, tag => clocks.tagHash(tag))
    const is = (soft: boolean): boolean =>
      clocks.isPurged(soft, key, this.entries.hashOf(key), purgesBegun, hashes, 0, hashes.length)
    return is(false) || is(true)
  }

  /** No exchange of this thread uses it any more. */
  close(): void {
    this.bells.close()
  }
}

function countsOf(views: StoreViews): StoreCounts {
  const { common, spec } = views
  const of = (column: Int32Array): number => Atomics.load(column, 0)
  return {
    get entries() {
      return of(common.entries)
    },
    get bytes() {
      return of(common.usedBlocks) * blockBytes
    },
    bytesMax: spec.memoryBytes,
    get evicted() {
      return of(common.evicted)
    },
    get refused() {
      return of(common.refused)
    },
    get purges() {
      return of(common.purges)
    },
    get diskEntries() {
      return of(common.diskEntries)
    },
    get diskBytes() {
      return of(common.diskKilobytes) * 1_024
    },
    get diskFailures() {
      return of(common.diskFailures)
    },
  }
}
