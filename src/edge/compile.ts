// A snapshot as the hot path reads it: routes in a table, header rules as drop tables and ready text, groups over cells.
// Compiled once per worker and snapshot; never changed afterwards. Refuses what can't work, before anything is swapped.

import { Failure } from '../kit/failure.ts'
import { type AddressBlock, parseBlock } from '../policy/address.ts'
import { compileRoutes, type RouteTable } from '../policy/route.ts'
import { fieldId, fieldIdOf } from '../wire/fields.ts'
import { bodilessDrop, requestDrop, responseDrop, withDropped } from '../wire/http1/index.ts'
import { type CompiledAction, redirectAction, respondAction } from './action.ts'
import { withoutToken } from './causal.ts'
import { canarySlots, type EdgeCells, memberSlots, routeSlots, upstreamSlots } from './cells.ts'
import { identityNames } from './client-identity.ts'
import { corsFields } from './cors.ts'
import type { Exchange } from './exchange.ts'
import { type ClientFailure, edgeFailures } from './failures.ts'
import type { Gate } from './gate.ts'
import { MemberGroup } from './group.ts'
import type { Refusal } from './refusal.ts'
import type { ResponseStep } from './response-sink.ts'
import { memberKey, type SnapshotSlots } from './slots.ts'
import {
  type EdgeSnapshot,
  type HeaderRules,
  type HedgeSpec,
  type ListenerSpec,
  mirrorRouteId,
  type RetrySpec,
  type RouteSpec,
  snapshotFormat,
} from './snapshot.ts'

export interface CompiledRules {
  readonly drop: Uint8Array
  /** The same, but Host stays where it is. */
  readonly dropButHost: Uint8Array
  readonly alsoDrop: readonly string[] | null
  readonly add: string
  /** Host as a rule sets it. */
  readonly host: string | null
}

export interface CompiledRoute {
  readonly index: number
  readonly spec: RouteSpec
  /** Row in the worker's route cells. */
  readonly row: number
  readonly group: MemberGroup | null
  /** Null: the request goes to an instance. */
  readonly action: CompiledAction | null
  /** Its requests are in the access log. */
  readonly logged: boolean
  /** Asked in order before the action: the worker's, then the route's own. Empty: costs nothing. */
  readonly gates: readonly Gate[]
  /** What may stand between the instance's answer and the client. */
  readonly step: ResponseStep | null
  readonly retry: RetrySpec | null
  readonly hedge: HedgeSpec | null
  readonly bodyBytesMax: number
  readonly timeoutUs: number
  readonly trusted: CompiledRules
  readonly untrusted: CompiledRules
  readonly response: CompiledRules
  /** A 204 has no Content-Length either (RFC 9110 8.6). */
  readonly response204: CompiledRules
}

export interface CompiledSnapshot {
  readonly spec: EdgeSnapshot
  readonly version: number
  readonly routes: readonly CompiledRoute[]
  readonly table: RouteTable
  readonly groups: ReadonlyMap<string, MemberGroup>
  readonly trustedProxies: readonly AddressBlock[]
  /** Asked before the routes are looked at: redirect to HTTPS, maintenance, ... Empty: costs nothing. */
  readonly doors: readonly Gate[]
  /** The operator's error pages. */
  readonly pages: ErrorPages | null
  /** Row for requests that no route takes. */
  readonly unroutedRow: number
  /** Rows of listeners that speak no HTTP, by their id: a connection or session counts there as a request does. */
  readonly listenerRows: ReadonlyMap<string, number>
  /** Exchanges that use this snapshot now. */
  uses: number
}

export interface ErrorPages {
  /** Null: the edge's own page. The body is Latin-1 text of its bytes. */
  of(failure: ClientFailure, exchange: Exchange): Refusal | null
}

/** Metrics of requests that no route matched. */
export const unroutedId = '(no route)'

/** Listeners that pass bytes on as they are. */
export function plainListeners(snapshot: EdgeSnapshot): readonly ListenerSpec[] {
  return snapshot.listeners.filter(({ kind }) => kind === 'tcp' || kind === 'udp')
}

/** What metrics and status name such a listener among the routes. */
export function listenerRouteId({ kind, id }: ListenerSpec): string {
  return `${kind}:${id}`
}

/** Fields that say who the client is: believed from trusted proxies only, dropped from everybody else. */
const claims: readonly number[] = [
  fieldId.forwarded,
  fieldId['x-forwarded-for'],
  fieldId['x-forwarded-proto'],
  fieldId['x-forwarded-host'],
  fieldId['x-forwarded-port'],
  fieldId['x-real-ip'],
  fieldId['x-request-id'],
]
/** Of those, the ones that the edge writes anew even when it believes them. */
const rewritten: readonly number[] = [
  fieldId['x-forwarded-for'],
  fieldId['x-forwarded-proto'],
  fieldId['x-forwarded-host'],
  fieldId['x-request-id'],
]
const traceDropped: readonly number[] = [fieldId.traceparent]

