// Takes a resharding through its steps, whatever breaks on the way: each step may be begun again, and the journal says where.
// What comes next is policy/shard/reshard-steps.ts, what one step does is in steps.ts; here it is acted, kept, and tried again.
//
// While a step is at work `#abort` ends it; a wish does so, and so does `stop`.

import type { OperatorWish, ReshardJournal } from '../../../policy/shard/reshard-contract.ts'
import {
  afterAction,
  epochsChanged,
  familiesOf,
  heldAtFirst,
  isOver,
  movingFamilies,
  nextAction,
  type ReshardAction,
  type ReshardOutcome,
  type ReshardWork,
  returnedMap,
  whyNotWished,
} from '../../../policy/shard/reshard-steps.ts'
import type { ReshardPorts, ReshardProgress } from './ports.ts'
import { ReshardSteps } from './steps.ts'
import { release } from './turn.ts'

const againMsMin = 200
const againMsMax = 10_000
/** Statements that began before the filter are waited for in such pieces. */
const settledMs = 500
/** How often an idle step looks at the world. */
const lookMs = 250

export interface ReshardView {
  /** Families of which rows may lie on two shards. */
  readonly moving: readonly string[]
  readonly holding: boolean
}

export interface ReshardStatus {
  readonly journal: ReshardJournal
  readonly progress: readonly ReshardProgress[]
  /** Bytes that sources are ahead of targets. */
  readonly changes: number
  readonly holds: number
}

export class ReshardExecutor {
  readonly #ports: ReshardPorts
  readonly #steps: ReshardSteps
  #journal: ReshardJournal
  #holding = false
  #stopped = false
  #abort = new AbortController()
  #wake: (() => void) | null = null
  #running: Promise<void> | null = null

