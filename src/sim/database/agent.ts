// The agent of a simulated database: looks at the servers as the real one does, asks policy/failover what comes next, and does
// it, with the time that such a step takes.

import type { CheckedDatabase } from '../../file/checked-databases.ts'
import {
  afterStep,
  decideFailover,
  type FailoverPlan,
  type FailoverSettings,
  type FailoverState,
  type FailoverStep,
  failoverDefaults,
  newFailoverState,
  newJournal,
  type SeenServer,
  type StepResult,
} from '../../policy/index.ts'
import type { Engine } from '../core/index.ts'
import type { Server, Servers } from './servers.ts'

/** Between two looks, as src/database/agent has it. */
const lookEveryUs = 100_000
/** A position is one write; a write's record in the log is about so long. */
const recordBytes = 200
/** How long steps take: typical figures of a server on a local disk, which `bench/failover` shows. */
const stepUs: Readonly<Record<string, number>> = {
  fence: 30_000,
  stop: 300_000,
  promote: 150_000,
  restart: 800_000,
  start: 800_000,
  follow: 500_000,
  clone: 20_000_000,
}
const critical = new Set(['hold', 'drain', 'stop', 'fence', 'synchronous', 'promote', 'open'])

export interface AgentEvents {
  /** Routers obey this from now on. */
  opened(epoch: number, primary: Server | null): void
  /** Clients of the former primary are cut, before a new one is promoted. */
  ended(server: Server): void
  promoted(server: Server, former: Server | null): void
  decide(what: string, why: string): void
}

export class Agent {
  state: FailoverState
  failovers = 0
  readonly #engine: Engine
  readonly #servers: Servers
  readonly #settings: FailoverSettings
  readonly #events: AgentEvents
  readonly #lookCode: number
  readonly #stepCode: number
  readonly #repairCode: number
  /** The step in order that is under way. */
  #current: FailoverStep | null = null
  readonly #repairs: Map<number, FailoverStep & { readonly server: string }> = new Map()
  #repairCount = 0
  #said = ''
  #epoch = 0
  #primary: Server | null = null

  constructor(engine: Engine, database: CheckedDatabase, servers: Servers, events: AgentEvents) {
    this.#engine = engine
    this.#servers = servers
    this.#events = events
    const { automatic, detectTimeoutMs } = database.failover
    const embedded = database.servers.kind === 'embedded'
    this.#settings = {
      ...failoverDefaults,
      durability: database.durability,
      automatic,
      canFence: embedded,
      detectMs: detectTimeoutMs,
      members:
        database.servers.kind === 'embedded'
          ? database.servers.members
          : servers.all.map(({ id }) => ({ id, from: 'primary', delayMs: 0 })),
    }
    const first = servers.all[0] as Server
    const quorums = [{ need: 0, names: [] }]
    const journal = { ...newJournal, epoch: 1, timeline: 1, primary: first.id, quorums }
    this.state = newFailoverState(journal, engine.now)
    this.#lookCode = engine.on(`${database.name} looks`, () => this.#look())
    this.#stepCode = engine.on(`${database.name} step`, () => this.#stepDone())
    this.#repairCode = engine.on(`${database.name} repair`, number => this.#repairDone(number))
    engine.after(0, this.#lookCode)
  }

  get epoch(): number {
    return this.#epoch
  }

