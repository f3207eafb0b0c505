// The place of one member of a service: `web-2`. Lives come and go in it; the member's id stays. It holds who serves,
// who is to follow and who is leaving, and what its restart policy remembers. It starts and ends nothing.

import { Failure } from '../kit/failure.ts'
import type { Random } from '../kit/random.ts'
import { afterExit, newRestartState, type RestartState } from '../policy/restart.ts'
import type { RestartSettings } from '../policy/settings.ts'
import { fleetFailures } from './failures.ts'
import type { Life, LifeLoss } from './life.ts'
import { type MemoryState, newMemoryState } from './memory.ts'

const theftsMax = 5

/** What comes after a life that was lost. */
export type Following =
  | { readonly kind: 'now' }
  | { readonly kind: 'later'; readonly atUs: number; readonly why: string }
  | { readonly kind: 'never'; readonly failure: Failure }

export interface LossContext {
  readonly now: number
  readonly settings: RestartSettings
  readonly random: Random
  /** Instances of this version were ready before. */
  readonly proven: boolean
}

export class Slot {
  readonly number: number
  readonly member: string
  /** Ready and in the published list (as draining, when an operator wants it so). */
  serving: Life | null = null
  /** Started, and not ready yet; takes over when it is. */
  candidate: Life | null = null
  /** Draining, being ended or being cleaned up. */
  readonly leaving: Set<Life> = new Set()
  /** Monotonic: the back-off ends then. */
  wakeAtUs: number | null = null
  /** Why nothing is started here any more. */
  gaveUp: Failure | null = null
  /** Of the last life that was lost, until another is ready. */
  lastFailure: Failure | null = null
  waitReason = ''
  restart: RestartState = newRestartState
  memory: MemoryState = newMemoryState
  restarts = 0
  /** Ports lost to others since the last life that was ready. */
  thefts = 0
  /** By an operator: stays so over restarts. */
  drained = false

  constructor(service: string, number: number) {
    this.number = number
    this.member = `${service}-${number}`
  }

  get empty(): boolean {
    return !this.serving && !this.candidate && this.wakeAtUs === null && !this.gaveUp
  }

  get unused(): boolean {
    return this.empty && this.leaving.size === 0
  }

  /** Who is in the published list: the one that serves, else one that drains with nobody after it. */
  get published(): Life | null {
    return this.serving ?? [...this.leaving].find(life => life.state === 'draining') ?? null
  }

  /** Every life that may have processes. */
  lives(): Life[] {
    return [this.serving, this.candidate, ...this.leaving].filter(life => life !== null)
  }

  /** Forgets past failures: the next life begins with a clean slate. */
  forgive(): void {
    this.gaveUp = this.lastFailure = this.wakeAtUs = null
    this.restart = newRestartState
    this.thefts = 0
  }

  /** Decides what follows a life that was lost here, and remembers it for the next time. */
  afterLoss(life: Life, loss: LifeLoss, context: LossContext): Following {
    this.lastFailure = loss.failure
    if (loss.kind === 'stolen' && ++this.thefts < theftsMax) return { kind: 'now' }
    // A command that never worked does not begin to by trying; one that did may be in the middle of an update.
    const hopeless = loss.commandMissing && !context.proven
    const rollFails = this.serving !== null && loss.kind === 'late'
    if (hopeless || rollFails) return { kind: 'never', failure: loss.failure }
    const { now, settings, random } = context
    const readyForUs = life.readyAtUs === null ? 0 : now - life.readyAtUs
    const [state, plan] = afterExit(this.restart, now, readyForUs, settings, random)
    this.restart = state
    if (plan.kind === 'restart') return { kind: 'later', atUs: now + plan.afterUs, why: plan.why }
    const sentence = `${this.member} ${plan.why}. The last one: ${loss.failure.message}`
    const failure = new Failure(fleetFailures.exitsTooOften, sentence, { cause: loss.failure })
    return { kind: 'never', failure }
  }
}