  constructor(ports: ReshardPorts, journal: ReshardJournal) {
    this.#ports = ports
    this.#journal = journal
    this.#steps = new ReshardSteps({
      ports,
      journal: () => this.#journal,
      change: change => this.#keep(change),
      hold: holding => {
        this.#holding = holding
      },
    })
    this.#holding = heldAtFirst(journal, ports.map().version)
  }

  get view(): ReshardView {
    return { moving: movingFamilies(this.#journal), holding: this.#holding }
  }

  get journal(): ReshardJournal {
    return this.#journal
  }

  get over(): boolean {
    return isOver(this.#journal)
  }

  get status(): ReshardStatus {
    return { journal: this.#journal, ...this.#steps.status }
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** What is under way is left as it is; the next executor goes on from the journal. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#interrupt()
    await this.#running
    await this.#steps.stop()
  }

  /** Why it can't be done; null: it is wished. */
  wish(what: OperatorWish): string | null {
    const why = whyNotWished(this.#journal, what)
    if (why !== null) return why
    this.#keep({ wishes: { ...this.#journal.wishes, [what]: true } })
    this.#interrupt()
    return null
  }

  #keep(change: Partial<ReshardJournal>): void {
    const next = { ...this.#journal, ...change }
    this.#ports.keep(next)
    this.#journal = next
  }

  /** The step's work ends at its next chance, and the journal is looked at anew. */
  #interrupt(): void {
    if (!this.#critical) this.#abort.abort(new Error('interrupted'))
    this.#wake?.()
  }

  /** Amid a switch: it ends by itself in a moment. */
  get #critical(): boolean {
    return this.#holding
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopped && !this.over; ) {
      this.#abort = new AbortController()
      try {
        await this.#one()
        failures = 0
      } catch (error) {
        if (this.#stopped) return
        if (this.#abort.signal.aborted) continue
        const why = (error as Error).message
        if (this.#journal.trouble !== why) {
          this.#keep({ trouble: why })
          this.#ports.say('warn', `resharding, ${this.#journal.step}: ${why}`)
        }
        await this.#pause(Math.min(againMsMax, againMsMin * 2 ** Math.min(failures++, 10)))
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = null
  }

  async #one(): Promise<void> {
    const journal = this.#journal
    const action = nextAction(journal, {
      holding: this.#holding,
      version: this.#ports.map().version,
      lost: [...new Set([...epochsChanged(journal, shard => this.#ports.epoch(shard)), ...this.#steps.lost])],
    })
    const outcome = await this.#act(action)
    const { step } = this.#journal
    const change = afterAction(this.#journal, action, outcome)
    if (Object.keys(change).length > 0) this.#keep(change)
    if (this.#journal.step !== step) this.#ports.say('info', `resharding: ${this.#journal.step}`)
    if (outcome.refused) this.#ports.say('warn', `resharding: refused: ${outcome.refused}`)
    if (outcome.differences) this.#ports.say('warn', `resharding: ${this.#journal.trouble}`)
  }

  async #act(action: ReshardAction): Promise<ReshardOutcome> {
    switch (action.kind) {
      case 'wait':
        await this.#pause(lookMs)
        break
      case 'end-hold':
        this.#holding = false
        break
      case 'release':
        await this.#release(action.way)
        break
      case 'begin-again':
        this.#ports.say(
          'warn',
          `resharding: streams of shard ${action.shards.join(', ')} begin again: its primary was replaced`,
        )
        await this.#steps.beginAgain(action.shards)
        break
      case 'turn':
        await this.#turn(action.way)
        break
      case 'work':
        return (await this.#work(action.work)) ?? {}
      default:
    }
    return {}
  }

  async #work(work: ReshardWork): Promise<ReshardOutcome | undefined> {
    const steps = this.#steps
    const { signal } = this.#abort
    if (work === 'check') return { refused: await steps.check() }
    if (work === 'prepare') return void (await steps.prepare(signal))
    await this.#ports.tell()
    switch (work) {
      case 'copy':
        // They would see what is copied.
        while (!(await this.#ports.settled(settledMs))) signal.throwIfAborted()
        await steps.copy(signal)
        break
      case 'catch-up':
        await steps.catchUp(signal)
        break
      case 'compare':
        return { differences: await steps.compare(signal) }
      case 'recopy':
        await steps.leaveDiffering()
        break
      case 'publish':
        await this.#installMap()
        break
      case 'follow':
        return await this.#follow()
      case 'clean':
        await steps.clean(signal)
        break
      case 'undo':
        if (this.#journal.step === 'rolling-back') await this.#installMap()
        await steps.cancel(signal)
        break
      case 'forget':
        // Routers have been told: nobody asks what a shard holds.
        await steps.forget()
        break
    }
    return undefined
  }

  /** The servers' own copies: nobody waits for them. */
  async #installMap(): Promise<void> {
    await this.#ports
      .installMap()
      .catch((error: Error) => this.#ports.say('warn', `resharding: ${error.message}`))
  }

  /** Routers hold, or may, for a switch that has not been. */
  async #release(way: 'forth' | 'back'): Promise<void> {
    const { before, next } = this.#journal
    await release({
      ports: this.#ports,
      families: familiesOf(this.#journal),
      from: way === 'back' ? next : before,
      to: way === 'back' ? returnedMap(this.#journal) : next,
      hold: holding => {
        this.#holding = holding
      },
    })
  }

  async #turn(way: 'forth' | 'back'): Promise<void> {
    const turned = await this.#steps.turn(way, this.#abort.signal)
    if (turned.kind === 'given-up') {
      if (way === 'forth') this.#keep({ step: 'holding' })
      throw new Error(`clients were held for ${turned.pauseMs} ms, and nothing was switched: ${turned.why}`)
    }
    this.#ports.say('info', `resharding: rows have moved; clients waited for ${turned.pauseMs} ms`)
    this.#keep({ pauseMs: turned.pauseMs, trouble: '' })
  }

  async #follow(): Promise<ReshardOutcome> {
    const backLost = await this.#steps.follow(this.#abort.signal)
    if (backLost !== '' && this.#journal.backLost === '') {
      this.#ports.say('warn', `resharding: there is no way back any more: ${backLost}`)
      await this.#steps.dropBack()
    }
    await this.#pause(lookMs)
    return { backLost }
  }
}
