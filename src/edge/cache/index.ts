// The edge's HTTP cache as the other parts of a worker see it: gates and a step for each route of a snapshot that has
// one. The store is shared by all workers (`../store`); what may be stored and used is decided by `policy/freshness`.

import type { WorkerContext } from '../context.ts'
import type { Gate } from '../gate.ts'
import type { MemberGroup } from '../group.ts'
import type { ResponseStep } from '../response-sink.ts'
import type { EdgeSnapshot, RouteSpec } from '../snapshot.ts'
import type { WorkerStore } from '../store/contract.ts'
import { CacheGate } from './cache-gate.ts'
import { CacheStep, ForgetStep } from './cache-step.ts'
import { CachedRoute, type CacheLoads } from './cached-route.ts'
import { ParentGate } from './parent.ts'

export { CacheControl } from './control.ts'

export class Caches {
  readonly #worker: WorkerContext
  readonly #store: WorkerStore | null
  readonly #loads: CacheLoads = { background: 0, detached: 0 }
  readonly #routes = new WeakMap<RouteSpec, CachedRoute>()

  constructor(worker: WorkerContext, store: WorkerStore | null) {
    this.#worker = worker
    this.#store = store
  }

  gates(route: RouteSpec, groups: ReadonlyMap<string, MemberGroup>, { cache }: EdgeSnapshot): Gate[] {
    if (this.#store === null || cache === undefined || route.cache === undefined) return []
    if (route.action.kind !== 'proxy') return []
    const parent = cache.parent === undefined ? null : (groups.get(cache.parent) ?? null)
    const cached = new CachedRoute(this.#worker, this.#store, this.#loads, route, cache, parent)
    this.#routes.set(route, cached)
    return [new CacheGate(cached)]
  }

  /** The last gates of a route, after those that choose a group. After `gates`. */
  lastGates(route: RouteSpec): Gate[] {
    const cached = this.of(route)
    return cached === null || cached.parent === null ? [] : [new ParentGate(cached)]
  }

  /** `behind`: what stored answers pass on their way to a client; `inner`: the same for an instance's. */
  step(
    route: RouteSpec,
    snapshot: EdgeSnapshot,
    behind: ResponseStep | null,
    inner: ResponseStep | null,
  ): ResponseStep | null {
    const cached = this.of(route)
    if (cached !== null) {
      cached.behind = behind
      return new CacheStep(cached, inner)
    }
    return this.#store === null || snapshot.cache === undefined ? inner : new ForgetStep(this.#store, inner)
  }

  of(route: RouteSpec): CachedRoute | null {
    return this.#routes.get(route) ?? null
  }
}
