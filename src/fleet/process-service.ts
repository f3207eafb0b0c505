// One service that runs as processes. It keeps the slots of its members, asks the policies what to do (roll: which to
// start, drain and stop; restart: when again after an exit; memory: when to replace) and does it. A member is published
// when it is ready and leaves the list the moment its process is gone.
//
// A replacement is started in the slot of the life that it follows. When it is ready it takes the member's id over with
// an epoch of its own; the former life drains: out of the list, but alive until the front says that nothing is in
// flight to it, or the drain time-out.

import type { Failure } from '../kit/failure.ts'
import type { Random } from '../kit/random.ts'
import { decideRoll, newRollState, type RollState, type RollStep } from '../policy/roll.ts'
import type {
  FleetDecision,
  FleetMember,
  FrontPort,
  ProcessSpec,
  ServiceReport,
  ServiceStatus,
} from './contract.ts'
import type { EndReport } from './ending.ts'
import { Life, type LifeContext, type LifeLoss, type LifeOwner, type LifeUsage } from './life.ts'
import { afterMemorySample } from './memory.ts'
import { observedOf, wantedVersion } from './observed.ts'
import { Publisher } from './publisher.ts'
import { Slot } from './slot.ts'
import { instanceRows, memberOf, standingOf } from './standing.ts'
import { bytesText, timeText } from './words.ts'

/** One new instance at a time: the machine must bear only one more than wanted. */
const surge = 1
const utilisationStep = 0.05
const utilisationPauseUs = 2_000_000

export interface ServiceContext extends LifeContext {
  readonly random: Random
  readonly front: FrontPort
  decided(decision: Omit<FleetDecision, 'atMs'>): void
  changed(service: string): void
}

interface Request {
  readonly sinceUs: number
  readonly resolve: (report: ServiceReport) => void
  readonly onProgress: (sentence: string) => void
}

export class ProcessService implements LifeOwner {
  readonly name: string
  readonly #context: ServiceContext
  readonly #publisher: Publisher
  readonly #slots = new Map<number, Slot>()
  #spec: ProcessSpec
  /** The last one that all wanted instances were ready with: what a roll that is given up goes back to. */
  #goodSpec: ProcessSpec | null = null
  /** Why the newest version is not the one that runs. */
  #rejected: { readonly version: string; readonly failure: Failure | null; readonly why: string } | null =
    null
  #wanted: number
  /** Grows with each restart that is asked for: lives of an earlier one are outdated. */
  #generation = 0
  #roll: RollState = newRollState
  #request: Request | null = null
  #phase: 'running' | 'removing' | 'stopping' = 'running'
  #ticking = false
  #wakeTimer: NodeJS.Timeout | null = null
  #utilisationUs = 0
  readonly #utilisation = new Map<string, number>()

  constructor(spec: ProcessSpec, context: ServiceContext) {
    this.name = spec.name
    this.#spec = spec
    this.#context = context
    this.#wanted = spec.instances.min
    this.#publisher = new Publisher(spec.name, context.front, context.log, () => this.members())
  }

  get spec(): ProcessSpec {
    return this.#spec
  }

  get wanted(): number {
    return this.#wanted
  }

