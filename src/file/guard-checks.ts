// What no single key of the guard can know: policies, rooms and quotas that are named, what a route has of what a policy
// counts by, files and keys that a source needs, what is there and not used. One small check a rule.

import type { CheckedRoute, CheckedSystem } from './checked.ts'
import type { CheckedGuard, CheckedGuardPolicy, CheckedQuotaSource } from './checked-guard.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { never } from './guard-bots.ts'
import { checkDrop } from './guard-drop-checks.ts'
import { checkIdentities, isNamed, verifiesClaims } from './identity-checks.ts'
import { parametersOf } from './patterns.ts'
import { keyPath } from './plain.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

/** Keys of one policy by which requests are counted, with where they stand in the file. */
interface Counted {
  readonly path: string
  /** Policies whose requests it counts. */
  readonly policies: readonly CheckedGuardPolicy[]
  readonly sources: readonly CheckedQuotaSource[]
}

export function checkGuard(system: CheckedSystem, found: Findings): void {
  const { guard, edge } = system
  edge.routes.forEach((route, index) => {
    if (route.guard !== undefined) checkRoute(guard, route, `edge.routes[${index}]`, found)
  })
  if (guard === undefined) return
  checkUse(guard, edge.routes, found)
  for (const policy of Object.values(guard.policies)) checkPolicy(guard, policy, found)
  for (const counted of everyKey(guard)) checkSources(guard, counted, found)
  checkIdentity(guard, found)
  checkIdentities(system, guard, found)
  checkChallenge(guard, found)
  checkShared(system, guard, found)
  checkStock(guard, found)
  checkDrop(system, guard, found)
}

function conflict(found: Findings, path: string, message: string, extra: Extra = {}): void {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
}

function doubt(found: Findings, path: string, message: string, remedy: string): void {
  found.warnings.push({ code: fileFailures.doubtful.code, path, message, remedy })
}

/** A name that is not there, with the one that was probably meant. */
function unknown(found: Findings, path: string, name: string, names: readonly string[], what: string): void {
  const near = nearest(name, names)
  conflict(found, path, `is not a ${what} of this file`, {
    value: JSON.stringify(name),
    allowed: names.length > 0 ? names.map(one => `'${one}'`).join(', ') : `none: the file has no ${what}`,
    ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
  })
}

function checkRoute(
  guard: CheckedGuard | undefined,
  route: CheckedRoute,
  path: string,
  found: Findings,
): void {
  const name = route.guard as string
  const policies = Object.keys(guard?.policies ?? {})
  const policy = guard?.policies[name]
  if (guard === undefined || policy === undefined || !policies.includes(name)) {
    unknown(found, `${path}.guard`, name, policies, 'policy')
    return
  }
  const parameters = parametersOf(route.match.path)
  for (const { path: key, sources } of keysOfPolicy(guard, policy))
    for (const one of sources)
      if (one.by === 'path' && !parameters.includes(one.name))
        conflict(
          found,
          `${path}.guard`,
          `is '${name}', which counts by 'path:${one.name}' (${key}), and '${route.match.path}' has no ':${one.name}'`,
          { remedy: `Put ':${one.name}' into the path, or give the route another policy.` },
        )
  if (policy.headers?.usesNonce && route.cache)
    conflict(
      found,
      `${path}.guard`,
      `is '${name}', whose headers have a nonce for each answer, and 'cache' gives one answer to many`,
      { remedy: "Leave out 'cache', or write a policy whose 'csp' has no {nonce}." },
    )
  if (policy.sameSite && route.cors)
    doubt(
      found,
      `${path}.cors`,
      `lets pages elsewhere ask, and the policy '${name}' refuses what they change (sameSite)`,
      'Give the route another policy, or leave out one of them.',
    )
  if (policy.room !== undefined && route.cache)
    doubt(
      found,
      `${path}.cache`,
      `is behind the waiting room '${policy.room}': what is kept is for those who were let in only`,
      'Give pages that everybody may see a route without the room.',
    )
}

