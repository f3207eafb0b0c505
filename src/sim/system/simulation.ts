// A rehearsal of a checked system: built from the file, run in steps, and what came out. Everything between a client and a
// disk is put together here; nothing here decides.

import type { CheckedSystem } from '../../file/checked.ts'
import type { CheckedRehearsal } from '../../file/checked-rehearsals.ts'
import type { CheckedWorkload } from '../../file/checked-workload.ts'
import { Engine, estimate, type TraceCounts, trend } from '../core/index.ts'
import type { Estimate } from '../core/statistics.ts'
import { createDatabase } from '../database/index.ts'
import type { Window } from '../models/window.ts'
import { type Instability, type PartResult, resultFormat, type SimulationResult } from '../result.ts'
import { type Blueprint, blueprintOf } from './blueprint.ts'
import { Calls } from './calls.ts'
import { Clients } from './clients.ts'
import type { DatabaseEvents, DatabasePort } from './database-port.ts'
import { Exchanges } from './exchanges.ts'
import { judge } from './expectations.ts'
import { Faults } from './faults.ts'
import { Fronts } from './fronts.ts'
import { Sampler } from './sampler.ts'
import { Scaler } from './scaler.ts'
import { ServicePool } from './services.ts'
import { Timeline } from './timeline.ts'
import { Traffic } from './traffic.ts'
import { Network, type World } from './world.ts'

const batches = 30
const seriesStepsMax = 300

export interface SimulationOptions {
  /** Instead of the rehearsal's. */
  readonly seed?: number
  /** Of a rehearsal whose arrivals are a trace. */
  readonly trace?: TraceCounts
}

export class Simulation {
  readonly #world: World
  readonly #exchanges: Exchanges
  readonly #clients: Clients
  readonly #fronts: Fronts
  readonly #faults: Faults
  readonly #databases: readonly DatabasePort[]
  readonly #sampler: Sampler
  #calls: Calls

  constructor(
    system: CheckedSystem,
    workload: CheckedWorkload,
    rehearsal: CheckedRehearsal,
    options: SimulationOptions = {},
  ) {
    const blueprint: Blueprint = blueprintOf(system, workload, rehearsal)
    const engine = new Engine({ seed: options.seed ?? rehearsal.seed })
    const fromUs = Math.round(rehearsal.warmupMs * 1000)
    const window: Window = { fromUs, toUs: fromUs + Math.round(rehearsal.durationMs * 1000), batches }
    const timeline = new Timeline(engine, fromUs)
    const traffic = new Traffic(
      blueprint.actions.map(({ id }) => id),
      window,
    )
    const world: World = { engine, blueprint, window, timeline, traffic, network: new Network(blueprint) }
    this.#world = world
    const decide: DatabaseEvents['decide'] = (kind, part, what, why) => timeline.add(kind, part, what, why)
    this.#databases = Object.keys(system.databases).map(name =>
      createDatabase(world, name, { decide, done: (token, end) => this.#calls.done(token, end) }),
    )
    const exchanges = new Exchanges(
      world,
      (died, changed) =>
        blueprint.services.map(
          (_, at) => new ServicePool(world, at, changed, job => exchanges.worked(job), died),
        ),
      {
        ended: (row, outcome) => this.#fronts.ended(row, outcome),
        answered: (attempt, life, ok) => this.#calls.answered(attempt, life, ok),
        worked: attempt => this.#calls.begin(attempt),
        dropped: attempt => this.#calls.dropped(attempt),
      },
    )
    this.#exchanges = exchanges
    const ofServices = blueprint.services.map(({ proxy }) => exchanges.addProxy(proxy))
    const ofActions = blueprint.actions.map(({ route }) =>
      route === null || route.proxy === null ? -1 : exchanges.addProxy(route.proxy),
    )
    this.#calls = new Calls(world, exchanges, this.#databases, ofServices)
    this.#fronts = new Fronts(world, exchanges, ofActions, (row, outcome) =>
      this.#clients.answer(row, outcome),
    )
    this.#clients = new Clients(world, exchanges, options.trace ?? null, row => this.#fronts.enter(row))
    this.#clients.edgeServes = edge => this.#fronts.fronts[edge]?.serves ?? false
    this.#clients.left = row => this.#fronts.left(row)
    this.#faults = new Faults(world, exchanges, this.#fronts, this.#clients, this.#databases)
    this.#sampler = new Sampler(world, exchanges, this.#fronts, this.#databases, seriesStepsMax)
    new Scaler(world, exchanges.pools)
    for (const pool of exchanges.pools) pool.begin()
    this.#clients.begin()
  }

