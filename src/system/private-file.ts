// Files of the state directory: written whole or not at all, readable by their owner only. Never used for logs.

import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

let serial = 0

/** Replaces the file in one step: a reader, or a crash at any moment, finds the old content or the new. */
export function writePrivate(file: string, content: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${process.pid}.${serial++}.tmp`
  try {
    const descriptor = openSync(temporary, 'wx', 0o600)
    try {
      // Not writeSync: on a disk that gets full that one may write a part and say nothing.
      writeFileSync(descriptor, content)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, file)
  } catch (cause) {
    removeIfPossible(temporary)
    throw cause
  }
}

/** For files that do no harm when they stay. */
export function removeIfPossible(file: string): void {
  try {
    rmSync(file, { force: true })
  } catch {
    // The disk is gone or read-only: whoever reads the file later checks what it says.
  }
}
