// A folder of files that counts when it is whole: every file is on disk before, and the manifest comes last: without it the
// folder is nothing. What was begun and failed is removed again.

import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

export interface WrittenFile {
  readonly file: string
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

export const manifestName = 'manifest.json'
/** Rows come one by one; they are written in pieces of about this. */
const pieceBytes = 256 << 10
const nameCharactersMax = 100

export class WrittenFolder {
  readonly path: string
  readonly #made: string[] = []
  readonly #own: boolean

  private constructor(path: string, own: boolean) {
    this.path = path
    this.#own = own
  }

  /** Made where it isn't there. Null: there is something in it. */
  static async claim(path: string): Promise<WrittenFolder | null> {
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    if ((await readdir(path)).length > 0) return null
    return new WrittenFolder(path, first !== undefined)
  }

  /** @param number makes names unique, whatever tables are called */
  static fileName(number: number, table: string, shard: string, format: string): string {
    const name = encodeURIComponent(table).replaceAll('*', '%2A').slice(0, nameCharactersMax)
    return `${String(number).padStart(4, '0')}-${name}${shard === '' ? '' : `.shard-${shard}`}.${format}`
  }

  async write(
    file: string,
    chunks: AsyncIterable<Buffer>,
    wrote: (bytes: number) => void,
  ): Promise<WrittenFile> {
    const handle = await open(join(this.path, file), 'wx', 0o600)
    this.#made.push(file)
    const hash = createHash('sha256')
    let bytes = 0
    let waiting: Buffer[] = []
    let size = 0
    const flush = async (): Promise<void> => {
      const piece = Buffer.concat(waiting)
      waiting = []
      size = 0
      hash.update(piece)
      await writeWhole(handle, piece)
      bytes += piece.length
      wrote(piece.length)
    }
    try {
      for await (const chunk of chunks) {
        waiting.push(chunk)
        size += chunk.length
        if (size >= pieceBytes) await flush()
      }
      if (size > 0) await flush()
      await handle.sync()
    } finally {
      await handle.close()
    }
    return { file, bytes, sha256: hash.digest('hex') }
  }

  /** Everything else is on disk before. */
  async finish(manifest: object): Promise<void> {
    const partial = `${manifestName}.partial`
    const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
    await this.write(partial, [text] as unknown as AsyncIterable<Buffer>, () => {})
    await this.#sync()
    await rename(join(this.path, partial), join(this.path, manifestName))
    await this.#sync()
  }

  /** As it was found. */
  async remove(): Promise<void> {
    for (const file of this.#made) await rm(join(this.path, file), { force: true })
    if (this.#own) await rm(this.path, { recursive: true, force: true })
  }

  async #sync(): Promise<void> {
    const folder = await open(this.path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }
}

async function writeWhole(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at)
    at += bytesWritten
  }
}
