// Where requests get to: the route that takes each kind (by the function that the edge uses), the caches on the way, the
// services behind it and what these ask of others. Rates at the peak, as figures; circles of calls the file's check refuses.

import type { CheckedAction, CheckedRoute } from '../file/checked.ts'
import { compileRoutes } from '../policy/route.ts'
import { type Context, nameIn } from './context.ts'
import type { ActionTerms } from './load.ts'
import type { Term } from './sheet.ts'

/** One kind of request on its way. */
export interface Road {
  readonly action: ActionTerms
  readonly route: CheckedRoute
  /** Shares of those that the edge passes on, by service; none: the edge answers itself. */
  readonly services: readonly {
    readonly name: string
    readonly share: number
    readonly why: string
    readonly mirror: boolean
  }[]
  /** May the cache of the edge answer it? */
  readonly cached: boolean
}

/** A road, or the action that no route takes. */
export function roadsOf(
  { system }: Pick<Context, 'system'>,
  actions: readonly ActionTerms[],
): { readonly roads: readonly Road[]; readonly lost: readonly ActionTerms[] } {
  const table = compileRoutes(system.edge.routes.map(route => route.match))
  const roads: Road[] = []
  const lost: ActionTerms[] = []
  for (const action of actions) {
    const { host, path, method } = action.load
    const at = table.match(host ?? '', path, { method, find: () => undefined })
    const route = system.edge.routes[at]
    if (route === undefined) lost.push(action)
    else roads.push(roadOf(action, route, system.edge.cache !== undefined))
  }
  return { roads, lost }
}

function roadOf(action: ActionTerms, route: CheckedRoute, hasCache: boolean): Road {
  const { method } = action.load
  const services = route.action.kind === 'proxy' ? sharesOf(route.action, route.id) : []
  const cached =
    hasCache && route.cache !== undefined && services.length > 0 && (method === 'GET' || method === 'HEAD')
  return { action, route, services, cached }
}

function sharesOf(action: Extract<CheckedAction, { kind: 'proxy' }>, id: string): Road['services'] {
  const at = `edge.routes '${id}'`
  const main =
    action.split ??
    (action.canary === undefined
      ? [{ upstream: action.upstream, share: 1 }]
      : [
          { upstream: action.upstream, share: 1 - action.canary.share },
          { upstream: action.canary.upstream, share: action.canary.share },
        ])
  const why = action.split ? 'split' : action.canary ? 'canary' : 'to'
  const shares = main.map(({ upstream, share }) => ({
    name: upstream,
    share,
    why: `${at} ${why}`,
    mirror: false,
  }))
  if (action.mirror !== undefined)
    shares.push({
      name: action.mirror.upstream,
      share: action.mirror.share,
      why: `${at} mirror`,
      mirror: true,
    })
  return shares.filter(one => one.share > 0)
}

export interface Flows {
  /** Requests that the edge passes on, by action. */
  readonly passed: ReadonlyMap<string, Term>
  /** Requests a second at the peak, by service. */
  readonly services: ReadonlyMap<string, Term>
  readonly databases: ReadonlyMap<string, { readonly reads: Term; readonly writes: Term }>
  readonly caches: ReadonlyMap<string, Term>
}

/**
 * @param edgeHits hit ratio of the edge's cache by action
 * @param cacheHits of a shared cache: asked when the rate of those who ask it is known
 */
