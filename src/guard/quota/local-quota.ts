// A quota of one edge: decided in the edge's main thread, for all its workers, and kept in a journal in the state directory.

import { JournalFile } from '../../io/journal-file.ts'
import type { Clock } from '../../kit/clock.ts'
import {
  type HeldQuota,
  Quota,
  type QuotaAnswer,
  type QuotaChange,
  type QuotaEnding,
  type QuotaRules,
  type QuotaWish,
} from '../../policy/quota/quota.ts'
import { awayAnswer, type QuotaCounts, type QuotaStore } from './quota-store.ts'

const tickMs = 500
/** The journal begins anew when it has grown by so much more than what it says. */
const slackBytes = 4 << 20

export interface LocalQuotaOptions {
  readonly path: string
  readonly rules: QuotaRules
  readonly clock: Clock
  tell(text: string): void
}

export class LocalQuota implements QuotaStore {
  readonly #options: LocalQuotaOptions
  readonly #quota: Quota
  readonly #journal: JournalFile
  readonly #timer: NodeJS.Timeout
  #bytesLeast: number
  #lost = false
  #torn = false

  constructor(options: LocalQuotaOptions) {
    this.#options = options
    this.#quota = new Quota(options.rules)
    this.#journal = JournalFile.takeOver(options.path, lines => {
      this.#quota.restore(changesOf(lines), options.clock.monotonic())
      return textOf(this.#quota.snapshot())
    })
    this.#bytesLeast = this.#journal.bytes
    this.#timer = setInterval(() => this.#tick(), tickMs).unref()
  }

  reserve(wishes: readonly QuotaWish[]): readonly QuotaAnswer[] {
    const { clock } = this.#options
    const [now, wall] = [clock.monotonic(), clock.wall()]
    if (this.#lost) return wishes.map(() => awayAnswer)
    const answers = wishes.map(wish => this.#quota.reserve(now, wall, wish))
    if (this.#save()) return answers
    // Nobody goes on with what is not written down.
    for (const { state, id } of answers) if (state === 'held') this.#quota.end(now, wall, id, 'free')
    return wishes.map(() => awayAnswer)
  }

  /** Reserved elsewhere: kept here too. False: it could not be written down. */
  adopt(id: number, wish: QuotaWish): boolean {
    this.#quota.adopt(id, wish)
    return this.#save()
  }

  /** Everything that is known here, and what is reserved now. */
  known(): { readonly changes: Iterable<QuotaChange>; readonly held: Iterable<HeldQuota> } {
    return { changes: this.#quota.snapshot(), held: this.#quota.held(this.#options.clock.monotonic()) }
  }

  end(id: number, ending: QuotaEnding): void {
    const { clock } = this.#options
    this.#quota.end(clock.monotonic(), clock.wall(), id, ending)
    this.#save()
  }

  #tick(): void {
    if (this.#lost) return
    this.#quota.advance(this.#options.clock.monotonic())
    this.#save()
  }

  #save(): boolean {
    const quota = this.#quota
    if (quota.changes.length === 0) return this.#owns()
    try {
      // What a failed write left of a line ends here.
      this.#journal.append(`${this.#torn ? '\n' : ''}${[...textOf(quota.changes)].join('\n')}\n`)
    } catch (error) {
      if (!this.#torn) this.#options.tell(`its journal can't be written: ${(error as Error).message}`)
      this.#torn = true
      return false
    }
    quota.changes = []
    this.#torn = false
    if (!this.#owns()) return false
    if (this.#journal.bytes > this.#bytesLeast * 2 + slackBytes) this.#beginAnew()
    return true
  }

  #beginAnew(): void {
    try {
      this.#journal.replace(textOf(this.#quota.snapshot()))
    } catch (error) {
      // The long one is as good; tried again when it is twice as long.
      this.#options.tell(`its journal can't begin anew: ${(error as Error).message}`)
    }
    this.#bytesLeast = this.#journal.bytes
  }

  #owns(): boolean {
    if (!this.#lost && !this.#journal.owned) {
      this.#lost = true
      this.#options.tell('its journal was taken over by another process, which counts from now on')
    }
    return !this.#lost
  }

  setRules(rules: QuotaRules): void {
    this.#quota.rules = rules
  }

  async counts(): Promise<QuotaCounts> {
    return this.#quota.counts()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#journal.close()
  }
}

function* textOf(changes: Iterable<QuotaChange>): Generator<string> {
  for (const change of changes) yield JSON.stringify(change)
}

function* changesOf(lines: readonly string[]): Generator<QuotaChange> {
  for (const line of lines) {
    let change: QuotaChange
    try {
      change = JSON.parse(line) as QuotaChange
    } catch {
      // The rest of a line whose writing failed: what it said was not told anybody.
      continue
    }
    yield change
  }
}
