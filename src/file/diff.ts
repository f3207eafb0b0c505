// What a reload would do: the differences between two checked systems, each with its effect. Pure; values are redacted.

import type { CheckedListener, CheckedRoute, CheckedService, CheckedSystem } from './checked.ts'
import type { CheckedEdgeCache } from './checked-caches.ts'
import type { CheckedDatabase } from './checked-databases.ts'
import type { CheckedGuard } from './checked-guard.ts'
import { databaseEffect, variableChanges } from './diff-databases.ts'
import { isObject, type Json, keyPath } from './plain.ts'
import type { Change, ChangeEffect } from './results.ts'
import { redactSystem } from './secrets.ts'
import { defined } from './shapes.ts'
import { spellRehearsals } from './spell-rehearsals.ts'
import { spellWorkload } from './spell-workload.ts'
import { durationText, sizeText } from './values.ts'

/** What an instance was started with: when one of these changes, it is restarted. The rest of a service changes live. */
const startKeys = ['command', 'directory', 'env', 'user'] as const

const refusedKeys: Readonly<Record<string, string>> = {
  name: 'the name is that of the state directory and of all metrics: stop the system and start it again',
  control: 'commands find the running system by its control address: stop the system and start it again',
  workers:
    'worker threads share memory that is laid out when the edge starts: stop the system and start it again',
}

const live: ChangeEffect = { kind: 'live' }
const refused = (key: string): ChangeEffect => ({ kind: 'refused', reason: refusedKeys[key] as string })

/** From `before` to `after`, in the order of the file. Empty: a reload would change nothing. */
export function diffSystems(before: CheckedSystem, after: CheckedSystem): Change[] {
  const [a, b] = [redactSystem(before), redactSystem(after)]
  const {
    routes: routesBefore,
    workers: workersBefore,
    listeners: listenersBefore,
    cache: cacheBefore,
    ...edgeBefore
  } = a.edge
  const {
    routes: routesAfter,
    workers: workersAfter,
    listeners: listenersAfter,
    cache: cacheAfter,
    ...edgeAfter
  } = b.edge
  return [
    ...differences('name', a.name, b.name, refused('name')),
    ...differences('control', a.control, b.control, refused('control')),
    ...differences('edge.workers', workersBefore, workersAfter, refused('workers')),
    ...differences('edge.listeners', byId(listenersBefore), byId(listenersAfter), live),
    ...differences('edge', edgeBefore, edgeAfter, live),
    ...edgeCacheChanges(cacheBefore, cacheAfter),
    ...peerTokenChanges(before, after),
    ...routeChanges(routesBefore, routesAfter),
    ...identityChanges(before, after),
    ...variableChanges(before, after),
    ...serviceChanges(before, after, a, b),
    ...databaseChanges(before, after, a, b),
    ...cacheChanges(before, after, a, b),
    ...guardChanges(before, after, a, b),
    ...plannedChanges(before, after),
  ]
}

const planned: ChangeEffect = { kind: 'live', note: 'nothing that runs reads it' }

/** What a system is planned and rehearsed for: no secrets, and nothing to restart. */
function plannedChanges(before: CheckedSystem, after: CheckedSystem): Change[] {
  // As written: what is assumed for a new service is no change of the workload.
  const [from, to] = [before, after].map(({ workload }) => workload && spellWorkload(workload))
  const [had, has] = [spellRehearsals(before.rehearsals), spellRehearsals(after.rehearsals)]
  return [
    ...(from && to
      ? differences('workload', from, to, planned)
      : differences('workload', workloadSummary(before), workloadSummary(after), planned)),
    ...Object.keys({ ...had, ...has }).flatMap(name => {
      const path = keyPath('rehearsals', name)
      return had[name] && has[name]
        ? differences(path, had[name], has[name], planned)
        : differences(path, rehearsalSummary(before, name), rehearsalSummary(after, name), planned)
    }),
  ]
}

function rehearsalSummary({ rehearsals }: CheckedSystem, name: string): string | undefined {
  const one = Object.hasOwn(rehearsals, name) ? rehearsals[name] : undefined
  return (
    one && `${durationText(one.durationMs)}, ${one.faults.length} faults, ${one.expect.length} expectations`
  )
}

function workloadSummary({ workload }: CheckedSystem): string | undefined {
  return workload && `requests: ${Object.keys(workload.actions).join(', ')}`
}

/** All of a guard changes live; these leave behind what was counted or signed. */
const guardNotes: Readonly<Record<string, string>> = {
  shared:
    'limits, rooms, quotas and spent proofs are counted there from now on; what was counted elsewhere stays behind',
  secret:
    'clearances, tickets and grants that were signed before are void: people are challenged, and queue, again',
}

