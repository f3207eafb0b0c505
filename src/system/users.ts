// Who services run as when Tenfold is root. Owns that one choice and its reasons (docs/decisions/0008-users-and-privileges.md);
// the fleet carries it out.

import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { userIds } from '../io/process.ts'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'

export interface ServiceUser {
  /** Name or number for services that name no user of their own; absent: the supervisor's own user. */
  readonly user?: string
  /** For people. */
  readonly name: string
  /** Said in `up` and status; empty when there is nothing to say. */
  readonly warning: string
}

export interface UserQuestion {
  /** `--user`, when it was given. */
  readonly told: string | undefined
  /** Absolute paths. */
  readonly systemFile: string
  /** The services' working directories. */
  readonly directories: readonly string[]
  /** Of this process; undefined where the platform has none. */
  readonly effectiveUserId: number | undefined
}

const usualServiceUser = 'nobody'

export function chooseServiceUser(question: UserQuestion): ServiceUser {
  const own = question.effectiveUserId
  if (question.told !== undefined) return toldUser(question.told, own)
  if (own !== 0) return { name: own === undefined ? 'the current user' : `uid ${own}`, warning: '' }
  const owner = statSync(question.systemFile)
  if (owner.uid !== 0) {
    return toldUser(String(owner.uid), own)
  }
  return unprivileged(question)
}

function toldUser(name: string, own: number | undefined): ServiceUser {
  const found = userIds(name)
  if (found === null) {
    throw new Failure(
      systemFailures.userUnknown,
      `This machine has no user '${name}', as whom services should run.`,
    )
  }
  if (found.uid === own) return { name, warning: '' }
  if (own !== 0) {
    throw new Failure(
      systemFailures.userUnknown,
      `Only root can run services as '${name}'; this is user ${own}.`,
      { details: { remedy: `Start Tenfold as root, or as '${name}' without --user.` } },
    )
  }
  return { user: name, name, warning: '' }
}

/** Root's own file: an unprivileged user when it can read what services need, else root, said plainly. */
function unprivileged({ systemFile, directories }: UserQuestion): ServiceUser {
  const found = userIds(usualServiceUser)
  const ids = found === null ? null : { uid: found.uid, gid: found.gid }
  const needed = [...new Set([dirname(systemFile), ...directories, dirname(process.execPath)])]
  const closed =
    ids === null ? undefined : needed.map(path => closedTo(path, ids)).find(path => path !== null)
  if (ids !== null && closed === undefined) {
    return { user: usualServiceUser, name: usualServiceUser, warning: '' }
  }
  const why =
    ids === null ? `there is no user '${usualServiceUser}'` : `'${usualServiceUser}' may not read ${closed}`
  return {
    name: 'root',
    warning: `Services run as root, because ${why}. Name a user with --user, or give the folder to one.`,
  }
}

/** The first folder on the way to `path` that the user may not enter, or `path` itself when not readable; null: none. */
export function closedTo(path: string, user: { uid: number; gid: number }): string | null {
  const way: string[] = []
  for (let at = path; ; at = dirname(at)) {
    way.unshift(at)
    if (at === dirname(at)) break
  }
  for (const folder of way) {
    const needs = folder === path ? 0o5 : 0o1
    if (!permits(folder, user, needs)) return folder
  }
  return null
}

function permits(path: string, user: { uid: number; gid: number }, needs: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  // What is missing is told by whoever needs it.
  if (found === undefined) return true
  const shift = found.uid === user.uid ? 6 : found.gid === user.gid ? 3 : 0
  return ((found.mode >> shift) & needs) === needs
}
