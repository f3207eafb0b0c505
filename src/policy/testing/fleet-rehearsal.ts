// One service's instances in virtual time: the roll and restart policies as the fleet calls them, over instances that
// become ready, drain, end and crash as a scenario (or a random test) tells them to.

import { type Random, seededRandom } from '../../kit/random.ts'
import { afterExit, newRestartState, type RestartState } from '../restart.ts'
import {
  decideRoll,
  newRollState,
  type RolledInstance,
  type RollPlan,
  type RollState,
  type RollStep,
  type RollWanted,
} from '../roll.ts'
import type { RestartSettings, RollSettings } from '../settings.ts'
import { scenarioStamp, scenarioTimeUs } from './scenario.ts'

interface Instance extends RolledInstance {
  restart: RestartState
  /** When something happens to it by itself; Infinity = nothing. */
  eventUs: number
  state: RolledInstance['state']
  sinceUs: number
  idle: boolean
}

/** How instances of a version behave. */
export interface Behaviour {
  /** From start to ready; Infinity = never. */
  readyUs: number
  /** From start to an exit by itself; Infinity = never. */
  crashUs: number
  /** From drain to idle; Infinity = never (the drain limit ends it). */
  idleUs: number
}

const stopUs = 500_000

export class FleetRehearsal {
  now = 0
  wanted: RollWanted = { count: 0, version: 'v1' }
  instances: Instance[] = []
  plan: RollPlan | null = null
  roll: RollSettings = { surge: 1, drainTimeoutMs: 10_000, readyTimeoutMs: 30_000 }
  restart: RestartSettings = { backoffBaseMs: 200, backoffMaxMs: 10_000, exitsMax: 4, windowMs: 60_000 }
  behaviours: Map<string, Behaviour> = new Map()
  /** Called with what was there before each plan. */
  onPlan: ((before: readonly RolledInstance[], plan: RollPlan) => void) | null = null
  #state: RollState = newRollState
  readonly #random: Random
  #log: string[] = []

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** The player for `playScenario`. */
  readonly play = (command: string): readonly string[] => {
    const [verb, ...words] = command.split(/\s+/)
    this.#log = []
    if (verb === 'service' || verb === 'want') this.#want(words)
    else if (verb === 'advance') this.advance(scenarioTimeUs(words[0] ?? ''))
    else if (verb === 'exit') this.#command(() => this.#exit(this.#find(words[0])))
    else if (verb === 'version') this.#behave(words)
    else if (verb === 'states')
      for (const one of this.instances) this.#log.push(`${one.id} ${one.version} ${one.state}`)
    else throw new Error(`unknown command: ${command}`)
    if (verb === 'advance')
      this.#log.push(`${scenarioStamp(this.now)}  ${this.plan?.why}${this.plan?.settled ? ', settled' : ''}`)
    return this.#log
  }

  advance(us: number): void {
    const end = this.now + us
    for (;;) {
      this.decide()
      const event = Math.min(...this.instances.map(one => one.eventUs), this.plan?.wakeAtUs ?? Infinity)
      if (event > end) break
      this.now = Math.max(this.now, event)
      for (const one of [...this.instances]) if (one.eventUs <= this.now) this.#happen(one)
    }
    this.now = end
  }

  /** Asks the policy and takes its steps, until it has none. */
  decide(): void {
    for (let round = 0; ; round++) {
      if (round > 50) throw new Error('the plan never settles')
      const before = this.instances.map(one => ({ ...one }))
      const [state, plan] = decideRoll(this.now, this.wanted, before, this.#state, this.roll)
      this.onPlan?.(before, plan)
      this.#state = state
      this.plan = plan
      for (const step of plan.steps) this.#take(step)
      if (plan.steps.length === 0) return
    }
  }

  #want(words: readonly string[]): void {
    this.wanted = { count: Number(words[0]), version: words[1] ?? 'v1' }
    for (const [name, value = ''] of words.slice(2).map(word => word.split('='))) {
      if (name === 'surge') this.roll = { ...this.roll, surge: Number(value) }
      else throw new Error(`unknown setting: ${name}`)
    }
  }

