// Checked system and secrets -> what the fleet runs. Pure. Owns what the fleet's specs add to the file: absolute
// directories, environments with their secrets, the user, versions.

import { resolve } from 'node:path'
import { type CheckedSystem, type CommandService, secretNames } from '../file/index.ts'
import { type ProcessSpec, type ServiceSpec, specVersion } from '../fleet/index.ts'

export interface FleetContext {
  /** Absolute: the folder of the system file. */
  readonly baseDirectory: string
  /** By service, secrets and URLs of databases put in. */
  readonly environments: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** For services that name no user of their own; absent: the supervisor's. */
  readonly user?: string | undefined
  /** Base64: by it instances check who a client is, where the edge asks for client certificates. */
  readonly identitySecret: string
}

export function compileFleet(system: CheckedSystem, context: FleetContext): ServiceSpec[] {
  const withheld = secretNames(system)
  const identity =
    system.edge.tls?.clientCertificates === undefined
      ? {}
      : { TENFOLD_IDENTITY_SECRET: context.identitySecret }
  return Object.values(system.services).map(service =>
    service.kind === 'command'
      ? processSpec(service, context, withheld, identity)
      : { kind: 'addresses', name: service.name, addresses: service.addresses },
  )
}

function processSpec(
  service: CommandService,
  context: FleetContext,
  withheld: readonly string[],
  identity: Readonly<Record<string, string>>,
): ProcessSpec {
  const { env: _, upstream, ...rest } = service
  const env = context.environments[service.name] ?? {}
  const user = service.user ?? context.user
  const base = {
    ...rest,
    ...(user === undefined ? {} : { user }),
    directory: resolve(context.baseDirectory, service.directory),
    env: { ...env, ...identity },
  }
  const published = upstream.balance.kind === 'resource' ? { utilisationPublished: true } : {}
  const hidden = withheld.length > 0 ? { withheld } : {}
  return { ...base, version: specVersion(base), ...published, ...hidden }
}
