// Services: their instances start, work, fail, are restarted as the file's rules say (policy/restart), and come and go with
// the wanted number. Who is sent what the edges decide; what an instance asks of others `jobs.ts` does.

import { afterExit, newRestartState, type RestartState } from '../../policy/restart.ts'
import type { RestartSettings } from '../../policy/settings.ts'
import { Law, type Stream } from '../core/index.ts'
import { Station } from '../models/station.ts'
import type { ServicePlan } from './blueprint.ts'
import { type World, zoneOf } from './world.ts'

/**
 * off       not wanted, or gone for good. Exit: wanted -> starting.
 * starting  its process runs and is not ready. Exits: boot is over -> ready; killed -> down.
 * ready     takes requests. Exits: killed -> down; not wanted -> draining.
 * draining  no new requests; when the last one is done -> off.
 * down      died. Exits: restarted -> starting; given up -> failed.
 * failed    exited too often; stays.
 */
export type InstanceState = 'off' | 'starting' | 'ready' | 'draining' | 'down' | 'failed'

export class Instance {
  readonly id: string
  readonly service: number
  /** From 0. */
  readonly index: number
  readonly zone: number
  readonly station: Station
  state: InstanceState = 'off'
  /** Grows with each process: what belonged to an earlier one is told apart. */
  life = 0
  readyAt = 0
  restart: RestartState = newRestartState
  hung = false
  failShare = 0
  delayUs = 0
  /** Killed for a while, or in a zone that is away: not started before that is over. */
  held = 0
  /** Requests that it was given and has not answered; all that it was ever given. */
  inside = 0
  taken = 0

  constructor(id: string, service: number, index: number, zone: number, station: Station) {
    this.id = id
    this.service = service
    this.index = index
    this.zone = zone
    this.station = station
  }

  get alive(): boolean {
    return this.state === 'ready' || this.state === 'draining' || this.state === 'starting'
  }
}

export class ServicePool {
  readonly plan: ServicePlan
  readonly number: number
  readonly instances: readonly Instance[]
  readonly time: Law
  readonly stream: Stream
  wanted: number
  membersMin: number
  membersMax: number
  restarts = 0
  readonly #world: World
  readonly #random: Stream
  readonly #readyCode: number
  readonly #restartCode: number
  /** Told when members come, go or drain. */
  readonly #changed: (service: number) => void
  /** Told of an instance whose process died, with all that it worked on. */
  readonly #died: (instance: Instance) => void

  constructor(
    world: World,
    number: number,
    changed: (service: number) => void,
    done: (job: number) => void,
    died: (instance: Instance) => void,
  ) {
    const plan = world.blueprint.services[number] as ServicePlan
    const { engine, window } = world
    this.#world = world
    this.plan = plan
    this.number = number
    this.#changed = changed
    this.#died = died
    this.time = new Law(plan.load.time)
    this.stream = engine.stream(`${plan.name} work`)
    this.#random = engine.stream(`${plan.name} restarts`)
    this.#readyCode = engine.on(`${plan.name} ready`, (index, life) => this.#ready(index, life))
    this.#restartCode = engine.on(`${plan.name} restart`, (index, life) => this.#restarted(index, life))
    const { checked, load } = plan
    const most = checked.kind === 'command' ? checked.instances.max : checked.addresses.length
    this.wanted = checked.kind === 'command' ? checked.instances.min : most
    this.membersMin = this.membersMax = this.wanted
    const options = { servers: load.concurrency, discipline: load.discipline, queueMax: load.queueMax }
    const zones = world.blueprint.workload.machine.zones
    this.instances = Array.from({ length: most }, (_, index) => {
      const id = `${plan.name}-${index + 1}`
      return new Instance(
        id,
        number,
        index,
        zoneOf(index, zones),
        new Station(engine, id, options, window, done),
      )
    })
  }

  /** The instances of the beginning are ready at once. */
  begin(): void {
    for (const instance of this.instances.slice(0, this.wanted)) {
      instance.state = 'ready'
      instance.life++
    }
    this.#changed(this.number)
  }