  /** `version v2 ready=never crash=2s idle=5s`. */
  #behave(words: readonly string[]): void {
    const found = { ...this.#behaviourOf(words[0] ?? '') }
    for (const [name, value = ''] of words.slice(1).map(word => word.split('='))) {
      const us = value === 'never' ? Infinity : scenarioTimeUs(value)
      if (name === 'ready') found.readyUs = us
      else if (name === 'crash') found.crashUs = us
      else if (name === 'idle') found.idleUs = us
      else throw new Error(`unknown behaviour: ${name}`)
    }
    this.behaviours.set(words[0] ?? '', found)
  }

  #behaviourOf(version: string): Behaviour {
    return this.behaviours.get(version) ?? { readyUs: 2_000_000, crashUs: Infinity, idleUs: 1_000_000 }
  }

  #command(act: () => void): void {
    act()
    this.decide()
  }

  #find(id: string | undefined): Instance {
    const found = this.instances.find(one => one.id === id)
    if (found === undefined) throw new Error(`no instance ${id}`)
    return found
  }

  #say(text: string): void {
    this.#log.push(`${scenarioStamp(this.now)}  ${text}`)
  }

  #take(step: RollStep): void {
    if (step.kind === 'start') {
      for (let n = 0; n < step.count; n++) this.#start(step.why)
      return
    }
    if (step.kind === 'giveUp') {
      this.#say(`give up ${step.version}: ${step.why}`)
      return
    }
    const one = this.#find(step.id)
    this.#say(`${step.kind} ${one.id}: ${step.why}`)
    if (one.state === 'failed') this.instances = this.instances.filter(other => other !== one)
    else if (step.kind === 'drain') this.#enter(one, 'draining', this.#behaviourOf(one.version).idleUs)
    else this.#enter(one, 'stopping', stopUs)
  }

  #start(why: string): void {
    let number = 1
    while (this.instances.some(one => one.id === `web-${number}`)) number++
    const one: Instance = {
      id: `web-${number}`,
      version: this.wanted.version,
      state: 'starting',
      sinceUs: this.now,
      idle: false,
      restart: newRestartState,
      eventUs: Infinity,
    }
    this.#spawn(one, 0)
    this.instances.push(one)
    this.instances.sort((x, y) => x.id.localeCompare(y.id, 'en', { numeric: true }))
    this.#say(`start ${one.id} ${one.version}: ${why}`)
  }

  #spawn(one: Instance, afterUs: number): void {
    const { readyUs, crashUs } = this.#behaviourOf(one.version)
    one.eventUs = this.now + afterUs + Math.min(readyUs, crashUs)
  }

  #enter(one: Instance, state: RolledInstance['state'], eventAfterUs: number): void {
    one.state = state
    one.sinceUs = this.now
    one.eventUs = this.now + eventAfterUs
  }

  #happen(one: Instance): void {
    one.eventUs = Infinity
    if (one.state === 'starting') this.#becomeReady(one)
    else if (one.state === 'ready') this.#exit(one)
    else if (one.state === 'draining') one.idle = true
    else if (one.state === 'stopping') this.instances = this.instances.filter(other => other !== one)
  }

  #becomeReady(one: Instance): void {
    const { readyUs, crashUs } = this.#behaviourOf(one.version)
    if (crashUs < readyUs) this.#exit(one)
    else {
      this.#enter(one, 'ready', crashUs - readyUs)
      this.#say(`${one.id} ${one.version} is ready`)
    }
  }

  #exit(one: Instance): void {
    if (one.state === 'draining' || one.state === 'stopping') {
      this.instances = this.instances.filter(other => other !== one)
      return
    }
    const readyForUs = one.state === 'ready' ? this.now - one.sinceUs : 0
    const [restart, plan] = afterExit(one.restart, this.now, readyForUs, this.restart, this.#random)
    one.restart = restart
    this.#say(`${one.id} exited; ${plan.why}`)
    if (plan.kind === 'failed') this.#enter(one, 'failed', Infinity)
    else {
      if (one.state === 'ready') this.#enter(one, 'starting', Infinity)
      this.#spawn(one, plan.afterUs)
    }
  }
}
