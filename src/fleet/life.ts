// One life of an instance: one process group from its start to the moment when nothing is left of it. It starts the
// process, waits until it is ready, notices its end, ends it when told to, and keeps its record. It never decides
// whether another one follows: it tells its owner.
//
// State     | is                                                      | leaves by
// starting  | port being chosen, process started, not ready yet       | readiness; loss; end()
// ready     | answered its probe, and the port is really its own      | leave(); loss; end()
// draining  | gets no new requests, may still answer old ones         | loss; end()
// stopping  | being ended, or ended by itself and being cleaned up    | nothing of it left
// gone      | no process, no record, port given back                  | -
// A loss (it ended, was late, lost its port, could not start) is told once, and never after end() was called.

import { randomBytes } from 'node:crypto'
import { lastLines, logBytes } from '../io/log-file.ts'
import { type LifeExit, type LifeIdentity, leaderAlive, startLife, whyNotStartable } from '../io/process.ts'
import type { Clock } from '../kit/clock.ts'
import { Failure } from '../kit/failure.ts'
import type { FleetLog, ProcessSpec } from './contract.ts'
import { type EndReport, endLife } from './ending.ts'
import { instanceEnvironment, type RunAs } from './environment.ts'
import { fleetFailures } from './failures.ts'
import type { PortBook } from './ports.ts'
import { untilReady } from './ready.ts'
import type { LifeRecord, Records } from './records.ts'
import { exitText, outputText, quotable, timeText } from './words.ts'

export type LifeState = 'starting' | 'ready' | 'draining' | 'stopping' | 'gone'

export interface LifeContext {
  readonly clock: Clock
  readonly host: string
  readonly records: Records
  readonly ports: PortBook
  readonly inherited: Readonly<Record<string, string | undefined>>
  runAs(spec: ProcessSpec): RunAs | null
  logFile(service: string, member: string): string
  readonly log: FleetLog
  /** Aborts when everything is to be killed. */
  readonly cut: AbortSignal
}

export interface LifeLoss {
  readonly kind: 'exit' | 'late' | 'stolen' | 'unstartable'
  /** The command can't be started as it is written: trying again will not help. */
  readonly commandMissing: boolean
  /** `exited with code 1 after 0.2 s`. */
  readonly text: string
  /** What it wrote last, as the end of a sentence; empty where that tells nothing. */
  readonly output: string
  readonly failure: Failure
}

export interface LifeOwner {
  lifeReady(life: Life): void
  lifeLost(life: Life, loss: LifeLoss): void
  /** Nothing is left of it, or `report.gone` is false. */
  lifeGone(life: Life, report: EndReport): void
}

/** Samples of the whole process group. */
export interface LifeUsage {
  readonly cpuPercent: number
  readonly rssBytes: number
  readonly utilisation: number
}

export interface LifePlace {
  readonly service: string
  readonly slot: number
  readonly member: string
}

export class Life {
  readonly place: LifePlace
  readonly nonce: string
  readonly version: string
  /** The restart that it belongs to; its owner moves it on when a restart is given up. */
  generation: number
  readonly adopted: boolean
  readonly logFile: string
  readonly startedAtMs: number
  state: LifeState = 'starting'
  /** Monotonic: when the state began. */
  sinceUs: number
  /** Why it is in that state, in words. */
  reason = 'starting'
  port = 0
  /** Monotonic; null until it was ready. */
  readyAtUs: number | null = null
  /** Draining only: the front says that nothing is in flight to it. */
  idle = false
  usage: LifeUsage | null = null
  /** Why it is to be replaced although its version is current: `over its memory limit`. */
  replaceWhy: string | null = null

  readonly #context: LifeContext
  readonly #owner: LifeOwner
  #stop: LifeRecord['stop']
  #identity: LifeIdentity | null = null
  #logFrom = 0
  #startedUs: number
  /** Aborts when nobody waits for readiness any more. */
  readonly #unready = new AbortController()
  #launch: Promise<void> = Promise.resolve()
  #ending: Promise<EndReport> | null = null

  private constructor(
    place: LifePlace,
    context: LifeContext,
    owner: LifeOwner,
    what: {
      nonce: string
      version: string
      generation: number
      adopted: boolean
      startedAtMs: number
      stop: LifeRecord['stop']
    },
  ) {
    this.place = place
    this.nonce = what.nonce
    this.version = what.version
    this.generation = what.generation
    this.adopted = what.adopted
    this.startedAtMs = what.startedAtMs
    this.#stop = what.stop
    this.#context = context
    this.#owner = owner
    this.logFile = context.logFile(place.service, place.member)
    this.sinceUs = this.#startedUs = context.clock.monotonic()
  }

