// Checked system and secrets -> what the fleet runs. Pure. Owns what the fleet's specs add to the file: absolute
// directories, environments with their secrets, the user, versions.

import { resolve } from 'node:path'
import { type CheckedParent, type CheckedSystem, type CommandService, secretNames } from '../file/index.ts'
import { type AddressSpec, type ProcessSpec, type ServiceSpec, specVersion } from '../fleet/index.ts'

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
  const parent = parentOf(system)
  return [
    ...Object.values(system.services).map(service =>
      service.kind === 'command'
        ? processSpec(service, context, withheld, identity)
        : addressSpec(service.name, service.addresses),
    ),
    // Found by name again and again, as the addresses of a service are.
    ...(parent === undefined ? [] : [addressSpec(parent.service.name, parent.service.addresses)]),
  ]
}

const addressSpec = (name: string, addresses: AddressSpec['addresses']): AddressSpec => ({
  kind: 'addresses',
  name,
  addresses,
})

/** Of the edge's cache, where a route keeps something. */
export function parentOf({ edge }: CheckedSystem): CheckedParent | undefined {
  return edge.routes.some(route => route.cache) ? edge.cache?.parent : undefined
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
