// Files that must be whole and on the disk before anybody counts on them: written beside their name, synced, then moved to
// it; read and listed as streams. A file that grows for a while (a log segment) is an `open` one. Decides nothing.

import { open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Owner } from './owned-files.ts'

const partialSuffix = '.partial'
const readBytes = 256 * 1024

export interface FoundFile {
  /** Below the folder that was asked for, with `/`. */
  readonly name: string
  readonly bytes: number
  readonly modifiedMs: number
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Whole or not at all, for its owner alone; the folder must be there. Returns how many bytes were written. */
export async function writeDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
  owner: Owner | null = null,
): Promise<number> {
  const partial = `${path}${partialSuffix}`
  await rm(partial, { force: true })
  const file = await open(partial, 'wx', 0o600)
  let bytes = 0
  try {
    if (owner !== null) await file.chown(owner.uid, owner.gid)
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; ) {
        const { bytesWritten } = await file.write(chunk, at)
        at += bytesWritten
      }
      bytes += chunk.length
    }
    await file.sync()
  } catch (error) {
    await file.close()
    await unlink(partial)
    throw error
  }
  await file.close()
  await rename(partial, path)
  await syncFolder(dirname(path))
  return bytes
}

/** Pieces of at most 256 KB; each is the reader's to keep. */
export async function* readPieces(path: string): AsyncGenerator<Buffer> {
  const file = await open(path, 'r')
  try {
    for (let at = 0; ; ) {
      const buffer = Buffer.allocUnsafe(readBytes)
      const { bytesRead } = await file.read(buffer, 0, readBytes, at)
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

/** Every finished file below a folder, by name; none where there is no folder. */
export async function filesBelow(folder: string): Promise<FoundFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    },
  )
  const found: FoundFile[] = []
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.endsWith(partialSuffix)) continue
    const path = join(entry.parentPath, entry.name)
    const facts = await stat(path).catch(() => null)
    // Removed meanwhile.
    if (facts === null) continue
    const name = relative(folder, path).replaceAll('\\', '/')
    found.push({ name, bytes: facts.size, modifiedMs: facts.mtimeMs })
  }
  return found.sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** What a writer left that ended in the middle. Only when no writer is at work. */
export async function removePartials(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const partials = entries.filter(entry => entry.isFile() && entry.name.endsWith(partialSuffix))
  for (const entry of partials) {
    await rm(join(entry.parentPath, entry.name), { force: true })
    // A folder made for it goes with it; one that holds something else stays.
    await rmdir(entry.parentPath).catch(() => {})
  }
  return partials.length
}

export interface GrowingFile {
  /** At a place of its own: writing the same bytes again changes nothing. */
  write(bytes: Uint8Array, at: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** Opened for reading and writing, made where it is missing. */
export async function openGrowing(path: string): Promise<GrowingFile> {
  const file = await open(path, 'a', 0o600).then(async made => {
    await made.close()
    return open(path, 'r+')
  })
  await syncFolder(dirname(path))
  return {
    async write(bytes, at) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
        done += bytesWritten
      }
    },
    sync: () => file.datasync(),
    close: () => file.close(),
  }
}
