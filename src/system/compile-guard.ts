// Checked guard -> the guard's part of the edge's snapshot: secrets put in, paths absolute, the key that everything is
// signed with. Pure but for the keys that are derived: the same arguments give the same, so a reload can be compared.

import { resolve } from 'node:path'
import {
  type CheckedGuard,
  type CheckedIdentity,
  type CheckedSystem,
  fileFailures,
  guardUrl,
  guardVariables,
  hostsServed,
} from '../file/index.ts'
import { auditPath } from '../guard/audit/audit-log.ts'
import { humanKey } from '../guard/challenge/keys.ts'
import type { GuardSpec } from '../guard/part.ts'
import { Failure } from '../kit/failure.ts'
import type { SecretValues } from './load-secrets.ts'

export interface GuardContext {
  /** Secrets by name; those that the guard needs are there. */
  readonly secrets: SecretValues
  /** Base64, 32 bytes, of the state directory: signs where the file names no secret. */
  readonly guardSecret: string
  /** Absolute: the folder of the system file. */
  readonly baseDirectory: string
  /** Absolute: where logs are by default. */
  readonly stateDirectory: string
}

/** Without the rulings of commands, which come with each snapshot; null: the file has no guard. */
export function compileGuard(system: CheckedSystem, context: GuardContext): GuardSpec | null {
  const { guard } = system
  if (guard === undefined) return null
  const { secret: _, shared, challenge, ...rest } = withAbsolutePaths(guard, context)
  const { turnstile, ...asked } = challenge
  return {
    ...rest,
    identity: withSecrets(rest.identity, context.secrets),
    secretKey: secretKeyOf(guard, context),
    ...(shared === undefined ? {} : { shared: { ...shared, redis: redisOf(shared.redis, context.secrets) } }),
    challenge: {
      ...asked,
      ...(turnstile === undefined
        ? {}
        : { turnstile: { ...turnstile, secret: context.secrets[turnstile.secret.secret] ?? '' } }),
    },
    rulings: [],
    production: system.environment === 'production',
    hosts: hostsServed(system.edge.routes, system.edge.tls),
  }
}

/** Texts in place of their names, as the guard's parts take them. */
function withSecrets(identity: CheckedIdentity, secrets: SecretValues): CheckedIdentity {
  const { jwt, oidc } = identity
  const textOf = (secret: { readonly secret: string }): never => (secrets[secret.secret] ?? '') as never
  return {
    ...identity,
    ...(jwt && {
      jwt: mapped(jwt, one =>
        one.keys.kind === 'secret'
          ? { ...one, keys: { ...one.keys, secret: longSecret(one.keys.secret, secrets) } }
          : one,
      ),
    }),
    ...(oidc && {
      oidc: mapped(oidc, one =>
        one.clientSecret ? { ...one, clientSecret: textOf(one.clientSecret) } : one,
      ),
    }),
  }
}

function longSecret({ secret }: { readonly secret: string }, secrets: SecretValues): never {
  const told = secrets[secret] ?? ''
  if (told.length >= secretCharsMin) return told as never
  throw new Failure(
    fileFailures.secretShort,
    `The secret ${secret} (for guard.identity.jwt) has ${told.length} characters, and ${secretCharsMin} are the least.`,
  )
}

const redisOf = (redis: NonNullable<CheckedGuard['shared']>['redis'], secrets: SecretValues): string =>
  typeof redis === 'string' ? redis : (secrets[redis.secret] ?? '')

/** What can be guessed signs nothing: everything that the guard gives out could be forged. */
const secretCharsMin = 32

function secretKeyOf({ secret }: CheckedGuard, { secrets, guardSecret }: GuardContext): string {
  if (secret === undefined) return guardSecret
  const told = secrets[secret.secret] ?? ''
  if (told.length >= secretCharsMin) return Buffer.from(told, 'utf8').toString('base64')
  throw new Failure(
    fileFailures.secretShort,
    `The secret ${secret.secret} (for guard.secret) has ${told.length} characters, and ${secretCharsMin} are the least.`,
  )
}

function withAbsolutePaths(
  guard: CheckedGuard,
  { baseDirectory, stateDirectory }: GuardContext,
): CheckedGuard {
  const at = (file: string): string => resolve(baseDirectory, file)
  const maybe = <K extends string>(key: K, file: string | undefined): { [P in K]?: string } =>
    (file === undefined ? {} : { [key]: at(file) }) as { [P in K]?: string }
  const { audit, bots, geo, identity, rooms, policies } = guard
  return {
    ...guard,
    identity: identityAt(identity, at),
    audit: { ...audit, file: audit.file === null ? auditPath(audit, stateDirectory) : at(audit.file) },
    bots: {
      ...bots,
      crawlerFiles: bots.crawlerFiles.map(at),
      dataCentreFiles: bots.dataCentreFiles.map(at),
      signatureAgents: bots.signatureAgents.map(({ agent, keysFile }) => ({
        agent,
        ...maybe('keysFile', keysFile),
      })),
    },
    ...(geo === undefined
      ? {}
      : { geo: { ...maybe('countryFile', geo.countryFile), ...maybe('asnFile', geo.asnFile) } }),
    rooms: mapped(rooms, ({ page, ...room }) => ({ ...room, ...maybe('page', page) })),
    policies: mapped(policies, ({ waf, ...policy }) => ({
      ...policy,
      ...(waf === undefined
        ? {}
        : { waf: { ...waf, rules: waf.rules === 'builtin' ? waf.rules : waf.rules.map(at) } }),
    })),
  }
}

function identityAt(identity: CheckedIdentity, at: (file: string) => string): CheckedIdentity {
  const { jwt, keys, basic } = identity
  const placed = <T extends { readonly file: string }>(one: T): T => ({ ...one, file: at(one.file) })
  return {
    ...identity,
    ...(jwt && {
      jwt: mapped(jwt, one => (one.keys.kind === 'file' ? { ...one, keys: placed(one.keys) } : one)),
    }),
    ...(keys && { keys: mapped(keys, placed) }),
    ...(basic && { basic: mapped(basic, placed) }),
  }
}

const mapped = <T>(map: Readonly<Record<string, T>>, change: (one: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(map).map(([name, one]) => [name, change(one)]))

/** What a service finds in its environment. */
export function guardEnvironment(
  system: CheckedSystem,
  service: string,
  spec: GuardSpec | null,
): Record<string, string> {
  const found = system.services[service]
  if (found?.kind !== 'command' || spec === null) return {}
  return Object.fromEntries(
    guardVariables(system, found).map(({ variable, holds }) => [
      variable,
      holds === 'key' ? humanKey(spec.secretKey) : (guardUrl(system) as string),
    ]),
  )
}

/** Everything that nobody may see: for the redactor. */
export function secretsOfGuard(spec: GuardSpec | null): string[] {
  if (spec === null) return []
  const redis = spec.shared?.redis ?? ''
  const password = /^[a-z]+:\/\/[^:@/]*:(.+)@/.exec(redis)?.[1]
  const { turnstile } = spec.challenge
  const { jwt = {}, oidc = {} } = spec.identity
  return [
    ...Object.values(jwt).flatMap(({ keys }) => (keys.kind === 'secret' ? [String(keys.secret)] : [])),
    ...Object.values(oidc).flatMap(({ clientSecret }) => (clientSecret ? [String(clientSecret)] : [])),
    spec.secretKey,
    humanKey(spec.secretKey),
    ...(redis.includes('@') ? [redis] : []),
    ...(password === undefined ? [] : [password]),
    ...(turnstile === undefined ? [] : [turnstile.secret]),
  ]
}
