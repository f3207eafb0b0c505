// What one step of a split does on one shard. Each can be begun again: what is there decides, not what was meant to be.

import type { ShardSplit, SplitJournal } from '../../policy/split-columns/contract.ts'
import {
  boundText,
  cancelText,
  compareText,
  copyText,
  finishText,
  goneText,
  prepareText,
  rewriteText,
  switchText,
  undoText,
  validateText,
} from '../../policy/split-columns/texts.ts'
import { sqlState } from '../servers/session.ts'
import { fingerprintText, stateOf } from './facts.ts'
import type { SplitPorts } from './ports.ts'

/** Clients that want the table wait no longer than this behind us; then they go first, and it is tried again. */
const lockMs = 300
/** Shorter than PostgreSQL's deadlock_timeout: whoever we wait for never becomes the victim. */
const copyLockMs = 200
/** A piece is to keep its rows locked for about so long. */
const pieceMs = 100
const copyRowsMin = 20
const copyRowsMax = 5_000
const compareRows = 5_000
const askMs = 60_000
/** Without a bound of their own: a foreign key's validation, VACUUM FULL. */
const longAskMs = 24 * 3_600_000
const keepMs = 500
/** Then it is said that somebody stands in the way. */
const lockedMs = 5_000
const statesUnavailable = new Set(['55P03', '40P01', '40001'])

export interface WorkInput {
  readonly ports: SplitPorts
  journal(): SplitJournal
  change(shard: string, change: Partial<ShardSplit>): void
}

export class SplitWork {
  readonly #ports: SplitPorts
  readonly #input: WorkInput
  #rows = 500

  constructor(input: WorkInput) {
    this.#input = input
    this.#ports = input.ports
  }