/** What a worker fits into the snapshot beside the plain way of a request; made by `features.ts`. */
export interface RouteFeatures {
  doors(snapshot: EdgeSnapshot): readonly Gate[]
  pages(snapshot: EdgeSnapshot): ErrorPages | null
  gates(
    route: RouteSpec,
    groups: ReadonlyMap<string, MemberGroup>,
    slots: SnapshotSlots,
    snapshot: EdgeSnapshot,
  ): readonly Gate[]
  step(route: RouteSpec, snapshot: EdgeSnapshot): ResponseStep | null
  /** For kinds that `compile.ts` does not know itself. */
  action(route: RouteSpec, added: string): CompiledAction | null
}

export function memberKeysOf(snapshot: EdgeSnapshot): string[] {
  return snapshot.upstreams.flatMap(upstream =>
    upstream.members.map(member => memberKey(upstream.name, member.id, member.epoch)),
  )
}

/** Every upstream that a route may send a request to. */
export function upstreamsOf({ action }: RouteSpec): string[] {
  if (action.kind !== 'proxy') return []
  const others = [action.canary?.upstream, action.mirror?.upstream].filter(name => name !== undefined)
  return [action.upstream, ...(action.split ?? []).map(part => part.upstream), ...others]
}

/** Throws a Failure that says what can't work. Pure but for that. */
export function checkSnapshot(snapshot: EdgeSnapshot): void {
  const refuse = (sentence: string): never => {
    throw new Failure(edgeFailures.snapshotInvalid, sentence)
  }
  if (snapshot.format !== snapshotFormat)
    refuse(`The snapshot has format ${snapshot.format}; this edge reads format ${snapshotFormat}.`)
  const names = new Set(snapshot.upstreams.map(upstream => upstream.name))
  if (names.size !== snapshot.upstreams.length) refuse('Two upstreams have the same name.')
  const mirrors = snapshot.routes.filter(({ action }) => action.kind === 'proxy' && action.mirror)
  const own = [...snapshot.routes, ...mirrors]
  const ids = new Set([...snapshot.routes.map(one => one.id), ...mirrors.map(one => mirrorRouteId(one.id))])
  if (ids.size !== own.length) refuse('Two routes have the same id.')
  const places = ids.size + plainListeners(snapshot).length
  if (places >= routeSlots)
    refuse(`There are ${places} routes and TCP or UDP listeners; at most ${routeSlots - 1} are possible.`)
  const listeners = new Set(snapshot.listeners.map(listener => listener.id))
  if (listeners.size !== snapshot.listeners.length) refuse('Two listeners have the same id.')
  if (names.size > upstreamSlots)
    refuse(`There are ${names.size} upstreams; at most ${upstreamSlots} are possible.`)
  const canaries = snapshot.routes.filter(({ action }) => action.kind === 'proxy' && action.canary).length
  if (canaries > canarySlots) refuse(`${canaries} routes have a canary; at most ${canarySlots} are possible.`)
  const members = memberKeysOf(snapshot)
  if (new Set(members).size !== members.length) refuse('Two members of an upstream have the same id.')
  if (members.length > memberSlots)
    refuse(`There are ${members.length} members; at most ${memberSlots} are possible.`)
  for (const route of snapshot.routes) {
    for (const upstream of upstreamsOf(route))
      if (!names.has(upstream)) refuse(`Route ${route.id} leads to '${upstream}', which is not an upstream.`)
  }
  const parent = snapshot.cache?.parent
  if (parent !== undefined && !names.has(parent))
    refuse(`The cache's parent is '${parent}', which is not an upstream.`)
  for (const listener of snapshot.listeners) {
    if ((listener.kind === 'tcp' || listener.kind === 'udp') && !names.has(listener.upstream))
      refuse(`Listener ${listener.id} leads to '${listener.upstream}', which is not an upstream.`)
    if (listener.kind === 'tcp' && listener.sendProxy !== undefined && isSecured(snapshot, listener.upstream))
      refuse(
        `Listener ${listener.id} is to send PROXY headers to '${listener.upstream}', which is reached over TLS: members expect them before it, or not at all.`,
      )
    if ('tls' in listener && listener.tls && snapshot.tls === undefined)
      refuse(`Listener ${listener.id} is to speak TLS; the snapshot has no certificates.`)
  }
  for (const listener of snapshot.listeners) {
    for (const block of listener.proxyProtocol ?? [])
      if (parseBlock(block) === null)
        refuse(
          `Listener ${listener.id} has '${block}' in proxyProtocol, which is neither an address nor a CIDR block.`,
        )
  }
  for (const block of snapshot.trustedProxies) {
    if (parseBlock(block) === null)
      refuse(`trustedProxies has '${block}', which is neither an address nor a CIDR block.`)
  }
}

function isSecured(snapshot: EdgeSnapshot, upstream: string): boolean {
  return snapshot.upstreams.find(one => one.name === upstream)?.tls !== undefined
}

