// What no single key of who somebody is can know: ways that a policy requires and nobody defines, credentials that two
// ways take from one place, certificates that nobody asks for, cookies without a look at where requests come from.

import type { CheckedSystem } from './checked.ts'
import type {
  CheckedCredentialPlace,
  CheckedGuard,
  CheckedGuardPolicy,
  CheckedIdentity,
  CheckedIdentityWay,
} from './checked-guard.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { placeText } from './guard-credentials.ts'
import { wayText } from './guard-require.ts'
import { keyPath } from './plain.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'

const tableOf = { jwt: 'jwt', oidc: 'oidc', key: 'keys', basic: 'basic' } as const

/** Does anything say who this is? Where a policy verifies, whoever it verifies is the account, or the holder of the key. */
export function isNamed(
  by: 'account' | 'session' | 'key',
  identity: CheckedIdentity,
  policies: readonly CheckedGuardPolicy[],
): boolean {
  if (identity[by].length > 0) return true
  const ofKind = ({ method }: CheckedIdentityWay): boolean => (by === 'key') === (method === 'key')
  return by !== 'session' && policies.every(({ require }) => require?.any.some(ofKind) === true)
}

/** Can a request of it have claims? */
export const verifiesClaims = ({ require }: CheckedGuardPolicy): boolean =>
  require?.any.some(({ method }) => method === 'jwt' || method === 'oidc') === true

export function checkIdentities(system: CheckedSystem, guard: CheckedGuard, found: Findings): void {
  for (const policy of Object.values(guard.policies)) checkRequirement(system, guard, policy, found)
  checkUsed(guard, found)
}

function conflict(
  found: Findings,
  path: string,
  message: string,
  extra: Pick<Problem, 'allowed' | 'remedy' | 'value'>,
): void {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
}

function doubt(found: Findings, path: string, message: string, remedy: string): void {
  found.warnings.push({ code: fileFailures.doubtful.code, path, message, remedy })
}

function checkRequirement(
  system: CheckedSystem,
  guard: CheckedGuard,
  policy: CheckedGuardPolicy,
  found: Findings,
): void {
  const { require } = policy
  if (require === undefined) return
  const path = `${keyPath('guard.policies', policy.name)}.require`
  for (const way of require.any) checkWay(system, guard, way, path, found)
  checkPlaces(guard.identity, require.any, path, found)
  const byCookie = require.any.find(way => placesOf(guard.identity, way).some(place => place.by === 'cookie'))
  if ((byCookie !== undefined || require.any.some(one => one.method === 'oidc')) && !policy.sameSite)
    doubt(
      found,
      `${keyPath('guard.policies', policy.name)}.sameSite`,
      'is off, and a cookie says who it is: any page of others can send what a browser then signs',
      "Leave out 'sameSite', or write sameSite: { origins: ['https://...'] }.",
    )
}

function checkWay(
  { edge }: CheckedSystem,
  { identity }: CheckedGuard,
  way: CheckedIdentityWay,
  path: string,
  found: Findings,
): void {
  if (way.method === 'mtls') {
    if (edge.tls?.clientCertificates === undefined)
      conflict(found, path, "is 'mtls', and nobody asks clients for certificates", {
        remedy: "Write edge: { tls: { clientCertificates: { caFile: 'clients.pem', mode: 'optional' } } }.",
      })
    return
  }
  const table = tableOf[way.method]
  const names = Object.keys(identity[table] ?? {})
  if (names.includes(way.name)) return
  const near = nearest(way.name, names)
  conflict(found, path, `names what guard.identity.${table} does not have`, {
    value: JSON.stringify(wayText(way)),
    allowed:
      names.length > 0
        ? names.map(name => `'${way.method}:${name}'`).join(', ')
        : `none: the file has no guard.identity.${table}`,
    ...(near ? { remedy: `Did you mean '${way.method}:${near}'?` } : {}),
  })
}

function placesOf(
  identity: CheckedIdentity,
  { method, name }: CheckedIdentityWay,
): readonly CheckedCredentialPlace[] {
  if (method === 'jwt') return [identity.jwt?.[name]?.from].filter(one => one !== undefined)
  return method === 'key' ? (identity.keys?.[name]?.from ?? []) : []
}

/**
 * Several issuers may take tokens from one place: each looks at those of its own `iss`. API keys are told by their form.
 * Two files of passwords can't be told apart: a name in both would be two people.
 */
function checkPlaces(
  identity: CheckedIdentity,
  any: readonly CheckedIdentityWay[],
  path: string,
  found: Findings,
): void {
  if (any.filter(({ method }) => method === 'basic').length > 1)
    conflict(found, path, 'has two files of passwords, and a request does not say of which it is', {
      remedy: 'Keep one.',
    })
  const tokens = any.filter(({ method }) => method === 'jwt')
  for (const [at, way] of tokens.entries()) {
    const one = identity.jwt?.[way.name]
    const twin = tokens.slice(0, at).find(({ name }) => {
      const other = identity.jwt?.[name]
      return one && other && other.issuer === one.issuer && placeText(other.from) === placeText(one.from)
    })
    if (twin !== undefined)
      conflict(found, path, `has '${wayText(twin)}' and '${wayText(way)}', of one issuer and in one place`, {
        remedy: 'Keep one, or write one with both audiences.',
      })
  }
}

function checkUsed({ identity, policies }: CheckedGuard, found: Findings): void {
  const used = new Set(Object.values(policies).flatMap(({ require }) => (require?.any ?? []).map(wayText)))
  for (const [method, table] of Object.entries(tableOf))
    for (const name of Object.keys(identity[table] ?? {}))
      if (!used.has(`${method}:${name}`))
        doubt(
          found,
          keyPath(`guard.identity.${table}`, name),
          'is not used: no policy requires it',
          `Add require: '${method}:${name}' to a policy.`,
        )
}