  /** 0..1, of virtual time. */
  get progress(): number {
    return Math.min(1, this.#world.engine.now / this.#world.window.toUs)
  }
  get events(): number {
    return this.#world.engine.events
  }

  /** Handles at most so many events. True: it is over. */
  step(eventsMax: number): boolean {
    return this.#world.engine.run(this.#world.window.toUs, eventsMax)
  }

  /** When it is over. */
  result(): SimulationResult {
    const { engine, blueprint, window, timeline, traffic } = this.#world
    const now = window.toUs
    const parts = [...this.#edgeParts(now), ...this.#serviceParts(now)]
    const databases = this.#databases.map(database => database.results(now))
    parts.push(...databases.map(({ part }) => part))
    const unstable = this.#instabilities(now)
    const flows = traffic.results(unstable.length > 0)
    const consistency = databases.map(database => database.consistency)
    const seen = { traffic: flows, parts, consistency, unstable: unstable.length > 0 }
    return {
      format: resultFormat,
      system: blueprint.system.name,
      rehearsal: blueprint.rehearsal.name,
      seed: engine.seed,
      method: { kind: 'events' },
      durationUs: window.toUs - window.fromUs,
      warmupUs: window.fromUs,
      batches: window.batches,
      events: engine.events,
      draws: engine.draws,
      hash: engine.hash,
      unstable,
      traffic: flows,
      parts,
      consistency,
      series: this.#sampler.series(),
      decisions: timeline.decisions,
      decisionsLeftOut: timeline.leftOut,
      expectations: blueprint.rehearsal.expect.map(expectation => judge(expectation, seen)),
      remarks: [...this.#faults.remarks, ...this.#remarks()],
    }
  }

  #edgeParts(now: number): PartResult[] {
    const parts: PartResult[] = []
    const { fronts } = this.#fronts
    const stations = fronts.flatMap(({ station }) => (station === null ? [] : [station]))
    const ejections = this.#exchanges.views.flat().reduce((sum, view) => sum + view.ejections, 0)
    parts.push({
      id: 'edge',
      kind: 'edge',
      members: fronts.length,
      membersMin: fronts.length,
      membersMax: fronts.length,
      utilisation: stations.length === 0 ? null : utilisationOf(stations, now),
      inside: levelsOf(
        stations.flatMap(station => [station.busy.means(now), station.waitingLevel.means(now)]),
      ),
      waiting: levelsOf(stations.map(station => station.waitingLevel.means(now))),
      waitingMax: stations.reduce((most, station) => Math.max(most, station.waitingMax), 0),
      saturatedAtUs: this.#saturatedAt(stations.map(station => station.saturatedAtUs)),
      hitRatio: null,
      counts: { ejections },
    })
    const caches = fronts.flatMap(({ cache }) => (cache === null ? [] : [cache]))
    if (caches.length > 0) {
      const hits = caches.reduce((sum, cache) => sum + cache.hits, 0)
      const misses = caches.reduce((sum, cache) => sum + cache.misses, 0)
      parts.push({
        id: 'edge cache',
        kind: 'cache',
        members: caches.length,
        membersMin: caches.length,
        membersMax: caches.length,
        utilisation: null,
        inside: { value: caches.reduce((sum, cache) => sum + cache.entries, 0), halfWidth: null },
        waiting: { value: 0, halfWidth: null },
        waitingMax: 0,
        saturatedAtUs: null,
        hitRatio: hits + misses === 0 ? null : { value: hits / (hits + misses), halfWidth: null },
        counts: { hits, misses, evictions: caches.reduce((sum, cache) => sum + cache.evictions, 0) },
      })
    }
    for (const [cache, { hits, asked }] of this.#calls.cacheHits)
      parts.push({
        id: `${cache} cache`,
        kind: 'cache',
        members: 1,
        membersMin: 1,
        membersMax: 1,
        utilisation: null,
        inside: { value: 0, halfWidth: null },
        waiting: { value: 0, halfWidth: null },
        waitingMax: 0,
        saturatedAtUs: null,
        hitRatio: { value: hits / asked, halfWidth: null },
        counts: { hits, misses: asked - hits },
      })
    return parts
  }

  #serviceParts(now: number): PartResult[] {
    const { timeline } = this.#world
    return this.#exchanges.pools.map((pool): PartResult => {
      const stations = pool.instances.map(({ station }) => station)
      const used = stations.slice(0, Math.max(1, pool.membersMax))
      const count = (kind: string): number =>
        pool.instances.reduce((sum, { id }) => sum + (timeline.counts.get(`${id} ${kind}`) ?? 0), 0)
      return {
        id: pool.plan.name,
        kind: 'service',
        members: pool.readyCount,
        membersMin: pool.membersMin,
        membersMax: pool.membersMax,
        utilisation: utilisationOf(used, now),
        inside: levelsOf(stations.flatMap(one => [one.busy.means(now), one.waitingLevel.means(now)])),
        waiting: levelsOf(stations.map(one => one.waitingLevel.means(now))),
        waitingMax: stations.reduce((most, station) => Math.max(most, station.waitingMax), 0),
        saturatedAtUs: this.#saturatedAt(stations.map(station => station.saturatedAtUs)),
        hitRatio: null,
        counts: { deaths: count('fault'), restarts: pool.restarts, ejections: count('ejection') },
      }
    })
  }

