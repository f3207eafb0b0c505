// Where secrets come from: the environment first, then `secrets.env` beside the system file. Values go into the
// environments of instances, to agents, the router and the edge, and nowhere else: never into logs, status or messages.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type CheckedSystem, fileFailures, resolveEnvironment, secretNames } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'

export type SecretValues = Readonly<Record<string, string | undefined>>

const linesMax = 10_000
const assignment = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/

/** `secrets.env` of the folder under `environment`; what the environment sets wins. A missing file is no failure. */
export function loadSecretValues(directory: string, environment: SecretValues): SecretValues {
  const file = join(directory, 'secrets.env')
  const status = statSync(file, { throwIfNoEntry: false })
  if (!status?.isFile()) return environment
  if ((status.mode & 0o077) !== 0) {
    const mode = (status.mode & 0o777).toString(8).padStart(4, '0')
    throw new Failure(
      fileFailures.secretsExposed,
      `${file} can be read or written by other users (mode ${mode}). Run: chmod 600 ${file}`,
    )
  }
  return { ...parseSecrets(readFileSync(file, 'utf8'), file), ...definedOnly(environment) }
}

function definedOnly(values: SecretValues): SecretValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

/** One NAME=value a line; `#` begins a comment line; quotes around a value are taken off, nothing in it is replaced. */
export function parseSecrets(text: string, file: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const [index, line] of text.split(/\r?\n/).slice(0, linesMax).entries()) {
    if (/^\s*(#|$)/.test(line)) continue
    const match = assignment.exec(line)
    if (!match)
      throw new Failure(
        fileFailures.secretsMalformed,
        `${file}:${index + 1} is not NAME=value (the line is not shown, as it may hold a secret).`,
      )
    values[match[1] as string] = (match[2] as string).replace(/^(["'])(.*)\1$/, '$2')
  }
  return values
}

/** The environment of each service that runs a command, with its secrets put in; fails naming all that are missing. */
export function resolveSecrets(
  system: CheckedSystem,
  values: SecretValues,
): Record<string, Record<string, string>> {
  const missing = secretNames(system).filter(name => values[name] === undefined)
  if (missing.length > 0) {
    const users = missing.map(name => `${name} (for ${usersOf(system, name).join(', ')})`).join(', ')
    const are = missing.length === 1 ? 'The secret is' : 'These secrets are'
    throw new Failure(
      fileFailures.secretMissing,
      `${are} neither in the environment nor in secrets.env: ${users}. Set it there, or add a line NAME=value to secrets.env beside the system file (chmod 600).`,
      { details: { missing } },
    )
  }
  const environments: Record<string, Record<string, string>> = {}
  for (const service of Object.values(system.services))
    if (service.kind === 'command') environments[service.name] = resolveEnvironment(service, values).env
  return environments
}

function usersOf(system: CheckedSystem, secret: string): string[] {
  const services = Object.values(system.services).flatMap(service => {
    const env = service.kind === 'command' ? Object.entries(service.env) : []
    return env
      .filter(([, value]) => typeof value !== 'string' && value.secret === secret)
      .map(([name]) => `services.${service.name}.env.${name}`)
  })
  const databases = Object.values(system.databases).flatMap(({ name, servers }) =>
    (servers.kind === 'existing' ? servers.urls : []).flatMap((url, index) =>
      typeof url !== 'string' && url.secret === secret ? [`databases.${name}.servers[${index}]`] : [],
    ),
  )
  const elsewhere = [
    ...Object.values(system.caches).flatMap(({ name, urls }) =>
      urls.map(url => [`caches.${name}`, url] as const),
    ),
    ...(system.edge.cache?.peers ?? []).map(({ token }) => ['edge.cache.peers', token] as const),
    ['guard.shared.redis', system.guard?.shared?.redis] as const,
    ['guard.secret', system.guard?.secret] as const,
    ['guard.challenge.turnstile', system.guard?.challenge.turnstile?.secret] as const,
  ].flatMap(([path, value]) => (typeof value === 'object' && value.secret === secret ? [path] : []))
  return [...services, ...databases, ...new Set(elsewhere)]
}
