// Files that are served: found, opened, read in pieces, with callbacks. Never follows a link at the last step of an open,
// never waits on what is no file (a pipe, a device). Errors come as the system's code; '' = none. Decides nothing.

import { close, constants, fstat, open, read, readlink, realpath, type Stats, stat } from 'node:fs'

export interface FileFacts {
  readonly isFile: boolean
  readonly isDirectory: boolean
  readonly size: number
  /** Milliseconds since 1970, with fractions. */
  readonly mtimeMs: number
  readonly ctimeMs: number
  readonly inode: number
  readonly device: number
}

const nothing: FileFacts = {
  isFile: false,
  isDirectory: false,
  size: 0,
  mtimeMs: 0,
  ctimeMs: 0,
  inode: 0,
  device: 0,
}

function factsOf(stats: Stats): FileFacts {
  return {
    isFile: stats.isFile(),
    isDirectory: stats.isDirectory(),
    size: stats.size,
    mtimeMs: stats.mtimeMs,
    ctimeMs: stats.ctimeMs,
    inode: stats.ino,
    device: stats.dev,
  }
}

const codeOf = (error: NodeJS.ErrnoException | null): string => (error === null ? '' : (error.code ?? 'EIO'))

/** Without links; '' with a code. */
export function realPathOf(path: string, done: (code: string, real: string) => void): void {
  realpath.native(path, (error, real) => done(codeOf(error), real ?? ''))
}

export function factsAt(path: string, done: (code: string, facts: FileFacts) => void): void {
  stat(path, (error, stats) => done(codeOf(error), stats === undefined ? nothing : factsOf(stats)))
}

export function factsOfOpen(descriptor: number, done: (code: string, facts: FileFacts) => void): void {
  fstat(descriptor, (error, stats) => done(codeOf(error), stats === undefined ? nothing : factsOf(stats)))
}

const readFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
/** Linux says what a descriptor is; elsewhere the moment between `realPathOf` and this is not looked at. */
const descriptorsNamed = process.platform === 'linux'

/**
 * Opens a path that `realPathOf` gave, for reading: `ELOOP` when it, or a folder on the way, has become a link since.
 * The descriptor is the caller's to close.
 */
export function openReal(real: string, done: (code: string, descriptor: number) => void): void {
  open(real, readFlags, (error, descriptor) => {
    if (error !== null) done(codeOf(error), -1)
    else if (!descriptorsNamed) done('', descriptor)
    else
      readlink(`/proc/self/fd/${descriptor}`, (unreadable, name) => {
        // Without /proc nobody can say.
        if (unreadable !== null || name === real) done('', descriptor)
        else close(descriptor, () => done('ELOOP', -1))
      })
  })
}

/** Reads into `into[from..to)` from `position`: what came, 0 at the file's end. */
export function readOpen(
  descriptor: number,
  into: Buffer,
  from: number,
  to: number,
  position: number,
  done: (code: string, bytes: number) => void,
): void {
  read(descriptor, into, from, to - from, position, (error, bytes) => done(codeOf(error), bytes ?? 0))
}

export function closeOpen(descriptor: number): void {
  close(descriptor, () => {})
}
