// One database: its agent's loop and its commands. Looks at the servers, asks the policy, has the journal on disk, takes
// the step, looks again. Who the primary is decides `policy/failover.ts` alone.
//
// Steps that change the primary are taken one at a time; repairs of replicas run beside them, one a server.

import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../kit/failure.ts'
import {
  afterStep,
  beginFailover,
  beginSwitchover,
  decideFailover,
  type FailoverPlan,
  type FailoverSettings,
  type FailoverState,
  type FailoverStep,
  newFailoverState,
  newJournal,
  type StepResult,
  watchServers,
} from '../../policy/index.ts'
import type { DatabaseRole, DatabaseSpec, Topology } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import type { DatabaseServers, FoundServer, Progress } from '../servers/contract.ts'
import { createServers } from '../servers/index.ts'
import type { DatabaseGroup, DatabaseGroupStatus, FailoverRecord, GroupOptions } from './contract.ts'
import { Journal, type Remembered, recordsMax } from './journal.ts'
import { LagClock } from './lag.ts'
import { Looks } from './looks.ts'
import { LostChanges } from './lost-changes.ts'
import { Publishing } from './publishing.ts'
import { failoverSettings, lookEveryMs, lookTimeoutMs } from './settings.ts'
import { statusOf } from './status.ts'
import { takeStep } from './take.ts'
import { type Standing, topologyOf } from './topology.ts'

/** What tests set: servers of their own, other times, a death between two steps. */
export interface GroupSeams {
  readonly servers?: DatabaseServers
  readonly settings?: Partial<FailoverSettings>
  readonly knock?: () => Promise<boolean>
  /** Before and after each step; what it throws ends the agent on the spot. */
  readonly died?: (step: FailoverStep, when: 'before' | 'after') => void
}

export function createDatabaseGroup(options: GroupOptions, seams: GroupSeams = {}): DatabaseGroup {
  return new Group(options, seams)
}

const inOrder = new Set(['hold', 'drain', 'stop', 'fence', 'synchronous', 'promote', 'open'])
/** For an operator's command, from its begin to the new primary. */
const commandMs = 120_000
const drainTurnMs = 300
const slotsEveryMs = 10_000
const slotsSoonMs = 300
const nothingPlanned: FailoverPlan = { steps: [], why: 'starting', trouble: '', servers: {} }

interface Waiter {
  readonly holds: () => boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly failed: () => Error | null
}

class Group implements DatabaseGroup {
  readonly servers: DatabaseServers
  readonly #options: GroupOptions
  readonly #seams: GroupSeams
  readonly #looks: Looks
  readonly #journal: Journal
  readonly #publishing: Publishing
  readonly #lost: LostChanges
  readonly #lag = new LagClock()
  readonly #jobs = new Map<string, Promise<void>>()
  readonly #waiters = new Set<Waiter>()
  #spec: DatabaseSpec
  #state: FailoverState
  #plan: FailoverPlan = nothingPlanned
  #failovers: readonly FailoverRecord[] = []
  #progress: Progress = () => {}
  #said = ''
  /** Told of each server's repair that failed, until one works. */
  readonly #failures = new Map<string, string>()
  #life: 'new' | 'running' | 'stopping' | 'stopped' | 'failed' = 'new'
  #running: Promise<void> | null = null
  #woken = false
  #tick: NodeJS.Timeout | null = null
  #lostAtUs = 0

