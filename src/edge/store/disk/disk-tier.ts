// The disk tier, on the main thread: finds what an earlier process left, writes what memory evicts after it was used (and
// what was pushed), drops the oldest. Requests never wait for it. When the disk fails or is full it goes quiet and tries
// again later; when it can't write down what was purged, it drops all that it has, so that nothing purged comes back.

import { type LineServer, listenLines } from '../../../io/line-server.ts'
import { namesIn } from '../../../io/segment-file.ts'
import { socketPath } from '../../../io/socket-path.ts'
import type { Clock } from '../../../kit/clock.ts'
import type { Purge } from '../contract.ts'
import { headWord } from '../entries.ts'
import { blockBytes, entryState, spillSlots } from '../layout.ts'
import { PinnedEntry } from '../stored-entry.ts'
import type { ThreadStore } from '../worker-store.ts'
import { DiskIndex, type DiskPlace } from './disk-index.ts'
import { EarlyPurges } from './early-purges.ts'
import { PurgeLog } from './purge-log.ts'
import { decodeHead, encodeRecord } from './record.ts'
import { Segments } from './segments.ts'

const pollMs = 20
const quietMs = 30_000
/** What is written at once. */
const batchBytesMax = 4_194_304
/** Of a dropped segment, records that were used are copied up to one part in so many of it. */
const copyShare = 2
/** Until the folder is looked at again, which another process has. */
const ownMs = 250
const scanYield = 64

interface Record {
  readonly key: string
  readonly slot: number
  readonly seq: number
  readonly bytes: Buffer
  readonly serial: number
}

export class DiskTier {
  readonly #store: ThreadStore
  readonly #clock: Clock
  readonly #tell: (text: string) => void
  readonly #segments: Segments
  readonly #index: DiskIndex
  readonly #log: PurgeLog
  readonly #objectBytesMax: number
  #timer: NodeJS.Timeout | null = null
  #working: Promise<void> = Promise.resolve()
  #busy = false
  #quietUntil = 0
  #usable = false
  #lost = false
  #closed = false
  #closing: Promise<void> | null = null
  /** The folder is ours while this listens. */
  #owned: LineServer | null = null
  #stopWaiting: () => void = () => {}
  readonly #early: EarlyPurges
  /** Numbers of purges are above those of the folder's records. */
  #opened = false
  /** Why an earlier process's files could not be removed. */
  #unwiped: Error | null = null
  /** When all that was there is known. */
  readonly ready: Promise<void>

  constructor(store: ThreadStore, clock: Clock, tell: (text: string) => void) {
    const { directory, bytes, objectBytesMax } = store.views.spec.disk as {
      directory: string
      bytes: number
      objectBytesMax: number
    }
    this.#store = store
    this.#clock = clock
    this.#tell = tell
    this.#segments = new Segments(directory, bytes)
    this.#index = new DiskIndex(store.views)
    this.#log = new PurgeLog(directory, store.views, store.entries.clocks)
    this.#early = new EarlyPurges(directory)
    this.#objectBytesMax = Math.min(objectBytesMax, this.#segments.recordBytesMax / 2)
    this.ready = this.#start(directory)
  }

  async #start(directory: string): Promise<void> {
    try {
      await namesIn(directory)
      if (!(await this.#own(directory))) return
      const numbers = await this.#segments.find()
      const believed = await this.#log.open(numbers.length > 0)
      await this.#takeEarly()
      if (!believed) {
        await this.#segments.wipe()
        this.#tell(`what was purged can't be read in ${directory}: what was stored there is dropped`)
      }
      this.#usable = true
      Atomics.store(this.#store.views.common.diskOn, 0, 1)
      this.#timer = setInterval(() => this.#poll(), pollMs).unref()
      if (believed) for (const number of numbers) await this.#scan(number)
    } catch (error) {
      this.#fail(error)
      this.#tell(`the cache has no disk: ${directory}: ${codeOf(error)}`)
      // Purges can't be written down: nothing of it may be there at the next start.
      await this.#segments.wipe().catch(cause => {
        if (isThere(cause)) this.#unwiped = cause
      })
    }
  }

