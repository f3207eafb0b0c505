// What the supervisor does alike with each of its data planes (edge, router): how such a process is started, how often one
// that dies is started again, and the small files that say which one is ours. It keeps no state.

import { readFileSync } from 'node:fs'
import { type LifeIdentity, leaderAlive, type StartedLife, startLife } from '../io/process.ts'
import { backoffCeilingUs } from '../policy/backoff.ts'
import { mainFile } from './version.ts'

/** More open files than the shell that started us allows, where we may (root); else as many as we may. */
const withFiles = 'ulimit -n "$TENFOLD_ROLE_FILES" 2>/dev/null || ulimit -n "$(ulimit -H -n)"; exec "$@"'

export interface RoleLaunch {
  readonly role: 'edge' | 'router'
  readonly stateDirectory: string
  /** Open files that it needs. */
  readonly filesMax: number
  /** Besides our own environment. */
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** Another process of the role listens on the same ports, and will let go of them. */
  readonly besideAnother: boolean
}

/** A process that was started; `exit` says how it ended, null while it has not. */
export interface RoleLife {
  readonly life: StartedLife
  /** Name of its control socket. */
  readonly socket: string
  exit: string | null
}

export async function launchRole(launch: RoleLaunch): Promise<RoleLife> {
  const { role, stateDirectory, besideAnother } = launch
  const nonce = crypto.randomUUID()
  const socket = besideAnother ? `${role}-${nonce.slice(0, 8)}` : role
  const life = await startLife({
    command: [
      '/bin/sh',
      '-c',
      withFiles,
      'sh',
      process.execPath,
      mainFile,
      'run',
      role,
      '--state',
      stateDirectory,
    ],
    directory: stateDirectory,
    env: {
      ...definedOnly(process.env),
      ...launch.env,
      TENFOLD_ROLE_FILES: String(launch.filesMax),
      TENFOLD_ROLE_SOCKET: socket,
      TENFOLD_ROLE_BESIDE: besideAnother ? '1' : '0',
    },
    nonce,
    outputFile: launch.logFile,
  })
  const started: RoleLife = { life, socket, exit: null }
  life.exited.then(
    ({ code, signal }) => {
      started.exit = signal === null ? `exited with code ${code}` : `was ended by ${signal}`
    },
    () => {},
  )
  return started
}

const backoffBaseMs = 100
const backoffMaxMs = 5_000
/** A life this long makes the next death a first one again. */
const settledMs = 30_000

/** Before the next start after so many deaths in a row. After the first one at once: nothing is served meanwhile. */
export function restartDelayMs(deathsInARow: number): number {
  return deathsInARow <= 1 ? 0 : backoffCeilingUs(deathsInARow - 2, backoffBaseMs, backoffMaxMs) / 1_000
}

/** Deaths in a row, with the one of now. */
export function deathsWith(deathsInARow: number, upSinceMs: number): number {
  return performance.now() - upSinceMs > settledMs ? 1 : deathsInARow + 1
}

export async function ended(life: LifeIdentity, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs
  while (leaderAlive(life)) {
    if (performance.now() > deadlineMs) return false
    await pause(20)
  }
  return true
}

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Null where it is not there, or is not whole. */
export function readJsonOrNull<T>(file: string): T | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T
  } catch {
    return null
  }
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(entry => entry[1] !== undefined)) as Record<
    string,
    string
  >
}
