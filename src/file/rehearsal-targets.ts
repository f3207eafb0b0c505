// Whom a fault or an expectation of a rehearsal means: `web-1`, `main`, `edge-1`, `reads`. A name that could be two things
// is refused with both spellings; `service:web`, `service:web:1`, `database:main:2` and `edge:1` are always plain.

import type { CheckedService } from './checked.ts'
import type { CheckedCache } from './checked-caches.ts'
import type { CheckedDatabase } from './checked-databases.ts'
import type {
  CheckedExpectation,
  CheckedFault,
  CheckedFaultKind,
  CheckedFaultTarget,
  CheckedMetric,
  ExpectationKind,
} from './checked-rehearsals.ts'
import type { CheckedWorkload } from './checked-workload.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { keyPath } from './plain.ts'
import type { ParsedExpectation } from './rehearsal-expect.ts'
import type { ParsedFault } from './rehearsal-faults.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'
import { edgeCacheName } from './workload.ts'

/** What can be meant. */
export interface Parts {
  readonly services: Readonly<Record<string, CheckedService>>
  readonly databases: Readonly<Record<string, CheckedDatabase>>
  readonly caches: Readonly<Record<string, CheckedCache>>
  readonly edgeCache: boolean
  readonly workload?: CheckedWorkload
}

const actionsOf = ({ workload }: Parts): string[] => Object.keys(workload?.actions ?? {})

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

function conflict(found: Findings, path: string, message: string, extra: Extra = {}): undefined {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
  return undefined
}

/** The spelling that means this one and nothing else. */
export function targetText(one: CheckedFaultTarget): string {
  if (one.kind === 'edge') return `edge:${one.member}`
  const name = one.kind === 'service' ? one.service : one.database
  return `${one.kind}:${name}${one.member === null ? '' : `:${one.member}`}`
}

const targetPattern = /^(?:(service|database):)?([a-z][a-z0-9-]*)(?::(\d+))?$/

/** Every reading of a text, likeliest first. */
function readings(text: string, parts: Parts): CheckedFaultTarget[] {
  const [, only, name = '', number] = targetPattern.exec(text) ?? []
  const member = number === undefined ? null : Number(number)
  if (only === undefined && name === 'edge' && member !== null) return [{ kind: 'edge', member }]
  const found: CheckedFaultTarget[] = []
  for (const kind of ['service', 'database'] as const) {
    if (only !== undefined && only !== kind) continue
    const names = kind === 'service' ? parts.services : parts.databases
    const whole = Object.hasOwn(names, name)
    if (whole) found.push(targetOf(kind, name, member))
    const [, base = '', last] = /^(.+)-([1-9]\d{0,4})$/.exec(name) ?? []
    // With its kind before it, a whole name is meant where there is one: then `:1` says which member.
    if (number === undefined && last !== undefined && Object.hasOwn(names, base) && !(only && whole))
      found.push(targetOf(kind, base, Number(last)))
  }
  const edge = /^edge-([1-9]\d{0,4})$/.exec(name)
  if (edge && only === undefined && number === undefined)
    found.push({ kind: 'edge', member: Number(edge[1]) })
  return found
}

const targetOf = (kind: 'service' | 'database', name: string, member: number | null): CheckedFaultTarget =>
  kind === 'service' ? { kind, service: name, member } : { kind, database: name, member }

/** Servers of one group. */
export function serversOf({ servers }: CheckedDatabase): number {
  return servers.kind === 'embedded' ? servers.members.length : servers.urls.length
}

/** How many members there can be; null: not known here. */
function membersOf(target: CheckedFaultTarget, edges: number, parts: Parts): number | null {
  if (target.kind === 'edge') return edges
  if (target.kind === 'database') {
    const database = parts.databases[target.database] as CheckedDatabase
    return serversOf(database) * (database.shards?.shards.length ?? 1)
  }
  const service = parts.services[target.service] as CheckedService
  if (service.kind === 'command') return service.instances.max
  return service.addresses.some(one => one.kind !== 'static') ? null : service.addresses.length
}

function known(parts: Parts): string[] {
  return [...new Set([...Object.keys(parts.services), ...Object.keys(parts.databases)])]
}

