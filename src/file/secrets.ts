// References to secrets, and how they are kept out of what people see. It never reads a secret's value from anywhere:
// `resolveSecrets` is given the values.

import type { CheckedSystem, CommandService, EnvValue, SecretReference } from './checked.ts'
import type { CheckedDatabase } from './checked-databases.ts'

/** Names a secret of the environment or of `secrets.env` beside the file: `env: { API_KEY: secret('API_KEY') }`. */
export function secret(name: string): SecretReference {
  return { secret: name }
}

export function isSecretReference(value: unknown): value is SecretReference {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.keys(value).length === 1 &&
    typeof (value as { secret?: unknown }).secret === 'string'
  )
}

/** The names of all secrets that a system refers to, each once, in the order of the file. */
export function secretNames(system: CheckedSystem): string[] {
  const names = new Set<string>()
  for (const service of Object.values(system.services)) {
    if (service.kind !== 'command') continue
    for (const value of Object.values(service.env)) if (typeof value !== 'string') names.add(value.secret)
  }
  for (const { servers } of Object.values(system.databases))
    if (servers.kind === 'existing')
      for (const url of servers.urls) if (typeof url !== 'string') names.add(url.secret)
  for (const { urls } of Object.values(system.caches))
    for (const url of urls) if (typeof url !== 'string') names.add(url.secret)
  for (const { token } of system.edge.cache?.peers ?? [])
    if (typeof token !== 'string') names.add(token.secret)
  for (const reference of guardSecrets(system)) names.add(reference.secret)
  return [...names]
}

function guardSecrets({ guard }: CheckedSystem): SecretReference[] {
  const redis = guard?.shared?.redis
  const all = [
    typeof redis === 'string' ? undefined : redis,
    guard?.secret,
    guard?.challenge.turnstile?.secret,
    ...Object.values(guard?.identity.jwt ?? {}).map(({ keys }) =>
      keys.kind === 'secret' ? keys.secret : undefined,
    ),
    ...Object.values(guard?.identity.oidc ?? {}).map(({ clientSecret }) => clientSecret),
  ]
  return all.filter(one => one !== undefined)
}

/** The service's environment with every secret put in. Names that `values` lacks are listed, never guessed. */
export function resolveEnvironment(
  service: CommandService,
  values: Readonly<Record<string, string | undefined>>,
): { readonly env: Record<string, string>; readonly missing: readonly string[] } {
  const env: Record<string, string> = {}
  const missing: string[] = []
  for (const [name, value] of Object.entries(service.env)) {
    const resolved = typeof value === 'string' ? value : values[value.secret]
    if (resolved === undefined) missing.push((value as SecretReference).secret)
    else env[name] = resolved
  }
  return { env, missing }
}

const sensitiveName = /(SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY)/i
// To the last `@` before white space: a password may hold `@`, `:` and `/`; hiding too much does no harm.
const urlPassword = /([a-z][a-z0-9+.-]*:\/\/[^/@:\s]*):\S*@/gi

/** What may be shown of one environment variable: references by name, passwords in URLs and telling names as `***`. */
export function redactEnvValue(name: string, value: EnvValue): string {
  if (typeof value !== 'string') return `secret(${value.secret})`
  if (sensitiveName.test(name)) return '***'
  return redactUrl(value)
}

/** The text with the passwords of its URLs as `***`. */
export function redactUrl(text: string): string {
  return text.replace(urlPassword, '$1:***@')
}

/** A copy that may be shown in status, logs and differences. */
export function redactSystem(system: CheckedSystem): CheckedSystem {
  const services: Record<string, CheckedSystem['services'][string]> = {}
  for (const [name, service] of Object.entries(system.services)) {
    services[name] =
      service.kind === 'command'
        ? {
            ...service,
            env: Object.fromEntries(
              Object.entries(service.env).map(([key, value]) => [key, redactEnvValue(key, value)]),
            ),
          }
        : service
  }
  const databases = Object.fromEntries(
    Object.entries(system.databases).map(([name, one]) => [name, redactDatabase(one)]),
  )
  return { ...system, services, databases, ...redactCaches(system), ...redactGuard(system) }
}

function redactGuard({ guard }: CheckedSystem): Pick<CheckedSystem, 'guard'> {
  if (guard?.shared === undefined || typeof guard.shared.redis !== 'string') return {}
  return { guard: { ...guard, shared: { ...guard.shared, redis: redactUrl(guard.shared.redis) } } }
}

function redactCaches({ caches, edge }: CheckedSystem): Pick<CheckedSystem, 'caches' | 'edge'> {
  const shown = Object.entries(caches).map(([name, one]) => {
    const urls = one.urls.map(url => (typeof url === 'string' ? redactUrl(url) : url))
    return [name, { ...one, urls }] as const
  })
  const peers = edge.cache?.peers.map(({ url, token }) => ({
    url,
    token: typeof token === 'string' ? '***' : token,
  }))
  return {
    caches: Object.fromEntries(shown),
    edge: edge.cache && peers ? { ...edge, cache: { ...edge.cache, peers } } : edge,
  }
}

function redactDatabase(database: CheckedDatabase): CheckedDatabase {
  const { servers } = database
  if (servers.kind !== 'existing') return database
  const urls = servers.urls.map(url => (typeof url === 'string' ? redactUrl(url) : url))
  return { ...database, servers: { ...servers, urls } }
}
