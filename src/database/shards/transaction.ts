// The transaction of one client over its shards. A shard joins when a statement first needs it: it hears BEGIN as the client
// said it, and what the client has set and saved since. Ends by `commit.ts`, or by ROLLBACK everywhere.
//
// Kinds: none; implicit: opened for what must be one (several statements of a Query or up to a Sync, a write on several
// shards), ended by the session; block: the client said BEGIN.

import { randomUUID } from 'node:crypto'
import type { ShardMap } from '../../policy/shard/contract.ts'
import { CommitGate, type CommitWay, commitAll } from './commit.ts'
import type { ShardSeats } from './contract.ts'
import { TransactionJournal } from './journal.ts'
import type { Seat } from './seat.ts'
import type { Seats } from './seats.ts'
import { StatementFailed, tagOf } from './statement-failed.ts'
import { undo } from './undo.ts'

const plainBegin = 'BEGIN'

interface Member {
  readonly seat: Seat
  wrote: boolean
  /** PostgreSQL prepares no transaction that has notified, or opened a cursor WITH HOLD: this one's COMMIT decides. */
  decides: boolean
}

export interface TransactionOf {
  readonly map: () => ShardMap
  readonly systemId: () => string
  /** Names of commits that are at work. */
  readonly commits: () => Set<string>
  readonly seats: Seats
}

export class ShardTransaction implements ShardSeats {
  readonly journal: TransactionJournal = new TransactionJournal()
  readonly #of: TransactionOf
  readonly #members = new Map<number, Member>()
  readonly #joining = new Map<number, Promise<Seat>>()
  /** Since they were asked for last. */
  readonly #written = new Set<number>()
  kind: 'none' | 'implicit' | 'block' = 'none'
  /** An error came: only its end is awaited. */
  failed = false
  /** Commits are under way that nobody may interrupt. */
  committing = false
  /** While a commit in two phases is under way. */
  twoPhases: { readonly name: string; readonly gate: CommitGate } | null = null
  #begin = plainBegin

  constructor(of: TransactionOf) {
    this.#of = of
  }

  get map(): ShardMap {
    return this.#of.map()
  }

  get inTransaction(): boolean {
    return this.kind !== 'none'
  }

