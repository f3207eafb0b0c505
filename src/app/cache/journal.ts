// The journal of a write-behind store: what was accepted and is not saved yet, on the disk before anybody hears "done".
// Lines of a hash and JSON: `[version, key, value]`, and `[version, key]` when it was saved. Appended in groups, one sync
// a group; rewritten when most of it is history. Damage is found by the hashes; a torn last line was never
// acknowledged. One process a journal.

import { type GrowingFile, openGrowing, readPieces, writeDurably } from '../../io/durable-files.ts'
import { holdFile } from '../../io/held-file.ts'
import { Failure } from '../../kit/failure.ts'
import { hashText } from '../../policy/hash.ts'
import { cacheFailures } from './failures.ts'

export interface JournalRecord {
  readonly key: string
  readonly version: number
  /** Encoded by its owner; null: removed. */
  readonly value: string | null
}

export interface Journal {
  /** What was accepted and not saved before, one record a key. */
  readonly unsaved: readonly JournalRecord[]
  /** Lines in its middle that could not be read. */
  readonly damaged: number
  /** Resolves when it is on the disk. */
  append(record: JournalRecord): Promise<void>
  /** Its key was saved up to this version. Not waited for: what is lost of it is saved again. */
  saved(key: string, version: number): void
  close(): Promise<void>
}

interface Live {
  readonly version: number
  readonly line: string
}

/** Rewritten from here on, if more than three quarters are history. */
const rewriteBytes = 1_048_576

export async function openJournal(path: string): Promise<Journal> {
  const release = holdFile(`${path}.lock`)
  if (release === null)
    throw new Failure(cacheFailures.journalHeld, `${path} is held by another process (${path}.lock)`)
  try {
    const { records, damaged } = await readJournal(path)
    const journal = new FileJournal(path, records, damaged, release)
    await journal.rewrite()
    return journal
  } catch (cause) {
    release()
    throw cause
  }
}

function lineOf(content: readonly unknown[]): string {
  const json = JSON.stringify(content)
  return `${hashText(json).toString(16).padStart(8, '0')} ${json}\n`
}

async function readJournal(path: string): Promise<{ records: Map<string, JournalRecord>; damaged: number }> {
  const records = new Map<string, JournalRecord>()
  const text = await textOf(path)
  const lines = text.split('\n')
  // What follows the last line's end was being written when its writer died.
  lines.pop()
  let damaged = 0
  for (const line of lines) {
    const json = line.slice(9)
    if (line.slice(0, 8) !== hashText(json).toString(16).padStart(8, '0')) {
      damaged++
      continue
    }
    const [version, key, value] = JSON.parse(json) as [number, string, string | null | undefined]
    const known = records.get(key)
    if (value !== undefined) {
      if (known === undefined || version > known.version) records.set(key, { key, version, value })
    } else if (known !== undefined && known.version <= version) records.delete(key)
  }
  return { records, damaged }
}

async function textOf(path: string): Promise<string> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of readPieces(path)) pieces.push(piece)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
  }
  return Buffer.concat(pieces).toString('utf8')
}

class FileJournal implements Journal {
  readonly unsaved: readonly JournalRecord[]
  readonly damaged: number
  readonly #path: string
  readonly #release: () => void
  readonly #live = new Map<string, Live>()
  #liveBytes = 0
  #file: GrowingFile | null = null
  #at = 0
  #lines: string[] = []
  #next: PromiseWithResolvers<void> | null = null
  #writing: Promise<void> | null = null
  /** After a failed write: what is on the disk behind `#at` is unknown, so it is written anew. */
  #broken = false

  constructor(
    path: string,
    records: ReadonlyMap<string, JournalRecord>,
    damaged: number,
    release: () => void,
  ) {
    this.#path = path
    this.#release = release
    this.unsaved = [...records.values()]
    this.damaged = damaged
    for (const { key, version, value } of this.unsaved)
      this.#live.set(key, { version, line: lineOf([version, key, value]) })
  }

  append({ key, version, value }: JournalRecord): Promise<void> {
    const line = lineOf([version, key, value])
    const known = this.#live.get(key)
    if (known === undefined || known.version < version) {
      this.#liveBytes += line.length - (known?.line.length ?? 0)
      this.#live.set(key, { version, line })
    }
    return this.#put(line)
  }

  saved(key: string, version: number): void {
    const known = this.#live.get(key)
    if (known !== undefined && known.version <= version) {
      this.#liveBytes -= known.line.length
      this.#live.delete(key)
    }
    this.#put(lineOf([version, key])).catch(() => {})
  }

  /** Only what is not saved, in a new file that takes the old one's place whole. */
  async rewrite(): Promise<void> {
    const lines = [...this.#live.values()].map(({ line }) => line)
    await this.#file?.close()
    this.#file = null
    this.#liveBytes = lines.reduce((sum, line) => sum + line.length, 0)
    this.#at = await writeDurably(this.#path, toBytes(lines))
    this.#file = await openGrowing(this.#path)
    this.#broken = false
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file?.close()
    this.#file = null
    this.#release()
  }

  #put(line: string): Promise<void> {
    this.#lines.push(line)
    this.#next ??= Promise.withResolvers<void>()
    const { promise } = this.#next
    this.#writing ??= this.#write()
    return promise
  }

  async #write(): Promise<void> {
    // Not before `#writing` is set.
    await null
    while (this.#lines.length > 0) {
      const lines = this.#lines
      const next = this.#next!
      this.#lines = []
      this.#next = null
      try {
        await this.#group(lines)
        next.resolve()
      } catch (cause) {
        this.#broken = true
        next.reject(
          new Failure(cacheFailures.journalWrite, `${this.#path} can't be written: ${cause}`, { cause }),
        )
      }
    }
    // At once, not a turn later: who is told above and appends again must find nobody writing.
    this.#writing = null
  }

  async #group(lines: readonly string[]): Promise<void> {
    // `#live` has these lines already, so a rewrite has written them.
    if (this.#broken || (this.#at > rewriteBytes && this.#at > 4 * this.#liveBytes)) return this.rewrite()
    const bytes = Buffer.from(lines.join(''))
    await this.#file!.write(bytes, this.#at)
    await this.#file!.sync()
    this.#at += bytes.length
  }
}

async function* toBytes(lines: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const line of lines) yield Buffer.from(line)
}
