// A file of lines that several processes may append to and that is put aside by renaming: whole lines in one write each,
// never changed afterwards. Reading goes line by line, with bounded memory. Knows nothing of what the lines say.

import { createReadStream, existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A longer line is no line of ours: it is read in pieces of this size. */
const lineBytesMax = 1 << 20
const tailBytes = 1 << 20
const newline = 10

export interface LineFile {
  /** One write; rejects when the disk is full. */
  append(text: string): Promise<void>
  /** Bytes in it, with those of other writers. */
  size(): Promise<number>
  /** Is it still what the path leads to? Somebody may have put it aside. */
  isCurrent(): Promise<boolean>
  close(): Promise<void>
}

export interface Tail {
  /** The last whole line, without its end; '' = there is none. */
  readonly line: string
  /** Something follows that has no end: whoever wrote it was stopped amid it. */
  readonly torn: boolean
}

/** Creates the folder where needed; for this user and its group only. */
export async function openLines(path: string): Promise<LineFile> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 })
  const file = await open(path, 'a', 0o640)
  return {
    append: async text => {
      const bytes = Buffer.from(text, 'utf8')
      let from = 0
      while (from < bytes.length) from += (await file.write(bytes, from)).bytesWritten
    },
    size: async () => (await file.stat()).size,
    isCurrent: () => isCurrent(file, path),
    close: () => file.close(),
  }
}

async function isCurrent(file: FileHandle, path: string): Promise<boolean> {
  const there = statSync(path, { throwIfNoEntry: false })
  const { ino, dev } = await file.stat()
  return there !== undefined && there.ino === ino && there.dev === dev
}

/** Looks at no more than 1 MB. */
export async function tailOf(path: string): Promise<Tail> {
  const file = await open(path, 'r').catch(() => null)
  if (file === null) return { line: '', torn: false }
  try {
    const { size } = await file.stat()
    const bytes = Buffer.alloc(Math.min(size, tailBytes))
    await file.read(bytes, 0, bytes.length, size - bytes.length)
    const end = bytes.lastIndexOf(newline)
    if (end < 0) return { line: '', torn: size > 0 }
    const begin = end === 0 ? -1 : bytes.lastIndexOf(newline, end - 1)
    return { line: bytes.toString('utf8', begin + 1, end), torn: end !== bytes.length - 1 }
  } finally {
    await file.close()
  }
}

/** `NAME` becomes `NAME.1`, that `NAME.2`, ...; of older ones `filesMax` are kept. */
export function putAside(path: string, filesMax: number): void {
  rmSync(`${path}.${filesMax}`, { force: true })
  for (let number = filesMax - 1; number >= 1; number--)
    moveIfThere(`${path}.${number}`, `${path}.${number + 1}`)
  moveIfThere(path, `${path}.1`)
}

function moveIfThere(from: string, to: string): void {
  if (existsSync(from)) renameSync(from, to)
}

/** The files of a log that are there, oldest first. */
export function filesOf(path: string, filesMax: number): string[] {
  const older = Array.from({ length: filesMax }, (_, at) => `${path}.${filesMax - at}`)
  return [...older, path].filter(one => existsSync(one))
}

/**
 * Each line with whether it has an end, in order. @returns false when `take` did, and reading stopped there
 */
export async function eachLine(
  path: string,
  take: (line: string, whole: boolean) => boolean | undefined,
): Promise<boolean> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 16 })) {
    let data = Buffer.concat([rest, chunk as Buffer])
    for (;;) {
      const end = data.indexOf(newline)
      if (end < 0 && data.length < lineBytesMax) break
      const to = end < 0 ? lineBytesMax : end
      if (take(data.toString('utf8', 0, to), end >= 0) === false) return false
      data = data.subarray(end < 0 ? to : to + 1)
    }
    rest = Buffer.from(data)
  }
  return rest.length === 0 || take(rest.toString('utf8'), false) !== false
}
