// One started program as a life: a process group of its own whose output goes to a file, named by pid, start time and
// a nonce in its environment. Starts lives, signals all their processes, tells when none is left. A signal is sent only
// after the start time (or the nonce) was checked, so a pid that went to a stranger is never touched. It decides nothing.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { openLog } from './log-file.ts'
import { type ProcessRow, type ProcessSource, processes } from './process-table.ts'

/** The environment variable by which every process that descends from a life is known. */
export const nonceVariable = 'TENFOLD_NONCE'

export interface LifeIdentity {
  readonly pid: number
  /** As the process table gives it. */
  readonly startedAt: string
  readonly nonce: string
}

export interface LifeOptions {
  /** A string is run by `/bin/sh -c`, a list is a program and its arguments. */
  readonly command: string | readonly string[]
  readonly directory: string
  /** The whole environment; the nonce is added. */
  readonly env: Readonly<Record<string, string>>
  readonly nonce: string
  /** Standard output and error are appended to it. Made where needed, with its folder. */
  readonly outputFile: string
  readonly user?: { readonly uid: number; readonly gid: number }
}

/** `code` and `signal` are both null when nobody could see how it ended (a life that was adopted). */
export interface LifeExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface StartedLife extends LifeIdentity {
  /** Resolves when the first process of the life has ended; others of its group may still run. */
  readonly exited: Promise<LifeExit>
}

/** Starts the program in a session of its own, so that neither Ctrl-C nor our death reaches it. Rejects with the OS's error. */
export function startLife(options: LifeOptions): Promise<StartedLife> {
  const output = openLog(options.outputFile)
  try {
    return started(spawnLife(options, output), options.nonce)
  } finally {
    closeSync(output)
  }
}

function spawnLife(options: LifeOptions, output: number): ChildProcess {
  const [program, args] =
    typeof options.command === 'string'
      ? ['/bin/sh', ['-c', options.command]]
      : [options.command[0] as string, options.command.slice(1)]
  return spawn(program, args, {
    cwd: options.directory,
    env: { ...options.env, [nonceVariable]: options.nonce },
    detached: true,
    stdio: ['ignore', output, output],
    // libuv drops all supplementary groups when it changes the user: setgroups(0).
    ...(options.user ? { uid: options.user.uid, gid: options.user.gid } : {}),
  })
}

function started(child: ChildProcess, nonce: string): Promise<StartedLife> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => {
      const pid = child.pid as number
      // The child is not reaped before its exit event, so this row is surely its own.
      const startedAt = processes.row(pid)?.startedAt ?? 'unknown'
      resolve({ pid, startedAt, nonce, exited: exitOf(child) })
      child.unref()
    })
  })
}

function exitOf(child: ChildProcess): Promise<LifeExit> {
  return new Promise(resolve => child.once('exit', (code, signal) => resolve({ code, signal })))
}

/** Is the life's first process still running? */
export function leaderAlive(life: LifeIdentity, source: ProcessSource = processes): boolean {
  const row = source.row(life.pid)
  return row !== null && !row.zombie && row.startedAt === life.startedAt
}

/**
 * Every live process of the life: its group and, when `deep`, also those that left the group but carry its nonce.
 * A deep look reads the environment of each process that this user may read.
 */
export function processesOf(
  life: LifeIdentity,
  deep: boolean,
  rows: readonly ProcessRow[] = processes.rows(),
  source: ProcessSource = processes,
): ProcessRow[] {
  // A group keeps its number while one process is in it; but once it is empty the number is free for strangers.
  const leader = rows.find(row => row.pid === life.pid)
  const groupIsOurs = leader !== undefined && leader.startedAt === life.startedAt
  const carries = (row: ProcessRow): boolean => source.environmentValue(row.pid, nonceVariable) === life.nonce
  return rows.filter(row => {
    if (row.zombie || row.pid === process.pid) return false
    if (row.group === life.pid) return groupIsOurs || carries(row)
    return deep && carries(row)
  })
}

/** Signals every process of the life; false when there was none. */
export function signalLife(life: LifeIdentity, signal: NodeJS.Signals): boolean {
  let sent = false
  // One call for the whole group first: processes that fork meanwhile get it too.
  if (leaderAlive(life)) sent = send(-life.pid, signal)
  for (const row of processesOf(life, true)) {
    if (sent && row.group === life.pid) continue
    if (processes.row(row.pid)?.startedAt === row.startedAt) sent = send(row.pid, signal) || sent
  }
  return sent
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    // EPERM: it runs as somebody else by now (a setuid program), so it is not ours to end.
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ESRCH' || code === 'EPERM') return false
    throw error
  }
}

/** No process of the life is left. Looks deep only when its group is empty. */
export function lifeGone(life: LifeIdentity): boolean {
  if (leaderAlive(life)) return false
  const rows = processes.rows()
  return processesOf(life, false, rows).length === 0 && processesOf(life, true, rows).length === 0
}

/** Live processes that carry the nonce, of whatever group: what is left of a life whose pid was never written down. */
export function processesWithNonce(nonce: string): ProcessRow[] {
  const carries = (row: ProcessRow): boolean => processes.environmentValue(row.pid, nonceVariable) === nonce
  return processes.rows().filter(row => !row.zombie && row.pid !== process.pid && carries(row))
}

/** What stops a program from being started, in words, or null. `path`: the PATH it is looked up in. */
export function whyNotStartable(program: string, directory: string, path: string): string | null {
  if (!isDirectory(directory)) return `the directory ${directory} does not exist`
  if (program.includes('/'))
    return whyNotExecutable(program.startsWith('/') ? program : join(directory, program))
  const candidates = path.split(delimiter).map(folder => join(folder || directory, program))
  const reasons = candidates.map(whyNotExecutable)
  if (reasons.includes(null)) return null
  return reasons.find(reason => reason?.includes('not executable')) ?? `no ${program} in PATH (${path})`
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function whyNotExecutable(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return `${path} does not exist`
  if (!found.isFile()) return `${path} is not a file`
  try {
    accessSync(path, constants.X_OK)
    return null
  } catch {
    return `${path} is not executable`
  }
}

export interface UserIds {
  readonly uid: number
  readonly gid: number
  readonly home: string | null
}

/** A user by name or number, as the machine's own `id` knows it; null when there is none. */
export function userIds(name: string): UserIds | null {
  const ask = (flag: string): number =>
    Number(
      execFileSync('id', [flag, '--', name], {
        encoding: 'latin1',
        timeout: 5000,
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    )
  try {
    return { uid: ask('-u'), gid: ask('-g'), home: homeOf(name) }
  } catch {
    return null
  }
}

function homeOf(name: string): string | null {
  try {
    const entry = execFileSync('getent', ['passwd', name], { encoding: 'utf8', timeout: 5000 })
    return entry.trim().split(':')[5] || null
  } catch {
    return null
  }
}