export function compileSnapshot(
  snapshot: EdgeSnapshot,
  slots: SnapshotSlots,
  cells: EdgeCells,
  worker: number,
  before: CompiledSnapshot | null,
  features: RouteFeatures,
): CompiledSnapshot {
  const groups = new Map(
    snapshot.upstreams.map(upstream => [
      upstream.name,
      new MemberGroup(upstream, slots, cells, worker, before?.groups.get(upstream.name)),
    ]),
  )
  const noClaims = identityDropped(snapshot)
  const strict = snapshot.tls?.hsts === undefined ? [] : [fieldId['strict-transport-security']]
  const rowOf = (id: string): number => worker * routeSlots + (slots.routes.get(id) as number)
  const routes = snapshot.routes.map((spec, index): CompiledRoute => {
    const group = spec.action.kind === 'proxy' ? (groups.get(spec.action.upstream) as MemberGroup) : null
    const action = spec.action.kind === 'proxy' ? spec.action : null
    const cors = spec.cors === undefined ? spec.responseHeaders : withoutCors(spec.responseHeaders)
    const responseHeaders = spec.causal === true ? withoutToken(cors) : cors
    const requestHeaders = spec.causal === true ? withoutToken(spec.requestHeaders) : spec.requestHeaders
    const response = compileRules(withDropped(responseDrop, strict), responseHeaders)
    return {
      index,
      spec,
      row: rowOf(spec.id),
      group,
      action: actionOf(spec, response.add, features),
      logged: true,
      gates: features.gates(spec, groups, slots, snapshot),
      step: group === null ? null : features.step(spec, snapshot),
      retry: group === null ? null : { ...group.spec.retry, ...action?.retry },
      hedge: action?.hedge ?? group?.spec.hedge ?? null,
      bodyBytesMax: spec.bodyBytesMax ?? snapshot.limits.bodyBytesMax,
      timeoutUs: spec.timeoutMs === undefined ? Infinity : spec.timeoutMs * 1000,
      trusted: compileRules(
        withDropped(requestDrop, [...rewritten, ...traceDropped, ...noClaims]),
        requestHeaders,
      ),
      untrusted: compileRules(
        withDropped(requestDrop, [...claims, ...traceDropped, ...noClaims]),
        requestHeaders,
      ),
      response,
      response204: compileRules(withDropped(bodilessDrop, strict), responseHeaders),
    }
  })
  return {
    spec: snapshot,
    version: snapshot.version,
    routes,
    table: compileRoutes(
      snapshot.routes.map(({ match, cors }) => (cors === undefined ? match : { ...match, preflight: true })),
    ),
    groups,
    trustedProxies: snapshot.trustedProxies.map(block => parseBlock(block) as AddressBlock),
    doors: features.doors(snapshot),
    pages: features.pages(snapshot),
    unroutedRow: rowOf(unroutedId),
    listenerRows: new Map(
      plainListeners(snapshot).map(listener => [listener.id, rowOf(listenerRouteId(listener))]),
    ),
    uses: 0,
  }
}

/** What says who a client's certificate names, or what the guard says of a client, comes from us, or from nobody. */
function identityDropped({ tls, guard }: EdgeSnapshot): number[] {
  const byTls = tls?.clientCertificates === undefined ? [] : identityNames.map(name => fieldId[name])
  return guard === undefined ? byTls : [...byTls, ...guardNames.map(name => fieldId[name])]
}

/** Their spellings with other characters are refused everywhere (wire/http1/head.ts), and trailers of these names dropped. */
const guardNames = ['tenfold-identity', 'tenfold-human', 'tenfold-nonce'] as const

/** What an instance says about CORS is not what the route says. */
function withoutCors(rules: HeaderRules | undefined): HeaderRules {
  return { ...rules, remove: [...(rules?.remove ?? []), ...corsFields] }
}

function actionOf(spec: RouteSpec, added: string, features: RouteFeatures): CompiledAction | null {
  const { action } = spec
  if (action.kind === 'proxy') return null
  if (action.kind === 'redirect') return redirectAction(action, added)
  if (action.kind === 'respond') return respondAction(action, added)
  return features.action(spec, added)
}

function compileRules(base: Uint8Array, rules: HeaderRules | undefined): CompiledRules {
  const names = [...Object.keys(rules?.set ?? {}), ...(rules?.remove ?? [])].map(name => name.toLowerCase())
  const ids = names.map(fieldIdOf)
  const unknown = names.filter((_, at) => ids[at] === 0)
  const known = ids.filter(id => id !== 0)
  let add = ''
  let host: string | null = null
  for (const [name, value] of Object.entries(rules?.set ?? {})) {
    if (name.toLowerCase() === 'host') host = value
    else add += `${name}: ${value}\r\n`
  }
  const drop = known.length > 0 ? withDropped(base, known) : base
  const dropButHost = drop.slice()
  dropButHost[fieldId.host] = 0
  return {
    drop,
    dropButHost,
    alsoDrop: unknown.length > 0 ? unknown : null,
    add,
    host,
  }
}
