// Checked system and members -> the edge's snapshot. Pure: the same arguments give the same snapshot, so a reload can be
// compared with what runs. Owns what the snapshot adds to the file: members, version, keys, pages, absolute paths, and
// what was switched on by a command.

import { join, resolve } from 'node:path'
import {
  type CertificateSpec,
  type EdgeCacheSpec,
  type EdgeSnapshot,
  type MaintenanceSpec,
  type MemberSpec,
  type PageSpec,
  type RouteSpec,
  snapshotFormat,
  type TlsSpec,
  type UpstreamSpec,
} from '../edge/snapshot.ts'
import type { CheckedRoute, CheckedService, CheckedSystem, CheckedTls } from '../file/index.ts'
import { type GuardRuling, type GuardSpec, guardPath } from '../guard/part.ts'
import { parentOf } from './compile-fleet.ts'
import type { EdgeFiles } from './edge-files.ts'

export interface CompileContext {
  readonly version: number
  /** Members by service, in the order the fleet publishes them; a service without an entry has none yet. */
  readonly members: ReadonlyMap<string, readonly MemberSpec[]>
  /** Base64; signs sticky cookies. */
  readonly stickySecret: string
  /** Base64; signs what instances are told of client certificates. */
  readonly identitySecret: string
  /** Absolute: the logs' default place. */
  readonly stateDirectory: string
  /** Absolute: the folder of the system file, from which its paths are meant. */
  readonly baseDirectory: string
  /** What stands in the files that the system names. */
  readonly files: EdgeFiles
  /** Made by Tenfold itself: of ACME, self-signed. Those of the file go before them. */
  readonly ownCertificates: readonly CertificateSpec[]
  readonly switches: EdgeSwitches
  /** Of this system; null: it has none. */
  readonly guard: GuardSpec | null
  /** Bans and allowances by command. */
  readonly rulings: readonly GuardRuling[]
}

/** What commands have switched on; what they leave open the file says. */
export interface EdgeSwitches {
  readonly maintenance?: {
    readonly page?: PageSpec
    readonly retryAfterSeconds?: number
    readonly allow?: readonly string[]
  }
  readonly standDown?: string
}

export function compileEdge(system: CheckedSystem, context: CompileContext): EdgeSnapshot {
  const { edge } = system
  return {
    format: snapshotFormat,
    version: context.version,
    name: system.name,
    listeners: edge.listeners,
    trustedProxies: edge.trustedProxies,
    forwarded: edge.forwarded,
    limits: edge.limits,
    accessLog: edge.accessLog === null ? null : { file: logFile(edge.accessLog.file, 'access', context) },
    routes: [...guardRoutes(context), ...edge.routes.map(route => routeSpec(route, context))],
    upstreams: upstreamServices(system).map(service => upstreamSpec(service, context)),
    stickySecret: context.stickySecret,
    ...tlsPart(edge.tls, context),
    ...pagesPart(system, context),
    ...observedPart(system, context),
    ...cachePart(system, context),
    ...guardPart(context),
    ...(context.switches.standDown === undefined ? {} : { standDown: context.switches.standDown }),
  }
}

/** The file's, and the parent that caching routes ask before them. */
function upstreamServices(system: CheckedSystem): CheckedService[] {
  const parent = parentOf(system)
  const services = Object.values(system.services)
  return parent === undefined ? services : [...services, parent.service]
}

/** Before all others: no route of the file may hide the guard's own pages. */
const guardRoutes = ({ guard }: CompileContext): RouteSpec[] =>
  guard === null ? [] : [{ id: '(guard)', match: { path: `${guardPath}*` }, action: { kind: 'guard' } }]

/** The edge hands it on and does not look into it. */
const guardPart = ({ guard, rulings }: CompileContext): Pick<EdgeSnapshot, 'guard'> =>
  guard === null ? {} : { guard: { ...guard, rulings } as unknown as Record<string, unknown> }

/** Absent where no route keeps anything: then there is no memory either. */
function cachePart(system: CheckedSystem, context: CompileContext): Pick<EdgeSnapshot, 'cache'> {
  const { cache, region, routes } = system.edge
  if (cache === undefined || !routes.some(route => route.cache)) return {}
  const { disk, parent } = cache
  const spec: EdgeCacheSpec = {
    store: {
      memoryBytes: cache.memoryBytes,
      entriesMax: cache.entriesMax,
      objectBytesMax: cache.objectBytesMax,
      eviction: cache.eviction,
      ...(disk
        ? {
            disk: {
              directory:
                disk.directory === null
                  ? join(context.stateDirectory, 'cache')
                  : absolute(disk.directory, context),
              bytes: disk.bytes,
              objectBytesMax: disk.objectBytesMax,
            },
          }
        : {}),
    },
    name: region === undefined ? 'tenfold' : `tenfold-${region}`,
    ...(parent ? { parent: parent.service.name } : {}),
    backgroundMax: cache.backgroundMax,
  }
  return { cache: spec }
}

