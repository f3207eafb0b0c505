// Takes a split through its steps, whatever breaks on the way: each may be begun again, and the journal says where. What a step
// does on a shard is in work.ts; here is the order, what is tried again, and what an operator may wish meanwhile.
//
// States are the journal's steps. `#abort` ends what is at work; a wish does so, and so does `stop`. What is one transaction on
// the server is not cut: it ends by itself, and is looked at again.

import type { ShardSplit, SplitJournal, SplitStep } from '../../policy/split-columns/contract.ts'
import { sqlState } from '../servers/session.ts'
import type { SplitPorts } from './ports.ts'
import { pause, SplitWork } from './work.ts'

const againMsMin = 200
const againMsMax = 10_000
const overSteps: ReadonlySet<SplitStep> = new Set(['done', 'cancelled', 'undone'])
const beforeSplit: ReadonlySet<SplitStep> = new Set(['preparing', 'copying', 'comparing', 'switching'])

export function splitIsOver({ step }: SplitJournal): boolean {
  return overSteps.has(step)
}

export class SplitExecutor {
  readonly #ports: SplitPorts
  readonly #work: SplitWork
  #journal: SplitJournal
  #stopped = false
  #abort = new AbortController()
  #running: Promise<void> | null = null

  constructor(ports: SplitPorts, journal: SplitJournal) {
    this.#ports = ports
    this.#journal = journal
    this.#work = new SplitWork({
      ports,
      journal: () => this.#journal,
      change: (shard, change) => this.#changeShard(shard, change),
    })
  }

  get journal(): SplitJournal {
    return this.#journal
  }

  get over(): boolean {
    return splitIsOver(this.#journal)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** What is under way is left as it is; the next executor goes on from the journal. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#abort.abort()
    await this.#running
  }

  /** Why it can't be done; null: it is wished. */
  wish(what: 'cancel' | 'undo' | 'finish', rewrite: boolean): string | null {
    const { step, wishes } = this.#journal
    if (this.over) return `it is over already (${step})`
    if (step === 'finishing' || step === 'rewriting')
      return `it is being finished (${step}): there is no way back`
    if (step === 'taking-back' && what === 'finish') return 'it is being taken back'
    const isBefore = beforeSplit.has(step)
    if (what === 'cancel' && !isBefore && step !== 'taking-back')
      return 'the table is split already: --undo takes it back'
    if (what === 'undo' && isBefore) return 'the table is not split yet: --cancel ends it'
    if (what === 'finish' && isBefore) return `the table is not split yet (${step})`
    this.#keep({ wishes: { ...wishes, [what]: true, rewrite: wishes.rewrite || rewrite } })
    this.#abort.abort()
    return null
  }

  #keep(change: Partial<SplitJournal>): void {
    const next = { ...this.#journal, ...change }
    this.#ports.keep(next)
    this.#journal = next
  }

  #changeShard(shard: string, change: Partial<ShardSplit>): void {
    const { shards } = this.#journal
    this.#keep({ shards: { ...shards, [shard]: { ...(shards[shard] as ShardSplit), ...change } } })
  }

  #go(step: SplitStep): void {
    this.#keep({ step, trouble: '' })
    this.#ports.say('info', `split of ${this.#journal.plan.table}: ${step}`)
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopped && !this.over; ) {
      this.#abort = new AbortController()
      const { signal } = this.#abort
      const { step } = this.#journal
      try {
        await this.#one(signal)
        if (this.#journal.step !== step) failures = 0
      } catch (error) {
        if (this.#stopped) return
        if (signal.aborted) continue
        const why = this.#whyOf(error)
        if (this.#journal.trouble !== why) {
          this.#keep({ trouble: why })
          this.#ports.say('warn', `split of ${this.#journal.plan.table}, ${this.#journal.step}: ${why}`)
        }
        await pause(Math.min(againMsMax, againMsMin * 2 ** Math.min(failures++, 10)), signal)
      }
    }
  }

  #whyOf(error: unknown): string {
    const locked = sqlState(error) === '55P03'
    return locked
      ? `open transactions use '${this.#journal.plan.table}': it is tried again`
      : (error as Error).message
  }

  async #one(signal: AbortSignal): Promise<void> {
    const { wishes, step } = this.#journal
    const work = this.#work
    if (wishes.cancel && beforeSplit.has(step)) return this.#go('taking-back')
    switch (step) {
      case 'preparing':
        await this.#each(shard => work.prepare(shard))
        return this.#go('copying')
      case 'copying':
        await this.#each(async shard => {
          // Another primary may lack even that.
          await work.prepare(shard)
          await work.copy(shard, signal)
        })
        return this.#go('comparing')
      case 'comparing':
        await this.#each(shard => this.#compare(shard, signal))
        return this.#go('switching')
      case 'switching':
        return this.#switch(signal)
      case 'validating':
        if (await this.#isBack()) return this.#go('copying')
        await this.#each(shard => work.validate(shard))
        return this.#go('split')
      case 'split':
        if (wishes.undo) return this.#go('taking-back')
        if (wishes.finish) return this.#go('finishing')
        if (await this.#isBack()) return this.#go('copying')
        return pause(againMsMax, signal)
      case 'finishing':
        await this.#each(shard => work.finish(shard, signal))
        await this.#relearn()
        return this.#go(wishes.rewrite ? 'rewriting' : 'done')
      case 'rewriting':
        return this.#rewrite()
      case 'taking-back':
        await this.#each(shard => work.takeBack(shard))
        await this.#relearn()
        return this.#go(wishes.undo ? 'undone' : 'cancelled')
      default:
    }
  }

  async #rewrite(): Promise<void> {
    const troubles: string[] = []
    await this.#each(async shard => {
      const why = await this.#work.rewrite(shard)
      if (why !== '') troubles.push(why)
    })
    this.#go('done')
    const trouble = troubles.join('; ')
    if (trouble === '') return
    this.#keep({ trouble })
    this.#ports.say('warn', `split of ${this.#journal.plan.table}: ${trouble}`)
  }

  async #each(work: (shard: string) => Promise<void>): Promise<void> {
    for (const shard of Object.keys(this.#journal.shards)) await work(shard)
  }

  async #compare(shard: string, signal: AbortSignal): Promise<void> {
    if (this.#of(shard).compared && this.#sameServer(shard)) return
    const differs = await this.#work.compare(shard, signal)
    if (!this.#sameServer(shard)) return
    if (differs !== '') {
      const where = shard === '' ? '' : ` on shard ${shard}`
      throw new Error(
        `the halves of ${this.#journal.plan.table} differ${where}, key ${differs}: nothing is switched`,
      )
    }
    this.#changeShard(shard, { compared: true })
  }

  /** Each for itself: between two, statements over both find a table here and a view there, which say the same. */
  async #switch(signal: AbortSignal): Promise<void> {
    for (const shard of Object.keys(this.#journal.shards)) {
      signal.throwIfAborted()
      if (!this.#sameServer(shard) && (await this.#work.fellBack(shard))) {
        this.#ports.say(
          'warn',
          `split of ${this.#journal.plan.table}: copied again, the primary was replaced`,
        )
        return this.#go('copying')
      }
      const pauseMs = await this.#work.turn(shard)
      if (pauseMs === null) continue
      this.#changeShard(shard, { pauseMs })
      const where = shard === '' ? '' : ` on shard ${shard}`
      this.#ports.say(
        'info',
        `split of ${this.#journal.plan.table}: switched${where}; clients waited for ${pauseMs} ms`,
      )
    }
    await this.#relearn()
    this.#go('validating')
  }

  async #isBack(): Promise<boolean> {
    for (const shard of Object.keys(this.#journal.shards)) if (await this.#work.fellBack(shard)) return true
    return false
  }

  async #relearn(): Promise<void> {
    const { schema, table } = this.#journal.plan
    await this.#ports
      .relearn({ schema, table })
      .catch((error: Error) =>
        this.#ports.say('warn', `split of ${table}: routers could not be told: ${error.message}`),
      )
  }

  #sameServer(shard: string): boolean {
    return this.#of(shard).epoch === this.#ports.epoch(shard)
  }

  #of(shard: string): ShardSplit {
    return this.#journal.shards[shard] as ShardSplit
  }
}