function checkUse(guard: CheckedGuard, routes: readonly CheckedRoute[], found: Findings): void {
  const used = new Set(routes.flatMap(route => route.guard ?? []))
  const policies = Object.values(guard.policies)
  for (const { name } of policies)
    if (!used.has(name))
      doubt(
        found,
        keyPath('guard.policies', name),
        'is not used: no route has it',
        `Add guard: '${name}' to a route.`,
      )
  for (const kind of ['room', 'quota'] as const)
    for (const name of Object.keys(guard[`${kind}s`]))
      if (!policies.some(policy => policy[kind] === name))
        doubt(
          found,
          keyPath(`guard.${kind}s`, name),
          'is not used: no policy has it',
          `Add ${kind}: '${name}' to a policy.`,
        )
}

function checkPolicy(guard: CheckedGuard, policy: CheckedGuardPolicy, found: Findings): void {
  const path = keyPath('guard.policies', policy.name)
  for (const kind of ['room', 'quota'] as const) {
    const name = policy[kind]
    const names = Object.keys(guard[`${kind}s`])
    if (name !== undefined && !names.includes(name)) unknown(found, `${path}.${kind}`, name, names, kind)
  }
  if (
    policy.risk &&
    policy.challenge === undefined &&
    policy.risk?.queueAt === never &&
    policy.risk.refuseAt === never
  )
    doubt(
      found,
      `${path}.risk`,
      'scores, and nothing is done by the score but slowing down',
      "Add challenge: 'suspicious'.",
    )
}

function keysOfPolicy(guard: CheckedGuard, policy: CheckedGuardPolicy): Counted[] {
  const path = keyPath('guard.policies', policy.name)
  const room = policy.room === undefined ? undefined : guard.rooms[policy.room]
  const quota = policy.quota === undefined ? undefined : guard.quotas[policy.quota]
  return [
    ...policy.limits.map(({ by }, index) => ({
      path: `${path}.limit[${index}].by`,
      policies: [policy],
      sources: by,
    })),
    ...(room === undefined
      ? []
      : [{ path: `${keyPath('guard.rooms', room.name)}.person`, policies: [policy], sources: room.person }]),
    ...(quota?.keys.map(({ by }, index) => ({
      path: `${keyPath('guard.quotas', quota.name)}.keys[${index}].by`,
      policies: [policy],
      sources: by,
    })) ?? []),
  ]
}

/** Each once, also where several policies share a room or a quota. */
function everyKey(guard: CheckedGuard): Counted[] {
  const all = Object.values(guard.policies).flatMap(policy => keysOfPolicy(guard, policy))
  return all
    .filter(({ path }, index) => all.findIndex(one => one.path === path) === index)
    .map(one => ({
      ...one,
      policies: all.filter(({ path }) => path === one.path).flatMap(({ policies }) => policies),
    }))
}

function checkSources(guard: CheckedGuard, { path, sources, policies }: Counted, found: Findings): void {
  const { identity, geo } = guard
  for (const { by } of sources) {
    if ((by === 'account' || by === 'session' || by === 'key') && !isNamed(by, identity, policies))
      conflict(found, path, `is '${by}', and guard.identity does not say where it is found`, {
        remedy: `Write guard: { identity: { ${by}: ${identityExample[by]} } }.`,
      })
    const unverified = by === 'jwt' ? policies.find(policy => !verifiesClaims(policy)) : undefined
    if (unverified !== undefined)
      conflict(
        found,
        path,
        `is a claim of a verified token, and the policy '${unverified.name}' verifies none (require)`,
        { remedy: "Write require: 'jwt:NAME', or count by something else." },
      )
    if (by === 'country' && geo?.countryFile === undefined)
      conflict(found, path, "is 'country', and there is no file of countries", {
        remedy: "Write guard: { geo: { country: 'GeoLite2-Country.mmdb' } }.",
      })
    if (by === 'asn' && geo?.asnFile === undefined)
      conflict(found, path, "is 'asn', and there is no file of autonomous systems", {
        remedy: "Write guard: { geo: { asn: 'GeoLite2-ASN.mmdb' } }.",
      })
  }
  if (sources.length > 1 && sources.some(one => one.by === 'all'))
    doubt(found, path, "has 'all' beside others, which tells nobody apart", "Leave out 'all'.")
}

const identityExample = {
  account: "'cookie:account'",
  session: "'cookie:sid'",
  key: "'header:x-api-key'",
} as const