  get readyCount(): number {
    let count = 0
    for (const instance of this.instances) if (instance.state === 'ready') count++
    return count
  }
  /** Ready ones and those that start. */
  get startedCount(): number {
    let count = 0
    for (const { state } of this.instances) if (state === 'ready' || state === 'starting') count++
    return count
  }

  /** @param why in the scaler's words */
  want(count: number, why: string): void {
    if (count === this.wanted) return
    this.#world.timeline.add('scale', this.plan.name, `${this.wanted} -> ${count} instances`, why)
    this.wanted = count
    for (const instance of this.instances) {
      if (instance.index < count && instance.state === 'off') this.#start(instance)
      else if (instance.index < count && instance.state === 'draining') instance.state = 'ready'
      else if (instance.index >= count) this.#retire(instance)
    }
    this.#changed(this.number)
    this.#count()
  }

  #retire(instance: Instance): void {
    if (instance.state === 'ready') instance.state = 'draining'
    else if (instance.state !== 'draining') {
      instance.life++
      instance.state = 'off'
    }
    this.settled(instance)
  }

  /** A draining instance that has nothing left ends. */
  settled(instance: Instance): void {
    if (instance.state !== 'draining' || instance.inside > 0) return
    instance.state = 'off'
    instance.life++
    this.#changed(this.number)
  }

  #start(instance: Instance): void {
    instance.state = 'starting'
    instance.life++
    instance.hung = false
    this.#world.engine.after(this.plan.load.bootMs * 1000, this.#readyCode, instance.index, instance.life)
  }

  #ready(index: number, life: number): void {
    const instance = this.instances[index] as Instance
    if (instance.life !== life || instance.state !== 'starting') return
    instance.state = 'ready'
    instance.readyAt = this.#world.engine.now
    this.#world.timeline.add('restart', instance.id, 'ready', `started ${this.plan.load.bootMs} ms ago`)
    this.#changed(this.number)
    this.#count()
  }

  /** Its process dies with all that is in it. */
  kill(instance: Instance, why: string): void {
    if (!instance.alive) return
    const readyForUs = instance.state === 'starting' ? 0 : this.#world.engine.now - instance.readyAt
    const retired = instance.state === 'draining'
    instance.life++
    instance.state = retired ? 'off' : 'down'
    instance.inside = 0
    this.#world.timeline.add('fault', instance.id, 'dies', why)
    instance.station.clear(() => {})
    this.#died(instance)
    this.#changed(this.number)
    this.#count()
    if (instance.state === 'down' && instance.held === 0) this.#planRestart(instance, readyForUs)
  }

  /** Nothing holds it down any more. */
  release(instance: Instance): void {
    if (instance.held === 0 && instance.state === 'down') this.#planRestart(instance, 0)
  }

  #planRestart(instance: Instance, readyForUs: number): void {
    const { engine, timeline } = this.#world
    const { checked } = this.plan
    if (checked.kind !== 'command') {
      // Whoever runs it there starts it again at once.
      engine.after(0, this.#restartCode, instance.index, instance.life)
      return
    }
    const settings: RestartSettings = checked.restart
    const [state, plan] = afterExit(instance.restart, engine.now, readyForUs, settings, this.#random)
    instance.restart = state
    timeline.add(
      'restart',
      instance.id,
      plan.kind === 'restart' ? 'is started again' : 'is given up',
      plan.why,
    )
    if (plan.kind === 'failed') instance.state = 'failed'
    else engine.after(plan.afterUs, this.#restartCode, instance.index, instance.life)
  }

  #restarted(index: number, life: number): void {
    const instance = this.instances[index] as Instance
    if (instance.life !== life || instance.state !== 'down' || instance.held > 0) return
    this.restarts++
    this.#start(instance)
  }

  #count(): void {
    if (this.#world.engine.now < this.#world.window.fromUs) {
      this.membersMin = this.membersMax = this.readyCount
      return
    }
    this.membersMin = Math.min(this.membersMin, this.readyCount)
    this.membersMax = Math.max(this.membersMax, this.readyCount)
  }
}