function guardChanges(
  { guard: from }: CheckedSystem,
  { guard: to }: CheckedSystem,
  { guard: a }: CheckedSystem,
  { guard: b }: CheckedSystem,
): Change[] {
  if (from === undefined || to === undefined)
    return differences('guard', guardSummary(from), guardSummary(to), live)
  return Object.keys({ ...a, ...b }).flatMap(key => {
    const path = keyPath('guard', key)
    const note = guardNotes[key]
    const effect: ChangeEffect = note === undefined ? live : { kind: 'live', note }
    const shown = differences(path, at(a, key), at(b, key), effect)
    if (shown.length > 0 || same(at(from, key), at(to, key))) return shown
    // Redaction hides it: one password for another.
    return [{ path, from: '***', to: '*** (another value)', effect }]
  })
}

function guardSummary(guard: CheckedGuard | undefined): string | undefined {
  if (guard === undefined) return undefined
  const names = Object.keys(guard.policies)
  return `${names.length} ${names.length === 1 ? 'policy' : 'policies'}${names.length === 0 ? '' : `: ${names.join(', ')}`}`
}

/** What the memory of an edge process is laid out by: another one takes over, with an empty cache. */
const storeKeys = ['memoryBytes', 'entriesMax', 'objectBytesMax', 'eviction', 'disk'] as const
const anotherEdge: ChangeEffect = { kind: 'rolls', service: 'edge' }

function edgeCacheChanges(from: CheckedEdgeCache | undefined, to: CheckedEdgeCache | undefined): Change[] {
  if (from === undefined || to === undefined)
    return differences('edge.cache', storeSummary(from), storeSummary(to), to ? anotherEdge : live)
  const [a, b] = [from, to].map(({ parent, ...rest }) =>
    defined({ ...rest, parent: parent?.url, parentCaFile: parent?.caFile }),
  )
  return Object.keys({ ...a, ...b }).flatMap(key => {
    const effect = storeKeys.some(one => one === key) ? anotherEdge : live
    return differences(`edge.cache.${key}`, at(a, key), at(b, key), effect)
  })
}

/** A change that redaction hides is still a change. */
function peerTokenChanges(before: CheckedSystem, after: CheckedSystem): Change[] {
  const [from, to] = [before, after].map(({ edge }) => edge.cache?.peers ?? [])
  const another = to?.some(({ url, token }) => {
    const was = from?.find(one => one.url === url)?.token
    return typeof was === 'string' && typeof token === 'string' && was !== token
  })
  return another ? [{ path: 'edge.cache.peers', from: '***', to: '*** (another token)', effect: live }] : []
}

const storeSummary = (cache: CheckedEdgeCache | undefined): string | undefined =>
  cache &&
  `${sizeText(cache.memoryBytes)} of memory${cache.disk ? `, ${sizeText(cache.disk.bytes)} on disk` : ''}`

function cacheChanges(
  before: CheckedSystem,
  after: CheckedSystem,
  shownBefore: CheckedSystem,
  shownAfter: CheckedSystem,
): Change[] {
  const names = [...new Set([...Object.keys(before.caches), ...Object.keys(after.caches)])]
  return names.flatMap(name => {
    const path = keyPath('caches', name)
    const [from, to] = [shownBefore.caches[name], shownAfter.caches[name]]
    const shown = differences(path, from, to, live)
    if (shown.length > 0 || same(before.caches[name], after.caches[name])) return shown
    return [{ path, from: '***', to: '*** (another value)', effect: live }]
  })
}

const byId = (listeners: readonly CheckedListener[]): Record<string, CheckedListener> =>
  Object.fromEntries(listeners.map(one => [one.id, one]))

/** Instances learn by their environment how to check who a client is: they are replaced when that begins or ends. */
function identityChanges(before: CheckedSystem, after: CheckedSystem): Change[] {
  const [was, is] = [before, after].map(system => system.edge.tls?.clientCertificates !== undefined)
  if (was === is) return []
  return Object.values(after.services)
    .filter(service => service.kind === 'command' && before.services[service.name]?.kind === 'command')
    .map(service => ({
      path: `${keyPath('services', service.name)}.env.TENFOLD_IDENTITY_SECRET`,
      ...(was ? { from: '***' } : { to: '***' }),
      effect: { kind: 'rolls', service: service.name } as const,
    }))
}

function routeChanges(before: readonly CheckedRoute[], after: readonly CheckedRoute[]): Change[] {
  const path = (id: string): string => `edge.routes[${id}]`
  const ids = [...new Set([...before, ...after].map(route => route.id))]
  const changes = ids.flatMap(id => {
    const [from, to] = [before, after].map(routes => routes.find(route => route.id === id))
    return differences(path(id), from, to, live)
  })
  const order = (one: readonly CheckedRoute[], other: readonly CheckedRoute[]): string[] =>
    one.map(route => route.id).filter(id => other.some(route => route.id === id))
  return [...changes, ...differences('edge.routes (order)', order(before, after), order(after, before), live)]
}