  /** One process at a time: an edge that replaces another one waits until that has closed its store. False: closed first. */
  async #own(directory: string): Promise<boolean> {
    const path = socketPath(directory, 'disk')
    while (!this.#closed) {
      try {
        this.#owned = await listenLines(path, { onValue() {} })
        return true
      } catch (error) {
        if (codeOf(error) !== 'EADDRINUSE') throw error
        await new Promise<void>(resolve => {
          this.#stopWaiting = resolve
          setTimeout(resolve, ownMs).unref()
        })
      }
    }
    return false
  }

  /** What was purged before the numbers of the folder were known: again, with numbers above those of its records. */
  async #takeEarly(): Promise<void> {
    const { clocks } = this.#store.entries
    for (const what of await this.#early.all()) await this.#log.add(what, clocks.purge(what))
    this.#opened = true
    await this.#early.remove()
  }

  async #scan(number: number): Promise<void> {
    let found = 0
    try {
      for await (const { head, place } of this.#segments.records(number, this.#store.views.seed)) {
        if (this.#closed) return
        this.#index.add(head.key, this.#store.entries.hashOf(head.key), place, true)
        if (++found % scanYield === 0) await new Promise(resolve => setImmediate(resolve))
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#count()
  }

  #count(): void {
    Atomics.store(this.#store.views.common.diskKilobytes, 0, Math.ceil(this.#segments.bytes / 1_024))
  }

  #fail(_error: unknown): void {
    Atomics.add(this.#store.views.common.diskFailures, 0, 1)
  }

  // --- purges -------------------------------------------------------------------------------------------------

  /**
   * Resolves when a restart can't bring it back: it is written down, or the disk has nothing any more. Rejects where
   * neither could be done.
   */
  async log(what: Purge, serial: number): Promise<void> {
    if (this.#unwiped !== null) throw this.#unwiped
    if (!this.#opened) return this.#logEarly(what)
    if (!this.#usable || this.#lost || this.#closed) return
    try {
      await this.#log.add(what, serial)
    } catch (error) {
      await this.#lose(error)
    }
  }

  async #logEarly(what: Purge): Promise<void> {
    await this.#early.add(what).catch(error => {
      if (isThere(error)) throw error
    })
    // It may have been opened meanwhile, and have read the list without this one.
    if (this.#opened) await this.log(what, this.#store.entries.clocks.purge(what))
  }

  /** For good: until the edge is started anew. */
  async #lose(error: unknown): Promise<void> {
    if (this.#lost) return
    this.#lost = true
    Atomics.store(this.#store.views.common.diskOn, 0, 0)
    this.#fail(error)
    this.#tell(
      `a purge can't be written down (${codeOf(error)}): the cache's disk is dropped, and rests until the edge restarts`,
    )
    await this.#idle()
    await this.#segments.wipe().catch(cause => {
      this.#unwiped = cause
      throw cause
    })
    this.#count()
  }

  // --- writing ------------------------------------------------------------------------------------------------

  #poll(): void {
    if (this.#busy || this.#closed) return
    const { common } = this.#store.views
    if (this.#quietUntil !== 0 && this.#clock.monotonic() > this.#quietUntil) this.#wake()
    if (Atomics.load(common.spillsIn, 0) === Atomics.load(common.spillsOut, 0)) return
    void this.#work(() => this.#write(this.#takeSpills()))
  }

  /** One at a time. Never rejects. */
  #work(work: () => Promise<void>): Promise<void> {
    this.#busy = true
    this.#working = this.#working.then(work).catch(error => this.#rest(error))
    const mine = this.#working
    void mine.then(() => {
      if (this.#working === mine) this.#busy = false
    })
    return mine
  }

  /** Goes quiet for a while. */
  #rest(error: unknown): void {
    this.#fail(error)
    const { common } = this.#store.views
    if (Atomics.exchange(common.diskOn, 0, 0) === 1)
      this.#tell(`the cache's disk fails (${codeOf(error)}): it takes nothing for ${quietMs / 1000} s`)
    this.#quietUntil = this.#clock.monotonic() + quietMs * 1000
  }

  #wake(): void {
    this.#quietUntil = 0
    if (!this.#lost) Atomics.store(this.#store.views.common.diskOn, 0, 1)
  }

  async #idle(): Promise<void> {
    while (this.#busy) await this.#working
  }

  /** Records of what waits, which is then pinned no more. */
  #takeSpills(): Record[] {
    const { views, entries } = this.#store
    const { common, spills, entry } = views
    const slots: number[] = []
    let blocks = 0
    entries.lockedNow(() => {
      while (common.spillsOut[0] !== common.spillsIn[0] && blocks * blockBytes < batchBytesMax) {
        const slot = spills[(common.spillsOut[0] as number) & (spillSlots - 1)] as number
        common.spillsOut[0]!++
        blocks += entry.blocks[slot] as number
        slots.push(slot)
      }
      common.spillBlocks[0] = Math.max(0, (common.spillBlocks[0] as number) - blocks)
    })
    const records = slots.map(slot => this.#recordOf(slot)).filter(record => record !== null)
    for (const slot of slots) entries.unpin(slot)
    return records
  }

  /** Of a slot that is pinned; null: it is on the disk already, purged, or too large. */
  #recordOf(slot: number): Record | null {
    const { views, entries, waits } = this.#store
    const { entry, words, kept } = views
    const key = entries.keyOf(slot)
    if (kept[slot] === 1 && this.#index.rowOf(key, entries.hashOf(key)) >= 0) return null
    if (entry.whole[slot] !== 1 || entries.isPurged(slot, key, false)) return null
    const from = new PinnedEntry(entries, waits, key, slot, 0, false)
    if (from.bodyBytes > this.#objectBytesMax) return null
    const at = (entry.head[slot] as number) * (blockBytes / 4)
    const tags = words.slice(
      at + headWord.firstTag,
      at + headWord.firstTag + (words[at + headWord.tags] as number),
    )
    const receivedAtUs = from.meta.receivedAtUs - this.#clock.monotonic() + this.#clock.wall()
    const serial = entry.serial[slot] as number
    const head = { meta: { ...from.meta, receivedAtUs }, key, fields: from.fields, tags, serial }
    const bytes = encodeRecord(views.seed, head, from.copyBody())
    return { key, slot, seq: from.seq, bytes, serial }
  }

  async #write(records: readonly Record[]): Promise<void> {
    if (records.length === 0 || this.#lost) return
    const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0)
    await this.#makeRoom(bytes)
    await this.#log.cover(records.reduce((most, { serial }) => Math.max(most, serial), 0))
    const places = await this.#append(records.map(record => record.bytes))
    const { views, entries } = this.#store
    for (const [i, { key, slot, seq }] of records.entries()) {
      this.#index.add(key, entries.hashOf(key), places[i] as DiskPlace)
      if (views.entry.seq[slot] === seq) views.kept[slot] = 1
    }
    this.#count()
  }

  /** In parts that a segment has room for. */
  async #append(records: readonly Buffer[]): Promise<DiskPlace[]> {
    const places: DiskPlace[] = []
    let part: Buffer[] = []
    let bytes = 0
    for (const record of records) {
      if (bytes + record.length > this.#segments.recordBytesMax) {
        places.push(...(await this.#segments.append(part)))
        part = []
        bytes = 0
      }
      part.push(record)
      bytes += record.length
    }
    if (part.length > 0) places.push(...(await this.#segments.append(part)))
    return places
  }

  async #makeRoom(coming: number): Promise<void> {
    for (let number = this.#oldest(coming); number > 0; number = this.#oldest(coming)) {
      const used = await this.#usedOf(number)
      this.#index.forgetSegment(number)
      await this.#segments.drop(number)
      if (used.length === 0) continue
      const places = await this.#append(used.map(({ bytes }) => bytes))
      for (const [i, { key }] of used.entries())
        this.#index.add(key, this.#store.entries.hashOf(key), places[i] as DiskPlace)
    }
  }

  #oldest(coming: number): number {
    return this.#segments.oldestToDrop(coming)
  }

  /** Records of a segment that were read since they were written there, checked, up to half of it. */
  async #usedOf(number: number): Promise<{ key: string; bytes: Buffer }[]> {
    const used: { key: string; bytes: Buffer }[] = []
    let left = this.#segments.recordBytesMax / copyShare
    for (const row of this.#index.usedOf(number)) {
      const place = this.#index.placeOf(row)
      if (place.segment !== number || place.bytes > left) continue
      const bytes = await this.#segments.read(place)
      const head = bytes === null ? null : decodeHead(bytes, this.#store.views.seed)
      if (bytes === null || head === null) continue
      used.push({ key: head.key, bytes })
      left -= place.bytes
    }
    return used
  }

  // --- the end ------------------------------------------------------------------------------------------------

  /** All that memory has and that was used, until `endUs`; then the disk is left in order. Never rejects. */
  close(endUs: number): Promise<void> {
    this.#closing ??= this.#close(endUs)
    return this.#closing
  }

  async #close(endUs: number): Promise<void> {
    if (!this.#opened) this.#closed = true
    this.#stopWaiting()
    await this.ready
    if (this.#timer !== null) clearInterval(this.#timer)
    if (this.#usable && !this.#lost) {
      await this.#work(() => this.#writeUsed(endUs))
      await this.#work(() => this.#segments.sync())
    }
    this.#closed = true
    Atomics.store(this.#store.views.common.diskOn, 0, 0)
    await this.#idle()
    await this.#segments.close()
    await this.#log.close().catch(error => this.#fail(error))
    await this.#early.close()
    this.#owned?.close()
  }

  async #writeUsed(endUs: number): Promise<void> {
    const { views, entries } = this.#store
    const { entry, uses, common } = views
    await this.#write(this.#takeSpills())
    let batch: Record[] = []
    let bytes = 0
    for (let slot = 1; slot <= (common.slotsUsed[0] as number) && this.#clock.monotonic() < endUs; slot++) {
      if (Atomics.load(entry.state, slot) !== entryState.stored || uses[slot] === 0 || !entries.pin(slot))
        continue
      const record = Atomics.load(entry.state, slot) === entryState.stored ? this.#recordOf(slot) : null
      entries.unpin(slot)
      if (record === null) continue
      batch.push(record)
      bytes += record.bytes.length
      if (bytes < batchBytesMax) continue
      await this.#write(batch)
      batch = []
      bytes = 0
    }
    await this.#write(batch)
  }
}

/** The folder is there, and may have files. */
function isThere(error: unknown): boolean {
  return !['ENOENT', 'ENOTDIR'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException)?.code ?? String(error)
}