export function addFlows(
  c: Context,
  roads: readonly Road[],
  edgeHits: ReadonlyMap<string, Term>,
  cacheHits: (cache: string) => Term,
): Flows {
  const { sheet, workload } = c
  const passed = new Map<string, Term>()
  for (const road of roads) {
    if (road.services.length === 0) continue
    const { name, peak } = road.action
    const hits = edgeHits.get(name)
    passed.set(
      name,
      sheet.add({
        id: `load.${name}.passed`,
        section: 'load',
        label: `${name} that the edge passes on, at the peak`,
        unit: 'requests/s',
        formula: hits ? 'peak * (1 - hits)' : 'peak',
        with: { peak, ...(hits && { hits }) },
      }),
    )
  }
  const services = new Map<string, Term>()
  const missed = (owner: string, before: number): Part[] =>
    (workload.services[owner]?.calls ?? []).slice(0, before).flatMap((call, at): Part[] => {
      if (call.kind !== 'cache' || call.times === 0) return []
      const asked = c.told(`services.${owner}.calls[${at}].times`, call.times, 'share')
      return [{ names: [`hits${at}`, `asked${at}`], terms: [cacheHits(call.cache), asked] }]
    })
  const callers = (matches: (call: Call) => number, key: string): Sum => {
    const parts: string[] = []
    const terms: Record<string, Term> = {}
    for (const [owner, load] of Object.entries(workload.services))
      for (const [at, call] of load.calls.entries()) {
        const times = matches(call)
        if (times === 0) continue
        const [rate, often] = [nameIn(owner), `${key}_${nameIn(owner)}_${at}`]
        terms[rate] = rateOf(owner)
        terms[often] = c.told(`services.${owner}.calls[${at}].${key}`, times, 'times')
        const misses = missed(owner, at).map(({ names: [hits, asked], terms: [hitTerm, askTerm] }) => {
          terms[`${rate}_${hits}`] = hitTerm
          terms[`${rate}_${asked}`] = askTerm
          return ` * (1 - ${rate}_${hits} * ${rate}_${asked})`
        })
        parts.push(`${rate} * ${often}${misses.join('')}`)
      }
    return { formula: parts.join(' + '), terms }
  }
  function rateOf(name: string): Term {
    const known = services.get(name)
    if (known !== undefined) return known
    const called = callers(
      call => (call.kind === 'service' && call.service === name ? call.times : 0),
      'times',
    )
    const terms: Record<string, Term> = { ...called.terms }
    const parts = called.formula === '' ? [] : [called.formula]
    for (const road of roads)
      for (const [at, { name: to, share, why }] of road.services.entries()) {
        const rate = passed.get(road.action.name)
        if (to !== name || rate === undefined) continue
        const own = `from_edge_${nameIn(road.action.name)}`
        terms[own] = rate
        if (share !== 1) terms[`share_${nameIn(road.action.name)}_${at}`] = c.has(why, share, 'share')
        parts.push(share === 1 ? own : `${own} * share_${nameIn(road.action.name)}_${at}`)
      }
    const term = sheet.add({
      id: `services.${name}.rate`,
      section: 'tiers',
      label: `Requests to ${name}, at the peak`,
      unit: 'requests/s',
      formula: parts.join(' + ') || '0',
      with: terms,
    })
    services.set(name, term)
    return term
  }
  for (const name of Object.keys(workload.services)) rateOf(name)
  const statements = (database: string, key: 'reads' | 'writes'): Term => {
    const sum = callers(call => (call.kind === 'database' && call.database === database ? call[key] : 0), key)
    return sheet.add({
      id: `databases.${database}.${key}`,
      section: 'databases',
      label: `${key === 'reads' ? 'Reads' : 'Writes'} of ${database}, at the peak`,
      unit: 'statements/s',
      formula: sum.formula || '0',
      with: sum.terms,
    })
  }
  const databases = new Map(
    Object.keys(workload.databases).map(name => [
      name,
      { reads: statements(name, 'reads'), writes: statements(name, 'writes') },
    ]),
  )
  const caches = new Map<string, Term>()
  for (const name of Object.keys(c.system.caches)) {
    const sum = callers(call => (call.kind === 'cache' && call.cache === name ? call.times : 0), 'times')
    caches.set(
      name,
      sheet.add({
        id: `caches.${name}.asked`,
        section: 'caches',
        label: `Requests to the cache ${name}, at the peak`,
        unit: 'requests/s',
        formula: sum.formula || '0',
        with: sum.terms,
      }),
    )
  }
  return { passed, services, databases, caches }
}

type Call = NonNullable<Context['workload']['services'][string]>['calls'][number]
interface Part {
  readonly names: readonly [string, string]
  readonly terms: readonly [Term, Term]
}
interface Sum {
  readonly formula: string
  readonly terms: Readonly<Record<string, Term>>
}

/** Services that answers of a road need, through calls too: not those that only get a copy. */
export function servicesReached(c: Pick<Context, 'workload'>, road: Road): ReadonlySet<string> {
  const reached = new Set<string>()
  const visit = (name: string): void => {
    if (reached.has(name)) return
    reached.add(name)
    for (const call of c.workload.services[name]?.calls ?? [])
      if (call.kind === 'service' && call.times > 0) visit(call.service)
  }
  for (const { name, mirror } of road.services) if (!mirror) visit(name)
  return reached
}