  get wrote(): boolean {
    for (const member of this.#members.values()) if (member.wrote) return true
    return false
  }

  /** Of ReadyForQuery. */
  get status(): 'I' | 'T' | 'E' {
    if (this.kind !== 'block') return 'I'
    return this.failed ? 'E' : 'T'
  }

  /** How it was begun. */
  get opening(): string {
    return this.#begin
  }

  /** A shard that is in it, if there is one. */
  get anyMember(): number | undefined {
    return this.#members.keys().next().value
  }

  /** In a block in which only this seat takes part, and nothing has failed. */
  isAlone(seat: Seat): boolean {
    return (
      this.kind === 'block' &&
      !this.failed &&
      this.#members.size === 1 &&
      this.#joining.size === 0 &&
      this.isMember(seat)
    )
  }

  /** A block in which no shard takes part yet. */
  get isFresh(): boolean {
    return this.kind === 'block' && !this.failed && this.#members.size === 0 && this.#joining.size === 0
  }

  get members(): readonly Seat[] {
    return [...this.#members.values()].map(({ seat }) => seat)
  }

  isMember(seat: Seat): boolean {
    return this.#members.get(seat.shard)?.seat === seat
  }

  // --- for statements -----------------------------------------------------------------------------------------

  seat(shard: number): Promise<Seat> {
    const known = this.#members.get(shard)
    if (known !== undefined && known.seat.id !== this.map.shards[shard]) return Promise.reject(mapChanged())
    if (known !== undefined) return Promise.resolve(known.seat)
    const joining = this.#joining.get(shard)
    if (joining !== undefined) return joining
    const made = this.kind === 'none' ? this.#outside(shard) : this.#join(shard)
    if (this.kind === 'none') return made
    this.#joining.set(shard, made)
    return made.finally(() => this.#joining.delete(shard))
  }

  async #outside(shard: number): Promise<Seat> {
    return this.#of.seats.open(shard)
  }

  async #join(shard: number): Promise<Seat> {
    const seat = this.#of.seats.open(shard)
    tagOf(await seat.command(this.#begin))
    this.#members.set(shard, { seat, wrote: false, decides: false })
    for (const sql of this.journal.texts()) tagOf(await seat.command(sql))
    return seat
  }

  async scratch(
    shard: number,
  ): Promise<{ readonly seat: Seat; readonly settings: readonly string[]; release(): void }> {
    const { seat, release } = this.#of.seats.scratch(shard)
    return { seat, release, settings: this.journal.settingTexts() }
  }

  async begin(): Promise<void> {
    if (this.kind === 'none') this.open('implicit', plainBegin)
  }

  wroteOn(shard: number): void {
    const member = this.#members.get(shard)
    if (member === undefined) return
    member.wrote = true
    this.#written.add(shard)
  }

  /** Shards that have written since the last call. */
  takeWritten(): readonly number[] {
    const shards = [...this.#written]
    this.#written.clear()
    return shards
  }

  /** Its part can't be prepared. */
  decidesOn(shard: number): void {
    const member = this.#members.get(shard)
    if (member !== undefined) member.decides = true
  }

  // --- for the session ----------------------------------------------------------------------------------------

  /** @param begin as the client said it, options and all */
  open(kind: 'implicit' | 'block', begin: string): void {
    this.kind = kind
    this.failed = false
    this.#begin = begin
  }

  /** Said to all that are in it. The first error is thrown when all have answered. */
  async tellMembers(sql: string): Promise<void> {
    const takesBack = /^\s*rollback\b/i.test(sql)
    const ends = await Promise.all(
      this.members.map(seat => (takesBack ? undo(seat, sql) : seat.command(sql))),
    )
    for (const end of ends) tagOf(end)
  }

  /** Ends it; the transaction is over whatever happens. Answers how it ended. Throws what the client is to be told. */
  async commit(): Promise<CommitWay> {
    if (this.failed) {
      await this.rollback()
      return 'rolled back'
    }
    // Who decides is not prepared.
    const members = [...this.#members.values()].sort(
      (one, other) => Number(other.decides) - Number(one.decides),
    )
    this.committing = true
    const commits = this.#of.commits()
    const gate = new CommitGate()
    let name = ''
    try {
      return await commitAll({
        readers: members.filter(one => !one.wrote).map(one => one.seat),
        writers: members.filter(one => one.wrote).map(one => one.seat),
        gid: decider => {
          name = `tenfold:${this.#of.systemId()}:${decider.id}:${randomUUID()}`
          commits.add(name)
          this.twoPhases = { name, gate }
          return name
        },
        gate,
      })
    } finally {
      commits.delete(name)
      this.twoPhases = null
      this.committing = false
      this.#ended()
    }
  }

  /** A seat that is gone has rolled back by that. */
  async rollback(): Promise<void> {
    // Who joins meanwhile is a member then.
    await Promise.allSettled([...this.#joining.values()])
    const { members } = this
    await Promise.allSettled(members.map(seat => undo(seat, 'ROLLBACK')))
    this.#ended()
  }

  #ended(): void {
    const { settings } = this.journal
    const said = this.members.find(seat => !seat.lost && seat.status === 'I')
    this.kind = 'none'
    this.failed = false
    this.#members.clear()
    this.#written.clear()
    this.journal.clear()
    this.#begin = plainBegin
    if (settings && said !== undefined) this.#of.seats.share(said)
  }
}

export function journalFull(): StatementFailed {
  return StatementFailed.of('54000', 'Too many savepoints and settings in one transaction over shards.')
}

function mapChanged(): StatementFailed {
  return StatementFailed.of('40001', 'The map of shards has changed amid the transaction.', {
    detail: 'shard-map-changed',
    hint: 'Try the transaction again.',
  })
}