function checkIdentity(guard: CheckedGuard, found: Findings): void {
  const { account } = guard.identity
  const believed = account.find(one => one.by === 'header' || one.by === 'query')
  if (believed && 'name' in believed)
    doubt(
      found,
      'guard.identity.account',
      `is what clients write themselves ('${believed.by}:${believed.name}'): anybody can be anybody`,
      'Sound only where something in front of the edge, or a hook, verifies who it is and sets it.',
    )
  for (const room of Object.values(guard.rooms))
    if (room.order === 'lottery' && !room.person.some(one => one.by === 'account'))
      conflict(
        found,
        `${keyPath('guard.rooms', room.name)}.person`,
        'has no account, and a lottery without accounts is won by who opens more tabs',
        { remedy: "Write person: 'account'." },
      )
}

function checkChallenge({ challenge, bots, geo, policies }: CheckedGuard, found: Findings): void {
  const { provider, turnstile } = challenge
  const path = 'guard.challenge.turnstile'
  if (provider === 'turnstile' && turnstile === undefined)
    conflict(found, 'guard.challenge.provider', "is 'turnstile', which has no keys here", {
      remedy: "Write turnstile: { siteKey: '...', secret: secret('TURNSTILE_SECRET') }.",
    })
  if (turnstile && provider === 'pow')
    doubt(found, path, "is not used: provider is 'pow'", "Leave out 'provider', or the keys.")
  if (turnstile && turnstile.hostnames.length === 0)
    conflict(found, `${path}.hostnames`, 'is missing, and no route and certificate names a host', {
      remedy: "Write hostnames: ['tickets.example']: an answer solved elsewhere is not taken.",
    })
  for (const key of ['verifyUrl', 'scriptUrl'] as const)
    if (turnstile?.[key].startsWith('http:') && !onLoopback(turnstile[key]))
      conflict(found, `${path}.${key}`, 'is in the clear on another machine', { remedy: 'Write https://.' })
  if (bots.dataCentreAsns.length > 0 && geo?.asnFile === undefined)
    conflict(found, 'guard.bots.dataCentres.asns', 'needs a file of autonomous systems', {
      remedy: "Write guard: { geo: { asn: 'GeoLite2-ASN.mmdb' } }.",
    })
  const asked = Object.values(policies).some(policy => policy.challenge !== undefined)
  if (turnstile && !asked)
    doubt(found, path, 'is not used: no policy has a challenge', "Add challenge: 'suspicious' to a policy.")
}

const onLoopback = (url: string): boolean =>
  /^https?:\/\/(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\])(?:[:/]|$)/.test(url)

function checkShared(system: CheckedSystem, guard: CheckedGuard, found: Findings): void {
  const { shared, secret, allow } = guard
  if (typeof shared?.redis === 'string' && /^[a-z]+:\/\/[^/@]*:[^/@]*@/.test(shared.redis))
    doubt(found, 'guard.shared.redis', 'holds a password', "Keep it out of the file: secret('NAME').")
  if (shared && secret === undefined)
    doubt(
      found,
      'guard.secret',
      "is missing beside 'shared': edges on other hosts sign with keys of their own, and take no clearance or ticket of each other",
      "Write secret: secret('GUARD_SECRET'), the same on all hosts.",
    )
  if (allow.some(block => block.endsWith('/0')))
    doubt(found, 'guard.allow', 'lets everybody past bans, limits and scores', 'Name those that are meant.')
  const everybody = guard.ban.find(block => block.endsWith('/0'))
  if (everybody !== undefined)
    doubt(found, 'guard.ban', `has ${everybody}: nobody may pass`, 'Name those that are meant.')
  if (system.edge.listeners.every(one => one.kind !== 'http'))
    doubt(found, 'guard', 'speaks HTTP, and nothing here listens for it', 'Add http: 8080 to edge.listen.')
}

function checkStock({ quotas }: CheckedGuard, found: Findings): void {
  for (const { name, stock, keys } of Object.values(quotas)) {
    const most = Math.min(...keys.map(({ amount }) => amount))
    if (stock !== undefined && most > stock)
      doubt(
        found,
        keyPath('guard.quotas', name),
        `lets each have ${most}, and there are ${stock} in all`,
        "Lower 'amount', or raise 'stock'.",
      )
  }
}