const absolute = (file: string, { baseDirectory }: CompileContext): string => resolve(baseDirectory, file)

function logFile(file: string | null, word: string, context: CompileContext): string {
  return file === null ? join(context.stateDirectory, 'logs', `${word}.log`) : absolute(file, context)
}

function routeSpec({ action, hooks, ...route }: CheckedRoute, context: CompileContext): RouteSpec {
  const hash = hooks && context.files.hookHashes[hooks.module]
  return {
    ...route,
    action: action.kind === 'files' ? { ...action, root: absolute(action.root, context) } : action,
    ...(hooks ? { hooks: { ...hooks, module: absolute(hooks.module, context), hash: hash ?? '' } } : {}),
  }
}

function upstreamSpec(service: CheckedService, context: CompileContext): UpstreamSpec {
  const { tls, ...upstream } = service.upstream
  return {
    name: service.name,
    members: (context.members.get(service.name) ?? []).map(member => weighted(service, member)),
    ...upstream,
    ...(tls ? { tls: withAbsolute(tls, ['caFile', 'certFile', 'keyFile'], context) } : {}),
  }
}

function withAbsolute<T extends object>(value: T, keys: readonly (keyof T)[], context: CompileContext): T {
  const out = { ...value }
  for (const key of keys)
    if (typeof out[key] === 'string') out[key] = absolute(out[key], context) as T[keyof T]
  return out
}

/** The file gives weights by member id; members of `addresses` come with theirs. */
function weighted(service: CheckedService, member: MemberSpec): MemberSpec {
  if (service.kind !== 'command') return member
  const weight = service.weights[member.id]
  return weight === undefined ? member : { ...member, weight }
}

function tlsPart(
  tls: CheckedTls | undefined,
  context: CompileContext,
): Pick<EdgeSnapshot, 'tls' | 'identitySecret'> {
  if (!tls) return {}
  const { clientCertificates, hsts } = tls
  const certificates = tls.certificates.map(one => ({
    ...withAbsolute(one, ['certFile', 'keyFile'], context),
    source: 'file' as const,
  }))
  const spec: TlsSpec = {
    certificates: [...certificates, ...context.ownCertificates],
    minVersion: tls.minVersion,
    ...(clientCertificates
      ? { clientCertificates: withAbsolute(clientCertificates, ['caFile'], context) }
      : {}),
    ...(hsts === undefined ? {} : { hsts }),
  }
  return { tls: spec, ...(clientCertificates ? { identitySecret: context.identitySecret } : {}) }
}

/** The edge's own page stands for an empty one. */
const ownPage: PageSpec = { contentType: 'text/html; charset=utf-8', body: '' }

function pagesPart(
  { edge }: CheckedSystem,
  { files, switches }: CompileContext,
): Pick<EdgeSnapshot, 'errorPages' | 'maintenance'> {
  const pages = Object.entries(edge.errorPages ?? {}).flatMap(([status, file]) => {
    const page = files.pages[file]
    return page ? [[status, page] as const] : []
  })
  return {
    ...(pages.length > 0 ? { errorPages: Object.fromEntries(pages) } : {}),
    ...(switches.maintenance ? { maintenance: maintenanceSpec(edge.maintenance, files, switches) } : {}),
  }
}

function maintenanceSpec(
  told: CheckedSystem['edge']['maintenance'],
  files: EdgeFiles,
  { maintenance: switched = {} }: EdgeSwitches,
): MaintenanceSpec {
  const page = switched.page ?? (told?.page ? files.pages[told.page] : undefined) ?? ownPage
  return {
    ...page,
    retryAfterSeconds: switched.retryAfterSeconds ?? told?.retryAfterSeconds ?? 300,
    allow: switched.allow ?? told?.allow ?? [],
  }
}

function observedPart(
  { edge }: CheckedSystem,
  context: CompileContext,
): Pick<EdgeSnapshot, 'tracing' | 'slowLog' | 'serverTiming'> {
  const { tracing, slowLog, serverTiming } = edge
  return {
    ...(tracing ? { tracing: withAbsolute(tracing, ['headersFile'], context) } : {}),
    ...(slowLog
      ? { slowLog: { file: logFile(slowLog.file, 'slow', context), thresholdMs: slowLog.thresholdMs } }
      : {}),
    ...(serverTiming ? { serverTiming } : {}),
  }
}