  constructor(options: GroupOptions, seams: GroupSeams) {
    const { clock } = options
    this.#options = options
    this.#seams = seams
    this.#spec = options.spec
    this.servers = seams.servers ?? createServers(options)
    this.#journal = new Journal(options.stateDirectory, options.spec.name)
    this.#publishing = new Publishing(topology => options.publish(topology), options.log)
    this.#lost = new LostChanges(this.servers, options)
    this.#state = newFailoverState(newJournal, clock.monotonic())
    this.#looks = new Looks({
      servers: this.servers,
      clock,
      timeoutMs: () => lookTimeoutMs(this.#settings.detectMs),
      knock: seams.knock,
      careful: () => this.#state.journal.change !== null,
      looked: () => this.#wake(),
    })
  }

  get spec(): DatabaseSpec {
    return this.#spec
  }

  get roles(): readonly DatabaseRole[] {
    return this.servers.roles
  }

  get topology(): Topology {
    return this.#publishing.last ?? topologyOf(this.#standing, false)
  }

  get #settings(): FailoverSettings {
    return failoverSettings(this.#spec, this.#seams.settings)
  }

  get #standing(): Standing {
    return {
      nowUs: this.#options.clock.monotonic(),
      state: this.#state,
      plan: this.#plan,
      settings: this.#settings,
      database: this.#spec.name,
      servers: this.servers,
    }
  }

  // ---- its life

  async start(progress: Progress): Promise<void> {
    this.#progress = progress
    try {
      const found = await this.servers.open()
      const remembered = this.#journal.read() ?? (await this.#first(found, progress))
      this.#failovers = remembered.failovers
      this.#state = newFailoverState(remembered.journal, this.#options.clock.monotonic())
      await this.#startServers(found, progress)
      this.#life = 'running'
      this.servers.watch(id => this.#looks.lookNow(id))
      for (const one of found) this.#looks.add(this.#diskOf(one))
      this.#tick = setInterval(() => this.#wake(), lookEveryMs)
      await this.#until(
        () => this.#settledDown(),
        () => null,
        600_000,
      )
    } catch (error) {
      this.#life = 'failed'
      this.#end()
      this.servers.release()
      throw error
    } finally {
      this.#progress = () => {}
    }
  }

  /** Takes writes, and each replica streams or was said not to. */
  #settledDown(): boolean {
    const topology = this.#publishing.last
    if (topology === null) return false
    if (this.#spec.servers.kind === 'existing') return true
    if (topology.primary === null) return this.#plan.steps.some(step => step.kind === 'ask')
    // A replica may say that it streams before its primary says so, which is what commits count on.
    if (this.#plan.trouble !== '' && this.#failures.size === 0) return false
    const seen = new Map(this.#looks.seen.map(one => [one.id, one]))
    return this.#settings.members
      .filter(({ id }) => id !== topology.primary && !this.#failures.has(id))
      .every(({ id }) => seen.get(id)?.streamsFrom != null && !this.#looks.busy(id))
  }

  /** Nothing was ever written down: a new database, or servers of others. */
  async #first(found: readonly FoundServer[], progress: Progress): Promise<Remembered> {
    if (this.#spec.servers.kind === 'existing') return { journal: newJournal, failovers: [] }
    const primaries = found.filter(one => one.disk === 'primary')
    const fresh = found.every(one => one.disk === 'empty' || one.disk === 'damaged')
    const [primary] = fresh ? found : primaries
    if (primary === undefined || primaries.length > 1)
      throw new Failure(
        databaseFailures.primaryUnclear,
        `databases.${this.#spec.name}: ${primaries.map(one => one.id).join(' and ') || 'no server'} has the data of a primary, and nothing tells which one is right.`,
      )
    if (fresh) {
      progress(`${primary.id} is made`)
      await this.servers.create(primary.id)
    }
    const journal = { ...newJournal, epoch: 1, primary: primary.id, quorums: [{ need: 0, names: [] }] }
    const remembered: Remembered = { journal, failovers: [] }
    this.#journal.write(remembered)
    return remembered
  }

  #diskOf(one: FoundServer): Pick<FoundServer, 'id' | 'disk'> {
    const { primary, change } = this.#state.journal
    const created = one.id === primary && change === null && one.disk !== 'replica'
    return created ? { id: one.id, disk: 'primary' } : one
  }

  /** All at once, as what they are on disk; a former primary is not. */
  async #startServers(found: readonly FoundServer[], progress: Progress): Promise<void> {
    if (!this.servers.canFence) return
    const { journal } = this.#state
    const startable = found.filter(({ id, disk }) => {
      if (journal.fenced.includes(id) || journal.rebuild.includes(id)) return false
      return disk === 'replica' || (disk === 'primary' && id === journal.primary && journal.change === null)
    })
    if (startable.some(one => !one.running)) progress('servers start')
    await Promise.all(
      startable.map(({ id }) =>
        this.servers.start(id).catch((cause: Error) => this.#warn(id, `does not start: ${cause.message}`)),
      ),
    )
  }

  async stop(now: boolean): Promise<void> {
    this.#life = 'stopping'
    this.#end()
    await this.#running
    await Promise.allSettled(this.#jobs.values())
    const mode = now ? 'immediate' : 'fast'
    if (this.servers.canFence) {
      const { primary } = this.#state.journal
      const ids = this.#settings.members.map(member => member.id)
      // The primary first: what it still has to send, replicas get.
      if (primary !== null && ids.includes(primary)) await this.servers.stop(primary, mode)
      await Promise.all(ids.filter(id => id !== primary).map(id => this.servers.stop(id, mode)))
    }
    this.servers.release()
    this.#life = 'stopped'
  }

  release(): void {
    if (this.#life !== 'stopped') this.#life = 'stopped'
    this.#end()
    this.servers.release()
  }

  #end(): void {
    if (this.#tick !== null) clearInterval(this.#tick)
    this.#tick = null
    this.#looks.end()
    const error = new Failure(
      databaseFailures.changeRefused,
      `databases.${this.#spec.name} is being stopped.`,
    )
    for (const waiter of this.#waiters) waiter.reject(error)
    this.#waiters.clear()
  }

  // ---- its loop

  #wake(): void {
    this.#woken = true
    if (this.#life !== 'running') return
    if (this.#running !== null) {
      // A step is under way: what is seen meanwhile counts, and the time it takes is no sleep.
      const now = this.#options.clock.monotonic()
      this.#state = watchServers(now, this.#looks.seen, this.#state, this.#settings)
      return
    }
    this.#running = this.#run().finally(() => {
      this.#running = null
      if (this.#woken) this.#wake()
    })
  }

  async #run(): Promise<void> {
    while (this.#woken && this.#life === 'running') {
      this.#woken = false
      try {
        if (await this.#turn()) this.#looks.lookAllNow()
      } catch (cause) {
        this.#stumbled(cause)
      }
    }
  }

  /** The journal can't be written, say: the same is tried again with the next look. */
  #stumbled(cause: unknown): void {
    const sentence = `the agent of ${this.#spec.name} could not go on: ${(cause as Error).message}`
    this.#options.log.error({ cause, database: this.#spec.name }, sentence)
    this.#say('error', null, sentence)
  }

  /** One decision and what follows from it. True when a step was taken that changes what is to be seen. */
  async #turn(): Promise<boolean> {
    const { clock, lease } = this.#options
    const wallMs = Math.round(clock.wall() / 1_000)
    const [state, plan] = decideFailover(
      clock.monotonic(),
      wallMs,
      this.#looks.seen,
      this.#state,
      this.#settings,
    )
    this.#accept(state, plan)
    this.#sample()
    const first = plan.steps.find(step => this.#isInOrder(step))
    if (first === undefined || first.kind !== 'open') this.#publishNow()
    for (const waiter of [...this.#waiters]) this.#answer(waiter)
    if (!lease.held()) return false
    const repairs = plan.steps.filter(step => !this.#isInOrder(step))
    for (const step of repairs) this.#repair(step)
    if (first === undefined) return false
    await this.#takeInOrder(first)
    this.#woken = true
    return true
  }

  #accept(state: FailoverState, plan: FailoverPlan): void {
    this.#state = state
    this.#plan = plan
    this.#remember()
    const { primary } = state.journal
    if (plan.why === this.#said || (primary !== null && state.watch[primary] === undefined)) return
    this.#said = plan.why
    this.#say(plan.trouble === '' ? 'info' : 'warn', null, plan.why)
  }

  #remember(): void {
    this.#journal.write({ journal: this.#state.journal, failovers: this.#failovers })
  }

  #isInOrder(step: FailoverStep): boolean {
    const { primary, change } = this.#state.journal
    if (step.kind === 'restart') return step.server === primary || step.server === change?.to
    // A primary that hangs takes no list: nobody waits for it to, and it is replaced meanwhile.
    if (step.kind === 'synchronous') return change !== null
    return inOrder.has(step.kind)
  }

  /** Not before the primary was looked at: a running router keeps what an earlier agent told it. */
  #publishNow(): void {
    const { primary } = this.#state.journal
    const looked = primary !== null && this.#state.watch[primary] !== undefined
    if (!looked && this.#publishing.last === null && this.#plan.trouble === '') return
    if (!looked && primary !== null) return
    if (
      this.#state.openedEpoch < this.#state.journal.epoch &&
      this.#publishing.last === null &&
      this.#plan.trouble === ''
    )
      return
    void this.#publishing.tell(topologyOf(this.#standing, false))
  }

  async #takeInOrder(step: FailoverStep): Promise<void> {
    const server = 'server' in step ? step.server : null
    if (step.kind !== 'open' && step.kind !== 'drain') this.#say('info', server, `${step.kind}: ${step.why}`)
    this.#seams.died?.(step, 'before')
    const before = this.#state.journal
    const result = await this.#resultOf(step)
    this.#seams.died?.(step, 'after')
    if (!result.ok) this.#warn(server, `${step.kind} failed: ${result.why}`)
    this.#after(step, result)
    if (step.kind === 'promote' && result.ok && before.change !== null) this.#record(before.change)
    if (server !== null && step.kind !== 'synchronous') this.#looks.forget(server)
    if (step.kind === 'promote' && result.ok) this.#looks.setDisk(step.server, 'primary')
    this.#remember()
    if (step.kind === 'open') this.#opened()
  }

  #after(step: FailoverStep, result: StepResult): void {
    const { clock } = this.#options
    const wallMs = Math.round(clock.wall() / 1_000)
    this.#state = afterStep(clock.monotonic(), wallMs, step, result, this.#state, this.#settings)
  }

  async #resultOf(step: FailoverStep): Promise<StepResult> {
    switch (step.kind) {
      case 'hold': {
        const told = this.#publishing.tell(topologyOf(this.#standing, false))
        // In a failover nobody waits for routers: the fence is what ends writes.
        if (this.#state.journal.change?.kind === 'switchover') await told
        return { ok: true }
      }
      case 'drain':
        return { ok: true, drained: await this.#drained() }
      case 'open':
        await this.#publishing.tell(topologyOf(this.#standing, true))
        return { ok: true }
      default:
        return takeStep(this.servers, step, this.#progress)
    }
  }

  /** In short turns, so that the death of the primary is seen meanwhile. */
  async #drained(): Promise<boolean> {
    const end = this.#options.clock.monotonic() + drainTurnMs * 1_000
    try {
      if (await this.#options.drained(this.#spec.name, drainTurnMs)) return true
    } catch (cause) {
      this.#warn(null, `routers do not say whether transactions have ended: ${(cause as Error).message}`)
    }
    const leftMs = (end - this.#options.clock.monotonic()) / 1_000
    if (leftMs > 1) await sleep(leftMs)
    return false
  }

  #record(change: NonNullable<FailoverState['journal']['change']>): void {
    const record: FailoverRecord = {
      atMs: change.beganMs,
      kind: change.kind,
      from: change.from,
      to: change.to ?? '',
      why: change.why,
      tookMs: -1,
      lost: change.clean ? { changes: 0, file: '', covers: 'stopped cleanly' } : null,
    }
    this.#failovers = [record, ...this.#failovers].slice(0, recordsMax)
  }

  /** The first topology with the new primary is obeyed. */
  #opened(): void {
    const [latest, ...others] = this.#failovers
    const { journal } = this.#state
    this.#say(
      'info',
      journal.primary,
      `is the primary of epoch ${journal.epoch}, timeline ${journal.timeline}`,
    )
    this.#lostAtUs = 0
    if (latest === undefined || latest.tookMs >= 0 || latest.to !== journal.primary) return
    const tookMs = Math.max(0, Math.round(this.#options.clock.wall() / 1_000) - latest.atMs)
    this.#failovers = [{ ...latest, tookMs }, ...others]
    this.#remember()
  }

  // ---- repairs

  #repair(step: FailoverStep): void {
    if (step.kind === 'wait' || step.kind === 'ask' || !('server' in step)) return
    const { server } = step
    const quiet = step.kind === 'slots' || step.kind === 'synchronous'
    const key = step.kind === 'synchronous' ? `${server} ${step.kind}` : server
    if (this.#jobs.has(key)) return
    if (step.kind === 'synchronous') this.#say('info', server, `${step.kind}: ${step.why}`)
    if (!quiet) {
      this.#looks.setBusy(server, true)
      this.#say('info', server, `${step.kind}: ${step.why}`)
    }
    const job = this.#repaired(step)
      .catch(cause => this.#stumbled(cause))
      .finally(() => {
        this.#jobs.delete(key)
        if (!quiet) this.#looks.setBusy(server, false)
        if (!quiet) this.#looks.forget(server)
        this.#wake()
      })
    this.#jobs.set(key, job)
  }

  async #repaired(step: Extract<FailoverStep, { server: string }>): Promise<void> {
    const { server } = step
    this.#seams.died?.(step, 'before')
    const result = step.kind === 'salvage' ? await this.#salvage(server) : await this.#repairResult(step)
    if (this.#life !== 'running') return
    this.#seams.died?.(step, 'after')
    this.#after(step, result)
    if (result.ok) {
      this.#failures.delete(server)
      if (step.kind === 'clone') this.#looks.setDisk(server, 'replica')
      if (step.kind === 'follow' && result.diverged !== true) this.#followed(server)
    } else {
      this.#failures.set(server, result.why)
      this.#warn(server, `${step.kind} failed: ${result.why}`)
    }
    this.#remember()
  }

  #repairResult(step: Extract<FailoverStep, { server: string }>): Promise<StepResult> {
    // Half a copy is worth nothing, also to the next agent.
    if (step.kind === 'clone') this.#looks.setDisk(step.server, 'damaged')
    return takeStep(this.servers, step, this.#progress)
  }

  /** Its log is a part of the new primary's: nothing was lost with it. */
  #followed(server: string): void {
    this.#looks.setDisk(server, 'replica')
    this.#lostOf(server, { changes: 0, file: '', covers: 'everything: its log is a part of the new one' })
    void this.#lost.drop(server)
  }

  async #salvage(server: string): Promise<StepResult> {
    const record = this.#failovers.find(one => one.from === server && one.lost === null)
    const { primary } = this.#state.journal
    if (record === undefined || primary === null) return { ok: true }
    try {
      const lost = await this.#lost.salvage(server, primary, record.atMs)
      if (lost === null) {
        this.#say(
          'warn',
          server,
          `what only it has can't be told: ${server} was a primary for too short a time`,
        )
        return { ok: true }
      }
      this.#lostOf(server, lost)
      const promised = this.#spec.durability !== 'primary' && !record.why.includes('whatever is lost')
      const of = promised ? ', none of them acknowledged,' : ''
      if (lost.changes === 0) this.#say('info', server, 'no committed row change was lost')
      else
        this.#say(
          promised ? 'info' : 'error',
          server,
          `${lost.changes} row changes${of} never reached ${primary}: ${lost.file}`,
        )
      return { ok: true }
    } catch (error) {
      return { ok: false, why: (error as Error).message }
    }
  }

  #lostOf(server: string, lost: NonNullable<FailoverRecord['lost']>): void {
    this.#failovers = this.#failovers.map(one =>
      one.from === server && one.lost === null ? { ...one, lost } : one,
    )
    this.#remember()
  }

  #sample(): void {
    const { primary, change } = this.#state.journal
    const now = this.#options.clock.monotonic()
    const seen = primary === null ? null : this.#looks.observation(primary)
    if (seen?.answers === true && !seen.inRecovery) this.#lag.saw(now, seen.position.lsn)
    if (!this.servers.canFence || primary === null || change !== null) return
    if (this.#publishing.last?.primary !== primary || now < this.#lostAtUs) return
    this.#lostAtUs = now + slotsEveryMs * 1_000
    const flushed = seen?.standbys.filter(one => one.state === 'streaming').map(one => one.flushLsn) ?? []
    void this.#lost.keep(primary, flushed).then(kept => {
      // Not there yet: soon again.
      if (!kept) this.#lostAtUs = Math.min(this.#lostAtUs, now + slotsSoonMs * 1_000)
    })
  }

  // ---- commands

  async switchover(to: string | null, progress: Progress): Promise<string> {
    this.#known(to)
    const begin = (): FailoverState | string =>
      beginSwitchover(...this.#question, this.#state, this.#settings, to)
    return this.#changed(begin(), databaseFailures.switchoverRefused, progress)
  }

  async failover(to: string | null, lossy: boolean, progress: Progress): Promise<string> {
    if (!this.servers.canFence)
      throw new Failure(
        databaseFailures.notOurs,
        `databases.${this.#spec.name} has servers that Tenfold does not run: it can't end the old primary, so it promotes none.`,
      )
    this.#known(to)
    const next = beginFailover(...this.#question, this.#state, this.#settings, to, lossy)
    return this.#changed(next, databaseFailures.failoverRefused, progress)
  }

  get #question(): [number, number, Looks['seen']] {
    const { clock } = this.#options
    return [clock.monotonic(), Math.round(clock.wall() / 1_000), this.#looks.seen]
  }

  #known(id: string | null): void {
    const ids = this.#settings.members.map(member => member.id)
    if (id !== null && !ids.includes(id))
      throw new Failure(
        databaseFailures.serverUnknown,
        `databases.${this.#spec.name} has no server '${id}'; it has ${ids.join(', ')}.`,
      )
  }

  async #changed(
    next: FailoverState | string,
    kind: typeof databaseFailures.switchoverRefused,
    progress: Progress,
  ): Promise<string> {
    const refused = (why: string): Failure => new Failure(kind, `databases.${this.#spec.name}: ${why}.`)
    if (typeof next === 'string') throw refused(next)
    const { epoch } = this.#state.journal
    this.#progress = progress
    this.#state = next
    this.#remember()
    const given = (): Error | null =>
      this.#state.journal.change === null && this.#state.journal.epoch === epoch ? refused(this.#said) : null
    const open = (): boolean => this.#state.journal.epoch > epoch && this.#publishing.last?.primary != null
    try {
      const done = this.#until(() => open() && this.#publishing.last!.epoch > epoch, given, commandMs)
      this.#wake()
      await done
    } finally {
      this.#progress = () => {}
    }
    return `${this.#state.journal.primary} is the primary of epoch ${this.#state.journal.epoch}`
  }

  async rebuild(server: string, progress: Progress): Promise<string> {
    this.#known(server)
    const { journal } = this.#state
    const refused = (why: string): Failure =>
      new Failure(databaseFailures.changeRefused, `databases.${this.#spec.name}: ${why}.`)
    if (!this.servers.canFence)
      throw new Failure(
        databaseFailures.notOurs,
        `${server} is not run by Tenfold: it is made anew where it is run.`,
      )
    if (server === journal.primary) throw refused(`${server} is the primary; switch over first`)
    if (journal.change !== null) throw refused(`a ${journal.change.kind} is under way`)
    if (journal.paused !== null) throw refused(`repairs are paused: ${journal.paused}`)
    this.#progress = progress
    this.#failures.delete(server)
    this.#state = {
      ...this.#state,
      journal: { ...journal, rebuild: [...new Set([...journal.rebuild, server])] },
    }
    this.#remember()
    const failed = (): Error | null => {
      const why = this.#failures.get(server)
      return why === undefined ? null : refused(why)
    }
    const whole = (): boolean => !this.#state.journal.rebuild.includes(server) && !this.#looks.busy(server)
    try {
      const done = this.#until(whole, failed, 24 * 3_600_000)
      this.#wake()
      await done
    } finally {
      this.#progress = () => {}
    }
    return `${server} was copied anew`
  }

  pause(why: string): void {
    this.#setPaused(why)
    this.#say('warn', null, `failover and repairs are paused: ${why}`)
  }

  resume(): void {
    this.#setPaused(null)
    this.#say('info', null, 'failover and repairs go on')
  }

  #setPaused(paused: string | null): void {
    this.#state = { ...this.#state, journal: { ...this.#state.journal, paused } }
    this.#remember()
    this.#wake()
  }

  async apply(spec: DatabaseSpec, progress: Progress): Promise<void> {
    const before = this.#settings.members.map(member => member.id)
    const gone = before.filter(id => !failoverSettings(spec).members.some(member => member.id === id))
    const { primary } = this.#state.journal
    if (spec.servers.kind !== this.#spec.servers.kind || spec.name !== this.#spec.name)
      throw new Failure(
        databaseFailures.changeRefused,
        `databases.${spec.name} can't change between servers that Tenfold runs and servers of others while it runs.`,
      )
    if (primary !== null && gone.includes(primary)) await this.#leave(primary, gone, progress)
    const { restart } = await this.servers.change(spec)
    this.#spec = spec
    this.#state = { ...this.#state, slots: {} }
    for (const id of gone) await this.#removed(id)
    for (const { id } of this.#settings.members)
      if (!before.includes(id)) this.#looks.add({ id, disk: this.servers.canFence ? 'empty' : 'replica' })
    this.#progress = progress
    this.#wake()
    await this.#restarted(restart, progress)
    await this.#until(
      () => this.#settledDown(),
      () => null,
      24 * 3_600_000,
    )
    this.#progress = () => {}
  }

  /** The primary is to go: somebody who stays takes over first. */
  async #leave(primary: string, gone: readonly string[], progress: Progress): Promise<void> {
    const stays = this.#looks.seen.find(one => !gone.includes(one.id) && one.streamsFrom === primary)
    if (stays === undefined)
      throw new Failure(
        databaseFailures.changeRefused,
        `databases.${this.#spec.name}: ${primary} is the primary and can't be removed: no other server streams from it.`,
      )
    await this.switchover(stays.id, progress)
  }

  async #removed(id: string): Promise<void> {
    this.#looks.remove(id)
    await this.#jobs.get(id)
    const without = (names: readonly string[]): readonly string[] => names.filter(name => name !== id)
    const { journal } = this.#state
    const lists = {
      fenced: without(journal.fenced),
      rebuild: without(journal.rebuild),
      salvage: without(journal.salvage),
    }
    // It can't be asked any more, and was taken away on purpose: nobody is kept waiting for it.
    const quorums = journal.quorums.map(one => {
      const names = without(one.names)
      return { need: Math.min(one.need, names.length), names }
    })
    this.#state = { ...this.#state, journal: { ...journal, ...lists, quorums } }
    this.#remember()
    if (this.servers.canFence) await this.servers.remove(id)
  }

  /** Settings that need a restart: replicas first, the primary last, by a switchover where somebody can take over. */
  async #restarted(ids: readonly string[], progress: Progress): Promise<void> {
    const { primary } = this.#state.journal
    for (const id of ids.filter(one => one !== primary)) {
      progress(`${id} is restarted for a setting`)
      await this.servers.stop(id, 'fast')
      await this.servers.start(id)
      this.#looks.forget(id)
    }
    if (primary === null || !ids.includes(primary)) return
    const other = this.#settings.members.some(member => member.id !== primary && member.delayMs === 0)
    if (other) {
      // The primary must have seen them stream again, not only they themselves.
      const can = (): boolean =>
        typeof beginSwitchover(...this.#question, this.#state, this.#settings, null) !== 'string'
      await this.#until(
        () => this.#settledDown() && can(),
        () => null,
        commandMs,
      )
      await this.switchover(null, progress)
      return
    }
    progress(`${primary} is restarted for a setting`)
    await this.servers.stop(primary, 'fast')
    await this.servers.start(primary)
    this.#looks.forget(primary)
  }

  // ---- what is told

  status(): DatabaseGroupStatus {
    return statusOf({
      standing: this.#standing,
      topology: this.topology,
      life: this.#life,
      durability: this.#spec.durability,
      failovers: this.#failovers,
      observation: id => this.#looks.observation(id),
      source: id => this.#looks.seen.find(one => one.id === id)?.streamsFrom ?? null,
      pid: id => this.servers.pid(id),
      lag: this.#lag,
    })
  }

  #say(level: 'info' | 'warn' | 'error', server: string | null, text: string): void {
    this.#options.decided({ level, database: this.#spec.name, server, text })
  }

  #warn(server: string | null, text: string): void {
    this.#options.log.warn({ database: this.#spec.name, server }, text)
    this.#say('warn', server, text)
  }

  /** Resolves when it holds; looked at after each decision. */
  #until(holds: () => boolean, failed: () => Error | null, limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#waiters.delete(waiter)
        const sentence = `databases.${this.#spec.name}: not within ${limitMs / 1_000} s; ${this.#plan.why}.`
        reject(new Failure(databaseFailures.changeRefused, sentence))
      }
      const timer = setTimeout(late, limitMs)
      const done =
        <Value>(settle: (value: Value) => void): ((value: Value) => void) =>
        value => {
          clearTimeout(timer)
          this.#waiters.delete(waiter)
          settle(value)
        }
      const waiter: Waiter = { holds, failed, resolve: done<void>(resolve), reject: done<Error>(reject) }
      this.#waiters.add(waiter)
    })
  }

  #answer(waiter: Waiter): void {
    const error = waiter.failed()
    if (error !== null) waiter.reject(error)
    else if (waiter.holds()) waiter.resolve()
  }
}
