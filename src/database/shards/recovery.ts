// Ends what coordinators of commits over shards left behind: each few seconds looks through the prepared transactions of all
// primaries, and does with old ones what the row on their decider says. Any router does it for all, also several at once:
// rows and names exclude each other. What is to be done is policy/shard/recover.ts.

import {
  endOf,
  forgettable,
  planRecovery,
  type RecoveryBounds,
  recoveryBounds,
} from '../../policy/shard/recover.ts'
import { sqlState } from '../servers/session.ts'
import { Primaries, type ShardPrimary } from './primaries.ts'
import { abortDecisionSql, forgetDecisionsSql, oldDecisionsSql, preparedName } from './schema/decisions.ts'

export interface RecoveryOptions {
  readonly systemId: string
  /** As things stand when it is asked. */
  readonly shards: () => readonly ShardPrimary[]
  /** Is the coordinator of this commit at work in this process? */
  readonly underWay?: (commit: string) => boolean
  readonly tell: (text: string) => void
  readonly bounds?: RecoveryBounds
  /** Between two rounds. */
  readonly everyMs?: number
}

export interface RecoveryStatus {
  /** Found in the last round: of this system, young ones too. */
  readonly prepared: number
  readonly oldestMs: number
  /** Older than the bound of alerts. */
  readonly overdue: number
  /** Since the start. */
  readonly committed: number
  readonly rolledBack: number
  /** Shards that the last round could not look through: why. */
  readonly troubles: Readonly<Record<string, string>>
}

interface Found {
  readonly shard: string
  readonly gid: string
  readonly ageMs: number
}

const everyMsDefault = 3_000
const timeoutMs = 10_000
/** Of one shard in one round. */
const partsMax = 500
const tellEveryMs = 60_000
/** Long after any coordinator, and any replica that becomes a primary with what it had. */
const forgetAgeMs = 24 * 3_600_000
const forgetEveryMs = 600_000
const forgetRows = 500
/** Somebody else has ended it: undefined_object. */
const ended = '42704'

const preparedSql = `SELECT gid, ceil(extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint
  FROM pg_prepared_xacts WHERE database = current_database() AND gid LIKE 'tenfold:%' ORDER BY prepared LIMIT ${partsMax}`

export class ShardRecovery {
  readonly #options: RecoveryOptions
  readonly #bounds: RecoveryBounds
  readonly #primaries: Primaries
  readonly #troubles = new Map<string, string>()
  #found: readonly Found[] = []
  #committed = 0
  #rolledBack = 0
  #toldAt = Number.NEGATIVE_INFINITY
  #forgotAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #round: Promise<void> | null = null

  constructor(options: RecoveryOptions) {
    this.#options = options
    this.#bounds = options.bounds ?? recoveryBounds
    this.#primaries = new Primaries(options.shards)
  }

  /** Rounds begin; the first at once. */
  start(): void {
    if (!this.#closed) void this.#again()
  }

  status(): RecoveryStatus {
    return {
      prepared: this.#found.length,
      oldestMs: Math.max(0, ...this.#found.map(one => one.ageMs)),
      overdue: this.#found.filter(one => one.ageMs >= this.#bounds.alertMs).length,
      committed: this.#committed,
      rolledBack: this.#rolledBack,
      troubles: Object.fromEntries(this.#troubles),
    }
  }

  /** One look at all shards; a call while one is under way waits for that one. */
  round(): Promise<void> {
    this.#round ??= this.#lookRound().finally(() => {
      this.#round = null
    })
    return this.#round
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#primaries.close()
  }

  async #again(): Promise<void> {
    await this.round()
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#again(), this.#options.everyMs ?? everyMsDefault)
    this.#timer.unref()
  }

