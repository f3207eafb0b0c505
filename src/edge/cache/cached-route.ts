// A route's cache rules as its gate and step use them, compiled once with the snapshot: how keys are made, which requests
// go past, what is said in Cache-Status. Both find it here by the route, and so meet. Decides nothing about freshness
// (policy/freshness).

import { compileKey, type KeyMaker, unkeyedFields } from '../../policy/freshness/index.ts'
import { hashText } from '../../policy/hash.ts'
import { fieldId } from '../../wire/fields.ts'
import { responseDrop } from '../../wire/http1/index.ts'
import type { CompiledRoute } from '../compile.ts'
import type { WorkerContext } from '../context.ts'
import type { Exchange } from '../exchange.ts'
import type { MemberGroup } from '../group.ts'
import type { ResponseStep } from '../response-sink.ts'
import type { CacheSpec, EdgeCacheSpec, RouteSpec } from '../snapshot.ts'
import { cookieValue, queryValue } from '../sticky.ts'
import type { WorkerStore } from '../store/contract.ts'
import { headOf } from './stored-fields.ts'
import { toldRequest } from './told-request.ts'

const memoMax = 2_048
const ownTimeoutUs = 30_000_000

/** What a worker's cached routes share. */
export interface CacheLoads {
  /** Validations in the background. */
  background: number
  /** Exchanges that go on without their clients. */
  detached: number
}

const plainKey = JSON.stringify({ query: 'all', headers: [], cookies: [], device: false, languages: [] })

export class CachedRoute {
  readonly worker: WorkerContext
  readonly store: WorkerStore
  readonly loads: CacheLoads
  readonly route: RouteSpec
  readonly spec: CacheSpec
  readonly edge: EdgeCacheSpec
  /** Names that instances could put into answers and that are not in the key. */
  readonly unkeyed: readonly string[]
  /** `Cache-Status: NAME; `. */
  readonly statusStart: string
  /** Field line by which origins learn that Surrogate-Control is read here. */
  readonly capability = 'Surrogate-Capability: tenfold="Surrogate/1.0"\r\n'
  /** What stands between a stored answer and its client: hooks, compression. */
  behind: ResponseStep | null = null
  /** Asked before the route's own instances. */
  readonly parent: MemberGroup | null
  readonly #key: KeyMaker
  /** Ends the keys of rules that are not the plain ones, so that other rules find other entries. */
  readonly #space: string
  readonly #bypasses: boolean
  readonly #memo = new Map<string, string>()
  readonly #names = new Map<string, readonly string[]>()
  #own: CompiledRoute | null = null
  #asStored: boolean | null = null

  constructor(
    worker: WorkerContext,
    store: WorkerStore,
    loads: CacheLoads,
    route: RouteSpec,
    edge: EdgeCacheSpec,
    parent: MemberGroup | null,
  ) {
    const spec = route.cache as CacheSpec
    this.worker = worker
    this.store = store
    this.loads = loads
    this.route = route
    this.spec = spec
    this.edge = edge
    this.parent = parent
    this.unkeyed = unkeyedFields(spec.key)
    this.statusStart = `Cache-Status: ${edge.name}; `
    this.#key = compileKey(spec.key)
    const { query, headers, cookies, device, countryHeader, languages } = spec.key
    const rules = JSON.stringify({ query, headers, cookies, device, countryHeader, languages })
    const others = route.match.headers === undefined ? '' : route.id
    this.#space = rules === plainKey && others === '' ? '' : `#${hashText(rules + others).toString(36)}`
    const { bypass } = spec
    this.#bypasses = bypass.headers.length + bypass.cookies.length + bypass.query.length > 0
  }

  /** Null: there can be none. */
  keyOf(exchange: Exchange): string | null {
    const { head, target, path } = exchange
    const query = target.length === path.length ? '' : target.slice(path.length)
    const text = this.#key.text(isSecure(exchange), head.authority, path, query, toldRequest(exchange))
    if (text === null) return null
    const spaced = this.#space === '' ? text : keyWith(text, this.#space)
    const told = toldHost(exchange)
    return told === '' ? spaced : keyWith(spaced, told)
  }