  #server(id: string): Server {
    return this.#servers.all.find(server => server.id === id) as Server
  }

  #look(): void {
    this.#engine.after(lookEveryUs, this.#lookCode)
    if (this.#current === null) this.#decide()
  }

  #looks(): SeenServer[] {
    return this.#servers.all.map(server => this.#seen(server))
  }

  #seen(server: Server): SeenServer {
    const { now } = this.#engine
    const answers = server.process === 'running' && server.cutOff === 0
    const primary = server.role === 'primary'
    return {
      id: server.id,
      beganUs: now,
      endedUs: now + 1,
      processAlive: server.process !== 'ended',
      answers,
      problem: server.process === 'ended' ? 'its process ended' : answers ? '' : 'no answer in time',
      inRecovery: !primary,
      timeline: answers ? this.#servers.timelineOf(server) : 0,
      lsn: answers ? server.flushed * recordBytes : 0,
      settled: true,
      streamsFrom: answers ? (this.#servers.upstreamOf(server)?.id ?? null) : null,
      standbys: answers && primary ? this.#standbys(server) : [],
      writes: answers && primary,
      disk: server.broken ? 'damaged' : primary ? 'primary' : 'replica',
      busy: server.busy || server.held > 0,
    }
  }

  #standbys(primary: Server): SeenServer['standbys'] {
    return this.#servers.all
      .filter(server => this.#servers.upstreamOf(server) === primary)
      .map(({ id, flushed }) => ({ id, streaming: true, flushLsn: flushed * recordBytes }))
  }

  #decide(): void {
    const { now } = this.#engine
    const [state, plan] = decideFailover(now, now / 1_000, this.#looks(), this.state, this.#settings)
    this.state = state
    this.#tell(plan)
    for (const step of plan.steps) {
      if (this.#isCritical(step)) continue
      if ('server' in step && step.kind !== 'slots') this.#beginRepair(step)
      else this.#after(step, { ok: true })
    }
    const first = plan.steps.find(step => this.#isCritical(step))
    if (first === undefined) return
    this.#current = first
    this.#begin(first)
    this.#engine.after(stepUs[first.kind] ?? 0, this.#stepCode)
  }

  /** What people read changed: one line of the timeline, unless all is well as before. */
  #tell({ why }: FailoverPlan): void {
    if (why === this.#said) return
    const first = this.#said === ''
    this.#said = why
    if (!first) this.#events.decide(why, '')
  }

  #isCritical(step: FailoverStep): boolean {
    const { primary, change } = this.state.journal
    return critical.has(step.kind) || (step.kind === 'restart' && [primary, change?.to].includes(step.server))
  }

  #after(step: FailoverStep, result: StepResult): void {
    if (step.kind === 'wait' || step.kind === 'ask') return
    const { now } = this.#engine
    this.state = afterStep(now, now / 1_000, step, result, this.state, this.#settings)
  }

  /** What takes effect when a step begins. */
  #begin(step: FailoverStep): void {
    if ((step.kind === 'fence' || step.kind === 'stop') && 'server' in step) {
      const server = this.#server(step.server)
      this.#events.decide(`${step.kind} ${server.id}`, step.why)
    }
  }

  #stepDone(): void {
    const step = this.#current as FailoverStep
    this.#current = null
    this.#after(step, this.#act(step))
    // The next step in order follows at once, after a look.
    this.#decide()
  }

  #beginRepair(step: FailoverStep & { readonly server: string }): void {
    const server = this.#server(step.server)
    if (server.busy || server.held > 0) return
    server.busy = true
    this.#repairs.set(++this.#repairCount, step)
    this.#engine.after(stepUs[step.kind] ?? 0, this.#repairCode, this.#repairCount)
  }

  #repairDone(number: number): void {
    const step = this.#repairs.get(number) as FailoverStep & { readonly server: string }
    this.#repairs.delete(number)
    this.#server(step.server).busy = false
    this.#after(step, this.#act(step))
  }

  #act(step: FailoverStep): StepResult {
    switch (step.kind) {
      case 'hold':
        this.#open(this.#epoch, null)
        return { ok: true }
      case 'drain':
        return { ok: true, drained: true }
      case 'open':
        this.#open(this.state.journal.epoch, this.#server(this.state.journal.primary ?? ''))
        return { ok: true }
      case 'stop':
      case 'fence':
        return this.#fence(this.#server(step.server))
      case 'promote':
        return this.#promote(this.#server(step.server), step.why)
      case 'synchronous':
        this.#synchronous(this.#server(step.server), step.names)
        return { ok: true }
      case 'restart':
      case 'start':
        return this.#start(this.#server(step.server))
      case 'follow':
        return this.#follow(this.#server(step.server), this.#server(step.from))
      case 'clone':
        return this.#clone(this.#server(step.server), this.#server(step.from))
      default:
        return { ok: true }
    }
  }

  #open(epoch: number, primary: Server | null): void {
    this.#epoch = epoch
    this.#primary = primary ?? this.#primary
    this.#events.opened(epoch, primary)
  }

  #fence(server: Server): StepResult {
    this.#servers.end(server)
    this.#events.ended(server)
    server.fenced = true
    return { ok: true }
  }

  #promote(server: Server, why: string): StepResult {
    if (server.process !== 'running' || server.cutOff > 0)
      return { ok: false, why: `${server.id} does not answer` }
    const former = this.#primary
    this.#servers.promote(server)
    this.failovers++
    this.#events.decide(`promote ${server.id}`, why)
    this.#events.promoted(server, former === server ? null : former)
    return { ok: true, timeline: this.#servers.timelineOf(server), lsn: server.flushed * recordBytes }
  }

  #synchronous(server: Server, text: string): void {
    const match = /^(?:ANY )?(\d+) \((.*)\)$/.exec(text)
    server.need = match === null ? 0 : Number(match[1])
    const names = match === null ? [] : (match[2] ?? '').split(', ').map(name => name.replaceAll('"', ''))
    server.names = names.map(name => this.#server(name)?.index ?? -1)
  }

  #start(server: Server): StepResult {
    if (server.held > 0) return { ok: false, why: `${server.id} does not start` }
    if (server.process !== 'ended') {
      this.#servers.end(server)
      this.#events.ended(server)
    }
    this.#servers.start(server)
    return { ok: true }
  }

  #follow(server: Server, from: Server): StepResult {
    if (server.held > 0) return { ok: false, why: `${server.id} does not start` }
    if (from.process !== 'running' || !this.#servers.hears(server, from))
      return { ok: false, why: `${from.id} does not answer` }
    return { ok: true, diverged: !this.#servers.follow(server, from) }
  }

  #clone(server: Server, from: Server): StepResult {
    if (from.process !== 'running') return { ok: false, why: `${from.id} does not answer` }
    this.#servers.clone(server, from)
    return { ok: true }
  }
}