  static start(
    place: LifePlace,
    spec: ProcessSpec,
    generation: number,
    context: LifeContext,
    owner: LifeOwner,
  ): Life {
    const nonce = randomBytes(8).toString('hex')
    const startedAtMs = Math.round(context.clock.wall() / 1000)
    const { version, stop } = spec
    const what = { nonce, version, generation, adopted: false, startedAtMs, stop }
    const life = new Life(place, context, owner, what)
    life.#launch = life.#start(spec)
    return life
  }

  static adopt(
    record: LifeRecord,
    identity: LifeIdentity,
    generation: number,
    context: LifeContext,
    owner: LifeOwner,
  ): Life {
    const { nonce, version, startedAtMs, stop } = record
    const what = { nonce, version, generation, adopted: true, startedAtMs, stop }
    const life = new Life(record, context, owner, what)
    // How long it has run is only known by the wall clock.
    life.#startedUs -= Math.max(0, Math.round(context.clock.wall() - startedAtMs * 1000))
    life.#identity = identity
    life.port = record.port
    context.ports.note(record.port)
    life.#become(record.state === 'draining' ? 'draining' : 'ready', 'taken back from a former supervisor')
    return life
  }

  get pid(): number | null {
    return this.#identity?.pid ?? null
  }

  get identity(): LifeIdentity | null {
    return this.#identity
  }

  /** The stop settings of a newer file hold for running processes too. */
  settings(spec: ProcessSpec): void {
    this.#stop = spec.stop
  }

  /** Nobody watches it any more; it and its record stay for the next supervisor. */
  abandon(): void {
    this.#ending = new Promise(() => {})
    this.#unready.abort()
  }

  /** From ready to draining. */
  leave(why: string): void {
    if (this.state === 'ready') this.#become('draining', why)
  }

  /** Ends every process of it; the same promise however often it is called. */
  end(why: string, timeoutMs: number = this.#stop.timeoutMs): Promise<EndReport> {
    this.#ending ??= this.#end(why, timeoutMs)
    return this.#ending
  }

  /** For adopted lives, whose end nobody announces: call it a few times a second. */
  poll(): void {
    if (this.adopted && this.#ending === null && this.#identity && !leaderAlive(this.#identity)) {
      this.#exited({ code: null, signal: null })
    }
  }

  /** Where in the log its own output begins. */
  get logFrom(): number {
    return this.#logFrom
  }

  /** The last lines that this life wrote. */
  output(): string[] {
    return quotable(lastLines(this.logFile, 5, this.#logFrom))
  }

  async #start(spec: ProcessSpec): Promise<void> {
    try {
      this.port = await this.#context.ports.take()
      const runAs = this.#context.runAs(spec)
      const env = instanceEnvironment(
        this.#context.inherited,
        spec,
        { member: this.place.member, port: this.port },
        runAs,
      )
      const missing = this.#whyNotStartable(spec, env.PATH ?? '')
      if (missing !== null) return this.#lost(this.#unstartable(missing))
      if (this.#ending) return
      this.#write()
      this.#logFrom = logBytes(this.logFile)
      const started = await startLife({
        command: spec.command,
        directory: spec.directory,
        env,
        nonce: this.nonce,
        outputFile: this.logFile,
        ...(runAs ? { user: runAs } : {}),
      })
      this.#identity = started
      this.#write()
      void started.exited.then(exit => this.#exited(exit, typeof spec.command === 'string'))
    } catch (error) {
      return this.#lost(this.#unstartable(error))
    }
    void this.#awaitReadiness(spec)
  }

  #whyNotStartable(spec: ProcessSpec, path: string): string | null {
    const program = typeof spec.command === 'string' ? '/bin/sh' : (spec.command[0] as string)
    return whyNotStartable(program, spec.directory, path)
  }

  async #awaitReadiness(spec: ProcessSpec): Promise<void> {
    const identity = this.#identity as LifeIdentity
    const { host } = this.#context
    const outcome = await untilReady(
      { identity, host, port: this.port, ready: spec.ready },
      this.#unready.signal,
    )
    if (outcome.kind === 'cancelled' || this.state !== 'starting') return
    if (outcome.kind === 'ready') {
      this.#become('ready', `${outcome.text} ${timeText(this.#ageUs())} after its start`)
      this.#owner.lifeReady(this)
    } else if (outcome.kind === 'late') this.#lost(this.#late(outcome.text, spec))
    else this.#lost(this.#stolen(outcome.by))
  }

  #ageUs(): number {
    return this.#context.clock.monotonic() - this.#startedUs
  }

