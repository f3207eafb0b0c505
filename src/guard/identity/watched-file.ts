// A file of keys or passwords, read again soon after it changes: what is taken out of it is worth nothing a second later.
// A file that can't be read, or is wrong, after it was right: nobody is believed until it is right again.

import { fileMark, readByteText } from '../../io/byte-files.ts'
import { Failure } from '../../kit/failure.ts'
import { identityFailures } from './failures.ts'

const lookMs = 1_000
const bytesMax = 16 << 20

export class WatchedFile<T> {
  readonly #path: string
  readonly #parse: (text: string) => T
  readonly #changed: (value: T | null, problem: string) => void
  #mark = ''
  #timer: NodeJS.Timeout | null = null

  /** @param changed also told `null` with what is wrong. */
  constructor(path: string, parse: (text: string) => T, changed: (value: T | null, problem: string) => void) {
    this.#path = path
    this.#parse = parse
    this.#changed = changed
  }

  /** Never throws: whoever needs the first read to be right asks `readWhole` before. */
  async start(): Promise<void> {
    await this.#look()
    this.#timer = setInterval(() => void this.#look(), lookMs).unref()
  }

  async #look(): Promise<void> {
    let mark: string
    try {
      mark = await fileMark(this.#path)
    } catch {
      mark = 'away'
    }
    if (mark === this.#mark) return
    this.#mark = mark
    try {
      this.#changed(await readWhole(this.#path, this.#parse), '')
    } catch (error) {
      this.#changed(null, (error as Error).message)
    }
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }
}

/** Throws a Failure that names the file. */
export async function readWhole<T>(path: string, parse: (text: string) => T): Promise<T> {
  let bytes: string
  try {
    bytes = await readByteText(path, bytesMax)
  } catch (cause) {
    throw new Failure(identityFailures.fileUnreadable, `${path}: ${(cause as Error).message}.`, { cause })
  }
  try {
    return parse(Buffer.from(bytes, 'latin1').toString('utf8'))
  } catch (cause) {
    throw new Failure(identityFailures.fileMalformed, `${path}: ${(cause as Error).message}.`, { cause })
  }
}
