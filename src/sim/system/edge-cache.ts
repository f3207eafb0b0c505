// The HTTP cache of one edge: which things it holds, what may be served of them and what goes when it is full, by the
// policies of the real one (policy/freshness, policy/evict). A thing is an action and an object; its answer is taken to say
// nothing but its lifetime. Where the workload gives a hit ratio, that is drawn instead, and nothing is held.

import type { CheckedEdgeCache, CheckedRouteCache } from '../../file/checked-caches.ts'
import type { CheckedCacheLoad } from '../../file/checked-workload.ts'
import { type EvictionPolicy, evictionFactory } from '../../policy/evict/index.ts'
import {
  type CacheRules,
  type FreshnessMeta,
  judgeReuse,
  judgeStorage,
  mayServeOnError,
  type RequestDirectives,
  Reuse,
} from '../../policy/freshness/index.ts'
import { mixPair } from '../../policy/hash.ts'
import type { Stream } from '../core/index.ts'
import type { ActionPlan } from './blueprint.ts'
import type { World } from './world.ts'

/** What a look says. */
export const Look = { hit: 0, refresh: 1, miss: 2 } as const
export type LookCode = (typeof Look)[keyof typeof Look]

/** What an entry takes beside its body: docs/decisions/0023-edge-store.md. */
const overheadBytes = 331
const slotsMax = 16_777_216
const keySpan = 2 ** 32
const asks: RequestDirectives = { flags: 0, maxAgeSeconds: -1, maxStaleSeconds: -1, minFreshSeconds: -1 }

export class EdgeCache {
  hits = 0
  misses = 0
  evictions = 0
  readonly capacity: number
  readonly #world: World
  readonly #policy: EvictionPolicy
  readonly #slots = new Map<number, number>()
  readonly #keys: Float64Array
  readonly #storedAt: Float64Array
  readonly #free: number[] = []
  #used = 0
  readonly #random: Stream
  readonly #ratio: number | null
  /** By action: the verdict on its answers; null: they are not stored. */
  readonly #metas: readonly (FreshnessMeta | null)[]
  readonly #rules: readonly (CheckedRouteCache | null)[]
  readonly #meta: FreshnessMeta

  constructor(world: World, edge: number, settings: CheckedEdgeCache, load: CheckedCacheLoad) {
    this.#world = world
    const bytes = Math.max(1, load.entryBytes + overheadBytes)
    const fits = load.entriesMax ?? Math.floor(settings.memoryBytes / bytes)
    this.capacity = Math.max(1, Math.min(fits, settings.entriesMax, slotsMax))
    const { actions } = world.blueprint
    const things = actions.reduce((sum, action) => sum + (action.load.objects?.count ?? 1), 0)
    const slots = Math.max(1, Math.min(this.capacity, things))
    this.#policy = evictionFactory(settings.eviction).create({
      slots,
      capacity: slots,
      seed: world.engine.seed,
    })
    this.#keys = new Float64Array(slots)
    this.#storedAt = new Float64Array(slots)
    this.#random = world.engine.stream(`edge-${edge + 1} cache`)
    this.#ratio = load.hitRatio
    this.#rules = actions.map(action => action.route?.route.cache ?? null)
    this.#metas = actions.map(action => storable(action, load.ttlMs))
    this.#meta = { ...emptyMeta }
  }

  /** Does the cache have a say in this action at all? */
  keeps(action: number): boolean {
    return this.#metas[action] !== null && this.#metas[action] !== undefined
  }

  look(action: number, object: number): LookCode {
    const found = this.#ratio === null ? this.#find(action, object) : this.#draw(this.#ratio)
    if (found === Look.miss) this.misses++
    else this.hits++
    return found
  }

  #draw(ratio: number): LookCode {
    return this.#random.float() < ratio ? Look.hit : Look.miss
  }

  #find(action: number, object: number): LookCode {
    const key = action * keySpan + object
    const slot = this.#slots.get(key)
    if (slot === undefined) {
      if (this.#policy.usesHashes) this.#policy.miss(mixPair(action, object))
      return Look.miss
    }
    this.#policy.hit(slot)
    const { now } = this.#world.engine
    const ahead = this.#rules[action]?.refreshAhead ?? 0
    const code = judgeReuse(
      this.#metaOf(action, slot),
      now,
      asks,
      false,
      ahead,
      ahead > 0 ? this.#random.float() : 0,
    )
    if (code === Reuse.fresh || code === Reuse.staleAllowed) return Look.hit
    return code === Reuse.freshRefresh || code === Reuse.staleRevalidate ? Look.refresh : Look.miss
  }

  #metaOf(action: number, slot: number): FreshnessMeta {
    const { receivedAtUs: _, ...template } = this.#metas[action] as FreshnessMeta
    return Object.assign(this.#meta, template, { receivedAtUs: this.#storedAt[slot] as number })
  }

  /** The origin failed: may what is held be served all the same? */
  servesOnError(action: number, object: number, status: number): boolean {
    const slot = this.#slots.get(action * keySpan + object)
    return (
      slot !== undefined && mayServeOnError(this.#metaOf(action, slot), this.#world.engine.now, asks, status)
    )
  }

  /** An answer came. */
  store(action: number, object: number): void {
    if (this.#ratio !== null) return
    const key = action * keySpan + object
    const { now } = this.#world.engine
    const known = this.#slots.get(key)
    if (known !== undefined) {
      this.#storedAt[known] = now
      return
    }
    const slot = this.#room()
    if (slot < 0) return
    this.#slots.set(key, slot)
    this.#keys[slot] = key
    this.#storedAt[slot] = now
    this.#policy.insert(slot, mixPair(action, object), 1)
  }

  #room(): number {
    const again = this.#free.pop()
    if (again !== undefined) return again
    if (this.#used < this.#keys.length) return this.#used++
    const slot = this.#policy.evict()
    if (slot < 0) return -1
    this.evictions++
    this.#slots.delete(this.#keys[slot] as number)
    return slot
  }

  /** It forgets everything. */
  clear(): void {
    this.#policy.clear()
    this.#slots.clear()
    this.#free.length = 0
    this.#used = 0
  }

  get entries(): number {
    return this.#slots.size
  }
}

const emptyMeta: FreshnessMeta = {
  status: 200,
  receivedAtUs: 0,
  initialAgeUs: 0,
  freshForUs: 0,
  staleWhileRevalidateUs: 0,
  staleIfErrorUs: 0,
  flags: 0,
}

/** What the cache makes of an answer to this action; null: it is not kept. */
function storable({ load, route }: ActionPlan, ttlMs: number | null): FreshnessMeta | null {
  const rules = route?.route.cache
  // Only these are looked up; what is asked by other methods goes to the service.
  if (rules === undefined || (load.method !== 'GET' && load.method !== 'HEAD')) return null
  const fields = new Map<string, string>()
  if (ttlMs !== null) fields.set('cache-control', `max-age=${Math.floor(ttlMs / 1000)}`)
  const { store, ...judged } = judgeStorage({
    method: load.method,
    request: { find: () => undefined },
    status: 200,
    response: { find: name => fields.get(name) },
    rules: rules satisfies CacheRules,
    key: rules.key,
    requestAtUs: 0,
    responseAtUs: 0,
    wallSeconds: 0,
    readDate: () => Number.NaN,
  })
  if (!store) return null
  const { status, initialAgeUs, freshForUs, staleWhileRevalidateUs, staleIfErrorUs, flags } = judged
  return { status, receivedAtUs: 0, initialAgeUs, freshForUs, staleWhileRevalidateUs, staleIfErrorUs, flags }
}