  /** Of a marker: the names by which answers under its key vary. */
  namesOf(fields: string): readonly string[] {
    let names = this.#names.get(fields)
    if (names === undefined) {
      if (this.#names.size >= memoMax) this.#names.clear()
      this.#names.set(fields, (names = fields.split(',')))
    }
    return names
  }

  /** Path and the parameters that count, for purges. */
  targetOf(target: string): string {
    const mark = target.indexOf('?')
    return mark < 0
      ? this.#key.pathAndQuery(target, '')
      : this.#key.pathAndQuery(target.slice(0, mark), target.slice(mark))
  }

  /** As requests of our own see the route: no gates, no line in the log, a bound on their time. */
  ownRoute(route: CompiledRoute): CompiledRoute {
    this.#own ??= {
      ...route,
      logged: false,
      gates: [],
      group: this.parent ?? route.group,
      timeoutUs: Math.min(route.timeoutUs, ownTimeoutUs),
    }
    return this.#own
  }

  /** The route's tags, with what its `:name`s took. */
  tagsOf(exchange: Exchange): readonly string[] {
    return !this.spec.tags.some(tag => tag.includes('{'))
      ? this.spec.tags
      : this.spec.tags.map(tag => this.#filledTag(exchange, tag))
  }

  #filledTag({ snapshot, route, path }: Exchange, tag: string): string {
    return tag.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = snapshot?.table.parameter((route as CompiledRoute).index, path, name)
      return value ?? whole
    })
  }

  /** Stored lines without what the route's rules drop. A hot answer has one text for its whole life: it is remembered. */
  shown(exchange: Exchange, lines: string): string {
    const route = exchange.route as CompiledRoute
    this.#asStored ??= dropsLittle(route)
    if (this.#asStored) return lines
    if (this.#memo.size >= memoMax) this.#memo.clear()
    let shown = this.#memo.get(lines)
    if (shown === undefined) {
      shown = headOf(200, lines).copyFields(route.response.drop, route.response.alsoDrop)
      this.#memo.set(lines, shown)
    }
    return shown
  }

  goesPast(exchange: Exchange): boolean {
    if (!this.#bypasses) return false
    const { headers, cookies, query } = this.spec.bypass
    const { head, target } = exchange
    const told = toldRequest(exchange)
    if (headers.some(name => head.find(name) !== undefined || told.find(name) !== undefined)) return true
    if (query.some(name => queryValue(target, name) !== undefined)) return true
    const given = cookies.length === 0 ? undefined : head.find('cookie')
    return given !== undefined && cookies.some(name => cookieValue(given, name) !== undefined)
  }
}

/** HSTS is dropped when an answer is stored; whatever else a table drops, its route's rules ask for. */
function dropsLittle({ response: { drop, alsoDrop } }: CompiledRoute): boolean {
  if (alsoDrop !== null) return false
  for (let id = 0; id < drop.length; id++)
    if (drop[id] !== responseDrop[id] && id !== fieldId['strict-transport-security']) return false
  return true
}

/** `host SP target SP variant`: a further part of the variant. */
export function keyWith(key: string, part: string): string {
  const second = key.indexOf(' ', key.indexOf(' ') + 1)
  return second < 0 ? `${key} ${part}` : `${key}|${part}`
}

/** Other hosts that a trusted proxy names: instances are told of them, and may answer by them. '' where there is none. */
function toldHost({ client, head }: Exchange): string {
  if (client === null || !client.trusted) return ''
  const named = head.find('forwarded') ?? ''
  const hosts = [...named.matchAll(/host=("[^"]{0,256}"|[^;,\s]{0,256})/gi)].map(([, host]) => host as string)
  hosts.push(head.find('x-forwarded-host') ?? '')
  const own = head.authority.toLowerCase()
  const others = hosts
    .map(host => host.replaceAll('"', '').toLowerCase())
    .filter(host => host !== '' && host !== own)
  return others.length === 0 ? '' : `~told=${encodeURIComponent(others.join())}`
}

export function isSecure({ client, head }: Exchange): boolean {
  if (client === null) return false
  return client.tls !== null || (client.trusted && head.value(fieldId['x-forwarded-proto']) === 'https')
}
