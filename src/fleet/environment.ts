// What an instance finds in its environment, and as whom it runs. Inherited: everything that the supervisor has, except
// its own TENFOLD_* variables (they may hold tokens), what ties a Node process to its parent, and the names that the file
// uses as secrets: a service gets a secret under the key that asks for it, and no other.

import { userIds } from '../io/process.ts'
import { Failure } from '../kit/failure.ts'
import type { FleetOptions, ProcessSpec } from './contract.ts'
import { fleetFailures } from './failures.ts'

const notInherited = new Set(['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'NODE_UNIQUE_ID'])

export interface RunAs {
  readonly uid: number
  readonly gid: number
  readonly home: string | null
  readonly name: string | null
}

/** Null: as the supervisor's own user. Throws a Failure when the user is unknown or may not be taken on. */
export function runAsOf(spec: ProcessSpec, options: FleetOptions): RunAs | null {
  if (spec.user === undefined) return options.runAs ? { ...options.runAs, home: null, name: null } : null
  const found = userIds(spec.user)
  if (found === null) {
    const sentence = `services.${spec.name}.user: this machine has no user "${spec.user}".`
    throw new Failure(fleetFailures.userUnknown, sentence)
  }
  const own = process.geteuid?.()
  if (own === found.uid) return null
  if (own !== 0) {
    const sentence = `services.${spec.name}.user: only root can run a service as "${spec.user}"; the supervisor runs as user ${own}.`
    throw new Failure(fleetFailures.userNotAllowed, sentence)
  }
  return { ...found, name: spec.user }
}

/** The service's own variables win over inherited ones; PORT and the TENFOLD_ ones over both. */
export function instanceEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  spec: ProcessSpec,
  instance: { readonly member: string; readonly port: number },
  runAs: RunAs | null,
): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(inherited)) {
    const kept = !name.startsWith('TENFOLD_') && !notInherited.has(name) && !spec.withheld?.includes(name)
    if (value !== undefined && kept) env[name] = value
  }
  if (runAs?.home) env.HOME = runAs.home
  if (runAs?.name) env.USER = env.LOGNAME = runAs.name
  return {
    ...env,
    ...spec.env,
    PORT: String(instance.port),
    TENFOLD_SERVICE: spec.name,
    TENFOLD_INSTANCE: instance.member,
  }
}