  /** Before the first `apply`: a life of a former supervisor. Of two in one slot the younger serves. */
  takeBack(create: (owner: LifeOwner, generation: number) => Life): void {
    const life = create(this, this.#generation)
    const slot = this.#slot(life.place.slot)
    const other = slot.serving
    if (life.state === 'draining') slot.leaving.add(life)
    else if (other && other.startedAtMs > life.startedAtMs)
      this.#retire(slot, life, 'another one serves already')
    else {
      slot.serving = life
      if (other) this.#retire(slot, other, 'another one serves already')
    }
    const { min, max } = this.#spec.instances
    const serving = [...this.#slots.values()].filter(one => one.serving).length
    this.#wanted = Math.min(max, Math.max(min, serving))
    if (life.state === 'draining') void this.#drainOut(life)
  }

  apply(spec: ProcessSpec, onProgress: (sentence: string) => void = () => {}): Promise<ServiceReport> {
    const sameVersion = spec.version === this.#spec.version
    this.#spec = spec
    this.#phase = 'running'
    this.#wanted = Math.min(spec.instances.max, Math.max(spec.instances.min, this.#wanted))
    this.#rejected = null
    this.#roll = newRollState
    for (const slot of this.#slots.values()) {
      for (const life of slot.lives()) life.settings(spec)
      if (!sameVersion || slot.gaveUp) slot.forgive()
      if (slot.candidate && slot.candidate.version !== spec.version)
        this.#dismiss(slot, 'its version is out of date')
    }
    void this.#publisher.publish()
    return this.#ask(onProgress)
  }

  scale(count: number): Promise<ServiceReport> {
    this.#wanted = count
    return this.#ask()
  }

  restart(onProgress: (sentence: string) => void): Promise<ServiceReport> {
    this.#generation++
    this.#rejected = null
    for (const slot of this.#slots.values()) {
      slot.forgive()
      if (slot.candidate) this.#dismiss(slot, 'restarted')
    }
    return this.#ask(onProgress)
  }

  /** Drains and ends everything; resolves when nothing is left. */
  async remove(): Promise<ServiceReport> {
    this.#phase = 'removing'
    this.#wanted = 0
    const report = await this.#ask()
    await this.#publisher.publish()
    if (this.#phase === 'removing') this.#publisher.close()
    return report
  }

  /** Ends everything without waiting for requests: the front takes none any more. */
  async stop(graceMs: number): Promise<void> {
    this.#phase = 'stopping'
    this.#close()
    const timeoutMs = Math.min(this.#spec.stop.timeoutMs, graceMs)
    const lives = this.lives()
    for (const slot of this.#slots.values()) {
      slot.wakeAtUs = null
      for (const life of slot.lives()) this.#endIn(slot, life, 'the system stops', timeoutMs)
    }
    // Again the same promises: they end when nothing of the life is left.
    await Promise.all(lives.map(life => life.end('the system stops')))
  }

  /** Lets go of everything that runs. */
  release(): void {
    this.#phase = 'stopping'
    this.#close()
    for (const life of this.lives()) life.abandon()
  }

  drain(slot: Slot, drained: boolean): Promise<void> {
    slot.drained = drained
    const text = drained ? 'drained by an operator: gets no new requests' : 'undrained: gets requests again'
    this.#decide('info', slot.member, text)
    this.#context.changed(this.name)
    return this.#publisher.publish()
  }

  lives(): Life[] {
    return [...this.#slots.values()].flatMap(slot => slot.lives())
  }

  slots(): Slot[] {
    return [...this.#slots.values()].sort((a, b) => a.number - b.number)
  }

  slotOf(member: string): Slot | null {
    return this.slots().find(slot => slot.member === member) ?? null
  }

  members(): readonly FleetMember[] {
    return this.slots().flatMap(slot => memberOf(slot, this.#spec, this.#context.host) ?? [])
  }

  status(): ServiceStatus {
    const slots = this.slots()
    const standing = standingOf(slots, {
      wanted: this.#wanted,
      stopping: this.#phase !== 'running',
      busy: this.#request !== null,
      started: this.#goodSpec !== null,
    })
    const reason = this.#rejected ? `${standing.reason}; ${this.#rejected.why}` : standing.reason
    return {
      name: this.name,
      kind: 'command',
      state: standing.state,
      reason,
      ready: standing.ready,
      wanted: this.#wanted,
      instances: this.#spec.instances,
      members: slots.flatMap(slot => instanceRows(slot, this.name, this.#context)),
    }
  }

  /** A sample of one of its lives. */
  sampled(life: Life, usage: LifeUsage): void {
    life.usage = usage
    const slot = this.#slots.get(life.place.slot)
    const limit = this.#spec.memoryBytesMax
    if (slot?.serving !== life || this.#phase !== 'running') return
    if (limit !== undefined) this.#judgeMemory(slot, life, usage.rssBytes, limit)
    if (this.#spec.utilisationPublished) this.#publishUtilisation(life, usage.utilisation)
  }

  #judgeMemory(slot: Slot, life: Life, rssBytes: number, limit: number): void {
    if (life.replaceWhy) return
    const [state, verdict] = afterMemorySample(slot.memory, this.#context.clock.monotonic(), rssBytes, limit)
    slot.memory = state
    if (verdict === 'keep') return
    const why = `uses ${bytesText(rssBytes)} of memory, its limit is ${bytesText(limit)}`
    life.replaceWhy = why
    if (verdict === 'drainNow') {
      this.#decide('warn', slot.member, `${why}: drains now, another one is started`)
      slot.serving = null
      this.#retire(slot, life, why)
      if (!slot.candidate) this.#start(slot)
    } else this.#decide('warn', slot.member, `${why}: is replaced`)
    this.#tick()
  }

  #publishUtilisation(life: Life, utilisation: number): void {
    const now = this.#context.clock.monotonic()
    const last = this.#utilisation.get(life.place.member) ?? -1
    if (now - this.#utilisationUs < utilisationPauseUs || Math.abs(utilisation - last) < utilisationStep)
      return
    this.#utilisationUs = now
    for (const one of this.lives())
      if (one.usage) this.#utilisation.set(one.place.member, one.usage.utilisation)
    void this.#publisher.publish()
  }

  lifeReady(life: Life): void {
    const slot = this.#slot(life.place.slot)
    if (slot.candidate !== life) return
    const former = slot.serving
    slot.candidate = null
    slot.serving = life
    slot.lastFailure = null
    slot.thefts = 0
    this.#decide('info', slot.member, `ready on port ${life.port}: ${life.reason}`)
    if (former) this.#retire(slot, former, `${former.replaceWhy ?? 'replaced'}; the next one is ready`)
    else void this.#publisher.publish()
    this.#tick()
  }

  lifeLost(life: Life, loss: LifeLoss): void {
    const slot = this.#slot(life.place.slot)
    const wasServing = slot.serving === life
    const wasCandidate = slot.candidate === life
    if (wasServing) slot.serving = null
    if (wasCandidate) slot.candidate = null
    slot.leaving.add(life)
    if (!wasCandidate) void this.#publisher.publish()
    if (!wasServing && !wasCandidate) {
      this.#decide('info', slot.member, loss.text)
      return
    }
    if (this.#phase !== 'running') this.#decide('warn', slot.member, loss.text)
    else if (!slot.candidate && slot.wakeAtUs === null) this.#follow(slot, life, loss)
    this.#tick()
  }

  #follow(slot: Slot, life: Life, loss: LifeLoss): void {
    const following = slot.afterLoss(life, loss, {
      now: this.#context.clock.monotonic(),
      settings: this.#spec.restart,
      random: this.#context.random,
      proven: this.#goodSpec?.version === life.version,
    })
    if (following.kind === 'now') {
      this.#decide('warn', slot.member, `${loss.text}; starts again on another`)
      this.#start(slot)
    } else if (following.kind === 'later') {
      slot.wakeAtUs = following.atUs
      slot.waitReason = `${loss.text}; ${following.why}`
      this.#decide('warn', slot.member, `${slot.waitReason}.${loss.output}`)
    } else {
      slot.gaveUp = following.failure
      this.#decide('error', slot.member, following.failure.message)
    }
  }

  lifeGone(life: Life, report: EndReport): void {
    this.#slot(life.place.slot).leaving.delete(life)
    const { member, service } = life.place
    if (!report.gone) {
      const sentence = `processes of it are still there although KILL was sent (the first was ${life.pid}): they hang in the kernel, usually on storage, or run as another user. End them by hand.`
      this.#decide('error', member, sentence)
    } else if (report.killed && !this.#context.cut.aborted) {
      const limit = timeText(this.#spec.stop.timeoutMs * 1000)
      this.#decide('warn', member, `did not end within ${limit} of ${this.#spec.stop.signal}: killed`)
    }
    this.#context.changed(service)
    this.#tick()
  }

  /** A new request takes over from the one before it. */
  #ask(onProgress: (sentence: string) => void = () => {}): Promise<ServiceReport> {
    this.#answer('superseded')
    const sinceUs = this.#context.clock.monotonic()
    return new Promise(resolve => {
      this.#request = { sinceUs, resolve, onProgress }
      this.#tick()
    })
  }

  #answer(outcome: ServiceReport['outcome']): void {
    const request = this.#request
    this.#request = null
    const report = this.report(outcome)
    // Whoever asked may count on the list that it leads to.
    void this.#publisher.flushed().then(() => request?.resolve(report))
  }

  report(outcome: ServiceReport['outcome']): ServiceReport {
    const slots = this.slots()
    const failures = slots.flatMap(slot => (slot.serving ? [] : (slot.gaveUp ?? slot.lastFailure ?? [])))
    if (this.#rejected?.failure) failures.push(this.#rejected.failure)
    const ready = slots.filter(slot => slot.serving).length
    return { service: this.name, outcome, ready, wanted: this.#wanted, failures }
  }

  /** At the end of this turn of the event loop: decides until nothing is left to do. */
  #tick(): void {
    if (this.#ticking) return
    this.#ticking = true
    queueMicrotask(() => {
      this.#ticking = false
      if (this.#phase !== 'stopping') this.#decideSteps()
      this.#context.changed(this.name)
    })
  }

  #decideSteps(): void {
    const now = this.#context.clock.monotonic()
    for (const slot of this.slots()) {
      if (slot.wakeAtUs === null || slot.wakeAtUs > now) continue
      slot.wakeAtUs = null
      slot.restarts++
      this.#start(slot)
    }
    const version = wantedVersion(this.#spec.version, this.#generation)
    const { timeoutMs: readyTimeoutMs } = this.#spec.ready
    const settings = { surge, readyTimeoutMs, drainTimeoutMs: this.#spec.stop.drainTimeoutMs }
    const wanted = { count: this.#wanted, version }
    const [state, plan] = decideRoll(
      now,
      wanted,
      observedOf(this.slots(), version, now),
      this.#roll,
      settings,
    )
    this.#roll = state
    for (const step of plan.steps) this.#take(step)
    if (plan.steps.length > 0) this.#tick()
    this.#forgetUnused()
    this.#answerIfSettled(now)
    this.#wakeAt(now, plan.wakeAtUs)
  }

  #take(step: RollStep): void {
    if (step.kind === 'start') this.#startSome(step.count)
    else if (step.kind === 'giveUp') this.#goBack(step.why)
    else {
      const slot = this.slots().find(one => one.member === step.id)
      if (slot) slot.wakeAtUs = slot.gaveUp = null
      else this.#leave(step.id, step.kind, step.why)
    }
  }

  #leave(nonce: string, kind: 'drain' | 'stop', why: string): void {
    const life = this.lives().find(one => one.nonce === nonce)
    if (life === undefined) return
    const slot = this.#slot(life.place.slot)
    if (kind === 'stop') this.#endIn(slot, life, why)
    else if (slot.serving === life) {
      slot.serving = null
      this.#retire(slot, life, why)
    }
  }

  /** Empty places first, then beside those that are to be replaced, lowest numbers first. */
  #startSome(count: number): void {
    for (let started = 0; started < count; started++) {
      const slot = this.#emptySlot() ?? this.slots().find(one => this.#awaitsReplacement(one))
      if (slot === undefined) return
      this.#start(slot)
    }
  }

  #emptySlot(): Slot | null {
    for (let number = 1; number <= this.#wanted; number++) {
      const slot = this.#slot(number)
      if (slot.empty) return slot
    }
    return null
  }

  #awaitsReplacement(slot: Slot): boolean {
    if (!slot.serving || slot.candidate || slot.wakeAtUs !== null || slot.gaveUp) return false
    return slot.serving.replaceWhy !== null || this.#outdated(slot.serving)
  }

  #outdated(life: Life): boolean {
    return life.version !== this.#spec.version || life.generation !== this.#generation
  }

  #start(slot: Slot): void {
    const place = { service: this.name, slot: slot.number, member: slot.member }
    slot.candidate = Life.start(place, this.#spec, this.#generation, this.#context, this)
    this.#request?.onProgress(`${slot.member}: starting${slot.serving ? ' the one that will follow' : ''}`)
    this.#context.changed(this.name)
  }

  /** The new version did not come up while an old one serves: what served last goes on. */
  #goBack(why: string): void {
    const failure = this.slots().find(slot => slot.lastFailure)?.lastFailure ?? null
    const sentence = `the roll to the new version is given up: ${failure?.message ?? why} The running instances serve on.`
    this.#decide('error', null, sentence)
    this.#rejected = { version: this.#spec.version, failure, why: 'the newest version did not come up' }
    if (this.#goodSpec) this.#spec = withLaunchOf(this.#spec, this.#goodSpec)
    this.#generation++
    for (const slot of this.#slots.values()) {
      slot.forgive()
      if (slot.candidate) this.#dismiss(slot, 'the roll was given up')
      if (!slot.serving) continue
      slot.serving.replaceWhy = null
      slot.serving.generation = this.#generation
    }
  }

  #dismiss(slot: Slot, why: string): void {
    if (slot.candidate) this.#endIn(slot, slot.candidate, why)
  }

  #endIn(slot: Slot, life: Life, why: string, timeoutMs?: number): void {
    const listed = slot.published === life
    if (slot.serving === life) slot.serving = null
    if (slot.candidate === life) slot.candidate = null
    slot.leaving.add(life)
    void life.end(why, timeoutMs)
    if (listed) void this.#publisher.publish()
  }

  #retire(slot: Slot, life: Life, why: string): void {
    slot.leaving.add(life)
    life.leave(why)
    this.#decide('info', slot.member, `drains: ${why}`)
    void this.#drainOut(life)
  }

  /** Out of the list, then until the front says that nothing is in flight; the drain time-out is the policy's. */
  async #drainOut(life: Life): Promise<void> {
    await this.#publisher.publish()
    const { service, member } = life.place
    const timeoutMs = this.#spec.stop.drainTimeoutMs
    try {
      life.idle = await this.#context.front.idle(service, member, life.nonce, timeoutMs)
    } catch (error) {
      const sentence = `${member}: the front could not say whether it is idle: ${(error as Error).message}`
      this.#context.log.warn({ service, member }, sentence)
    }
    this.#tick()
  }

  #slot(number: number): Slot {
    const slot = this.#slots.get(number) ?? new Slot(this.name, number)
    this.#slots.set(number, slot)
    return slot
  }

  #forgetUnused(): void {
    for (const slot of this.#slots.values()) {
      if (slot.unused && slot.number > this.#wanted) this.#slots.delete(slot.number)
    }
  }

  #answerIfSettled(now: number): void {
    const request = this.#request
    if (request === null || !this.#settled(request, now)) return
    const ready = this.slots().filter(slot => slot.serving).length
    const outcome =
      this.#phase === 'removing'
        ? 'stopped'
        : this.#rejected
          ? 'kept'
          : ready < this.#wanted
            ? 'failed'
            : 'ready'
    if (outcome === 'ready') this.#goodSpec = this.#spec
    this.#answer(outcome)
  }

  #settled(request: Request, now: number): boolean {
    const late = now - request.sinceUs > this.#spec.ready.timeoutMs * 1000
    const slots = this.slots()
    if (slots.some(slot => slot.leaving.size > 0)) return false
    if (slots.some(slot => slot.serving && (this.#outdated(slot.serving) || slot.serving.replaceWhy)))
      return false
    const open = slots.filter(slot => slot.candidate || slot.wakeAtUs !== null)
    if (open.some(slot => !late || slot.lastFailure === null)) return false
    return slots.filter(slot => !slot.empty).length === this.#wanted
  }

  /**
   * The next time at which something is to be decided without anything having happened. What fell due since `decidedUs`
   * was not looked at, so it counts as to come.
   */
  #wakeAt(decidedUs: number, policyUs: number | null): void {
    const times = this.slots().flatMap(slot => slot.wakeAtUs ?? [])
    if (policyUs !== null) times.push(policyUs)
    if (this.#request) times.push(this.#request.sinceUs + this.#spec.ready.timeoutMs * 1000 + 1000)
    if (this.#wakeTimer) clearTimeout(this.#wakeTimer)
    const next = Math.min(...times.filter(at => at > decidedUs))
    if (!Number.isFinite(next)) return
    const waitUs = Math.max(0, next - this.#context.clock.monotonic())
    this.#wakeTimer = setTimeout(() => this.#tick(), Math.ceil(waitUs / 1000))
  }

  #close(): void {
    if (this.#wakeTimer) clearTimeout(this.#wakeTimer)
    this.#wakeTimer = null
    this.#publisher.close()
    this.#answer('superseded')
  }

  #decide(level: FleetDecision['level'], member: string | null, text: string): void {
    this.#context.decided({ level, service: this.name, member, text })
    this.#request?.onProgress(member ? `${member}: ${text}` : text)
  }
}

/** The newest settings, and what the processes of an earlier version are started with. */
function withLaunchOf(
  spec: ProcessSpec,
  { command, directory, env, user, version }: ProcessSpec,
): ProcessSpec {
  const { user: _user, ...rest } = spec
  return { ...rest, command, directory, env, version, ...(user === undefined ? {} : { user }) }
}
