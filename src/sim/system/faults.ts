// Faults of a rehearsal: begun and ended at their times, each told on the timeline. What they concern (an instance, an edge, a
// zone, a database) is asked to do it; what can't be done is a remark of the result.

import type { CheckedFault, CheckedFaultKind, CheckedFaultTarget } from '../../file/checked-rehearsals.ts'
import { durationText } from '../../kit/duration.ts'
import { Priority } from '../core/engine.ts'
import type { Clients } from './clients.ts'
import type { DatabasePort } from './database-port.ts'
import type { Exchanges } from './exchanges.ts'
import type { Fronts } from './fronts.ts'
import type { Instance, ServicePool } from './services.ts'
import { type World, zoneOf } from './world.ts'

/** An edge that died is there again after so long: its process starts and takes its ports. */
const edgeBootUs = 1_000_000

export class Faults {
  readonly remarks: string[] = []
  readonly #world: World
  readonly #exchanges: Exchanges
  readonly #fronts: Fronts
  readonly #clients: Clients
  readonly #databases: readonly DatabasePort[]
  readonly #cuts: (CheckedFaultKind & { kind: 'cut' })[] = []
  #surge = 1

  constructor(
    world: World,
    exchanges: Exchanges,
    fronts: Fronts,
    clients: Clients,
    databases: readonly DatabasePort[],
  ) {
    const { engine, blueprint, window } = world
    this.#world = world
    this.#exchanges = exchanges
    this.#fronts = fronts
    this.#clients = clients
    this.#databases = databases
    exchanges.isCut = (edge, instance) => this.#cuts.length > 0 && this.#isCut(edge, instance)
    for (const [edge, views] of exchanges.views.entries())
      for (const view of views) view.isCutFrom = instance => exchanges.isCut(edge, instance)
    const { faults } = blueprint.rehearsal
    const begin = engine.on(
      'fault begins',
      index => this.#begin(faults[index] as CheckedFault),
      Priority.fault,
    )
    const end = engine.on('fault ends', index => this.#finish(faults[index] as CheckedFault), Priority.fault)
    for (const [index, { atMs, forMs }] of faults.entries()) {
      engine.at(window.fromUs + Math.round(atMs * 1000), begin, index)
      if (forMs !== null) engine.at(window.fromUs + Math.round((atMs + forMs) * 1000), end, index)
    }
  }

  #isCut(edge: number, instance: Instance): boolean {
    return this.#cuts.some(
      ({ from, to }) =>
        (this.#holdsEdge(from, edge) && this.#holdsInstance(to, instance)) ||
        (this.#holdsEdge(to, edge) && this.#holdsInstance(from, instance)),
    )
  }
  #holdsEdge(side: readonly CheckedFaultTarget[], edge: number): boolean {
    return side.some(target => target.kind === 'edge' && target.member === edge + 1)
  }
  #holdsInstance(side: readonly CheckedFaultTarget[], instance: Instance): boolean {
    return side.some(target => target.kind === 'service' && this.#instances(target).includes(instance))
  }

