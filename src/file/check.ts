// The checker: any value in, a checked system or all its problems out. Pure, never throws. Steps: plain copy, overrides
// of the environment, schema, completion (names, ids, the route of a file without routes), cross checks.

import type { CheckedRoute, CheckedService, CheckedSystem } from './checked.ts'
import { systemFormat } from './checked.ts'
import type { CheckedEdgeCache } from './checked-caches.ts'
import { crossCheck, type Findings } from './cross-checks.ts'
import { namedDatabase } from './databases.ts'
import { edgeCache } from './edge-cache.ts'
import { fileFailures } from './failures.ts'
import { withHostnames } from './guard-hosts.ts'
import { isObject, type Json, mergeOverrides, plainCopy, valueAt } from './plain.ts'
import { problemsOf } from './problems.ts'
import { completeRehearsals } from './rehearsals.ts'
import type { CheckOptions, CheckResult, Problem } from './results.ts'
import { type ParsedSystem, systemSchema } from './schema.ts'
import { nearest } from './values.ts'
import { completeWorkload } from './workload.ts'

export function checkSystem(data: unknown, options: CheckOptions = {}): CheckResult {
  const plain = plainCopy(data)
  if (!plain.ok) return { ok: false, problems: plain.problems, warnings: [] }
  const environment = options.environment ?? null
  const environments = environmentsOf(plain.value)
  if (environment !== null && !Object.hasOwn(environments, environment))
    return { ok: false, problems: [unknownEnvironment(environment, Object.keys(environments))], warnings: [] }
  const result = checkOne(plain.value, environments, environment)
  const others = Object.keys(environments).filter(name => name !== environment)
  const doubts = others.flatMap(name => problemsElsewhere(plain.value, environments, name, result))
  return { ...result, warnings: [...result.warnings, ...doubts] }
}

function environmentsOf(data: Json): Readonly<Record<string, Json>> {
  const environments = isObject(data) ? data.environments : undefined
  return isObject(environments) ? environments : {}
}

function unknownEnvironment(name: string, names: readonly string[]): Problem {
  const near = nearest(name, names)
  return {
    code: fileFailures.unknownEnvironment.code,
    path: 'environments',
    value: JSON.stringify(name),
    message: 'is not an environment of this file',
    allowed:
      names.length > 0 ? names.map(one => `'${one}'`).join(', ') : 'none: the file has no `environments`',
    ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
  }
}

function checkOne(
  data: Json,
  environments: Readonly<Record<string, Json>>,
  environment: string | null,
): CheckResult {
  const overrides = environment === null ? undefined : environments[environment]
  const merged = isObject(overrides) ? withOverrides(data, overrides) : data
  const result = checkMerged(merged, environment)
  if (result.ok || !isObject(overrides)) return result
  const problems = result.problems.map(problem => ({
    ...problem,
    path: whereWritten(problem.path, overrides, environment),
  }))
  return { ...result, problems }
}

function withOverrides(data: Json, overrides: Json): Json {
  const merged = mergeOverrides(data, overrides)
  // An environment can't change the environments.
  return isObject(merged) && isObject(data) ? { ...merged, environments: data.environments as Json } : merged
}

/** A path whose value comes from the environment's overrides is told as it stands in the file. */
function whereWritten(path: string, overrides: Json, environment: string | null): string {
  const keys = [...path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|[^.[\]"]+/g)].map(([plain, quoted]) =>
    quoted === undefined ? plain : (JSON.parse(`"${quoted}"`) as string),
  )
  const written = keys.length > 0 && keys[0] !== 'environments' && valueAt(overrides, keys) !== undefined
  return written ? `environments.${environment}.${path}` : path
}

/** What would be wrong if another environment were chosen: told as warnings, so that it is not found out too late. */
function problemsElsewhere(
  data: Json,
  environments: Readonly<Record<string, Json>>,
  name: string,
  chosen: CheckResult,
): Problem[] {
  const other = checkOne(data, environments, name)
  if (other.ok) return []
  const known = new Set(chosen.ok ? [] : chosen.problems.map(one => `${one.path} ${one.message}`))
  return other.problems
    .filter(one => !known.has(`${one.path} ${one.message}`))
    .map(one => ({ ...one, message: `${one.message} (with --env ${name})` }))
}

function checkMerged(data: Json, environment: string | null): CheckResult {
  const parsed = systemSchema.safeParse(data)
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error.issues, data), warnings: [] }
  const found: Findings = { problems: [], warnings: [] }
  const system = complete(parsed.data, data, environment, found)
  const crossed = crossCheck(system)
  const problems = [...found.problems, ...crossed.problems]
  const warnings = [...found.warnings, ...crossed.warnings]
  return problems.length === 0 ? { ok: true, system, warnings } : { ok: false, problems, warnings }
}