  #saturatedAt(times: readonly (number | null)[]): number | null {
    const at = times.filter(time => time !== null)
    return at.length === 0 ? null : Math.max(0, Math.min(...at) - this.#world.window.fromUs)
  }

  /** Queues without a bound that grew from batch to batch while their servers were busy all the time. */
  #instabilities(now: number): Instability[] {
    const found: Instability[] = []
    const judgeStations = (part: string, stations: readonly Station[], bounded: boolean): void => {
      const busy = sumOf(stations.map(station => station.busy.means(now)))
      const waiting = sumOf(stations.map(station => station.waitingLevel.means(now)))
      const servers = stations.reduce((sum, station) => sum + station.servers, 0)
      const late = busy.slice(-Math.ceil(busy.length / 3))
      const load = late.reduce((a, b) => a + b, 0) / late.length / Math.max(1, servers)
      const grown = (waiting.at(-1) ?? 0) - (waiting[0] ?? 0)
      if (bounded || load < 0.98 || trend(waiting) < 3 || grown < Math.max(10, servers)) return
      const text = `its queue grew from ${Math.round(waiting[0] ?? 0)} to ${Math.round(waiting.at(-1) ?? 0)}`
      found.push({
        part,
        load,
        why: `${part} is busy ${Math.round(load * 100)} % of the time and ${text}: more work comes than can be done, and what is waiting has no bound`,
      })
    }
    const edges = this.#fronts.fronts.flatMap(({ station }) => (station === null ? [] : [station]))
    if (edges.length > 0) judgeStations('edge', edges, false)
    for (const pool of this.#exchanges.pools) {
      const used = pool.instances.filter(({ state }) => state === 'ready').map(({ station }) => station)
      if (used.length > 0) judgeStations(pool.plan.name, used, pool.plan.load.queueMax !== null)
    }
    return found
  }

  #remarks(): string[] {
    const { blueprint } = this.#world
    const remarks: string[] = []
    for (const { id, route, load } of blueprint.actions)
      if (route === null)
        remarks.push(
          `No route takes ${load.method} ${load.path}: every request of '${id}' is answered with 404.`,
        )
    for (const { name, upstream } of blueprint.services)
      if (upstream.limits.adaptive !== undefined)
        remarks.push(`The adaptive limit of '${name}' is not simulated: its requests are not shed.`)
    const guarded = blueprint.actions.filter(({ route }) => route?.route.guard !== undefined)
    if (guarded.length > 0)
      remarks.push(
        `The guard of ${guarded.map(({ id }) => `'${id}'`).join(', ')} is not simulated: everybody passes.`,
      )
    for (const { name, shards } of Object.values(blueprint.system.databases))
      if (shards !== null)
        remarks.push(`The shards of '${name}' are not simulated: it is played as one group of servers.`)
    return remarks
  }
}

type Station = ServicePool['instances'][number]['station']

function sumOf(lists: readonly (readonly number[])[]): number[] {
  const length = lists[0]?.length ?? 0
  return Array.from({ length }, (_, at) => lists.reduce((sum, list) => sum + (list[at] as number), 0))
}

function levelsOf(lists: readonly (readonly number[])[]): Estimate {
  const sums = sumOf(lists)
  return estimate(sums.length === 0 ? 0 : sums.reduce((a, b) => a + b, 0) / sums.length, sums)
}

function utilisationOf(stations: readonly Station[], now: number): Estimate {
  const servers = stations.reduce((sum, station) => sum + station.servers, 0)
  const shares = sumOf(stations.map(station => station.busy.means(now))).map(
    busy => busy / Math.max(1, servers),
  )
  return estimate(shares.reduce((a, b) => a + b, 0) / Math.max(1, shares.length), shares)
}
