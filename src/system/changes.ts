// What changes a running system: reload, rollback, and the watched file. Owns which system is current and that one change
// is made at a time. How a change is carried out without a lost request is change.ts's.

import { diffSystems } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import { type ChangeParts, type Compiled, changeSystem } from './change.ts'
import type { OperationResult, Progress } from './control/handlers.ts'
import type { ReloadView, SystemEventKind } from './control/views.ts'
import { changeViews, refusalsOf, summaryOf } from './differences.ts'
import { systemFailures } from './failures.ts'
import type { History } from './history.ts'
import type { LoadedSystem } from './load.ts'

export interface ChangesOptions {
  readonly loaded: LoadedSystem
  readonly current: Compiled
  readonly history: History
  load(): Promise<LoadedSystem>
  /** Throws when a secret is missing. */
  compile(loaded: LoadedSystem): Compiled
  /** Before a compile: what it needs that takes time is there afterwards. */
  prepare(loaded: LoadedSystem): Promise<void>
  /** Throws SYSTEM_BUSY while they are not all there, SYSTEM_STOPPING when they are going. */
  parts(): ChangeParts
  tell(kind: SystemEventKind, subject: string, text: string): void
  /** The files to watch from now on. */
  watch(files: readonly string[]): void
}

const retryMs = 1_000

export class Changes {
  readonly #options: ChangesOptions
  readonly counts: Record<ReloadView['outcome'], number> = { applied: 0, refused: 0, unchanged: 0 }
  current: Compiled
  loaded: LoadedSystem
  last: ReloadView | null = null
  #underWay: string | null = null

  constructor(options: ChangesOptions) {
    this.#options = options
    this.current = options.current
    this.loaded = options.loaded
  }

  get isBusy(): boolean {
    return this.#underWay !== null
  }

  /** Two reloads at once, or a reload while instances are replaced, would undo each other's steps. */
  async exclusive<T>(what: string, run: (parts: ChangeParts) => Promise<T>): Promise<T> {
    const parts = this.#options.parts()
    if (this.#underWay !== null) {
      throw new Failure(systemFailures.busy, `Not now: ${this.#underWay} is under way.`)
    }
    this.#underWay = what
    try {
      return await run(parts)
    } finally {
      this.#underWay = null
    }
  }

  /**
   * From what was found running to what the file says. When that fails, the former system runs on under this
   * supervisor, as after a refused reload.
   */
  async takeOver(parts: ChangeParts, former: Compiled): Promise<void> {
    const next = this.current
    this.current = former
    try {
      await changeSystem(parts, former, next, text => this.#options.tell('progress', 'system', text))
      this.current = next
    } catch (cause) {
      if (!(cause instanceof Failure)) throw cause
      this.#outcome('refused', cause.message)
    }
  }

  /** The difference that a reload would make; those that it would refuse are among it. */
  async dryRun(): Promise<OperationResult> {
    const differences = diffSystems(this.current.system, (await this.#options.load()).system)
    const changes = changeViews(differences)
    const refusals = refusalsOf(differences)
    const text = refusals.length === 0 ? summaryOf(changes) : `would be refused: ${refusals.join('; ')}`
    return { text, changes }
  }

  /** What the file says now, applied or not. */
  async fromFile(): Promise<LoadedSystem> {
    return this.#options.load()
  }

  reload(progress: Progress): Promise<OperationResult> {
    return this.exclusive('a reload', async parts => {
      const next = await this.#loadNext()
      const result = await this.#change(parts, next, 'reloaded', progress)
      this.loaded = next
      return result
    })
  }

  rollback(number: number | null, progress: Progress): Promise<OperationResult> {
    return this.exclusive('a rollback', async parts => {
      const record = this.#options.history.find(number)
      const next = { ...this.loaded, system: record.system }
      return this.#change(parts, next, `rolled back to ${record.number}`, progress)
    })
  }

  /** For the watcher: never rejects for a failure of the world; the next look at status says what came of it. */
  async reloadBecauseChanged(): Promise<void> {
    try {
      await this.reload(() => {})
    } catch (cause) {
      if (!(cause instanceof Failure)) throw cause
      if (cause.code !== systemFailures.busy.code) return
      setTimeout(() => void this.reloadBecauseChanged(), retryMs).unref()
    }
  }

  async #loadNext(): Promise<LoadedSystem> {
    try {
      const next = await this.#options.load()
      this.#options.watch(next.imported)
      return next
    } catch (cause) {
      // What the failed load read is watched as well: the mistake may be in an import.
      const { imported } = cause instanceof Failure ? cause.details : {}
      if (Array.isArray(imported)) this.#options.watch(imported)
      this.#outcome('refused', (cause as Error).message)
      throw cause
    }
  }

  async #change(
    parts: ChangeParts,
    loaded: LoadedSystem,
    what: string,
    progress: Progress,
  ): Promise<OperationResult> {
    const { history, compile, prepare, tell } = this.#options
    const differences = diffSystems(this.current.system, loaded.system)
    const changes = changeViews(differences)
    try {
      throwWhenRefused(refusalsOf(differences))
      await prepare(loaded)
      const next = compile(loaded)
      // Also without a difference in the file: a secret or a page may be another one.
      if (sameParts(this.current, next) && changes.length === 0) {
        return { text: this.#outcome('unchanged', 'nothing has changed'), changes }
      }
      await changeSystem(parts, this.current, next, text => {
        progress('system', text)
        tell('progress', 'reload', text)
      })
      this.current = next
      history.record(loaded.system, what)
    } catch (cause) {
      this.#outcome('refused', (cause as Error).message)
      throw cause
    }
    return { text: this.#outcome('applied', `${what}: ${summaryOf(changes)}`), changes }
  }

  #outcome(outcome: ReloadView['outcome'], text: string): string {
    this.last = { at: new Date().toISOString(), outcome, text }
    this.counts[outcome] += 1
    const refused = outcome === 'refused'
    this.#options.tell(refused ? 'warning' : 'reload', 'reload', refused ? `refused: ${text}` : text)
    return text
  }
}

function throwWhenRefused(refusals: readonly string[]): void {
  if (refusals.length === 0) return
  throw new Failure(systemFailures.reloadRefused, `Not applied: ${refusals.join('; ')}.`)
}

const sameParts = (one: Compiled, other: Compiled): boolean =>
  JSON.stringify([one.specs, one.files, one.databases, one.guard]) ===
  JSON.stringify([other.specs, other.files, other.databases, other.guard])
