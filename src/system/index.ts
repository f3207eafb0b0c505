// The system's one entry: what the command line may use. Everything heavy (schemas, the control API's server, the
// fleet, the edge) is loaded when it is called for, so that small commands start fast.

import type { ControlClient } from './control/client.ts'
import { connectTo as connect } from './control/connect.ts'
import type { LoadedSystem, LoadOptions } from './load.ts'
import type { RunningSystem, StartOptions } from './running-system.ts'

export type { ControlClient, DoneLine, ProgressLine } from './control/client.ts'
export type * from './control/views.ts'
export { remedyOf, systemFailures } from './failures.ts'
export type { LoadedSystem, LoadFailureDetails } from './load.ts'
export type { RunningSystem, StartOptions } from './running-system.ts'
export { tenfoldVersion } from './version.ts'

/** Begins to start a system; `ready` of what it gives tells how that went. */
export async function start(options: StartOptions): Promise<RunningSystem> {
  const { startSystem } = await import('./running-system.ts')
  return startSystem(options)
}

const roles = {
  edge: async (options: RoleOptions): Promise<void> => (await import('../edge/index.ts')).runEdge(options),
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
  readonly workers: number
}

export async function loadSystem(file: string, options?: LoadOptions): Promise<LoadedSystem> {
  const { loadSystemFile } = await import('./load.ts')
  return loadSystemFile(file, options)
}

/** The control API of the system that runs with this file or state directory. Throws SYSTEM_NOT_RUNNING. */
export function connectTo(where: { file: string; stateDirectory?: string | undefined }): ControlClient {
  return connect(where)
}
