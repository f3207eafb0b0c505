// The state directory: what a system keeps between its runs. Owns its layout, its format stamp and its permissions
// (0700, or 0711 where PostgreSQL runs as another user: it holds the tokens). What the parts keep in their folders is theirs.

import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'
import { writePrivate } from './private-file.ts'
import { tenfoldVersion } from './version.ts'

export const stateFormat = 1
const secretBytes = 32

export interface StateDirectory {
  /** Absolute. */
  readonly path: string
  readonly logs: string
  readonly edge: string
  readonly router: string
  readonly snapshots: string
  /** Base64, 32 bytes: signs sticky cookies, the same over restarts. */
  readonly stickySecret: string
  /** Base64, 32 bytes: signs what instances are told of client certificates, the same over restarts. */
  readonly identitySecret: string
  /** Base64, 32 bytes: what services log in to the database router with, the same over restarts. */
  readonly databaseSecret: string
  /** Base64, 32 bytes: what services sign sessions with, the same over restarts. */
  readonly sessionSecret: string
  /** Base64, 32 bytes: signs what the guard gives out where the file names no secret, the same over restarts. */
  readonly guardSecret: string
}

/** `.tenfold` beside the system file unless told otherwise. Absolute. */
export function stateDirectoryOf(systemFile: string, told?: string): string {
  return told === undefined ? resolve(systemFile, '..', '.tenfold') : resolve(told)
}

/** Creates what is missing. Throws SYSTEM_STATE_UNUSABLE or SYSTEM_STATE_TOO_NEW. */
export function openStateDirectory(path: string): StateDirectory {
  const state = {
    path,
    logs: join(path, 'logs'),
    edge: join(path, 'edge'),
    router: join(path, 'router'),
    snapshots: join(path, 'snapshots'),
  }
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    closeToOthers(path)
    checkStamp(path)
    for (const folder of [state.logs, state.edge, state.router, state.snapshots]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
    }
    return {
      ...state,
      stickySecret: secretOf(join(path, 'sticky.key')),
      identitySecret: secretOf(join(path, 'identity.key')),
      databaseSecret: secretOf(join(path, 'database.key')),
      sessionSecret: secretOf(join(path, 'session.key')),
      guardSecret: secretOf(join(path, 'guard.key')),
    }
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    throw unusable(path, cause)
  }
}

/** Others may pass through to what is theirs (PostgreSQL's user), where a database's servers have opened that; never look. */
function closeToOthers(path: string): void {
  const mode = statSync(path).mode & 0o777
  if ((mode & 0o077) !== 0 && mode !== 0o711) chmodSync(path, 0o700)
}

function unusable(path: string, cause: unknown): Failure {
  return new Failure(
    systemFailures.stateUnusable,
    `The state directory ${path} cannot be used: ${(cause as Error).message}.`,
    { cause },
  )
}

function checkStamp(path: string): void {
  const file = join(path, 'state.json')
  if (!existsSync(file)) {
    writePrivate(file, `${JSON.stringify({ format: stateFormat, tenfold: tenfoldVersion })}\n`)
    // It holds tokens and logs: never for a repository.
    writeFileSync(join(path, '.gitignore'), '*\n')
    return
  }
  const stamp = readStamp(file)
  if (stamp.format === stateFormat) return
  throw new Failure(
    systemFailures.stateTooNew,
    `The state directory ${path} has format ${String(stamp.format)}, written by Tenfold ${String(stamp.tenfold)}; this is Tenfold ${tenfoldVersion}, which knows format ${stateFormat}.`,
  )
}

function readStamp(file: string): { format?: unknown; tenfold?: unknown } {
  const text = readFileSync(file, 'utf8')
  try {
    return JSON.parse(text) ?? {}
  } catch (cause) {
    throw new Failure(
      systemFailures.stateUnusable,
      `${file} is damaged: ${(cause as Error).message}. It should hold { "format": ${stateFormat} }.`,
      { cause, details: { remedy: `Delete ${file}: it is written again. Or choose another --state.` } },
    )
  }
}

function secretOf(file: string): string {
  const known = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  // A key that was cut short is none: what it signs could be forged.
  if (Buffer.from(known, 'base64').length >= secretBytes) return known
  const made = randomBytes(secretBytes).toString('base64')
  writePrivate(file, `${made}\n`)
  return made
}
