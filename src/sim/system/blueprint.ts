// The file as the simulator needs it: each action with the route that takes it and the settings that hold there, services
// by number. Reads the checked system with the functions that the edge is compiled with; draws nothing, runs nothing.

import type {
  CheckedAction,
  CheckedRoute,
  CheckedService,
  CheckedSystem,
  UpstreamSettings,
} from '../../file/checked.ts'
import type { CheckedRehearsal } from '../../file/checked-rehearsals.ts'
import type { CheckedActionLoad, CheckedServiceLoad, CheckedWorkload } from '../../file/checked-workload.ts'
import { isIdempotentMethod, isSafeMethod } from '../../policy/methods.ts'
import { compileRoutes } from '../../policy/route.ts'
import type { HedgeSettings, RetrySettings } from '../../policy/settings.ts'

export interface Blueprint {
  readonly system: CheckedSystem
  readonly workload: CheckedWorkload
  readonly rehearsal: CheckedRehearsal
  readonly actions: readonly ActionPlan[]
  readonly services: readonly ServicePlan[]
  /** How many people there are to come: sessions, addresses. */
  readonly clients: number
  /** Worker threads of one edge. */
  readonly workers: number
}

export interface ActionPlan {
  readonly id: string
  readonly load: CheckedActionLoad
  /** Its part of all requests, 0..1. */
  readonly share: number
  /** The mean of the day. */
  readonly perSecond: number
  readonly safe: boolean
  readonly idempotent: boolean
  /** Null: no route takes it, and it is answered with 404. */
  readonly route: RoutePlan | null
}

export interface RoutePlan {
  readonly id: string
  readonly route: CheckedRoute
  /** What the edge answers itself: files, redirects, fixed answers. Null: it is passed on. */
  readonly own: Exclude<CheckedAction['kind'], 'proxy'> | null
  readonly proxy: ProxyPlan | null
  /** For the whole exchange, tries again among it; null: none. */
  readonly timeoutMs: number | null
}

export interface ProxyPlan {
  readonly service: number
  readonly split: readonly { readonly upstream: string; readonly share: number }[] | null
  readonly splitServices: readonly number[]
  readonly sticky: boolean
  readonly retry: RetrySettings
  readonly hedge: HedgeSettings | null
  readonly responseTimeoutMs: number
}

export interface ServicePlan {
  readonly name: string
  readonly checked: CheckedService
  readonly upstream: UpstreamSettings
  readonly load: CheckedServiceLoad
  /** For what other services ask of it. */
  readonly proxy: ProxyPlan
}

const daySeconds = 86_400
/** Where the file gives no number of people: enough that they are different ones. */
const clientsUnsaid = 100_000
const clientsMax = 2 ** 31 - 1

/** @param workload the system's; whoever calls has seen that there is one */
export function blueprintOf(
  system: CheckedSystem,
  workload: CheckedWorkload,
  rehearsal: CheckedRehearsal,
): Blueprint {
  const names = Object.keys(system.services)
  const services = names.map((name): ServicePlan => {
    const checked = system.services[name] as CheckedService
    const load = workload.services[name] as CheckedServiceLoad
    const own = { kind: 'proxy' as const, upstream: name, upgrade: false }
    return { name, checked, upstream: checked.upstream, load, proxy: proxyPlan(own, system, names) }
  })
  const table = compileRoutes(system.edge.routes.map(route => route.match))
  const rates = Object.values(workload.actions).map(load => meanPerSecond(load, workload))
  const total = rates.reduce((a, b) => a + b, 0)
  const actions = Object.entries(workload.actions).map(([id, load], at): ActionPlan => {
    const found = table.match(load.host ?? '', load.path, { method: load.method, find: () => undefined })
    const route = found < 0 ? null : routePlan(system.edge.routes[found] as CheckedRoute, system, names)
    const perSecond = rates[at] as number
    return {
      id,
      load,
      perSecond,
      share: total > 0 ? perSecond / total : 0,
      safe: isSafeMethod(load.method),
      idempotent: isIdempotentMethod(load.method),
      route,
    }
  })
  const { workers } = system.edge
  return {
    system,
    workload,
    rehearsal,
    actions,
    services,
    clients: Math.max(1, Math.min(clientsMax, Math.round(workload.dailyUsers ?? clientsUnsaid))),
    workers: workers === 'cores' ? workload.machine.cores : workers,
  }
}

/** Requests a second of one action, the mean of a day. */
export function meanPerSecond(load: CheckedActionLoad, workload: CheckedWorkload): number {
  if (load.ratePerSecond !== null) return load.ratePerSecond
  return ((workload.dailyUsers ?? 0) * (load.perUser ?? 0)) / daySeconds
}

function routePlan(route: CheckedRoute, system: CheckedSystem, names: readonly string[]): RoutePlan {
  const { action } = route
  const timeoutMs = route.timeoutMs ?? null
  if (action.kind !== 'proxy') return { id: route.id, route, own: action.kind, proxy: null, timeoutMs }
  return { id: route.id, route, own: null, proxy: proxyPlan(action, system, names), timeoutMs }
}

function proxyPlan(
  action: Extract<CheckedAction, { kind: 'proxy' }>,
  system: CheckedSystem,
  names: readonly string[],
): ProxyPlan {
  const { upstream } = system.services[action.upstream] as CheckedService
  const parts = splitOf(action)
  return {
    service: names.indexOf(action.upstream),
    split: parts,
    splitServices: (parts ?? []).map(part => names.indexOf(part.upstream)),
    sticky: action.sticky !== undefined,
    retry: { ...upstream.retry, ...action.retry },
    hedge: action.hedge ?? upstream.hedge ?? null,
    responseTimeoutMs: upstream.responseTimeoutMs,
  }
}

/** A canary that is not taken out is a split for those who are not told apart by header or cookie. */
function splitOf(action: Extract<CheckedAction, { kind: 'proxy' }>): ProxyPlan['split'] {
  if (action.split !== undefined) return action.split
  if (action.canary === undefined || action.canary.share === 0) return null
  const { upstream, share } = action.canary
  return [
    { upstream: action.upstream, share: 1 - share },
    { upstream, share },
  ]
}
