// The file that a process writes its output to, seen from outside: opened for appending, so that the process needs
// nobody to read a pipe; rotated by copying and truncating, so that it need not reopen anything; read at its end and
// followed. A line that is written between the last copied byte and the truncation (microseconds) is lost.

import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Longer lines are handed on in pieces of this size. */
export const lineBytesMax = 16_384
const chunkBytes = 65_536
const lastLinesBytesMax = 1 << 20
const newline = 10

export interface LogLimits {
  /** The file is rotated when it has grown past this. */
  readonly bytesMax: number
  /** Files in all: the one being written and the older ones `NAME.1`, `NAME.2`, ... At least 1. */
  readonly filesMax: number
}

/** Creates the folder where needed. The caller closes the descriptor. */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  return openSync(path, 'a', 0o640)
}

/** Bytes in it now; 0 when it is not there. */
export function logBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/**
 * The last `count` lines, looking at no more than 1 MB, and at nothing before byte `from` (unless the file was rotated
 * since and is shorter than that). No file: no lines.
 */
export function lastLines(path: string, count: number, from = 0): string[] {
  if (count <= 0) return []
  const file = openOrNull(path)
  if (file === null) return []
  try {
    const size = fstatSync(file).size
    const bytes = Math.min(size < from ? size : size - from, lastLinesBytesMax)
    const buffer = readAt(file, size - bytes, bytes)
    const lines = buffer.toString('utf8').split('\n')
    if (lines.at(-1) === '') lines.pop()
    // The first line of a cut-off part begins somewhere in its middle.
    if (bytes === lastLinesBytesMax && lines.length > 1) lines.shift()
    return lines.slice(-count).map(line => line.slice(0, lineBytesMax))
  } finally {
    closeSync(file)
  }
}

function openOrNull(path: string): number | null {
  try {
    return openSync(path, 'r+')
  } catch {
    return null
  }
}

function readAt(file: number, position: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  let filled = 0
  while (filled < bytes) {
    const read = readSync(file, buffer, filled, bytes - filled, position + filled)
    if (read === 0) break
    filled += read
  }
  return buffer.subarray(0, filled)
}

/** Hands on each new line of one file. It polls nothing by itself: `poll` reads what is new. */
export class LogFollower {
  readonly #path: string
  readonly #onLine: (line: string) => void
  #offset: number
  #partial: Buffer = Buffer.alloc(0)

  /** @param from where to begin; the end of what is there now unless told */
  constructor(path: string, onLine: (line: string) => void, from: number = logBytes(path)) {
    this.#path = path
    this.#onLine = onLine
    this.#offset = from
  }

  /** The file was cut to nothing. It may have grown past the old length before anybody looks again. */
  rewind(): void {
    this.#offset = 0
  }

  /** Reads at most `bytesMax` of what is new, so that a flood in one file does not hold up the rest. */
  poll(bytesMax: number = 1 << 20): void {
    const size = logBytes(this.#path)
    if (size < this.#offset) this.#offset = 0
    if (size === this.#offset) return
    const file = openOrNull(this.#path)
    if (file === null) return
    try {
      const end = Math.min(size, this.#offset + bytesMax)
      while (this.#offset < end) {
        const chunk = readAt(file, this.#offset, Math.min(chunkBytes, end - this.#offset))
        if (chunk.length === 0) return
        this.#offset += chunk.length
        this.#take(chunk)
      }
    } finally {
      closeSync(file)
    }
  }

  #take(chunk: Buffer): void {
    let data = this.#partial.length > 0 ? Buffer.concat([this.#partial, chunk]) : chunk
    for (;;) {
      const at = data.indexOf(newline)
      if (at < 0 && data.length < lineBytesMax) break
      const end = at < 0 || at > lineBytesMax ? lineBytesMax : at
      this.#onLine(data.toString('utf8', 0, end))
      data = data.subarray(end === at ? end + 1 : end)
    }
    this.#partial = Buffer.from(data)
  }
}

/**
 * Rotates when the file is larger than its limit; true when it did. A follower reads what will be cut first, and begins
 * anew after. Of a file that has grown past twice its limit only the end is kept, so an older file has at most three times
 * the limit.
 */
export async function rotateIfLarge(
  path: string,
  limits: LogLimits,
  follower?: LogFollower,
): Promise<boolean> {
  const size = logBytes(path)
  if (size <= limits.bytesMax) return false
  if (limits.filesMax <= 1) {
    const file = openSync(path, 'r+')
    cut(file, follower)
    closeSync(file)
    return true
  }
  const copy = `${path}.copy`
  await copyTail(path, copy, limits.bytesMax, follower)
  for (let number = limits.filesMax - 1; number > 1; number--)
    moveIfThere(`${path}.${number - 1}`, `${path}.${number}`)
  renameSync(copy, `${path}.1`)
  return true
}

async function copyTail(
  path: string,
  copy: string,
  bytesMax: number,
  follower: LogFollower | undefined,
): Promise<void> {
  const source = await open(path, 'r+')
  const target = await open(copy, 'w', 0o640)
  try {
    let offset = Math.max(0, (await source.stat()).size - 2 * bytesMax)
    // What a fast writer adds while the copy is made is copied too, up to the limit again; the rest is given up.
    const end = offset + 3 * bytesMax
    const buffer = Buffer.allocUnsafe(chunkBytes)
    while (offset < end) {
      const { bytesRead } = await source.read(buffer, 0, Math.min(chunkBytes, end - offset), offset)
      if (bytesRead === 0) break
      await target.write(buffer, 0, bytesRead)
      offset += bytesRead
    }
    // The last piece, the followers' look and the cut in one go: nothing else of ours runs between them.
    writeSync(
      target.fd,
      readAt(source.fd, offset, Math.max(0, Math.min(fstatSync(source.fd).size, end) - offset)),
    )
    cut(source.fd, follower)
  } finally {
    await Promise.all([source.close(), target.close()])
  }
}

function cut(file: number, follower: LogFollower | undefined): void {
  follower?.poll(Number.POSITIVE_INFINITY)
  ftruncateSync(file, 0)
  follower?.rewind()
}

function moveIfThere(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false })) renameSync(from, to)
}

/** Removes the file and its older ones. */
export function removeLog(path: string, filesMax: number): void {
  rmSync(path, { force: true })
  for (let number = 1; number < filesMax; number++) rmSync(`${path}.${number}`, { force: true })
}
