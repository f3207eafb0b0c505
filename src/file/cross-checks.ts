// What no single key can know: services that routes name, places taken twice, keys that contradict each other, and what
// is allowed but doubtful. One small check a rule; each is given the completed system.

import type { CheckedListen, CheckedRoute, CheckedService, CheckedSystem } from './checked.ts'
import { fileFailures } from './failures.ts'
import { parametersOf, routeCovers } from './patterns.ts'
import { keyPath } from './plain.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'

export interface Findings {
  readonly problems: Problem[]
  readonly warnings: Problem[]
}

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

export function crossCheck(system: CheckedSystem): Findings {
  const found: Findings = { problems: [], warnings: [] }
  checkPlaces(system, found)
  for (const [index, route] of system.edge.routes.entries()) checkRoute(system, route, index, found)
  for (const service of Object.values(system.services)) checkService(system, service, found)
  if (system.edge.trustedProxies.some(block => block.endsWith('/0')))
    doubt(
      found,
      'edge.trustedProxies',
      'believes every client what it says about its address',
      'Name your proxies only.',
    )
  return found
}

function conflict(found: Findings, path: string, message: string, extra: Extra = {}): void {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
}

function doubt(found: Findings, path: string, message: string, remedy: string): void {
  found.warnings.push({ code: fileFailures.doubtful.code, path, message, remedy })
}

const wildcards = ['0.0.0.0', '::']
const isLoopback = (host: string): boolean => host.startsWith('127.') || host === '::1'

function overlap(a: CheckedListen, b: CheckedListen): boolean {
  if (a.port === 0 || a.port !== b.port) return false
  return a.host === b.host || wildcards.includes(a.host) || wildcards.includes(b.host)
}

function checkPlaces(system: CheckedSystem, found: Findings): void {
  const { listeners } = system.edge
  const other = 'Give one of them another port.'
  if (listeners.some(one => overlap(one, system.control)))
    conflict(found, 'control.listen', `and edge.listen.http both want port ${system.control.port}`, {
      remedy: other,
    })
  listeners.forEach((one, index) => {
    const earlier = listeners.slice(0, index).find(before => overlap(one, before))
    if (earlier)
      conflict(
        found,
        'edge.listen.http',
        `both ${earlier.host}:${earlier.port} and ${one.host}:${one.port} want port ${one.port}`,
        { remedy: other },
      )
  })
  if (!isLoopback(system.control.host))
    doubt(
      found,
      'control.listen',
      'can be reached from other machines; its token is all that protects it',
      'Listen on 127.0.0.1, and come by SSH.',
    )
}

function checkRoute(system: CheckedSystem, route: CheckedRoute, index: number, found: Findings): void {
  const path = `edge.routes[${index}]`
  const earlier = system.edge.routes
    .slice(0, index)
    .findIndex(before => routeCovers(before.match, route.match))
  if (earlier !== -1)
    found.warnings.push({
      code: fileFailures.shadowed.code,
      path,
      message: `(${route.id}) never matches: edge.routes[${earlier}] (${system.edge.routes[earlier]?.id}) takes all its requests`,
      remedy: 'The first route that matches wins: move the more special one up.',
    })
  const { action } = route
  if (action.kind === 'redirect' && action.location === route.match.path)
    conflict(found, `${path}.redirect`, 'leads back to the same path', { remedy: 'Redirect elsewhere.' })
  if (action.kind === 'proxy') checkTarget(system, route, path, found)
}

function checkTarget(system: CheckedSystem, route: CheckedRoute, path: string, found: Findings): void {
  if (route.action.kind !== 'proxy') return
  const { upstream, sticky } = route.action
  const names = Object.keys(system.services)
  const parameters = parametersOf(route.match.path)
  if (sticky?.by === 'path' && !parameters.includes(sticky.name)) {
    const remedy = `Put ':${sticky.name}' into the path.`
    conflict(found, `${path}.sticky`, `names ':${sticky.name}', which '${route.match.path}' does not have`, {
      ...(parameters.length > 0 ? { allowed: parameters.map(name => `'path:${name}'`).join(', ') } : {}),
      remedy,
    })
  }
  if (!names.includes(upstream)) {
    unknownService(upstream, names, `${path}.to`, found)
    return
  }
  const { balance } = system.services[upstream]!.upstream
  if ('key' in balance && balance.key.by === 'path' && !sticky && !parameters.includes(balance.key.name))
    doubt(
      found,
      path,
      `has no ':${balance.key.name}', by which '${upstream}' is balanced: all its requests hash alike`,
      `Put ':${balance.key.name}' into the path.`,
    )
}

