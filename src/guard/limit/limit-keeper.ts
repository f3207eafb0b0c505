// Keeps what clients have used over the end of the process: every few seconds, and at a good end, all entries that still
// limit go into a file of this process. A process that begins takes what the files of its edge hold, and goes on looking
// for newer ones: the process before it may still serve what it had begun. A kill loses what was counted since the last
// write (`saveMs`); of two processes at once each counts what it lets through, and the higher count is believed.
//
// The file: magic, moment, then 20 bytes an entry: the key's halves, the state, when it is idle.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { filesBelow, readPieces, writeDurably } from '../../io/durable-files.ts'
import { ownFolder, removeFile } from '../../io/owned-files.ts'
import type { KeptEntry } from './limit-table.ts'
import type { LimitCells } from './memory.ts'

const saveMs = 5_000
const magic = 0x544c_0001
const headBytes = 16
const entryBytes = 20
/** A file that seems to come from later: the wall clock was set back. Its times mean nothing then. */
const aheadUsMax = 60_000_000
/** Nobody writes it any more, and what it held is in a file of ours. */
const staleMs = 600_000
const entriesPerPiece = 8_192

export class LimitKeeper {
  readonly #folder: string
  readonly #own: string
  readonly #cells: LimitCells
  readonly #tell: (text: string) => void
  /** Files of others, by when they were last read. */
  readonly #seen = new Map<string, number>()
  #timer: NodeJS.Timeout | null = null
  #work: Promise<void> | null = null
  #saved = 0
  #restored = 0
  #failed = false

  constructor(stateDirectory: string, cells: LimitCells, tell: (text: string) => void) {
    this.#folder = join(stateDirectory, 'guard', 'limits')
    this.#cells = cells
    this.#own = `${randomUUID()}.counts`
    this.#tell = tell
  }

  /** Resolves when what is there has been taken in; once. */
  async begin(): Promise<void> {
    if (this.#timer !== null) return
    this.#timer = setInterval(() => void this.tick(), saveMs).unref()
    await this.#safely(async () => {
      ownFolder(this.#folder, 0o700, null)
      await this.#readOthers()
    })
  }

  /** One at a time. */
  tick(): Promise<void> {
    this.#work ??= this.#safely(async () => {
      await this.#readOthers()
      await this.#save()
    }).finally(() => {
      this.#work = null
    })
    return this.#work
  }

  /** Limits go on without the file; people are told once. */
  async #safely(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#failed = false
    } catch (error) {
      if (!this.#failed)
        this.#tell(`counts of limits can't be kept in ${this.#folder} (${(error as Error).message})`)
      this.#failed = true
    }
  }

  async #readOthers(): Promise<void> {
    for (const { name, modifiedMs } of await filesBelow(this.#folder)) {
      if (name === this.#own || !name.endsWith('.counts')) continue
      if (this.#seen.get(name) === modifiedMs) this.#dropIfStale(name, modifiedMs)
      else {
        await this.#read(join(this.#folder, name))
        this.#seen.set(name, modifiedMs)
      }
    }
  }

  #dropIfStale(name: string, modifiedMs: number): void {
    if (this.#saved === 0 || modifiedMs > Date.now() - staleMs) return
    removeFile(join(this.#folder, name))
    this.#seen.delete(name)
  }

  async #read(path: string): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of readPieces(path)) pieces.push(piece)
    const bytes = Buffer.concat(pieces)
    if (bytes.length < headBytes || bytes.readInt32LE(0) !== magic) return
    const nowUs = this.#cells.now()
    if (bytes.readDoubleLE(8) > nowUs + aheadUsMax) {
      this.#tell('counts of limits from before were dropped: the clock was set back')
      return
    }
    for (let at = headBytes; at + entryBytes <= bytes.length; at += entryBytes)
      this.#restore(bytes, at, nowUs)
  }

  #restore(bytes: Buffer, at: number, nowUs: number): void {
    const key = { low: bytes.readInt32LE(at), high: bytes.readInt32LE(at + 4) }
    const state = bytes.readUInt32LE(at + 8) + bytes.readUInt32LE(at + 12) * 2 ** 32
    if (this.#cells.table.restore(key, state, bytes.readInt32LE(at + 16), nowUs)) this.#restored++
  }

  async #save(): Promise<void> {
    const entries = this.#cells.table.kept(this.#cells.now())
    // Nothing then, nothing now.
    if (entries.length === 0 && this.#saved === 0) return
    await writeDurably(join(this.#folder, this.#own), piecesOf(entries, this.#cells.now()))
    this.#saved = Math.max(1, entries.length)
  }

  status(): Readonly<Record<string, unknown>> {
    return { restored: this.#restored }
  }

  async close(): Promise<void> {
    if (this.#timer === null) return
    clearInterval(this.#timer)
    await this.#work
    await this.tick()
  }
}

async function* piecesOf(entries: readonly KeptEntry[], nowUs: number): AsyncGenerator<Buffer> {
  const head = Buffer.alloc(headBytes)
  head.writeInt32LE(magic, 0)
  head.writeDoubleLE(nowUs, 8)
  yield head
  for (let from = 0; from < entries.length; from += entriesPerPiece) {
    const some = entries.slice(from, from + entriesPerPiece)
    const piece = Buffer.allocUnsafe(some.length * entryBytes)
    for (const [i, { low, high, state, idleAt }] of some.entries()) {
      const at = i * entryBytes
      piece.writeInt32LE(low, at)
      piece.writeInt32LE(high, at + 4)
      piece.writeUInt32LE(state % 2 ** 32, at + 8)
      piece.writeUInt32LE(Math.floor(state / 2 ** 32), at + 12)
      piece.writeInt32LE(idleAt, at + 16)
    }
    yield piece
  }
}