  #exited(exit: LifeExit, shell = false): void {
    const text = `${exitText(exit)} after ${timeText(this.#ageUs())}`
    // POSIX shell, 2.8.2: 127 is "not found", 126 "found and not executable".
    const missing = shell && this.state === 'starting' && (exit.code === 127 || exit.code === 126)
    const output = this.output()
    const kind = missing ? fleetFailures.commandMissing : fleetFailures.exited
    const sentence = missing
      ? `services.${this.place.service}.command: the shell could not run it (exit code ${exit.code}).${outputText(output)}`
      : `${this.place.member} ${text}.${outputText(output)}`
    const failure = new Failure(kind, sentence, { details: { ...exit, output } })
    this.#lost({ kind: 'exit', commandMissing: missing, text, output: outputText(output), failure })
  }

  #late(text: string, spec: ProcessSpec): LifeLoss {
    const limit = timeText(spec.ready.timeoutMs * 1000)
    const output = this.output()
    const sentence = `${this.place.member} was not ready within ${limit}: it ${text}.${outputText(output)}`
    const failure = new Failure(fleetFailures.notReadyInTime, sentence, { details: { output } })
    const short = `not ready within ${limit}: it ${text}`
    return { kind: 'late', commandMissing: false, text: short, output: outputText(output), failure }
  }

  #stolen(by: string): LifeLoss {
    const text = `its port ${this.port} was taken by ${by}`
    const failure = new Failure(fleetFailures.portTaken, `${this.place.member}: ${text}.`)
    return { kind: 'stolen', commandMissing: false, text, output: '', failure }
  }

  #unstartable(cause: unknown): LifeLoss {
    const { service, member } = this.place
    if (cause instanceof Failure)
      return { kind: 'unstartable', commandMissing: true, text: cause.message, output: '', failure: cause }
    const known = typeof cause === 'string' ? cause : (cause as Error).message
    const sentence = `services.${service}.command: ${member} could not be started: ${known}.`
    const failure = new Failure(fleetFailures.commandMissing, sentence, { cause })
    const commandMissing =
      typeof cause === 'string' || lastingErrors.has((cause as NodeJS.ErrnoException).code ?? '')
    return {
      kind: 'unstartable',
      commandMissing,
      text: `could not be started: ${known}`,
      output: '',
      failure,
    }
  }

  #lost(loss: LifeLoss): void {
    if (this.#ending) return
    // Its group may have processes left; nobody waits for them to finish something.
    this.#ending = this.#end(loss.text, this.#stop.timeoutMs)
    this.#owner.lifeLost(this, loss)
  }

  async #end(why: string, timeoutMs: number): Promise<EndReport> {
    this.#unready.abort()
    this.#become('stopping', why)
    await this.#launch
    const cut = this.#context.cut
    const report = this.#identity
      ? await endLife(this.#identity, { signal: this.#stop.signal, timeoutMs, cut })
      : { killed: false, gone: true }
    this.#become('gone', why)
    if (report.gone) this.#context.records.remove({ member: this.place.member, nonce: this.nonce })
    this.#context.ports.giveBack(this.port)
    this.#owner.lifeGone(this, report)
    return report
  }

  #become(state: LifeState, reason: string): void {
    this.state = state
    this.reason = reason
    this.sinceUs = this.#context.clock.monotonic()
    if (state === 'ready') this.readyAtUs ??= this.sinceUs
    if (state !== 'gone' && (this.#identity || state === 'starting')) this.#write()
  }

  #write(): void {
    const { service, slot, member } = this.place
    if (this.state === 'gone') return
    const record: LifeRecord = {
      service,
      slot,
      member,
      nonce: this.nonce,
      host: this.#context.host,
      port: this.port,
      pid: this.#identity?.pid ?? null,
      startedAt: this.#identity?.startedAt ?? null,
      startedAtMs: this.startedAtMs,
      version: this.version,
      state: this.state,
      stop: this.#stop,
    }
    try {
      this.#context.records.write(record)
    } catch (error) {
      const sentence = `${member}: its record could not be written, a next supervisor may not take it back: ${(error as Error).message}`
      this.#context.log.error({ service, member }, sentence)
    }
  }
}

const lastingErrors = new Set(['ENOENT', 'EACCES', 'ENOTDIR', 'EPERM'])