  get #journal(): SplitJournal {
    return this.#input.journal()
  }

  #state(shard: string): ReturnType<typeof stateOf> {
    const { plan, id } = this.#journal
    return stateOf(this.#ports.ask, shard, plan, id)
  }

  async prepare(shard: string): Promise<void> {
    const { plan, id } = this.#journal
    const state = await this.#state(shard)
    if (state === 'prepared' || state === 'split') return
    if (state !== 'none') throw foreign(shard, plan.table)
    await this.#ports.ask(shard, prepareText(plan, id, lockMs), askMs)
  }

  /** To the last row. What another primary may lack is copied again. */
  async copy(shard: string, signal: AbortSignal): Promise<void> {
    const { plan } = this.#journal
    if ((await this.#state(shard)) === 'split') return
    const epoch = this.#ports.epoch(shard)
    let { after, rows, copied, epoch: begun } = this.#of(shard)
    if (begun !== epoch) {
      after = null
      rows = 0
      copied = false
      this.#input.change(shard, { after, rows, copied, compared: false, epoch })
    }
    let keptAt = this.#ports.nowMs()
    let movedAt = keptAt
    while (!copied) {
      signal.throwIfAborted()
      const begunAt = this.#ports.nowMs()
      const found = await this.#piece(shard, copyText(plan, after, this.#rows, copyLockMs))
      if (found === 'locked') {
        if (this.#ports.nowMs() - movedAt > lockedMs) {
          this.#input.change(shard, { after, rows })
          throw new Error(`another transaction holds rows of '${plan.table}' locked${on(shard)}: it must end`)
        }
        await pause(pieceMs, signal)
        continue
      }
      movedAt = this.#ports.nowMs()
      const [last] = found
      if (last !== undefined) {
        after = last.slice(1) as string[]
        rows += Number(last[0])
        this.#adapt(this.#ports.nowMs() - begunAt)
      }
      // The last piece may have been short because its rows were deleted while it waited: only an empty one is the end.
      copied = last === undefined
      if (copied || this.#ports.nowMs() - keptAt > keepMs) {
        this.#input.change(shard, { after, rows, copied })
        keptAt = this.#ports.nowMs()
      }
    }
  }

  /** Rows of a piece, or that somebody holds one of them. */
  async #piece(shard: string, text: string): Promise<readonly (readonly (string | null)[])[] | 'locked'> {
    try {
      return await this.#ports.ask(shard, text, askMs)
    } catch (error) {
      if (!statesUnavailable.has(sqlState(error) ?? '')) throw error
      this.#rows = Math.max(copyRowsMin, Math.floor(this.#rows / 2))
      return 'locked'
    }
  }

  #adapt(tookMs: number): void {
    const factor = Math.min(2, Math.max(0.5, pieceMs / Math.max(tookMs, 1)))
    this.#rows = Math.min(copyRowsMax, Math.max(copyRowsMin, Math.round(this.#rows * factor)))
  }

  /** Both halves of one moment, piece by piece. @returns keys that differ, three at most */
  async compare(shard: string, signal: AbortSignal): Promise<string> {
    const { plan } = this.#journal
    const of = (await this.#state(shard)) === 'split' ? 'hot' : 'whole'
    let after: readonly string[] | null = null
    for (;;) {
      signal.throwIfAborted()
      const [bound] = await this.#ports.ask(shard, boundText(plan, of, after, compareRows), askMs)
      const upTo: readonly string[] | null = bound === undefined ? null : (bound as readonly string[])
      const [found] = await this.#ports.ask(shard, compareText(plan, of, after, upTo), askMs)
      if (found?.[1] != null) return found[1]
      if (upTo === null) return ''
      after = upTo
    }
  }

  /** @returns how long clients waited at most; null: it was done already */
  async turn(shard: string): Promise<number | null> {
    const { plan } = this.#journal
    const state = await this.#state(shard)
    if (state === 'split') return null
    if (state !== 'prepared') throw foreign(shard, plan.table)
    const begun = this.#ports.nowMs()
    await this.#ports.ask(shard, switchText(plan, fingerprintText(plan), lockMs), askMs)
    return Math.round((this.#ports.nowMs() - begun) * 10) / 10
  }

  async validate(shard: string): Promise<void> {
    await this.#ports.ask(shard, validateText(this.#journal.plan), longAskMs)
  }

  async finish(shard: string, signal: AbortSignal): Promise<void> {
    const { plan } = this.#journal
    const state = await this.#state(shard)
    if (state === 'finished') return
    if (state !== 'split') throw foreign(shard, plan.table)
    // What is dropped is gone for good: it is looked at once more.
    const differs = await this.compare(shard, signal)
    if (differs !== '') throw new Error(`the halves of ${plan.table} differ${on(shard)}, key ${differs}`)
    await this.#ports.ask(shard, finishText(plan, lockMs), askMs)
  }

  /** @returns why the server won't: clients are not made to wait for it again; '' */
  async rewrite(shard: string): Promise<string> {
    if (this.#of(shard).rewritten) return ''
    try {
      await this.#ports.ask(shard, rewriteText(this.#journal.plan), longAskMs)
    } catch (error) {
      const state = sqlState(error)
      // Who shuts down, or was not given the lock, is asked again.
      if (state === null || /^(08|57)/.test(state) || statesUnavailable.has(state)) throw error
      return `the hot table was not written anew${on(shard)}: ${(error as Error).message}`
    }
    this.#input.change(shard, { rewritten: true })
    return ''
  }

  /** The table as it was, wherever this shard is. */
  async takeBack(shard: string): Promise<void> {
    const { plan } = this.#journal
    const state = await this.#state(shard)
    if (state === 'none' || state === 'other') return
    if (state === 'finished') throw new Error(`the columns are dropped${on(shard)}: there is no way back`)
    const texts = {
      prepared: cancelText(plan, lockMs),
      split: undoText(plan, lockMs),
      gone: goneText(plan, false, lockMs),
      'gone-view': goneText(plan, true, lockMs),
    }
    await this.#ports.ask(shard, texts[state], askMs)
  }

  /** True: its servers are not where the journal has them; another primary took over before it had heard of it. */
  async fellBack(shard: string): Promise<boolean> {
    const state = await this.#state(shard)
    return state === 'none' || state === 'prepared'
  }

  #of(shard: string): ShardSplit {
    return this.#journal.shards[shard] as ShardSplit
  }
}

function on(shard: string): string {
  return shard === '' ? '' : ` on shard ${shard}`
}

function foreign(shard: string, table: string): Error {
  return new Error(
    `'${table}' or its halves are not what they were${on(shard)}: somebody else has changed them`,
  )
}

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
