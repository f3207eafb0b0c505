// Files and folders that belong to a user whom we are not (PostgreSQL's, when we are root), or to us alone: made, written
// whole, removed, looked at. What stands in a folder of that user is written without following links, so that the user
// can't lead us anywhere. Throws the system's errors; decides nothing.

import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { rm, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Makes it (and what is above it) where it is missing, and gives it this mode and owner in any case. */
export function ownFolder(path: string, mode: number, owner: Owner | null): void {
  mkdirSync(path, { recursive: true, mode })
  const found = statSync(path)
  if ((found.mode & 0o7777) !== mode) chmodSync(path, mode)
  if (owner !== null && (found.uid !== owner.uid || found.gid !== owner.gid))
    chownSync(path, owner.uid, owner.gid)
}

/** Replaces the file in one step, synced: whoever reads it, also after a crash, finds the old content or the new. */
export function writeOwned(path: string, content: string, mode: number, owner: Owner | null): void {
  const temporary = `${path}.new`
  rmSync(temporary, { force: true })
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0)
  const file = openSync(temporary, flags, mode)
  try {
    if (owner !== null) fchownSync(file, owner.uid, owner.gid)
    // The mode given to open is cut by the umask.
    fchmodSync(file, mode)
    writeFileSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
}

/** As `writeOwned`, and does nothing where that is its content already. */
export function keepOwned(path: string, content: string, mode: number, owner: Owner | null): void {
  if (textOf(path) !== content) writeOwned(path, content, mode, owner)
}

/** Null where there is no such file, or it may not be read. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

export function moveWhole(from: string, to: string): void {
  renameSync(from, to)
  syncFolder(dirname(to))
}

/** What was made, moved or removed in it is there after a loss of power. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

export function removeFile(path: string): void {
  rmSync(path, { force: true })
}

export function removeTree(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 3 })
}

/** Without links; the path itself where nothing is there yet. */
export function realPath(path: string): string {
  try {
    return realpathSync.native(path)
  } catch {
    return path
  }
}

/** A link that leads there; replaces another link, never a folder. */
export function linkFolder(path: string, target: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found?.isSymbolicLink()) {
    if (readlinkSync(path) === target) return
    rmSync(path)
  }
  symlinkSync(target, path)
}

/** Makes a link beside its target (`libpq.so.5` to `libpq.so.5.18`), or leaves what another process made meanwhile. */
export function linkIfMissing(path: string, target: string): void {
  if (isThere(path)) return
  try {
    symlinkSync(target, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/**
 * The first folder on the way to `path` that the user may not enter, or `path` itself where it may not be read; null:
 * none. What is not there yet counts as open. Supplementary groups are not looked at.
 */
export function closedFor(path: string, user: Owner): string | null {
  const way: string[] = []
  for (let at = path; ; at = dirname(at)) {
    way.unshift(at)
    if (at === dirname(at)) break
  }
  return way.find(one => !permits(one, user, one === path ? 0o4 : 0o1)) ?? null
}

/** The first folder on the way to `path`, and that itself, which the user may not enter; null: none. */
export function barredFor(path: string, user: Owner): string | null {
  return permits(path, user, 0o1) ? closedAbove(path, user) : path
}

function closedAbove(path: string, user: Owner): string | null {
  for (let at = dirname(path); ; at = dirname(at)) {
    if (!permits(at, user, 0o1)) return at
    if (at === dirname(at)) return null
  }
}

function permits(path: string, user: Owner, needs: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return true
  const shift = found.uid === user.uid ? 6 : found.gid === user.gid ? 3 : 0
  return ((found.mode >> shift) & needs) === needs
}

/** Who owns it; null where there is no such thing. */
export function ownerOf(path: string): Owner | null {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? null : { uid: found.uid, gid: found.gid }
}

/** Bytes that an ordinary user may still write where `path` is. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}

/**
 * A copy of a tree of programs that anybody may read and run: hard links where the disk and the modes allow it, else
 * copies. Links inside it are made again.
 */
export function copyProgramTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  chmodSync(to, 0o755)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) copyProgramTree(source, target)
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else copyProgramFile(source, target)
  }
}

function copyProgramFile(source: string, target: string): void {
  const { mode } = statSync(source)
  const wanted = mode & 0o111 ? 0o755 : 0o644
  if ((mode & wanted) === wanted) {
    try {
      linkSync(source, target)
      return
    } catch {
      // Another disk, or a system that protects hard links.
    }
  }
  copyFileSync(source, target, constants.COPYFILE_FICLONE)
  chmodSync(target, wanted)
}
