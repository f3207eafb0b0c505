// Files of a log that is written once and read at places: segments of the edge's disk cache. Names in a folder, bytes at
// offsets, and a checksum. Rejects with the system's code; decides nothing.

import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

export interface SegmentFile {
  /** Bytes it has now. */
  size(): Promise<number>
  /** Up to `into.length` bytes from `at`; fewer at the end. */
  read(into: Buffer, at: number): Promise<number>
  write(bytes: Buffer, at: number): Promise<void>
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}

function segmentOf(file: FileHandle): SegmentFile {
  return {
    size: async () => (await file.stat()).size,
    async read(into, at) {
      let done = 0
      while (done < into.length) {
        const { bytesRead } = await file.read(into, done, into.length - done, at + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return done
    },
    async write(bytes, at) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
        done += bytesWritten
      }
    },
    sync: () => file.datasync(),
    truncate: bytes => file.truncate(bytes),
    close: () => file.close(),
  }
}

/** For its owner alone; made where it is missing. */
export async function writeSegment(path: string): Promise<SegmentFile> {
  return segmentOf(await open(path, constants.O_RDWR | constants.O_CREAT, 0o600))
}

export async function readSegment(path: string): Promise<SegmentFile> {
  return segmentOf(await open(path, 'r'))
}

/** The names in a folder that is made where it is missing. */
export async function namesIn(folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return readdir(folder)
}

export async function removeIn(folder: string, name: string): Promise<void> {
  await unlink(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Null: there is none, it is no file, or it is larger than that. */
export async function wholeFile(path: string, bytesMax: number): Promise<Buffer | null> {
  const facts = await stat(path).catch(() => null)
  return facts === null || !facts.isFile() || facts.size > bytesMax ? null : readFile(path)
}

/** CRC-32, as in gzip. */
export function checksum(bytes: Uint8Array, before = 0): number {
  return crc32(bytes, before)
}