/** One target for each edge of `edge`, else one; none where something is wrong, which is told. */
function resolve(
  text: string,
  edges: number,
  parts: Parts,
  path: string,
  found: Findings,
): CheckedFaultTarget[] {
  const value = JSON.stringify(text)
  const all = readings(text, parts)
  if (all.length === 0 && text === 'edge')
    return Array.from({ length: edges }, (_, index) => ({ kind: 'edge', member: index + 1 }))
  if (all.length > 0 && text === 'edge') all.push({ kind: 'edge', member: 1 })
  const [target] = all
  if (target === undefined) {
    const names = known(parts)
    const near = nearest(text.replace(/^\w+:/, '').replace(/[-:]\d+$/, ''), names)
    conflict(found, path, 'is no part of this file', {
      value,
      allowed: `${[...names, 'edge'].map(one => `'${one}'`).join(', ')}, and members of them such as 'edge-1'`,
      ...(near ? { remedy: `Did you mean '${near}${/[-:]\d+$/.exec(text)?.[0] ?? ''}'?` } : {}),
    })
    return []
  }
  if (all.length > 1) {
    conflict(found, path, 'could be several things', {
      value,
      remedy: `Write ${all.map(one => `'${targetText(one)}'`).join(' or ')}.`,
    })
    return []
  }
  const members = membersOf(target, edges, parts)
  if (target.member !== null && members !== null && target.member > members) {
    const whole =
      target.kind === 'edge' ? 'edge' : targetText({ ...target, member: null }).replace(/^\w+:/, '')
    conflict(
      found,
      path,
      `is not there: '${whole}' has ${members === 1 ? 'one member' : `${members} members`}`,
      {
        value,
        remedy: target.kind === 'edge' ? "Raise 'edges' of the rehearsal." : 'Name one that there is.',
      },
    )
    return []
  }
  return [target]
}

/** What each kind can happen to. */
const meets: Readonly<Partial<Record<CheckedFaultKind['kind'], readonly CheckedFaultTarget['kind'][]>>> = {
  fail: ['service', 'database'],
  disk: ['database'],
  lag: ['database'],
}

/** A fault of the file as the simulation takes it: one for each edge where `edge` means several. */
export function faultsOf(
  fault: ParsedFault,
  edges: number,
  parts: Parts,
  path: string,
  found: Findings,
): CheckedFault[] {
  const { atMs, forMs, kind, amount } = fault
  const at = { atMs, forMs }
  if (kind === 'surge') return [{ ...at, what: { kind, times: amount } }]
  if (kind === 'zone') return zoneFault(fault, parts, `${path}.zone`, found)
  if (kind === 'empty') return emptyFault(fault, parts, `${path}.empty`, found)
  const many = (texts: readonly string[], key: string): CheckedFaultTarget[] =>
    [...new Set(texts)].flatMap((text, index) =>
      resolve(text, edges, parts, `${path}.${key}${kind === 'cut' ? `[${index}]` : ''}`, found),
    )
  const targets = many(fault.targets, kind)
  if (kind === 'cut') {
    const to = many(fault.from, 'from')
    return targets.length > 0 && to.length > 0 ? [{ ...at, what: { kind, from: targets, to } }] : []
  }
  return targets.flatMap(target => {
    const wrong = wrongTarget(kind, target)
    if (wrong)
      conflict(found, `${path}.${kind}`, wrong.message, {
        value: JSON.stringify(fault.targets[0]),
        remedy: wrong.remedy,
      })
    return wrong ? [] : [{ ...at, what: whatOf(kind, target, amount) }]
  })
}

function wrongTarget(
  kind: CheckedFaultKind['kind'],
  target: CheckedFaultTarget,
): { readonly message: string; readonly remedy: string } | undefined {
  if (meets[kind]?.includes(target.kind) === false)
    return {
      message: `can not have '${kind}', which is of ${meets[kind].map(one => `${one}s`).join(' and ')}`,
      remedy:
        kind === 'fail'
          ? 'Write kill, hang, slow or delay.'
          : "Write slow, or name a server of a database: 'main-1'.",
    }
  if (kind === 'lag' && target.member === null)
    return { message: 'is the primary, which replays nothing', remedy: "Name a replica, such as 'main-2'." }
  return undefined
}

function whatOf(
  kind: CheckedFaultKind['kind'],
  target: CheckedFaultTarget,
  amount: number,
): CheckedFaultKind {
  switch (kind) {
    case 'slow':
    case 'disk':
      return { kind, target, times: amount }
    case 'fail':
      return { kind, target, share: amount }
    case 'delay':
    case 'lag':
      return { kind, target, byMs: amount }
    default:
      return { kind: kind as 'kill' | 'hang', target }
  }
}

function zoneFault(
  { atMs, forMs, amount }: ParsedFault,
  parts: Parts,
  path: string,
  found: Findings,
): CheckedFault[] {
  const zones = parts.workload?.machine.zones ?? 1
  if (amount > zones) {
    conflict(
      found,
      path,
      `is not there: the machines are in ${zones === 1 ? 'one zone' : `${zones} zones`}`,
      {
        value: `${amount}`,
        remedy: "Name one that there is, or raise 'workload.machine.zones'.",
      },
    )
    return []
  }
  return [{ atMs, forMs, what: { kind: 'zone', zone: amount } }]
}

const cacheNames = (parts: Parts): string[] => [
  ...Object.keys(parts.caches),
  ...(parts.edgeCache ? [edgeCacheName] : []),
]

