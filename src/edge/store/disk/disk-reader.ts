// Reads what lies on the disk back into memory, in whatever thread asks for it: opened and read asynchronously, each piece
// checked before anybody sees it. Who asks for the same key meanwhile is told with the first. A large body is readable as
// soon as its head is; should a later piece be damaged, its fill is cut, and who reads along hears so.

import { join } from 'node:path'
import { readSegment, type SegmentFile } from '../../../io/segment-file.ts'
import type { Clock } from '../../../kit/clock.ts'
import type { StoredEntry } from '../contract.ts'
import type { Entries } from '../entries.ts'
import type { StoreViews } from '../layout.ts'
import type { StoreFill } from '../store-fill.ts'
import type { PinnedEntry } from '../stored-entry.ts'
import { DiskIndex, type DiskPlace } from './disk-index.ts'
import { decodeHead, headBytesOf, isPiece, pieceBytes, type RecordHead } from './record.ts'
import { segmentName } from './segment-name.ts'

type Told = (entry: StoredEntry | null) => void

/** Of keys that are read at once by a thread; more are misses. */
const readsMax = 256
/** The first read has small records whole. */
const firstBytes = 98_304
/** An own key, or a damaged record: `damaged` counts and is forgotten. */
type ReadEnd = 'done' | 'other' | 'damaged'

/** What it needs of its thread's store. */
export interface ReaderStore {
  readonly views: StoreViews
  readonly entries: Entries
  get(key: string): StoredEntry | null
  peek(key: string): PinnedEntry | null
  fillAsOf(key: string, serial: number): StoreFill
}

export class DiskReader {
  readonly #store: ReaderStore
  readonly #directory: string
  readonly #clock: Clock
  readonly #index: DiskIndex
  readonly #reads = new Map<string, Told[]>()

  constructor(store: ReaderStore, directory: string, clock: Clock) {
    this.#store = store
    this.#directory = directory
    this.#clock = clock
    this.#index = new DiskIndex(store.views)
  }

  /** False: it is not there. */
  load(key: string, told: Told): boolean {
    const waiting = this.#reads.get(key)
    if (waiting !== undefined) {
      waiting.push(told)
      return true
    }
    const row = this.#index.rowOf(key, this.#store.entries.hashOf(key))
    if (row < 0 || this.#reads.size >= readsMax) return false
    const place = this.#index.placeOf(row)
    if (place.segment === 0) return false
    this.#reads.set(key, [told])
    void this.#read(key, row, place)
    return true
  }

  /** Never rejects. */
  async #read(key: string, row: number, place: DiskPlace): Promise<void> {
    let end: ReadEnd = 'damaged'
    let file: SegmentFile | null = null
    try {
      file = await readSegment(join(this.#directory, segmentName(place.segment)))
      end = await this.#readFrom(file, key, row, place)
    } catch (error) {
      // The segment was dropped meanwhile, or the disk failed.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') end = 'other'
    }
    await file?.close().catch(() => {})
    if (end === 'damaged') {
      this.#index.forget(row, place)
      Atomics.add(this.#store.views.common.diskFailures, 0, 1)
    }
    this.#tell(key)
  }

  /** Once; each is told with an entry of its own, or null. */
  #tell(key: string): void {
    const told = this.#reads.get(key)
    this.#reads.delete(key)
    for (const tell of told ?? []) tell(this.#store.get(key))
  }

  async #readFrom(file: SegmentFile, key: string, row: number, place: DiskPlace): Promise<ReadEnd> {
    const { seed } = this.#store.views
    let bytes = Buffer.allocUnsafe(Math.min(place.bytes, firstBytes))
    let got = await file.read(bytes, place.at)
    const headBytes = headBytesOf(bytes.subarray(0, got), seed)
    if (headBytes > got) {
      bytes = Buffer.allocUnsafe(headBytes)
      got = await file.read(bytes, place.at)
    }
    const head = decodeHead(bytes.subarray(0, got), seed)
    if (head === null) return 'damaged'
    if (head.key !== key) return 'other'
    if (this.#isPurged(head)) {
      this.#index.forget(row, place)
      return 'other'
    }
    this.#index.use(row)
    return this.#fill(file, head, place, bytes.subarray(head.headBytes, got))
  }

  #isPurged({ key, serial, tags }: RecordHead): boolean {
    const { entries } = this.#store
    return entries.clocks.isPurged(false, key, entries.hashOf(key), serial, tags, 0, tags.length)
  }

  /** `first`: what the first read brought of the body. */
  async #fill(file: SegmentFile, head: RecordHead, place: DiskPlace, first: Buffer): Promise<ReadEnd> {
    const { key, bodyBytes, serial, fields, tags } = head
    const fill = this.#store.fillAsOf(key, serial)
    const meta = {
      ...head.meta,
      receivedAtUs: head.meta.receivedAtUs - this.#clock.wall() + this.#clock.monotonic(),
    }
    // A newer one came meanwhile, or it is too large for memory.
    if (this.#isStored(key) || !fill.beginWith(meta, fields, [...tags], bodyBytes)) {
      fill.abort()
      return 'other'
    }
    if (bodyBytes > first.length) this.#tell(key)
    for (let index = 0, at = 0; at < bodyBytes; index++, at += pieceBytes) {
      const piece = await this.#piece(
        file,
        place.at + head.headBytes,
        at,
        Math.min(pieceBytes, bodyBytes - at),
        first,
      )
      if (piece === null || !isPiece(head, index, piece)) {
        fill.abort()
        return 'damaged'
      }
      if (!fill.write(piece, 0, piece.length)) return 'other'
    }
    this.#commit(fill, key)
    return 'done'
  }

  async #piece(
    file: SegmentFile,
    body: number,
    at: number,
    length: number,
    first: Buffer,
  ): Promise<Buffer | null> {
    if (at + length <= first.length) return first.subarray(at, at + length)
    const piece = Buffer.allocUnsafe(length)
    return (await file.read(piece, body + at)) === length ? piece : null
  }

  #isStored(key: string): boolean {
    const entry = this.#store.peek(key)
    entry?.release()
    return entry !== null
  }

  #commit(fill: StoreFill, key: string): void {
    fill.commit()
    const entry = this.#store.peek(key)
    if (entry === null) return
    this.#store.views.kept[entry.slot] = 1
    entry.release()
  }
}
