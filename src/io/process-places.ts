// Processes by where they work: whose current directory a folder is, and whom a process started. Some programs' children
// leave their process group and hide their environment (PostgreSQL's do both), but stay in their directory. Reads only.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type ProcessRow, processes } from './process-table.ts'

/**
 * Live processes called `name` whose current directory is `folder` (a real path), also when it was removed meanwhile.
 * Others' processes that we may not look into are not found.
 */
export function processesAt(folder: string, name: string): ProcessRow[] {
  const pids = process.platform === 'linux' ? procPidsAt(folder, name) : [...lsofAt(folder, name)]
  return pids
    .filter(pid => pid !== process.pid)
    .flatMap(pid => processes.row(pid) ?? [])
    .filter(row => !row.zombie)
}

/** Live processes that this one started. */
export function childrenOf(pid: number): ProcessRow[] {
  return processes.rows().filter(row => row.parent === pid && !row.zombie)
}

/** One link a process: a machine has hundreds, and a failover waits for this. */
function procPidsAt(folder: string, name: string): number[] {
  const pids = readdirSync('/proc').map(Number)
  return pids.filter(pid => pid > 0 && procAt(pid, folder) && procName(pid) === name)
}

function procAt(pid: number, folder: string): boolean {
  try {
    const at = readlinkSync(`/proc/${pid}/cwd`)
    return at === folder || at === `${folder} (deleted)`
  } catch {
    return false
  }
}

function procName(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return null
  }
}

function lsofAt(folder: string, name: string): Set<number> {
  try {
    const text = execFileSync('lsof', ['-a', '-c', name, '-d', 'cwd', '-F', 'pn'], {
      encoding: 'utf8',
      timeout: 5000,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const found = new Set<number>()
    let pid = 0
    for (const line of text.split('\n')) {
      if (line.startsWith('p')) pid = Number(line.slice(1))
      else if (line === `n${folder}`) found.add(pid)
    }
    return found
  } catch {
    return new Set()
  }
}

/** True when it was there to be signalled. Nothing is sent to a pid that went to another process meanwhile. */
export function signalRow(row: ProcessRow, signal: NodeJS.Signals): boolean {
  if (processes.row(row.pid)?.startedAt !== row.startedAt) return false
  try {
    return process.kill(row.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}
