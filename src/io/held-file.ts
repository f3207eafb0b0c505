// A file that says which process holds something: made by whoever comes first, taken over from a process that has ended.
// Two that come at the same moment: one wins. Not for several hosts: a process is known by its number.

import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** How to give it up; null: a living process holds it. Creates the folder. */
export function holdFile(path: string): (() => void) | null {
  mkdirSync(dirname(path), { recursive: true })
  for (let tries = 0; tries < 3; tries++) {
    if (created(path)) return () => rmSync(path, { force: true })
    if (alive(path)) return null
    rmSync(path, { force: true })
  }
  return null
}

function created(path: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o600)
    writeSync(file, `${process.pid}\n`)
    closeSync(file)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cause
  }
}

function alive(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    if (!Number.isInteger(pid) || pid <= 0) return false
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}
