// The files of the disk tier: records are appended to the newest, the oldest is dropped when the bound is reached. Begun
// anew at each start, so that nothing is ever written behind a torn end. The main thread's; one call at a time.

import { join } from 'node:path'
import { namesIn, readSegment, removeIn, type SegmentFile, writeSegment } from '../../../io/segment-file.ts'
import type { DiskPlace } from './disk-index.ts'
import { decodeHead, headBytesOf, type RecordHead, recordBytes } from './record.ts'
import { segmentName, segmentNumber } from './segment-name.ts'

const segmentBytesMax = 33_554_432
/** Of the whole, at most one part in so many. */
const segmentShare = 8
const headReadBytes = 4_096

interface Segment {
  readonly number: number
  bytes: number
}

export class Segments {
  readonly #directory: string
  readonly #bytesMax: number
  readonly #segmentBytes: number
  /** By number, the newest last. */
  readonly #segments: Segment[] = []
  #open: SegmentFile | null = null
  #next = 1

  constructor(directory: string, bytesMax: number) {
    this.#directory = directory
    this.#bytesMax = bytesMax
    this.#segmentBytes = Math.min(segmentBytesMax, Math.floor(bytesMax / segmentShare))
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** A record that is larger is not taken. */
  get recordBytesMax(): number {
    return this.#segmentBytes
  }

  /** What an earlier process left; numbers, the newest first. */
  async find(): Promise<number[]> {
    for (const name of await namesIn(this.#directory)) {
      const number = segmentNumber(name)
      if (number === 0) continue
      const file = await readSegment(join(this.#directory, name))
      this.#segments.push({ number, bytes: await file.size() })
      await file.close()
    }
    this.#segments.sort((one, other) => one.number - other.number)
    this.#next = (this.#segments.at(-1)?.number ?? 0) + 1
    return this.#segments.map(({ number }) => number).reverse()
  }

  /** Each whole record of a segment; what is torn or damaged ends it. */
  async *records(number: number, identity: number): AsyncGenerator<{ head: RecordHead; place: DiskPlace }> {
    const segment = this.#segments.find(one => one.number === number)
    if (segment === undefined) return
    const file = await readSegment(join(this.#directory, segmentName(number)))
    try {
      for (let at = 0; at < segment.bytes; ) {
        const head = await this.#headAt(file, at, identity)
        if (head === null) return
        const bytes = recordBytes(head)
        // Its end was not written: a process was killed.
        if (at + head.headBytes + head.bodyBytes > segment.bytes) return
        yield { head, place: { segment: number, at, bytes } }
        at += bytes
      }
    } finally {
      await file.close()
    }
  }

  async #headAt(file: SegmentFile, at: number, identity: number): Promise<RecordHead | null> {
    let bytes = Buffer.allocUnsafe(headReadBytes)
    let got = await file.read(bytes, at)
    const headBytes = headBytesOf(bytes.subarray(0, got), identity)
    if (headBytes > got) {
      bytes = Buffer.allocUnsafe(headBytes)
      got = await file.read(bytes, at)
    }
    return decodeHead(bytes.subarray(0, got), identity)
  }

  /** The record as it is on the disk; null: it can't be read whole. */
  async read(place: DiskPlace): Promise<Buffer | null> {
    const file = await readSegment(join(this.#directory, segmentName(place.segment)))
    try {
      const bytes = Buffer.allocUnsafe(place.bytes)
      return (await file.read(bytes, place.at)) === place.bytes ? bytes : null
    } finally {
      await file.close()
    }
  }

  /** Where the records lie now. Rejects with the system's code: what was written is not counted on, and a new file is begun. */
  async append(records: readonly Buffer[]): Promise<DiskPlace[]> {
    const bytes = records.reduce((sum, record) => sum + record.length, 0)
    const segment = await this.#room(bytes)
    const at = segment.bytes
    try {
      await (this.#open as SegmentFile).write(Buffer.concat(records), at)
    } catch (error) {
      await this.#give(segment)
      throw error
    }
    segment.bytes += bytes
    let from = at
    return records.map(record => {
      const place = { segment: segment.number, at: from, bytes: record.length }
      from += record.length
      return place
    })
  }

  async #room(bytes: number): Promise<Segment> {
    const last = this.#segments.at(-1)
    if (this.#open !== null && last !== undefined && last.bytes + bytes <= this.#segmentBytes) return last
    await this.#close()
    const number = this.#next++
    this.#open = await writeSegment(join(this.#directory, segmentName(number)))
    const segment = { number, bytes: 0 }
    this.#segments.push(segment)
    return segment
  }

  /** A failed write: the file ends where it was whole. */
  async #give(segment: Segment): Promise<void> {
    await this.#open?.truncate(segment.bytes).catch(() => {})
    await this.#close()
  }

  async #close(): Promise<void> {
    const file = this.#open
    this.#open = null
    await file?.close().catch(() => {})
  }

  /** The one that has to go before so many bytes come; 0: there is room. */
  oldestToDrop(coming: number): number {
    if (this.bytes + coming <= this.#bytesMax || this.#segments.length < 2) return 0
    return (this.#segments[0] as Segment).number
  }

  async drop(number: number): Promise<void> {
    const place = this.#segments.findIndex(segment => segment.number === number)
    if (place >= 0) this.#segments.splice(place, 1)
    await removeIn(this.#directory, segmentName(number))
  }

  /** All files of the tier's log, whatever they are. */
  async wipe(): Promise<void> {
    await this.#close()
    this.#segments.length = 0
    for (const name of await namesIn(this.#directory))
      if (segmentNumber(name) !== 0) await removeIn(this.#directory, name)
  }

  async sync(): Promise<void> {
    await this.#open?.sync()
  }

  async close(): Promise<void> {
    await this.#close()
  }
}
