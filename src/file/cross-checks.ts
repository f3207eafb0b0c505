// What no single key can know: services that routes name, places taken twice, keys that contradict each other, and what
// is allowed but doubtful. One small check a rule; each is given the completed system.

import { checkCaches } from './cache-checks.ts'
import type {
  CheckedAction,
  CheckedListener,
  CheckedRoute,
  CheckedService,
  CheckedSystem,
} from './checked.ts'
import { checkDatabases, overlap, type Taken } from './database-checks.ts'
import { fileFailures } from './failures.ts'
import { checkGuard } from './guard-checks.ts'
import { parametersOf, routeCovers } from './patterns.ts'
import { keyPath } from './plain.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'
import { checkWorkload } from './workload-checks.ts'

export interface Findings {
  readonly problems: Problem[]
  readonly warnings: Problem[]
}

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

export function crossCheck(system: CheckedSystem): Findings {
  const found: Findings = { problems: [], warnings: [] }
  checkPlaces(system, found)
  checkListeners(system, found)
  checkTls(system, found)
  for (const [index, route] of system.edge.routes.entries()) checkRoute(system, route, index, found)
  for (const service of Object.values(system.services)) checkService(system, service, found)
  checkDatabases(system, takenPlaces(system), found)
  checkCaches(system, found)
  checkGuard(system, found)
  checkWorkload(system, found)
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

const isLoopback = (host: string): boolean => host.startsWith('127.') || host === '::1'

/** Where a listener stands in the file. */
function keyOf(system: CheckedSystem, listener: CheckedListener): string {
  const { kind } = listener
  if (kind === 'http') return listener.tls ? 'edge.listen.https' : 'edge.listen.http'
  if (kind === 'health') return 'edge.health'
  const same = system.edge.listeners.filter(one => one.kind === kind)
  return `edge.${kind}[${same.indexOf(listener)}].listen`
}

/** Every place where a TCP listener other than a database's is. */
function takenPlaces(system: CheckedSystem): Taken[] {
  const streams = system.edge.listeners.filter(one => one.kind !== 'udp')
  return [
    { ...system.control, key: 'control.listen' },
    ...streams.map(({ host, port }, index) => ({
      host,
      port,
      key: keyOf(system, streams[index] as CheckedListener),
    })),
  ]
}

function checkPlaces(system: CheckedSystem, found: Findings): void {
  const { listeners } = system.edge
  const remedy = 'Give one of them another port.'
  const streams = listeners.filter(one => one.kind !== 'udp')
  const onControl = streams.find(one => overlap(one, system.control))
  if (onControl)
    conflict(
      found,
      'control.listen',
      `and ${keyOf(system, onControl)} both want port ${system.control.port}`,
      { remedy },
    )
  listeners.forEach((one, index) => {
    const earlier = listeners
      .slice(0, index)
      .find(before => (before.kind === 'udp') === (one.kind === 'udp') && overlap(one, before))
    if (!earlier) return
    const [key, other] = [keyOf(system, one), keyOf(system, earlier)]
    const message =
      key === other
        ? `both ${earlier.host}:${earlier.port} and ${one.host}:${one.port} want port ${one.port}`
        : `and ${other} both want port ${one.port}`
    conflict(found, key, message, { remedy })
  })
  if (!isLoopback(system.control.host))
    doubt(
      found,
      'control.listen',
      'can be reached from other machines; its token is all that protects it',
      'Listen on 127.0.0.1, and come by SSH.',
    )
}

function checkListeners(system: CheckedSystem, found: Findings): void {
  const names = Object.keys(system.services)
  for (const listener of system.edge.listeners) {
    if (listener.kind !== 'tcp' && listener.kind !== 'udp') continue
    const path = keyOf(system, listener).replace(/listen$/, 'to')
    if (!names.includes(listener.upstream)) unknownService(listener.upstream, names, path, found)
    else if (system.services[listener.upstream]?.upstream.tls)
      doubt(
        found,
        path,
        `leads to '${listener.upstream}', whose 'tls' is for HTTP: bytes pass here as they are`,
        'Let the client speak TLS, or use a service without it.',
      )
  }
}

function checkTls(system: CheckedSystem, found: Findings): void {
  const { tls, listeners } = system.edge
  if (!tls) return
  const http = listeners.filter(one => one.kind === 'http')
  if (!listeners.some(one => (one.kind === 'http' || one.kind === 'tcp') && one.tls))
    doubt(found, 'edge.tls', 'is not used: nothing listens with TLS', 'Add https: 8443 to edge.listen.')
  if (tls.acme && !http.some(one => !one.tls))
    conflict(found, 'edge.tls.acme', 'needs a plain HTTP listener, on which the authority asks', {
      remedy: 'Add http: 80 to edge.listen.',
    })
  const seen = new Map<string, number>()
  for (const [index, { hosts }] of tls.certificates.entries())
    for (const host of hosts) {
      const earlier = seen.get(host)
      if (earlier !== undefined)
        doubt(
          found,
          `edge.tls.certificates[${index}].hosts`,
          `names '${host}', which certificates[${earlier}] has already`,
          'Keep one: the first is used.',
        )
      else seen.set(host, index)
    }
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
  if (action.kind === 'redirect') checkPlaceholders(action.location, route, path, found)
  if (action.kind === 'proxy') checkTarget(system, route, path, found)
  if (action.kind === 'files' && route.match.methods?.every(method => method !== 'GET' && method !== 'HEAD'))
    doubt(found, `${path}.methods`, 'has neither GET nor HEAD, and files answer nothing else', 'Add GET.')
  if (route.decodedBytesMax !== undefined && route.decodedBytesMax < (route.bodyBytesMax ?? 0))
    doubt(
      found,
      `${path}.decodedBodyMax`,
      "is less than 'bodyMax'",
      'A decoded body is rarely smaller than the body itself: raise it.',
    )
}

const filledIn = ['host', 'path', 'query', 'uri']

function checkPlaceholders(location: string, { match }: CheckedRoute, path: string, found: Findings): void {
  const known = [...filledIn, ...parametersOf(match.path), ...(match.path.endsWith('/*') ? ['rest'] : [])]
  for (const [shown, name = ''] of location.matchAll(/\{(\w+)\}/g))
    if (!known.includes(name))
      doubt(
        found,
        `${path}.redirect`,
        `has ${shown}, which nothing is filled in for`,
        `Known here: ${known.map(one => `{${one}}`).join(', ')}.`,
      )
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
  const { split, canary, mirror } = route.action
  for (const part of split ?? [])
    if (!names.includes(part.upstream))
      unknownService(part.upstream, names, keyPath(`${path}.split`, part.upstream), found)
  for (const [key, one] of Object.entries({ canary, mirror })) {
    if (one === undefined) continue
    if (!names.includes(one.upstream)) unknownService(one.upstream, names, `${path}.${key}.to`, found)
    if (one.upstream === upstream && !split)
      conflict(found, `${path}.${key}.to`, `is the service that the route leads to anyway`, {
        remedy: 'Name another service.',
      })
  }
  if (split) return
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
  checkProbe(service, path, found)
  const routed =
    system.edge.routes.some(({ action }) => targetsOf(action).includes(service.name)) ||
    system.edge.listeners.some(one => 'upstream' in one && one.upstream === service.name)
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

/** Probes speak plain HTTP/1.1, or only connect. */
function checkProbe({ upstream }: CheckedService, path: string, found: Findings): void {
  if (upstream.health.active?.kind !== 'http') return
  if (upstream.tls)
    conflict(found, `${path}.health.path`, "is asked by plain HTTP, which members with 'tls' do not answer", {
      remedy: "Leave out 'path': a connection is the probe then.",
    })
  else if (upstream.protocol === 'h2')
    doubt(
      found,
      `${path}.health.path`,
      'is asked by HTTP/1.1, which members that speak HTTP/2 may not answer',
      "Leave out 'path': a connection is the probe then.",
    )
}

/** Every service that an action can send a request to. */
function targetsOf(action: CheckedAction): string[] {
  if (action.kind !== 'proxy') return []
  const { upstream, split = [], canary, mirror } = action
  return [
    upstream,
    ...split.map(part => part.upstream),
    ...[canary, mirror].flatMap(one => one?.upstream ?? []),
  ]
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
