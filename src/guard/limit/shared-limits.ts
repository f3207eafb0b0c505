// Limits of all edges together: one round trip to Redis a request, whatever the number of limits. What Redis answers is
// mirrored into this edge's own table, so that what is refused once is refused here until its time has come, and so that
// an edge which loses Redis goes on from what it knew.

import { RedisLink } from '../../io/redis/link.ts'
import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import { limitEpochUs, limitNext } from '../../policy/limit/index.ts'
import type { GuardSpec } from '../part.ts'
import type { Asked } from './limit-step.ts'
import type { LimitCells } from './memory.ts'
import { limitScript, modeOf, scriptArguments } from './redis-script.ts'

export type SharedSettings = NonNullable<GuardSpec['shared']>

/** The connection of one worker. */
export function connectLimits(settings: SharedSettings, clock: Clock, random: Random): RedisLink {
  return new RedisLink({
    url: settings.redis,
    clock,
    random,
    settings: { timeoutMs: settings.timeoutMs },
  })
}

export class SharedLimits {
  readonly settings: SharedSettings
  readonly #link: RedisLink
  readonly #cells: LimitCells

  constructor(settings: SharedSettings, link: RedisLink, cells: LimitCells) {
    this.settings = settings
    this.#link = link
    this.#cells = cells
  }

  /**
   * False: Redis is away, nothing will follow. True: `done` follows once; with true, each `out` says what was decided,
   * with false nothing was heard in time.
   */
  ask(list: readonly Asked[], done: (answered: boolean) => void): boolean {
    if (!this.#link.ready) return false
    const args = [String(limitEpochUs)]
    for (const { limit, rule, cost, share } of list) {
      const mode = limit.checked.kind === 'bytes' ? modeOf.look : limit.soft ? modeOf.soft : modeOf.decide
      args.push(...scriptArguments(rule.rule, mode, cost, share))
    }
    this.#link
      .run(
        limitScript,
        list.map(asked => this.#keyOf(asked)),
        args,
      )
      .then(
        reply => {
          this.#read(reply as readonly unknown[], list)
          done(true)
        },
        () => done(false),
      )
    return true
  }

  #keyOf({ rule, key }: Asked): string {
    const hex = (half: number): string => (half >>> 0).toString(16).padStart(8, '0')
    return `${this.settings.prefix}limit:${rule.sharedName}:${hex(key.high)}${hex(key.low)}`
  }

  #read(reply: readonly unknown[], list: readonly Asked[]): void {
    const theirNow = Number(String(reply[0]))
    const all = Number(reply[1]) === 1
    const nowUs = this.#cells.now()
    for (const [i, { limit, rule, key, cost, share, out }] of list.entries()) {
      const before = Number(String(reply[i + 2]))
      const after = limitNext(rule.rule, before, theirNow, cost, share, out)
      const counted = all && limit.checked.kind !== 'bytes'
      this.#cells.table.raise(rule, key, nowUs, counted ? after : before, theirNow)
    }
  }

  /** What has passed; kept here when Redis does not hear of it. */
  debit(asked: Asked, bytes: number): void {
    const { rule, key } = asked
    const { table } = this.#cells
    // At once, so that the next request of this edge is judged by it.
    table.debit(rule, key, this.#cells.now(), bytes)
    if (!this.#link.ready) return
    const args = [String(limitEpochUs), ...scriptArguments(rule.rule, modeOf.anyway, bytes, 1)]
    this.#link.run(limitScript, [this.#keyOf(asked)], args).catch(() => {})
  }
}