  async #lookRound(): Promise<void> {
    const { shards } = this.#primaries
    this.#troubles.clear()
    const lists = await Promise.all(shards.map(shard => this.#look(shard)))
    const open = new Set(shards.filter((_, at) => lists[at] !== null))
    this.#found = lists.flatMap(list => list ?? [])
    const waits: string[] = []
    // One after another on each shard: its connection takes one question at a time.
    await Promise.all(lists.map(list => this.#resolveAll(list ?? [], open, new Set(shards), waits)))
    if (this.#closed) return
    this.#alert(waits)
    const whole = lists.every(list => list !== null && list.length < partsMax)
    if (whole) await this.#forget(shards)
  }

  /** Null: it does not answer. */
  async #look(shard: string): Promise<Found[] | null> {
    try {
      const rows = await this.#primaries.ask(shard, preparedSql, timeoutMs)
      return rows
        .map(([gid, age]) => ({ shard, gid: gid as string, ageMs: Number(age) }))
        .filter(one => preparedName(one.gid)?.system === this.#options.systemId)
    } catch (error) {
      this.#trouble(shard, error)
      return null
    }
  }

  async #resolveAll(
    list: readonly Found[],
    open: ReadonlySet<string>,
    shards: ReadonlySet<string>,
    waits: string[],
  ): Promise<void> {
    for (const part of list) {
      if (this.#closed) return
      const name = preparedName(part.gid)
      const underWay = name !== null && (this.#options.underWay?.(name.commit) ?? false)
      const plan = planRecovery(
        { gid: part.gid, ageMs: part.ageMs, name, underWay },
        { foundOn: part.shard, open, shards },
        this.#bounds,
      )
      if (plan.kind === 'wait' && plan.alert) waits.push(`${part.gid}: ${plan.why}`)
      if (plan.kind !== 'resolve' || name === null) continue
      const why = await this.#resolve(part, plan.decider, name.commit)
      if (why !== null && plan.alert) waits.push(`${part.gid}: ${why}`)
    }
  }

  /** Null: it has ended; or why it has not. */
  async #resolve(part: Found, decider: string, commit: string): Promise<string | null> {
    try {
      const outcome = await this.#outcome(decider, commit)
      const sql = endOf(part.gid, outcome)
      if (sql === null) return `shard ${decider} says no outcome`
      await this.#primaries.ask(part.shard, sql, timeoutMs)
      if (outcome === 'commit') this.#committed++
      else this.#rolledBack++
      return null
    } catch (error) {
      return sqlState(error) === ended ? null : (error as Error).message
    }
  }

  /**
   * The row in any case: 'abort' is written where there is none. It must be as durable as the commits that it excludes, or a
   * server that is the primary no more could say it; our sessions' own commits wait for no replica.
   */
  async #outcome(decider: string, commit: string): Promise<string | null> {
    const write = `BEGIN; SET LOCAL synchronous_commit = on; ${abortDecisionSql(commit)}; COMMIT`
    await this.#primaries.ask(decider, write, timeoutMs).catch(async error => {
      await this.#primaries.ask(decider, 'ROLLBACK', timeoutMs).catch(() => {})
      throw error
    })
    const rows = await this.#primaries.ask(decider, abortDecisionSql(commit), timeoutMs)
    return rows[0]?.[0] ?? null
  }

  #trouble(shard: string, error: unknown): void {
    this.#troubles.set(shard, (error as Error).message)
  }

  #alert(waits: readonly string[]): void {
    const [first] = waits
    const now = performance.now()
    if (first === undefined || now - this.#toldAt < tellEveryMs) return
    this.#toldAt = now
    const seconds = Math.round(this.#bounds.alertMs / 1_000)
    this.#options.tell(
      `${waits.length} prepared transactions over shards are not ended for more than ${seconds} s; they keep their locks (${first})`,
    )
  }

  async #forget(shards: readonly string[]): Promise<void> {
    const now = performance.now()
    if (now - this.#forgotAt < forgetEveryMs) return
    this.#forgotAt = now
    const all = new Set(shards)
    const prepared = new Set(this.#found.map(one => preparedName(one.gid)?.commit ?? ''))
    for (const shard of shards) {
      try {
        const rows = await this.#primaries.ask(shard, oldDecisionsSql(forgetAgeMs, forgetRows), timeoutMs)
        const gone = forgettable(
          rows.map(([gid]) => gid as string),
          prepared,
          all,
          all,
        )
        if (gone.length > 0) await this.#primaries.ask(shard, forgetDecisionsSql(gone), timeoutMs)
      } catch (error) {
        this.#trouble(shard, error)
      }
    }
  }
}
