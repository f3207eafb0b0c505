// What no single key of a workload can know: whether the parts it names are there, whether requests get anywhere, and whether
// calls ever end. Utilisation is judged by those who compute it.

import { compileRoutes, type RouteRequest } from '../policy/route.ts'
import type { CheckedSystem } from './checked.ts'
import type {
  CheckedActionLoad,
  CheckedCall,
  CheckedServiceLoad,
  CheckedWorkload,
} from './checked-workload.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { keyPath } from './plain.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'
import { edgeCacheName } from './workload.ts'

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

function conflict(found: Findings, path: string, message: string, extra: Extra = {}): void {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
}

function doubt(found: Findings, path: string, message: string, remedy: string): void {
  found.warnings.push({ code: fileFailures.doubtful.code, path, message, remedy })
}

export function checkWorkload(system: CheckedSystem, found: Findings): void {
  const { workload } = system
  if (workload === undefined) return
  checkNames(workload, system, found)
  for (const [name, service] of Object.entries(workload.services))
    for (const [index, call] of service.calls.entries())
      checkCall(name, call, system, `${keyPath('workload.services', name)}.calls[${index}]`, found)
  checkCircles(workload.services, found)
  checkCalled(workload, Object.keys(system.databases), found)
  checkRoutes(workload, system, found)
}

function unknown(
  found: Findings,
  path: string,
  what: string,
  name: string,
  names: readonly string[],
  code = fileFailures.conflict.code,
): void {
  const near = nearest(name, names)
  found.problems.push({
    code,
    path,
    message: `is '${name}', and the file has no such ${what}`,
    allowed: names.length > 0 ? names.map(one => `'${one}'`).join(', ') : `none: the file has no ${what}`,
    ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
  })
}

function checkNames(workload: CheckedWorkload, system: CheckedSystem, found: Findings): void {
  const named = (key: 'services' | 'databases' | 'caches', what: string, names: readonly string[]): void => {
    for (const name of Object.keys(workload[key]))
      if (!names.includes(name)) unknown(found, keyPath(`workload.${key}`, name), what, name, names)
  }
  named('services', 'service', Object.keys(system.services))
  named('databases', 'database', Object.keys(system.databases))
  const shared = Object.keys(system.caches)
  if (shared.includes(edgeCacheName))
    conflict(found, keyPath('caches', edgeCacheName), "is what a workload calls the edge's own cache", {
      remedy: 'Give it another name.',
    })
  const edge = system.edge.cache !== undefined
  if (!edge && !shared.includes(edgeCacheName) && Object.hasOwn(workload.caches, edgeCacheName))
    conflict(
      found,
      keyPath('workload.caches', edgeCacheName),
      "is the edge's cache, and no route has 'cache'",
      {
        remedy: "Add 'cache' to a route, or leave it out.",
      },
    )
  named('caches', 'cache', [...new Set([...shared, edgeCacheName])])
}

function checkCall(
  service: string,
  call: CheckedCall,
  system: CheckedSystem,
  path: string,
  found: Findings,
): void {
  if (call.kind === 'service') {
    const names = Object.keys(system.services)
    if (!names.includes(call.service))
      unknown(found, `${path}.service`, 'service', call.service, names, fileFailures.unknownService.code)
    return
  }
  if (call.kind === 'cache') {
    const names = Object.keys(system.caches)
    if (call.cache === edgeCacheName && !names.includes(edgeCacheName))
      conflict(found, `${path}.cache`, "is the edge's, which stands before services: none of them asks it", {
        remedy: "Leave the call out: routes with 'cache' use it by themselves.",
      })
    else if (!names.includes(call.cache)) unknown(found, `${path}.cache`, 'cache', call.cache, names)
    return
  }
  const names = Object.keys(system.databases)
  const database = system.databases[call.database]
  if (!names.includes(call.database) || database === undefined)
    unknown(found, `${path}.database`, 'database', call.database, names)
  else if (
    database.access !== null &&
    !Object.hasOwn(database.access, service) &&
    system.services[service]?.kind === 'command'
  )
    doubt(
      found,
      `${path}.database`,
      `is '${call.database}', to which '${service}' has no access`,
      `Add '${service}' to ${keyPath('databases', call.database)}.access, or leave the call out.`,
    )
}

/** Calls that come back to where they began would never end. */
function checkCircles(services: Readonly<Record<string, CheckedServiceLoad>>, found: Findings): void {
  const done = new Set<string>()
  const visit = (name: string, trail: readonly string[]): boolean => {
    const at = trail.indexOf(name)
    if (at >= 0) {
      const circle = [...trail.slice(at), name].map(one => `'${one}'`).join(' calls ')
      const [first = name] = trail.slice(at)
      conflict(found, `${keyPath('workload.services', first)}.calls`, `go in a circle: ${circle}`, {
        remedy: 'Leave one of them out: a request would never be done.',
      })
      return true
    }
    if (done.has(name)) return false
    done.add(name)
    const calls = services[name]?.calls ?? []
    return calls.some(call => call.kind === 'service' && visit(call.service, [...trail, name]))
  }
  for (const name of Object.keys(services)) if (visit(name, [])) return
}

function checkCalled({ services }: CheckedWorkload, databases: readonly string[], found: Findings): void {
  const calls = Object.values(services).flatMap(one => one.calls)
  for (const name of databases)
    if (!calls.some(call => call.kind === 'database' && call.database === name))
      doubt(
        found,
        keyPath('workload.databases', name),
        'gets no statements: no service calls it',
        `Say who does: services: { NAME: { calls: [{ database: '${name}', reads: 2 }] } }.`,
      )
}

function checkRoutes({ actions }: CheckedWorkload, { edge }: CheckedSystem, found: Findings): void {
  if (!edge.listeners.some(one => one.kind === 'http')) return
  const table = compileRoutes(edge.routes.map(route => route.match))
  for (const [name, action] of Object.entries(actions)) {
    const own = name === 'reads' || name === 'writes'
    const path = `${own ? `workload.${name}` : keyPath('workload.actions', name)}.path`
    const at = table.match(action.host ?? '', action.path, requestOf(action))
    const shown = `${action.method} ${action.host ?? ''}${action.path}`
    const route = edge.routes[at]
    if (route === undefined)
      conflict(found, path, `leads nowhere: no route takes ${shown}`, {
        remedy: `Ask for what a route takes (${routesShown(edge.routes.map(one => one.match))}), or add a route.`,
      })
    else if (route.action.kind === 'redirect')
      doubt(found, path, `leads to a redirect: ${shown} costs next to nothing`, 'Ask for where it leads.')
  }
}

/** A request with no other fields than those of its line. */
const requestOf = ({ method }: CheckedActionLoad): RouteRequest => ({ method, find: () => undefined })

function routesShown(matches: CheckedSystem['edge']['routes'][number]['match'][]): string {
  const shown = matches.map(
    ({ methods, host = '', path, headers }) =>
      `${methods ? `${methods.join('/')} ` : ''}${host}${path}${headers ? ' with headers' : ''}`,
  )
  return `${shown.slice(0, 5).join(', ')}${shown.length > 5 ? ', ...' : ''}`
}