  #instances(target: CheckedFaultTarget): readonly Instance[] {
    if (target.kind !== 'service') return []
    const pool = this.#exchanges.pools.find(({ plan }) => plan.name === target.service) as ServicePool
    if (target.member === null) return pool.instances
    const one = pool.instances[target.member - 1]
    return one === undefined ? [] : [one]
  }

  #poolOf(instance: Instance): ServicePool {
    return this.#exchanges.pools[instance.service] as ServicePool
  }

  #begin({ what, forMs }: CheckedFault): void {
    const lasting = forMs === null ? '' : ` for ${durationText(forMs)}`
    this.#world.timeline.add('fault', 'rehearsal', faultText(what), `as the rehearsal says${lasting}`)
    this.#toDatabases(what, true)
    // Nobody holds it down: whoever runs it may start it again.
    if (what.kind === 'kill' && forMs === null) this.#toDatabases(what, false)
    if ('target' in what && what.target.kind === 'service')
      for (const instance of this.#instances(what.target)) this.#change(instance, what, forMs, true)
    if ('target' in what && what.target.kind === 'edge') this.#changeEdge(what.target.member - 1, what, forMs)
    if (what.kind === 'zone') this.#zone(what.zone, forMs)
    if (what.kind === 'cut') this.#cuts.push(what)
    if (what.kind === 'surge') this.#clients.surge((this.#surge *= what.times))
    if (what.kind === 'empty' && what.cache === 'edge')
      for (const front of this.#fronts.fronts) front.cache?.clear()
  }

  #finish({ what }: CheckedFault): void {
    this.#world.timeline.add('fault', 'rehearsal', `over: ${faultText(what)}`, 'as the rehearsal says')
    this.#toDatabases(what, false)
    if ('target' in what && what.target.kind === 'service')
      for (const instance of this.#instances(what.target)) this.#change(instance, what, 0, false)
    if (what.kind === 'kill' && what.target.kind === 'edge')
      this.#fronts.release(what.target.member - 1, edgeBootUs)
    if (what.kind === 'slow' && what.target.kind === 'edge')
      this.#fronts.fronts[what.target.member - 1]?.station?.setSpeed(1)
    if (what.kind === 'zone') this.#zoneBack(what.zone)
    if (what.kind === 'cut') this.#cuts.splice(this.#cuts.indexOf(what), 1)
    if (what.kind === 'surge') this.#clients.surge((this.#surge /= what.times))
  }

  #change(instance: Instance, what: CheckedFaultKind, forMs: number | null, on: boolean): void {
    const pool = this.#poolOf(instance)
    if (what.kind === 'kill' && on) {
      if (forMs !== null) instance.held++
      pool.kill(instance, 'killed by the rehearsal')
    } else if (what.kind === 'kill') {
      instance.held--
      pool.release(instance)
    } else if (what.kind === 'hang') this.#hang(instance, on)
    else if (what.kind === 'slow') instance.station.setSpeed(on ? what.times : 1)
    else if (what.kind === 'fail') instance.failShare = on ? what.share : 0
    else if (what.kind === 'delay') instance.delayUs = on ? Math.round(what.byMs * 1000) : 0
    else if (on)
      this.remarks.push(`The fault '${faultText(what)}' is nothing that a service has: it changed nothing.`)
  }

  #hang(instance: Instance, on: boolean): void {
    instance.hung = on
    if (on) instance.station.stop()
    else instance.station.resume()
  }

  #changeEdge(edge: number, what: CheckedFaultKind, forMs: number | null): void {
    if (what.kind === 'kill')
      this.#fronts.kill(edge, forMs === null ? null : forMs * 1000, edgeBootUs, 'killed by the rehearsal')
    else if (what.kind === 'slow') this.#fronts.fronts[edge]?.station?.setSpeed(what.times)
    else this.remarks.push(`The fault '${faultText(what)}' is not simulated for an edge: it changed nothing.`)
  }

  #zone(zone: number, forMs: number | null): void {
    for (const pool of this.#exchanges.pools)
      for (const instance of pool.instances) {
        if (instance.zone !== zone) continue
        instance.held++
        pool.kill(instance, `zone ${zone} is away`)
      }
    const { zones } = this.#world.blueprint.workload.machine
    for (const { edge } of this.#fronts.fronts)
      if (zoneOf(edge, zones) === zone)
        this.#fronts.kill(edge, forMs ?? 0, edgeBootUs, `zone ${zone} is away`)
  }

  #zoneBack(zone: number): void {
    for (const pool of this.#exchanges.pools)
      for (const instance of pool.instances) {
        if (instance.zone !== zone) continue
        instance.held--
        pool.release(instance)
      }
    const { zones } = this.#world.blueprint.workload.machine
    for (const { edge } of this.#fronts.fronts)
      if (zoneOf(edge, zones) === zone) this.#fronts.release(edge, edgeBootUs)
  }

  #toDatabases(what: CheckedFaultKind, on: boolean): void {
    const names = Object.keys(this.#world.blueprint.system.databases)
    for (const [index, name] of names.entries()) {
      const concerned =
        what.kind === 'zone' ||
        ('target' in what && what.target.kind === 'database' && what.target.database === name) ||
        (what.kind === 'cut' &&
          [...what.from, ...what.to].some(target => target.kind === 'database' && target.database === name))
      const problem = concerned ? (this.#databases[index]?.apply(what, on) ?? null) : null
      if (problem !== null && on) this.remarks.push(problem)
    }
  }
}

/** `web-2`, `web`, `edge-1`. */
export function targetText(target: CheckedFaultTarget): string {
  if (target.kind === 'edge') return `edge-${target.member}`
  const name = target.kind === 'service' ? target.service : target.database
  return target.member === null ? name : `${name}-${target.member}`
}

/** `kill web-2`, `slow api 10 x`, `cut main-1 | main-2`. */
export function faultText(what: CheckedFaultKind): string {
  const list = (side: readonly CheckedFaultTarget[]): string => side.map(targetText).join(', ')
  switch (what.kind) {
    case 'zone':
      return `zone ${what.zone} away`
    case 'cut':
      return `cut ${list(what.from)} | ${list(what.to)}`
    case 'surge':
      return `${what.times} x the arrivals`
    case 'empty':
      return `empty cache ${what.cache}`
    case 'fail':
      return `fail ${targetText(what.target)} ${what.share * 100} %`
    case 'slow':
    case 'disk':
      return `${what.kind} ${targetText(what.target)} ${what.times} x`
    case 'delay':
    case 'lag':
      return `${what.kind} ${targetText(what.target)} ${durationText(what.byMs)}`
    default:
      return `${what.kind} ${targetText(what.target)}`
  }
}
