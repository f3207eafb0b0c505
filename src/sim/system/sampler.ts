// Figures over time, for charts: one value a step, at most a few hundred steps.

import { Priority } from '../core/engine.ts'
import type { Series } from '../result.ts'
import type { DatabasePort } from './database-port.ts'
import type { Exchanges } from './exchanges.ts'
import type { Fronts } from './fronts.ts'
import type { ServicePool } from './services.ts'
import type { World } from './world.ts'

interface Line {
  readonly id: string
  readonly label: string
  readonly unit: Series['unit']
  readonly values: (number | null)[]
  readonly read: (now: number) => number | null
}

const stepLeastUs = 100_000

export class Sampler {
  readonly #lines: Line[] = []
  readonly #world: World
  readonly #stepUs: number
  readonly #code: number
  /** Busy time of each service at the last step. */
  readonly #busy = new Map<ServicePool, number>()

  constructor(
    world: World,
    exchanges: Exchanges,
    fronts: Fronts,
    databases: readonly DatabasePort[],
    stepsMax: number,
  ) {
    this.#world = world
    const { engine, window } = world
    this.#stepUs = Math.max(stepLeastUs, Math.ceil((window.toUs - window.fromUs) / stepsMax))
    this.#code = engine.on('sample', () => this.#sample(), Priority.sample)
    this.#traffic()
    for (const pool of exchanges.pools) this.#service(pool)
    for (const { cache, edge } of fronts.fronts)
      if (cache !== null)
        this.#line(
          `edge-${edge + 1}.entries`,
          `edge-${edge + 1}: things in its cache`,
          'count',
          () => cache.entries,
        )
    for (const database of databases)
      for (const [index, gauge] of database.gauges.entries())
        this.#line(gauge.id, gauge.label, gauge.unit, now => database.gauge(index, now))
    engine.at(window.fromUs, this.#code)
  }

  #line(id: string, label: string, unit: Series['unit'], read: Line['read']): void {
    this.#lines.push({ id, label, unit, values: [], read })
  }

  #traffic(): void {
    const { traffic } = this.#world
    const seconds = this.#stepUs / 1e6
    const latency = (q: number) => (): number | null =>
      traffic.stepLatency.count === 0 ? null : traffic.stepLatency.quantile(q)
    this.#line('system.arrivals', 'requests that arrive', 'per second', () => traffic.stepArrived / seconds)
    this.#line('system.throughput', 'requests answered', 'per second', () => traffic.stepAnswered / seconds)
    this.#line('system.errors', 'failed, refused, given up', 'per second', () => traffic.stepBad / seconds)
    this.#line('system.p50', 'median latency', 'us', latency(0.5))
    this.#line('system.p99', '99th percentile of latency', 'us', latency(0.99))
  }

  #service(pool: ServicePool): void {
    const { name } = pool.plan
    this.#line(`${name}.instances`, `${name}: instances ready`, 'count', () => pool.readyCount)
    this.#line(`${name}.utilisation`, `${name}: cores busy`, 'share', now => this.#utilisation(pool, now))
    this.#line(`${name}.waiting`, `${name}: requests that wait in instances`, 'count', () =>
      pool.instances.reduce((sum, { station }) => sum + station.waiting, 0),
    )
  }

  #utilisation(pool: ServicePool, now: number): number | null {
    let busy = 0
    let servers = 0
    for (const { station, state } of pool.instances) {
      busy += station.busyTime(now)
      if (state === 'ready' || state === 'draining') servers += station.servers
    }
    const before = this.#busy.get(pool) ?? busy
    this.#busy.set(pool, busy)
    return servers === 0 ? null : (busy - before) / servers / this.#stepUs
  }

  #sample(): void {
    const { engine, window, traffic } = this.#world
    const first = engine.now === window.fromUs
    for (const line of this.#lines) {
      const value = line.read(engine.now)
      if (!first) line.values.push(value)
    }
    traffic.beginStep()
    if (engine.now + this.#stepUs <= window.toUs) engine.after(this.#stepUs, this.#code)
  }

  series(): Series[] {
    return this.#lines.map(({ id, label, unit, values }) => ({
      id,
      label,
      unit,
      stepUs: this.#stepUs,
      values,
    }))
  }
}