function emptyFault(
  { atMs, targets }: ParsedFault,
  parts: Parts,
  path: string,
  found: Findings,
): CheckedFault[] {
  const [name = ''] = targets
  const names = cacheNames(parts)
  if (names.includes(name)) return [{ atMs, forMs: null, what: { kind: 'empty', cache: name } }]
  const near = nearest(name, names)
  conflict(found, path, 'is not a cache of this file', {
    value: JSON.stringify(name),
    allowed: names.length > 0 ? names.map(one => `'${one}'`).join(', ') : 'none: the file has no cache',
    ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
  })
  return []
}

const latency = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999', 'max'] as const
const traffic = [...latency, 'errors', 'refused', 'abandoned', 'throughput'] as const
const consistency = ['staleReads', 'lostWrites', 'conflicts', 'unavailable'] as const

/** Which figures there are of what. */
const figures: Readonly<Record<ExpectationKind | 'system', readonly CheckedMetric[]>> = {
  // The highest utilisation of all parts, instances of all services, the hit ratio of the edge.
  system: [...traffic, ...consistency, 'utilisation', 'instances', 'hitRatio'],
  action: traffic,
  service: ['utilisation', 'instances'],
  database: ['utilisation', 'instances', 'refused', ...consistency],
  cache: ['hitRatio'],
  edge: ['utilisation', 'hitRatio'],
}

function kindsNamed(name: string, parts: Parts): ExpectationKind[] {
  const named: readonly (readonly [ExpectationKind, boolean])[] = [
    ['action', actionsOf(parts).includes(name)],
    ['service', Object.hasOwn(parts.services, name)],
    ['database', Object.hasOwn(parts.databases, name)],
    ['cache', Object.hasOwn(parts.caches, name)],
    ['edge', name === 'edge'],
  ]
  return named.filter(([, there]) => there).map(([kind]) => kind)
}

/** Its own, or none where something is wrong, which is told. */
export function expectationOf(
  told: ParsedExpectation,
  parts: Parts,
  path: string,
  found: Findings,
): CheckedExpectation[] {
  const { metric } = told
  const key = keyPath(path, told.text.slice(0, told.text.indexOf(': ')))
  if (told.of === null) return ofSystem({ ...told, ofKind: null }, parts, key, found)
  const [name = '', only] = told.of.split(':').toReversed()
  const kinds = kindsNamed(name, parts).filter(kind => only === undefined || kind === only)
  const able = kinds.filter(kind => figures[kind].includes(metric))
  const [kind] = able
  if (kind === undefined) unknownFigure(told, name, kinds, parts, key, found)
  else if (able.length > 1)
    conflict(found, key, `could be several things: '${name}' is ${able.join(' and ')}`, {
      remedy: `Write ${able.map(one => `'${one}:${name}.${metric}'`).join(' or ')}.`,
    })
  else if (kind === 'edge' && metric === 'hitRatio' && !parts.edgeCache)
    conflict(found, key, "has no figure: no route has 'cache'", {
      remedy: "Add 'cache' to a route, or leave it out.",
    })
  else return [{ ...told, of: name, ofKind: kind }]
  return []
}

/** Figures of consistency need something that can be stale, and a hit ratio a cache. */
function ofSystem(one: CheckedExpectation, parts: Parts, key: string, found: Findings): CheckedExpectation[] {
  const none = Object.keys(parts.databases).length === 0
  if (none && consistency.some(metric => metric === one.metric))
    conflict(found, key, 'has no figure: the file has no database', { remedy: 'Leave it out.' })
  else if (one.metric === 'hitRatio' && !parts.edgeCache)
    conflict(found, key, "has no figure: no route has 'cache'", noEdgeCache)
  else return [one]
  return []
}

const noEdgeCache = { remedy: "Add 'cache' to a route, or say of which cache: 'main.hitRatio'." }

function unknownFigure(
  { metric }: ParsedExpectation,
  name: string,
  kinds: readonly ExpectationKind[],
  parts: Parts,
  key: string,
  found: Findings,
): void {
  const [kind] = kinds
  if (kind !== undefined) {
    const [action = 'reads'] = actionsOf(parts)
    conflict(found, key, `is no figure of a${/^[ae]/.test(kind) ? 'n' : ''} ${kind}`, {
      allowed: figures[kind].join(', '),
      ...(figures.action.includes(metric)
        ? { remedy: `Requests are counted by action: '${action}.${metric}'.` }
        : {}),
    })
    return
  }
  const names = [...new Set([...actionsOf(parts), ...known(parts), ...Object.keys(parts.caches), 'edge'])]
  const near = nearest(name, names)
  conflict(found, key, `is of '${name}', which is no action and no part of this file`, {
    allowed: names.map(one => `'${one}'`).join(', '),
    ...(near ? { remedy: `Did you mean '${near}.${metric}'?` } : {}),
  })
}
