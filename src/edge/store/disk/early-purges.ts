// Purges that come while another process still has the folder, or before its log is read: in a file of their own, synced
// before they are acknowledged. Whoever opens the log next takes them over, and the files go.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { namesIn, removeIn, type SegmentFile, wholeFile, writeSegment } from '../../../io/segment-file.ts'
import type { Purge } from '../contract.ts'

const form = /^early-[0-9a-f]{16}$/
const bytesMax = 67_108_864

export class EarlyPurges {
  readonly #directory: string
  readonly #name = `early-${randomBytes(8).toString('hex')}`
  #file: SegmentFile | null = null
  #bytes = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Resolves when it would survive the loss of power. Rejects with the system's code. */
  add(what: Purge): Promise<void> {
    const next = this.#writing.then(() => this.#write(Buffer.from(`${JSON.stringify(what)}\n`)))
    this.#writing = next.catch(() => {})
    return next
  }

  async #write(line: Buffer): Promise<void> {
    this.#file ??= await writeSegment(join(this.#directory, this.#name))
    await this.#file.write(line, this.#bytes)
    await this.#file.sync()
    this.#bytes += line.length
  }

  /** Of all processes that did not come to take theirs over. What can't be read is everything. */
  async all(): Promise<Purge[]> {
    await this.#writing
    const found: Purge[] = []
    for (const name of (await namesIn(this.#directory)).filter(one => form.test(one))) {
      const bytes = await wholeFile(join(this.#directory, name), bytesMax)
      const lines = bytes === null ? ['too much'] : bytes.toString('utf8').split('\n').slice(0, -1)
      found.push(...lines.map(readPurge))
    }
    return found
  }

  async remove(): Promise<void> {
    await this.close()
    for (const name of (await namesIn(this.#directory)).filter(one => form.test(one)))
      await removeIn(this.#directory, name)
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file?.close()
    this.#file = null
  }
}

function readPurge(line: string): Purge {
  try {
    return JSON.parse(line) as Purge
  } catch {
    return { all: true }
  }
}
