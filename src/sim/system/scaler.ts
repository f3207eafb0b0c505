// Autoscaling in virtual time: each service with `scale` is looked at as often as in production, and policy/scale decides. What
// an instance does is measured as production measures it: busy cores, requests at once, requests a second.

import {
  decideScale,
  newScaleState,
  type ScaleMetric,
  type ScaleObservation,
  type ScaleState,
} from '../../policy/scale/index.ts'
import type { Instance, ServicePool } from './services.ts'
import type { World } from './world.ts'

interface Scaled {
  readonly pool: ServicePool
  state: ScaleState
  /** Busy microseconds and requests of each instance at the last look. */
  readonly busy: Map<Instance, number>
  readonly taken: Map<Instance, number>
}

export class Scaler {
  readonly #world: World

  constructor(world: World, pools: readonly ServicePool[]) {
    this.#world = world
    for (const pool of pools) {
      const { checked } = pool.plan
      const settings = checked.kind === 'command' ? checked.instances.scale : undefined
      if (settings === undefined) continue
      const scaled: Scaled = { pool, state: newScaleState, busy: new Map(), taken: new Map() }
      const code = world.engine.on(`${pool.plan.name} scales`, () => {
        world.engine.after(settings.syncMs * 1000, code)
        this.#decide(scaled)
      })
      world.engine.after(settings.syncMs * 1000, code)
    }
  }

  #decide(scaled: Scaled): void {
    const { pool } = scaled
    const { checked } = pool.plan
    if (checked.kind !== 'command' || checked.instances.scale === undefined) return
    const { min, max, scale } = checked.instances
    const { now } = this.#world.engine
    const seen = pool.instances
      .filter(({ state }) => state === 'ready' || state === 'starting')
      .map(instance => this.#observe(instance, scaled, scale.metrics, scale.syncMs * 1000))
    const wallMs = this.#startMs() + now / 1000
    const [state, plan] = decideScale(now, wallMs, pool.wanted, seen, scaled.state, { min, max, ...scale })
    scaled.state = state
    if (plan.kind === 'resize') pool.want(plan.to, plan.why)
  }

  /** The time of the day at which the rehearsal begins; a Thursday. */
  #startMs(): number {
    const { shape } = this.#world.blueprint.rehearsal.arrivals
    return shape.kind === 'diurnal' ? shape.startAtMs : 0
  }

  #observe(
    instance: Instance,
    { busy, taken }: Scaled,
    metrics: readonly ScaleMetric[],
    spanUs: number,
  ): ScaleObservation {
    const { now } = this.#world.engine
    const worked = instance.station.busyTime(now)
    const cores = (worked - (busy.get(instance) ?? worked)) / spanUs
    const requests = instance.taken - (taken.get(instance) ?? instance.taken)
    const isKnown = busy.has(instance)
    busy.set(instance, worked)
    taken.set(instance, instance.taken)
    const values = metrics.map(({ kind }) => {
      if (kind === 'inFlight') return instance.inside
      if (!isKnown) return null
      if (kind === 'queue') return instance.station.waiting
      return kind === 'cpu' ? cores : (requests * 1e6) / spanUs
    })
    return { readySinceUs: instance.state === 'ready' ? instance.readyAt : null, values }
  }
}
