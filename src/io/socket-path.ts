// Where a Unix socket of a state directory lives. Owns the length limit of socket addresses (`sun_path`): a socket is in
// the state directory when its path fits, else in a short folder of our own that is derived from the state directory's
// path. Never removes a socket: whoever listens does.

import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Bytes of `sun_path` without its final zero: 107 on Linux, 103 on macOS and the BSDs. */
export const socketPathBytesMax: number = process.platform === 'linux' ? 107 : 103

/**
 * The path of the control socket `name` of a state directory that exists; the same for every process that asks.
 * Throws when the short folder under the temporary directory belongs to somebody else.
 */
export function socketPath(stateDirectory: string, name = 'edge'): string {
  const real = realpathSync(stateDirectory)
  const inside = join(real, `${name}.sock`)
  if (Buffer.byteLength(inside) <= socketPathBytesMax) return inside
  return join(shortFolder(real), `${name}.sock`)
}

/** `/tmp` rather than TMPDIR where it exists: the next supervisor may have been started with another TMPDIR. */
function temporaryRoot(): string {
  try {
    return realpathSync('/tmp')
  } catch {
    return realpathSync(tmpdir())
  }
}

function shortFolder(realStateDirectory: string): string {
  const hash = createHash('sha256').update(realStateDirectory).digest('hex').slice(0, 16)
  const folder = join(temporaryRoot(), `tenfold-${hash}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const found = lstatSync(folder)
  const userId = process.geteuid?.()
  // A folder in a place where everybody may write could have been laid there by another user to listen in our stead.
  const ours = found.isDirectory() && (userId === undefined || found.uid === userId)
  if (!ours || (found.mode & 0o077) !== 0) {
    throw new Error(
      `${folder} is needed for a control socket (the path of ${realStateDirectory} is too long for one), but it is not a directory that only this user may use. Remove it, or choose a shorter state directory with --state.`,
    )
  }
  return folder
}