function complete(
  parsed: ParsedSystem,
  data: Json,
  environment: string | null,
  found: Findings,
): CheckedSystem {
  const services: Record<string, CheckedService> = {}
  for (const [name, one] of Object.entries(parsed.services))
    services[name] = { name, ...one } as CheckedService
  const { tracing, ...edge } = parsed.edge
  const speaksHttp = edge.listeners.some(one => one.kind === 'http')
  const routes = edge.routes ?? (speaksHttp ? onlyRoute(Object.keys(services), found) : [])
  const databases = Object.fromEntries(
    Object.entries(parsed.databases).map(([name, one]) => [name, namedDatabase(name, one)]),
  )
  const caches = Object.fromEntries(
    Object.entries(parsed.caches).map(([name, one]) => [name, { name, ...one }]),
  )
  const { cache } = cacheOf(edge.cache, routes)
  const parts = { services, databases, caches, edgeCache: cache !== undefined }
  const workload = parsed.workload && completeWorkload(parsed.workload, parts, valueAt(data, ['workload']))
  return {
    format: systemFormat,
    name: parsed.name,
    environment,
    control: parsed.control,
    edge: {
      ...edge,
      routes: withUniqueIds(routes, data, found),
      ...(cache === undefined ? {} : { cache }),
      ...(tracing ? { tracing: { ...tracing, serviceName: tracing.serviceName ?? parsed.name } } : {}),
    },
    services,
    databases,
    caches,
    ...(parsed.guard === undefined ? {} : { guard: withHostnames(parsed.guard, routes, edge.tls) }),
    ...(workload === undefined ? {} : { workload }),
    rehearsals: completeRehearsals(
      parsed.rehearsals,
      { ...parts, ...(workload === undefined ? {} : { workload }) },
      found,
    ),
  }
}

/** A store is there as soon as a route needs one. */
function cacheOf(
  told: CheckedEdgeCache | undefined,
  routes: readonly CheckedRoute[],
): { cache?: CheckedEdgeCache } {
  if (told !== undefined) return { cache: told }
  return routes.some(route => route.cache !== undefined) ? { cache: edgeCache.parse({}) } : {}
}

function onlyRoute(names: readonly string[], found: Findings): CheckedRoute[] {
  const [only] = names
  if (only !== undefined && names.length === 1)
    return [{ id: '/*', match: { path: '/*' }, action: { kind: 'proxy', upstream: only, upgrade: false } }]
  found.problems.push({
    code: fileFailures.missing.code,
    path: 'edge.routes',
    message:
      names.length === 0
        ? 'is missing, and there is no service that everything could go to'
        : `is missing, and with ${names.length} services it is not plain which gets what`,
    remedy:
      names.length === 0
        ? "Add a service: services: { web: { command: 'node server.mjs' } }."
        : `Add routes: [{ path: '/*', to: '${only}' }] to edge.`,
  })
  return []
}

/** Derived ids that are the same (other headers, same path) get a number; names that people gave must differ. */
function withUniqueIds(routes: readonly CheckedRoute[], data: Json, found: Findings): CheckedRoute[] {
  const seen = new Map<string, number>()
  return routes.map((route, index) => {
    const earlier = seen.get(route.id)
    if (earlier === undefined) {
      seen.set(route.id, index)
      return route
    }
    if (valueAt(data, ['edge', 'routes', index, 'name']) !== undefined)
      found.problems.push({
        code: fileFailures.conflict.code,
        path: `edge.routes[${index}].name`,
        value: JSON.stringify(route.id),
        message: `is the name of edge.routes[${earlier}] too`,
        remedy: 'Give each route its own name.',
      })
    const id = freeId(route.id, seen)
    seen.set(id, index)
    return { ...route, id }
  })
}

function freeId(id: string, taken: ReadonlyMap<string, number>): string {
  for (let number = 2; ; number++) if (!taken.has(`${id} #${number}`)) return `${id} #${number}`
}
