// One supervisor a state directory: a lock file that says who runs and where its control API is. A lock whose process
// has died is taken over. It relies on no lock of the operating system: Node offers none for files.

import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { processes } from '../io/process-table.ts'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'
import { writePrivate } from './private-file.ts'
import { tenfoldVersion } from './version.ts'

export interface LockRecord {
  readonly pid: number
  /** With the pid and the boot it names one process for good. */
  readonly startedAt: string
  readonly bootId: string
  readonly nonce: string
  readonly tenfold: string
  readonly file: string
  /** Null until the control API listens. */
  readonly controlUrl: string | null
}

export interface Lock {
  /** The supervisor that died without giving the lock back, if one did. */
  readonly takenOverFrom: LockRecord | null
  tell(controlUrl: string): void
  /** Nobody has taken it from us: what only one may decide is ours to decide. */
  held(): boolean
  release(): void
}

const lockFile = (stateDirectory: string): string => join(stateDirectory, 'lock.json')

/** Throws SYSTEM_ALREADY_RUNNING while another live process holds it. */
export function takeLock(stateDirectory: string, systemFile: string): Lock {
  const file = lockFile(stateDirectory)
  let record: LockRecord = {
    pid: process.pid,
    startedAt: processes.row(process.pid)?.startedAt ?? 'unknown',
    bootId: processes.bootId(),
    nonce: randomBytes(16).toString('hex'),
    tenfold: tenfoldVersion,
    file: systemFile,
    controlUrl: null,
  }
  const takenOverFrom = place(file, record)
  return {
    takenOverFrom,
    tell: controlUrl => {
      record = { ...record, controlUrl }
      writePrivate(file, `${JSON.stringify(record)}\n`)
    },
    held: () => readLock(stateDirectory)?.nonce === record.nonce,
    release: () => {
      if (readLock(stateDirectory)?.nonce === record.nonce) rmSync(file, { force: true })
    },
  }
}

/** The holder's record, dead or alive; null when there is none. */
export function readLock(stateDirectory: string): LockRecord | null {
  try {
    return JSON.parse(readFileSync(lockFile(stateDirectory), 'utf8')) as LockRecord
  } catch {
    return null
  }
}

export function holderAlive(record: LockRecord): boolean {
  if (record.bootId !== processes.bootId()) return false
  const row = processes.row(record.pid)
  return row !== null && !row.zombie && row.startedAt === record.startedAt
}

function place(file: string, record: LockRecord): LockRecord | null {
  const ours = `${file}.${record.nonce}`
  writePrivate(ours, `${JSON.stringify(record)}\n`)
  try {
    // link() is the test and the placing in one step: it fails when the file is there.
    if (linked(ours, file)) return null
    const dead = removeDead(file, `${ours}.dead`)
    if (linked(ours, file)) return dead
    throw alreadyRunning(readLock(join(file, '..')))
  } finally {
    rmSync(ours, { force: true })
  }
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cause
  }
}

function removeDead(file: string, aside: string): LockRecord | null {
  const found = readLock(join(file, '..'))
  if (found !== null && holderAlive(found)) throw alreadyRunning(found)
  try {
    renameSync(file, aside)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return found
    throw cause
  }
  // Between the look and the rename another one may have taken the dead lock over: then what we moved is alive.
  const moved = parsed(aside)
  if (moved !== null && moved.nonce !== found?.nonce && holderAlive(moved)) {
    linked(aside, file)
    rmSync(aside, { force: true })
    throw alreadyRunning(moved)
  }
  rmSync(aside, { force: true })
  return found
}

function parsed(file: string): LockRecord | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LockRecord
  } catch {
    return null
  }
}

function alreadyRunning(holder: LockRecord | null): Failure {
  const who = holder === null ? 'another process' : `process ${holder.pid}`
  const where = holder?.controlUrl == null ? 'it is just starting' : `its control URL is ${holder.controlUrl}`
  const what = holder === null ? '' : ` with ${holder.file}`
  return new Failure(
    systemFailures.alreadyRunning,
    `This system is already running: ${who}${what}; ${where}.`,
    {
      details: { pid: holder?.pid ?? null, controlUrl: holder?.controlUrl ?? null },
    },
  )
}