function unknownService(name: string, names: readonly string[], path: string, found: Findings): void {
  const near = nearest(name, names)
  found.problems.push({
    code: fileFailures.unknownService.code,
    path,
    value: JSON.stringify(name),
    message: 'is not a service of this file',
    allowed: names.length > 0 ? names.map(one => `'${one}'`).join(', ') : 'none: `services` is empty',
    ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
  })
}

function checkService(system: CheckedSystem, service: CheckedService, found: Findings): void {
  const path = keyPath('services', service.name)
  const { active } = service.upstream.health
  if (active && active.timeoutMs > active.intervalMs)
    doubt(
      found,
      `${path}.health.timeout`,
      'is longer than the interval between two probes',
      'Make it shorter than the interval.',
    )
  const routed = system.edge.routes.some(
    ({ action }) => action.kind === 'proxy' && action.upstream === service.name,
  )
  if (!routed && system.edge.routes.length > 0)
    doubt(
      found,
      path,
      'has no route: no request from outside reaches it',
      `Add { path: '/${service.name}/*', to: '${service.name}' } to edge.routes.`,
    )
  checkBalance(service, path, found)
  if (service.kind === 'command') checkCommand(service, path, found)
  else checkAddresses(service, path, found)
}

function checkBalance(service: CheckedService, path: string, found: Findings): void {
  const { balance, utilisationHeader } = service.upstream
  const weights =
    service.kind === 'command'
      ? Object.values(service.weights)
      : service.addresses.map(one => (one.kind === 'srv' ? 1 : one.weight))
  if (balance.kind === 'round-robin' && weights.some(weight => weight !== 1))
    doubt(
      found,
      `${path}.balance`,
      "is 'round-robin', which takes no notice of weights",
      "Write balance: 'weighted-round-robin'.",
    )
  if (utilisationHeader !== undefined && balance.kind !== 'resource')
    doubt(
      found,
      `${path}.utilisationHeader`,
      `is not used by balance '${balance.kind}'`,
      "Write balance: 'resource'.",
    )
  if (balance.kind === 'resource' && service.kind === 'addresses' && utilisationHeader === undefined)
    doubt(
      found,
      `${path}.balance`,
      "is 'resource', but addresses have no samples of their own",
      "Name the 'utilisationHeader' in which they report.",
    )
}

function checkCommand(
  service: Extract<CheckedService, { kind: 'command' }>,
  path: string,
  found: Findings,
): void {
  for (const name of Object.keys(service.weights)) {
    const number = Number(/-(\d+)$/.exec(name)?.[1])
    if (
      !name.startsWith(`${service.name}-`) ||
      name !== `${service.name}-${number}` ||
      number > service.instances.max
    )
      conflict(found, keyPath(`${path}.weights`, name), 'is not an instance of this service', {
        allowed: `'${service.name}-1' to '${service.name}-${service.instances.max}'`,
      })
  }
  for (const name of Object.keys(service.env))
    if (name === 'PORT' || name.startsWith('TENFOLD_'))
      conflict(found, keyPath(`${path}.env`, name), 'is set by Tenfold itself', { remedy: 'Leave it out.' })
}

function checkAddresses(
  service: Extract<CheckedService, { kind: 'addresses' }>,
  path: string,
  found: Findings,
): void {
  const seen = new Map<string, number>()
  for (const [index, one] of service.addresses.entries()) {
    const place = one.kind === 'srv' ? `srv:${one.host}` : `${one.host}:${one.port}`
    const earlier = seen.get(place)
    if (earlier !== undefined)
      conflict(found, `${path}.addresses[${index}]`, `is the same as addresses[${earlier}]`, {
        value: JSON.stringify(place),
        remedy: 'Keep one; give it a weight to have more of the traffic go there.',
      })
    seen.set(place, index)
  }
  if (service.addresses.every(one => one.kind !== 'srv' && one.weight === 0))
    conflict(found, `${path}.addresses`, 'all have weight 0: nobody would get a request', {
      remedy: 'Give one a weight.',
    })
}
