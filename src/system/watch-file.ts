// Notices that the system file, or a file that it imported, has changed. Polls sizes and times: that works on every
// file system, also where editors replace files and where mounts bring no events. It loads and decides nothing.

import { type Stats, statSync } from 'node:fs'

export interface FileWatcher {
  /** The files to look at from now on: what the last load reported. */
  watch(files: readonly string[]): void
  close(): void
}

export interface WatchOptions {
  readonly pollMs?: number
  /** Called once nothing has changed for this long, so that a half-written file is not loaded. */
  readonly quietMs?: number
  /** The files that differ from the baseline. */
  readonly onChange: (files: readonly string[]) => void
}

const filesMax = 1000

export function watchFiles(files: readonly string[], options: WatchOptions): FileWatcher {
  const { pollMs = 500, quietMs = 200, onChange } = options
  let baseline = fingerprints(files)
  let seen = baseline
  let quiet: NodeJS.Timeout | undefined

  function tell(): void {
    quiet = undefined
    const changed = changedFiles(baseline, seen)
    baseline = seen
    if (changed.length > 0) onChange(changed)
  }

  function poll(): void {
    const now = fingerprints([...seen.keys()])
    if (changedFiles(seen, now).length === 0) return
    seen = now
    clearTimeout(quiet)
    quiet = setTimeout(tell, quietMs)
  }

  const timer = setInterval(poll, pollMs)
  // A watcher alone keeps no process alive.
  timer.unref()
  return {
    watch: next => {
      // Files known already keep what was seen of them: what changed while the last load ran is still a change.
      const now = fingerprints(next)
      baseline = new Map([...now].map(([file, print]) => [file, baseline.get(file) ?? print]))
      seen = new Map([...now].map(([file, print]) => [file, seen.get(file) ?? print]))
    },
    close: () => {
      clearTimeout(quiet)
      clearInterval(timer)
    },
  }
}

/** What tells one state of a file from another; a file that is not there has the empty text. */
function fingerprints(files: readonly string[]): Map<string, string> {
  return new Map(files.slice(0, filesMax).map(file => [file, fingerprint(file)]))
}

function fingerprint(file: string): string {
  let status: Stats | undefined
  try {
    status = statSync(file, { throwIfNoEntry: false })
  } catch {
    return 'unreadable'
  }
  return status ? `${status.ino} ${status.size} ${status.mtimeMs} ${status.ctimeMs}` : ''
}

function changedFiles(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...after].filter(([file, print]) => before.get(file) !== print).map(([file]) => file)
}
