// The store's part on the edge's main thread: repairs what a dead worker left, purges, and tells what is stored.

import { hostClock } from '../../io/clock.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Purge, StoreCounts } from './contract.ts'
import { DiskTier } from './disk/disk-tier.ts'
import { entryState, type StoreMemory } from './layout.ts'
import { type StoreOptions, ThreadStore } from './worker-store.ts'

/** For work that must be done: it is tried again. */
const lockWaitMs = 200
const retryMs = 20
/** For writing what memory has to the disk. */
const closeUs = 5_000_000
/** Numbers of purges are 31 bits: long before their end everything is dropped once and they begin anew. */
const serialMax = 2_000_000_000

export interface StoredView {
  readonly key: string
  readonly status: number
  readonly bodyBytes: number
  readonly receivedAtUs: number
  readonly freshForUs: number
  readonly uses: number
  readonly purged: '' | 'soft' | 'hard'
}

export class MainStore {
  readonly memory: StoreMemory
  readonly store: ThreadStore
  readonly #tell: (text: string) => void
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #clock: Clock
  readonly #disk: DiskTier | null

  /** `tell`: for decisions that an operator should see. */
  constructor(memory: StoreMemory, tell: (text: string) => void, options: StoreOptions = {}) {
    this.memory = memory
    this.store = new ThreadStore(memory, memory.workers, options)
    this.#tell = tell
    this.#clock = options.clock ?? hostClock
    this.#disk = memory.spec.disk === undefined ? null : new DiskTier(this.store, this.#clock, tell)
  }

  /** When what an earlier process left on the disk is known; requests need not wait for it. */
  get ready(): Promise<void> {
    return this.#disk?.ready ?? Promise.resolve()
  }

  get counts(): StoreCounts {
    return this.store.counts
  }

  /** In effect at once for all threads; resolves when a restart can't bring it back either. */
  async purge(what: Purge): Promise<void> {
    const serial = this.store.entries.clocks.purge(what)
    if (serial > serialMax) this.#renumber()
    await this.#disk?.log(what, serial)
  }

  /** What a worker purged, and what is in effect, is written down: a little later than with `purge`. */
  logPurge(what: Purge): void {
    if (this.#disk !== null) void this.purge(what)
  }

  /**
   * The worker's thread has ended, and its successor has not begun. If it held the lock, nobody knows what it was in the
   * middle of: everything stored is dropped, which is always right.
   */
  repairWorker(worker: number): void {
    const { views, entries, leads, bells } = this.store
    const life = Atomics.load(views.thread.life, worker)
    if (life === 0) return
    views.pins.fill(0, worker * views.slots, (worker + 1) * views.slots)
    Atomics.store(views.thread.waiting, worker, 0)
    if (entries.lock.takeFrom(life)) {
      this.#empty()
      entries.lock.leave()
      this.#tell(`worker ${worker} died while it changed the cache's index: all that was stored was dropped`)
    } else this.#underLock(() => entries.repair(life))
    leads.repair(life)
    bells.ring()
  }

  /** What is stored under keys that begin so, at most `max`. Walks all entries: for operators, not for requests. */
  entriesUnder(start: string, max: number): StoredView[] {
    const { views, entries } = this.store
    const found: StoredView[] = []
    const slots = Atomics.load(views.common.slotsUsed, 0)
    for (let slot = 1; slot <= slots && found.length < max; slot++) {
      if (Atomics.load(views.entry.state, slot) !== entryState.stored || !entries.pin(slot)) continue
      if (Atomics.load(views.entry.state, slot) === entryState.stored) {
        const key = entries.keyOf(slot)
        if (key.startsWith(start)) found.push(this.#view(key, slot))
      }
      entries.unpin(slot)
    }
    return found
  }

  #view(key: string, slot: number): StoredView {
    const { views } = this.store
    const entry = this.store.peek(key)
    const found = {
      key,
      status: entry?.meta.status ?? 0,
      bodyBytes: entry?.bodyBytes ?? 0,
      receivedAtUs: entry?.meta.receivedAtUs ?? 0,
      freshForUs: entry?.meta.freshForUs ?? 0,
      uses: views.uses[slot] as number,
      purged: entry === null ? ('hard' as const) : entry.purgedSoftly ? ('soft' as const) : ('' as const),
    }
    entry?.release()
    return found
  }

  /** Everything goes, and fills that are under way come to nothing. */
  empty(): void {
    this.#underLock(() => this.#empty())
  }

  #empty(): void {
    this.store.entries.empty()
  }

  #renumber(): void {
    this.#underLock(() => {
      const { common, hardClocks, softClocks } = this.store.views
      this.#empty()
      hardClocks.fill(0)
      softClocks.fill(0)
      Atomics.store(common.purgesBegun, 0, 0)
      this.#tell('two billion purges were counted: the cache was emptied, and they are counted anew')
    })
  }

  /** Now or soon: the holder may be a worker whose end nobody has heard of yet. */
  #underLock(work: () => void): void {
    const { lock } = this.store.entries
    if (lock.enter(lockWaitMs)) {
      work()
      lock.leave()
      return
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#underLock(work)
    }, retryMs)
    this.#timers.add(timer)
  }

  /** What was used goes to the disk first, as far as the time allows. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    await this.#disk?.close(this.#clock.monotonic() + closeUs)
    this.store.close()
  }
}
