// What was purged, so that a restart never brings it back: a line a purge, synced before it is acknowledged, and now and
// then the clocks themselves, after which the lines begin anew. A line or clocks that can't be read: nobody knows what was
// purged, so nothing of the disk may be used.
//
// Numbers of purges go on over restarts. Those that were counted but not logged (a crash) are stepped over: a mark in the
// log is always above every number that a record on the disk may have.

import { join } from 'node:path'
import { writeDurably } from '../../../io/durable-files.ts'
import { checksum, namesIn, type SegmentFile, wholeFile, writeSegment } from '../../../io/segment-file.ts'
import type { Purge } from '../contract.ts'
import type { StoreViews } from '../layout.ts'
import type { PurgeClocks } from '../purge-clocks.ts'

const linesName = 'purges'
const clocksName = 'clocks'
const linesBytesMax = 4_194_304
const fileBytesMax = 67_108_864
const markStep = 100_000

interface Line {
  readonly n: number
  readonly what?: Purge
}

export class PurgeLog {
  readonly #directory: string
  readonly #views: StoreViews
  readonly #clocks: PurgeClocks
  #file: SegmentFile | null = null
  #bytes = 0
  #mark = 0
  #waiting: string[] = []
  #writing: Promise<void> = Promise.resolve()
  #failed: Error | null = null

  constructor(directory: string, views: StoreViews, clocks: PurgeClocks) {
    this.#directory = directory
    this.#views = views
    this.#clocks = clocks
  }

  /** False: what is there can't be believed. `needed`: there are records, so there must be clocks. Rejects with the system's code. */
  async open(needed: boolean): Promise<boolean> {
    await namesIn(this.#directory)
    const believed = (await this.#readClocks(needed)) && (await this.#readLines())
    this.#clocks.raiseTo(this.#mark)
    this.#file = await writeSegment(join(this.#directory, linesName))
    await this.#checkpoint()
    return believed
  }

  async #readClocks(needed: boolean): Promise<boolean> {
    const bytes = await wholeFile(join(this.#directory, clocksName), fileBytesMax)
    if (bytes === null) return !needed
    const { hardClocks, softClocks } = this.#views
    const tables = [hardClocks, softClocks]
    const size = hardClocks.byteLength
    if (bytes.length !== 8 + size * 2 || checksum(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return false
    this.#mark = bytes.readInt32LE(4)
    for (const [i, table] of tables.entries())
      for (let slot = 0; slot < table.length; slot++) {
        const then = bytes.readInt32LE(8 + i * size + slot * 4)
        if (then > (table[slot] as number)) Atomics.store(table, slot, then)
      }
    return true
  }

  async #readLines(): Promise<boolean> {
    const bytes = await wholeFile(join(this.#directory, linesName), fileBytesMax)
    const lines = bytes === null ? [] : bytes.toString('utf8').split('\n')
    // The last is empty, or was never acknowledged.
    lines.pop()
    for (const text of lines) {
      const line = readLine(text)
      if (line === null) return false
      this.#mark = Math.max(this.#mark, line.n)
      if (line.what !== undefined) this.#clocks.restore(line.what, line.n)
    }
    return true
  }

  /** Resolves when it would survive the loss of power. Rejects with the system's code. */
  add(what: Purge, serial: number): Promise<void> {
    this.#mark = Math.max(this.#mark, serial)
    return this.#line({ n: serial, what })
  }

  /** Before a record with that number is written. */
  async cover(serial: number): Promise<void> {
    if (serial < this.#mark) return
    await this.#line({ n: serial + markStep })
    this.#mark = serial + markStep
  }

  /** Lines that come while one is synced go with the next. */
  #line(line: Line): Promise<void> {
    this.#waiting.push(writeLine(line))
    const next = this.#writing.then(() => this.#write())
    this.#writing = next.catch(() => {})
    return next
  }

  async #write(): Promise<void> {
    // After a failure nothing is acknowledged any more: lines of several callers went together.
    if (this.#failed !== null) throw this.#failed
    if (this.#waiting.length === 0 || this.#file === null) return
    const bytes = Buffer.from(this.#waiting.join(''))
    this.#waiting = []
    try {
      await this.#file.write(bytes, this.#bytes)
      await this.#file.sync()
      this.#bytes += bytes.length
      if (this.#bytes > linesBytesMax) await this.#checkpoint()
    } catch (error) {
      this.#failed = error as Error
      throw error
    }
  }

  /** The clocks as they are, then no lines: what stands in both is the same. */
  async #checkpoint(): Promise<void> {
    const { hardClocks, softClocks } = this.#views
    const bytes = Buffer.alloc(8 + hardClocks.byteLength * 2)
    this.#mark = Math.max(this.#mark, this.#clocks.begun)
    bytes.writeInt32LE(this.#mark, 4)
    copyTable(hardClocks).copy(bytes, 8)
    copyTable(softClocks).copy(bytes, 8 + hardClocks.byteLength)
    bytes.writeUInt32LE(checksum(bytes.subarray(4)), 0)
    await writeDurably(join(this.#directory, clocksName), one(bytes))
    if (this.#file !== null && (await this.#file.size()) > 0) {
      await this.#file.truncate(0)
      await this.#file.sync()
    }
    this.#bytes = 0
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file?.close()
    this.#file = null
  }
}

/** Of this machine's byte order; the file stays on it. */
function copyTable(table: Int32Array): Buffer {
  return Buffer.from(Int32Array.from(table).buffer)
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

function writeLine(line: Line): string {
  const text = JSON.stringify(line)
  return `${checksum(Buffer.from(text))} ${text}\n`
}

function readLine(line: string): Line | null {
  const space = line.indexOf(' ')
  const text = line.slice(space + 1)
  if (checksum(Buffer.from(text)) !== Number(line.slice(0, space))) return null
  return JSON.parse(text) as Line
}
