// From a file's path to the control API of the system that runs from it: the lock file says where it listens, the token
// file what to say. Never starts anything.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../../kit/failure.ts'
import { systemFailures } from '../failures.ts'
import { holderAlive, readLock } from '../lock.ts'
import { stateDirectoryOf } from '../state-directory.ts'
import { type ControlClient, controlClient } from './client.ts'
import { readAdminToken } from './tokens.ts'

/** Throws SYSTEM_NOT_RUNNING, which says what was looked for and where. */
export function connectTo(where: { file: string; stateDirectory?: string | undefined }): ControlClient {
  const state = stateDirectoryAt(where)
  const lock = readLock(state)
  const token = tokenOf(state)
  if (lock === null || token === null) throw notRunning(`no running system uses ${state}`)
  if (!holderAlive(lock)) {
    throw notRunning(`the supervisor (process ${lock.pid}) of ${state} has ended without stopping the system`)
  }
  if (lock.controlUrl === null) throw notRunning(`the system of ${state} is just starting`)
  return controlClient({ url: lock.controlUrl, token })
}

/** The state directory of the system that a file, or the folder that holds it, describes. */
export function stateDirectoryAt({
  file,
  stateDirectory,
}: {
  file: string
  stateDirectory?: string | undefined
}): string {
  const folder = statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false
  return stateDirectoryOf(folder ? join(file, 'tenfold.config.ts') : file, stateDirectory)
}

function tokenOf(state: string): string | null {
  try {
    return readAdminToken(state)
  } catch (cause) {
    throw new Failure(systemFailures.stateUnusable, `The token in ${state} cannot be read by this user.`, {
      cause,
      details: { remedy: 'Run the command as the user that runs the system, or with sudo.' },
    })
  }
}

function notRunning(why: string): Failure {
  return new Failure(systemFailures.notRunning, `Nothing to talk to: ${why}.`)
}
