// The system's one entry: what the command line may use. Everything heavy (schemas, the control API's server, the
// fleet, the edge) is loaded when it is called for, so that small commands start fast.

import { dirname } from 'node:path'
import type { AuditVerdict } from '../guard/audit/read.ts'
import { Failure } from '../kit/failure.ts'
import type { ControlClient } from './control/client.ts'
import { connectTo as connect, stateDirectoryAt } from './control/connect.ts'
import type { Finding } from './doctor.ts'
import type { PairQuestion } from './keepalived.ts'
import type { KeysView, KeyView, KeyWish, SystemPlace } from './key-files.ts'
import type { LoadedSystem, LoadOptions } from './load.ts'
import { holderAlive, readLock } from './lock.ts'
import type { RunningSystem, StartOptions } from './running-system.ts'
import { mainFile } from './version.ts'

export type { AuditVerdict } from '../guard/audit/read.ts'
export type { QuotaStatus } from '../guard/quota/main.ts'
export type { RoomStatus } from '../guard/room/main.ts'
export type { ControlClient, DoneLine, ProgressLine } from './control/client.ts'
export type * from './control/views.ts'
export type { Finding } from './doctor.ts'
export { remedyOf, systemFailures } from './failures.ts'
export type { KeysView, KeyView } from './key-files.ts'
export type { LoadedSystem, LoadFailureDetails } from './load.ts'
export type { RunningSystem, StartOptions } from './running-system.ts'
export { tenfoldVersion } from './version.ts'

/** Begins to start a system; `ready` of what it gives tells how that went. */
export async function start(options: StartOptions): Promise<RunningSystem> {
  const { startSystem } = await import('./running-system.ts')
  return startSystem(options)
}

const roles = {
  edge: async (options: RoleOptions): Promise<void> =>
    (await import('./edge-role.ts')).runGuardedEdge(options),
  router: async (options: RoleOptions): Promise<void> => {
    const { feedSinksOf } = await import('./feed-sinks.ts')
    const sinksOf = feedSinksOf(options.stateDirectory)
    await (await import('../database/index.ts')).runRouter({ ...options, sinksOf })
  },
}
export type Role = keyof typeof roles

/** Runs one role of a system in this process until it is stopped. */
export function runRole(role: Role, options: RoleOptions): Promise<void> {
  return roles[role](options)
}

export interface RoleOptions {
  readonly stateDirectory: string
  /** By which the supervisor knows the process as its own. */
  readonly nonce: string
  /** The edge's threads. */
  readonly workers: number
  /** Name of the control socket in the state directory. */
  readonly socketName?: string
  /** Another process of the role listens on the same ports and will let go of them. */
  readonly besideAnother?: boolean
}

export async function loadSystem(file: string, options?: LoadOptions): Promise<LoadedSystem> {
  const { loadSystemFile } = await import('./load.ts')
  return loadSystemFile(file, options)
}

/** Which system a command means. */
export interface Whereabouts {
  /** Path of the system file, or of the folder that holds it. */
  readonly file: string
  /** Absent: `.tenfold` beside the file. */
  readonly stateDirectory?: string | undefined
}

/** The control API of the system that runs there. Throws SYSTEM_NOT_RUNNING. */
export function connectTo(where: Whereabouts): ControlClient {
  return connect(where)
}

export interface Supervisor {
  /** `dead`: it ended without stopping what it had started. */
  readonly state: 'alive' | 'dead' | 'none'
  readonly pid: number | null
}

/** Who runs the system there. */
export function supervisorOf(where: Whereabouts): Supervisor {
  const lock = readLock(stateDirectoryAt(where))
  if (lock === null) return { state: 'none', pid: null }
  return { state: holderAlive(lock) ? 'alive' : 'dead', pid: lock.pid }
}

/** Ends what a supervisor that died left running; says what that was. */
export async function stopLeftovers(where: Whereabouts, options: { now: boolean }): Promise<string[]> {
  const { endLeftovers } = await import('./leftovers.ts')
  return endLeftovers(stateDirectoryAt(where), options)
}

/**
 * Are the lines of the guard's audit log as they were written? `head`: the hash of a line that must be among them.
 * Throws GUARD_AUDIT_MISSING.
 */
export async function verifyAudit(where: Whereabouts, head?: string): Promise<AuditVerdict> {
  const { verifyAuditOf } = await import('./verify-audit.ts')
  return verifyAuditOf(stateDirectoryAt(where), head)
}

/** A new API key in the file that the system names; the key itself is given this once. */
export async function addKey(
  place: SystemPlace,
  name: string,
  wish: KeyWish,
): Promise<{ readonly key: string; readonly stored: KeyView; readonly file: string }> {
  return (await import('./key-files.ts')).addKeyTo(place, name, wish)
}

export async function listKeys(place: SystemPlace, name?: string): Promise<readonly KeysView[]> {
  return (await import('./key-files.ts')).keysIn(place, name)
}

export async function revokeKey(place: SystemPlace, id: string): Promise<KeyView> {
  return (await import('./key-files.ts')).revokeKeyOf(place, id)
}

/** A line for a file of passwords. */
export async function passwordEntry(name: string, password: string): Promise<string> {
  return (await import('../guard/identity/index.ts')).passwordLine(name, password)
}

/** Deletes all data of a database of a system that is stopped; says what that was. */
export async function resetDatabase(
  where: Whereabouts & { readonly environment?: string | undefined },
  name: string,
): Promise<string> {
  const { deleteDatabaseOf } = await import('./reset-database.ts')
  return deleteDatabaseOf(stateDirectoryAt(where), where.file, where.environment ?? null, name)
}

/** The doctor's findings. A file that is not there or is wrong is a finding too. */
export async function examine(
  question: Whereabouts & { readonly environment?: string | undefined },
): Promise<Finding[]> {
  const { examineMachine } = await import('./doctor.ts')
  const stateDirectory = stateDirectoryAt(question)
  try {
    const { system } = await loadSystem(question.file, { environment: question.environment ?? null })
    return await examineMachine({ system, stateDirectory, fileProblem: null })
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause
    return examineMachine({ system: null, stateDirectory, fileProblem: cause })
  }
}

export async function systemdUnitOf(
  question: Whereabouts & { readonly environment?: string | undefined; readonly user: string | null },
): Promise<string> {
  const { systemdUnit } = await import('./systemd.ts')
  const { system, file } = await loadSystem(question.file, { environment: question.environment ?? null })
  const stops = Object.values(system.services).map(service =>
    service.kind === 'command' ? service.stop.timeoutMs + service.stop.drainTimeoutMs : 0,
  )
  return systemdUnit({
    name: system.name,
    systemFile: file,
    directory: dirname(file),
    stateDirectory: stateDirectoryAt({ ...question, file }),
    node: process.execPath,
    mainFile,
    environment: question.environment ?? null,
    user: question.user,
    stopMs: system.edge.limits.drainTimeoutMs + Math.max(0, ...stops),
  })
}

/** Throws SYSTEM_PAIR_INVALID. */
export async function keepalivedConfigOf(
  where: Whereabouts & { readonly environment?: string | undefined },
  question: PairQuestion,
): Promise<string> {
  const { keepalivedConfig } = await import('./keepalived.ts')
  const { system } = await loadSystem(where.file, { environment: where.environment ?? null })
  return keepalivedConfig(system, question)
}

export { checkLottery, type LotteryCheck } from './lottery-check.ts'
