// Takes a resharding through its steps, whatever breaks on the way: each step may be begun again, and the journal says where.
// What one step does is in steps.ts; here is the order, what is tried again, and what an operator may wish meanwhile.
//
// States are the journal's steps. While one is at work `#abort` ends it; a wish does so, and so does `stop`.

import type { ReshardJournal, ReshardStep } from '../../../policy/shard/reshard-contract.ts'
import { epochsChanged, familiesOf, isBeforeSwitch, isOver, movingFamilies, returnedMap } from './journal.ts'
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
    // Whoever was there before may have ended amid the switch: routers stay as they are until it is known which map holds.
    this.#holding = journal.step === 'switching' && !this.#turned
    if (journal.step === 'holding' || journal.step === 'rolling-back') this.#holding = !this.#turned
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
  wish(what: 'cancel' | 'finish' | 'rollBack'): string | null {
    const { step, wishes, backLost } = this.#journal
    if (isOver(this.#journal)) return `it is over already (${step})`
    if (what === 'cancel' && !isBeforeSwitch(this.#journal) && step !== 'cancelling')
      return step === 'reversible'
        ? 'rows have moved already: roll it back instead'
        : `it can't be cancelled any more (${step})`
    if (what === 'rollBack' && step !== 'reversible' && step !== 'rolling-back')
      return isBeforeSwitch(this.#journal)
        ? 'rows have not moved yet: cancel it instead'
        : `it can't be rolled back any more (${step})`
    if (what === 'rollBack' && backLost !== '') return `there is no way back: ${backLost}`
    this.#keep({ wishes: { ...wishes, [what]: true } })
    this.#interrupt()
    return null
  }

  get #turned(): boolean {
    const { step, before, next } = this.#journal
    const { version } = this.#ports.map()
    return step === 'rolling-back' ? version > next.version : version > before.version
  }

  #keep(change: Partial<ReshardJournal>): void {
    const next = { ...this.#journal, ...change }
    this.#ports.keep(next)
    this.#journal = next
  }

  #go(step: ReshardStep): void {
    this.#keep({ step, trouble: '' })
    this.#ports.say('info', `resharding: ${step}`)
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
    const { wishes } = this.#journal
    const { signal } = this.#abort
    await this.#settleHold()
    if (wishes.cancel && isBeforeSwitch(this.#journal)) return this.#go('cancelling')
    if (isBeforeSwitch(this.#journal) && (await this.#began())) return
    const steps = this.#steps
    switch (this.#journal.step) {
      case 'checking': {
        const refused = await steps.check()
        if (refused === '') return this.#go('preparing')
        this.#keep({ step: 'cancelled', trouble: refused })
        this.#ports.say('warn', `resharding: refused: ${refused}`)
        return
      }
      case 'preparing':
        await steps.prepare(signal)
        return this.#go('copying')
      case 'copying':
        await this.#ports.tell()
        // They would see what is copied.
        while (!(await this.#ports.settled(settledMs))) signal.throwIfAborted()
        await steps.copy(signal)
        return this.#go('catching-up')
      case 'catching-up':
        await this.#ports.tell()
        await steps.catchUp(signal)
        return this.#go('comparing')
      case 'comparing':
        await this.#ports.tell()
        await steps.compare(signal)
        return this.#go('holding')
      case 'holding':
        await this.#ports.tell()
        return this.#turn('forth')
      case 'switching':
        // The map is kept: #settleHold has seen to the other case.
        await this.#ports.tell()
        return this.#go('reversible')
      case 'reversible':
        return this.#reversible()
      case 'cleaning':
        await steps.clean(signal)
        return this.#leave('done')
      case 'cancelling':
        await this.#ports.tell()
        await steps.cancel(signal)
        return this.#leave('cancelled')
      case 'rolling-back':
        if (!this.#turned) return this.#turn('back')
        await this.#ports.tell()
        await steps.cancel(signal)
        return this.#leave('rolled-back')
      default:
    }
  }

  /** A hold that was left behind ends: forward when the map is kept, else back to how it was. */
  async #settleHold(): Promise<void> {
    if (this.#journal.step === 'switching' && !this.#turned) this.#holding = true
    if (!this.#holding) return
    if (this.#turned) {
      this.#holding = false
      return
    }
    const { before, next, step } = this.#journal
    const back = step === 'rolling-back'
    await release({
      ports: this.#ports,
      families: familiesOf(this.#journal),
      from: back ? next : before,
      to: back ? returnedMap(this.#journal) : next,
      hold: holding => {
        this.#holding = holding
      },
    })
    if (!back) this.#go('holding')
  }

  /** Streams whose servers were replaced begin again; true: some did. */
  async #began(): Promise<boolean> {
    const lost = [
      ...new Set([...epochsChanged(this.#journal, shard => this.#ports.epoch(shard)), ...this.#steps.lost]),
    ]
    if (lost.length === 0) return false
    this.#ports.say(
      'warn',
      `resharding: streams of shard ${lost.join(', ')} begin again: its primary was replaced`,
    )
    await this.#steps.beginAgain(lost)
    this.#go('copying')
    return true
  }

  async #turn(way: 'forth' | 'back'): Promise<void> {
    const turned = await this.#steps.turn(way, this.#abort.signal)
    if (turned.kind === 'given-up') {
      if (way === 'forth') this.#keep({ step: 'holding' })
      throw new Error(`clients were held for ${turned.pauseMs} ms, and nothing was switched: ${turned.why}`)
    }
    this.#ports.say('info', `resharding: rows have moved; clients waited for ${turned.pauseMs} ms`)
    this.#keep({ pauseMs: turned.pauseMs, trouble: '' })
    await this.#ports
      .installMap()
      .catch((error: Error) => this.#ports.say('warn', `resharding: ${error.message}`))
    if (way === 'forth') this.#go('reversible')
  }

  async #reversible(): Promise<void> {
    const { wishes, backLost } = this.#journal
    if (wishes.finish) return this.#go('cleaning')
    if (wishes.rollBack && backLost === '') return this.#go('rolling-back')
    await this.#ports.tell()
    const lost = await this.#steps.follow(this.#abort.signal)
    if (lost !== '' && backLost === '') {
      this.#keep({ backLost: lost, wishes: { ...wishes, rollBack: false } })
      this.#ports.say('warn', `resharding: there is no way back any more: ${lost}`)
      await this.#steps.dropBack()
    }
    await this.#pause(lookMs)
  }

  /** Routers first: then nobody asks what a shard holds. */
  async #leave(step: 'done' | 'cancelled' | 'rolled-back'): Promise<void> {
    this.#go(step)
    await this.#ports.tell().catch(() => {})
    await this.#steps
      .forget()
      .catch((error: Error) => this.#ports.say('warn', `resharding: ${error.message}`))
  }
}