function serviceChanges(
  before: CheckedSystem,
  after: CheckedSystem,
  shownBefore: CheckedSystem,
  shownAfter: CheckedSystem,
): Change[] {
  const names = [...new Set([...Object.keys(before.services), ...Object.keys(after.services)])]
  return names.flatMap(name => {
    const [from, to] = [before.services[name], after.services[name]]
    const path = keyPath('services', name)
    if (!from || !to || from.kind !== to.kind)
      return differences(path, summary(from), summary(to), replaced(name, from, to))
    const [a, b] = [shownBefore.services[name], shownAfter.services[name]]
    const shown = Object.keys({ ...a, ...b }).flatMap(key =>
      differences(keyPath(path, key), at(a, key), at(b, key), effectOf(name, key, to)),
    )
    return [...shown, ...hiddenChanges(path, from, to, shown)]
  })
}

function databaseChanges(
  before: CheckedSystem,
  after: CheckedSystem,
  shownBefore: CheckedSystem,
  shownAfter: CheckedSystem,
): Change[] {
  const names = [...new Set([...Object.keys(before.databases), ...Object.keys(after.databases)])]
  return names.flatMap(name => {
    const [from, to] = [before.databases[name], after.databases[name]]
    const path = keyPath('databases', name)
    if (!from || !to) return differences(path, databaseSummary(from), databaseSummary(to), live)
    const [a, b] = [shownBefore.databases[name], shownAfter.databases[name]]
    return Object.keys({ ...a, ...b }).flatMap(key => {
      const effect = databaseEffect(key, from, to)
      const shown = differences(keyPath(path, key), at(a, key), at(b, key), effect)
      if (shown.length > 0 || same(at(from, key), at(to, key))) return shown
      // Redaction hides it: one password for another.
      return [{ path: keyPath(path, key), from: '***', to: '*** (another value)', effect }]
    })
  })
}

function databaseSummary(database: CheckedDatabase | undefined): string | undefined {
  if (database === undefined) return undefined
  const { servers } = database
  return servers.kind === 'existing'
    ? `${servers.urls.length} servers elsewhere`
    : `a primary and ${servers.members.length - 1} replicas`
}

const at = (value: object | undefined, key: string): unknown =>
  (value as Record<string, unknown> | undefined)?.[key]

function effectOf(service: string, key: string, now: CheckedService): ChangeEffect {
  const restarts = now.kind === 'command' && startKeys.some(one => one === key)
  return restarts ? { kind: 'rolls', service } : live
}

/** A change that redaction hides (one password for another) is still a change. */
function hiddenChanges(
  path: string,
  from: CheckedService,
  to: CheckedService,
  shown: readonly Change[],
): Change[] {
  if (from.kind !== 'command' || to.kind !== 'command') return []
  return Object.keys(to.env)
    .filter(name => JSON.stringify(from.env[name]) !== JSON.stringify(to.env[name]))
    .map(name => keyPath(keyPath(path, 'env'), name))
    .filter(hidden => !shown.some(change => change.path === hidden))
    .map(hidden => ({
      path: hidden,
      from: '***',
      to: '*** (another value)',
      effect: effectOf(to.name, 'env', to),
    }))
}

function summary(service: CheckedService | undefined): string | undefined {
  if (!service) return undefined
  return service.kind === 'command' ? 'runs a command' : `${service.addresses.length} addresses`
}

function replaced(service: string, from?: CheckedService, to?: CheckedService): ChangeEffect {
  if (to?.kind === 'command') return { kind: 'starts', service }
  return from?.kind === 'command' ? { kind: 'stops', service } : live
}

/** Objects key by key; lists and everything else whole. */
function differences(path: string, from: unknown, to: unknown, effect: ChangeEffect): Change[] {
  if (same(from, to)) return []
  if (isObject(from) && isObject(to))
    return Object.keys({ ...from, ...to }).flatMap(key =>
      differences(keyPath(path, key), from[key], to[key], effect),
    )
  return [
    {
      path,
      ...(from === undefined ? {} : { from: short(from) }),
      ...(to === undefined ? {} : { to: short(to) }),
      effect,
    },
  ]
}

function same(a: unknown, b: unknown): boolean {
  if (!isObject(a) || !isObject(b)) return JSON.stringify(a) === JSON.stringify(b)
  const keys = Object.keys({ ...a, ...b })
  return keys.every(key => same(a[key] as Json, b[key] as Json))
}

function short(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
