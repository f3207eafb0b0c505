// Follows a source's changes into a target: each committed change once, in order, whatever breaks on the way. How far it has
// come is kept by the target itself, in its replication origin, with the very commit that it belongs to; nothing here needs
// to be remembered. Several small transactions of the source may be one of the target.
//
// A life: connecting -> streaming -> (it breaks: pause, connecting). What can't be mended by trying again ends it: `failed`.

import type pg from 'pg'
import { type Clock, MS, systemClock } from '../../../kit/clock.ts'
import { backoffCeilingUs } from '../../../policy/backoff.ts'
import {
  type LogicalMessage,
  readLogicalFrame,
  readLogicalMessage,
  standbyStatus,
} from '../../../wire/postgres/index.ts'
import type { ReplicationConnection, ReplicationStream } from '../../backup/replication.ts'
import { lsnOf, lsnText } from '../../backup/segments.ts'
import { sqlState } from '../../servers/session.ts'
import { Batch, type Change } from './batch.ts'
import { type FixedColumns, StreamBroken } from './changes.ts'
import type { MoveStream } from './contract.ts'
import { cut, openReader, openWriter, saidBy } from './places.ts'

const pauseMsMin = 20
const pauseMsMax = 2_000
/** The source hears this often how far the target is; it cuts whoever is silent for wal_sender_timeout. */
const replyEveryMs = 500
/** A source that says nothing for so long, although it is asked, is given up. */
const silentMsMax = 30_000
/** SQL that is sent at once; also how much of a source's large transaction is held. */
const batchCharactersMax = 256 * 1024
/** A target that does not answer for so long is given up and asked anew. */
const answerMs = 60_000

/** Trying again does not help with these: values, constraints, names and rights. */
const finalStates = /^(22|23|42)/

/** What a source's changes are at the target. */
export interface ChangeMaker {
  /** A relation as the source describes it from now on. */
  relation(message: Extract<LogicalMessage, { kind: 'relation' }>): void
  /** `schema.table` of a change; null: of none that is followed. */
  tableOf(relation: number): { readonly schema: string; readonly name: string } | null
  change(message: LogicalMessage, relation: number): readonly Change[]
}

/** Both ends, and what slot, origin and publication are called. */
export type FollowedStream = Pick<MoveStream, 'from' | 'into' | 'slot' | 'publication'>

export interface ApplierOptions {
  readonly stream: FollowedStream
  /** Made anew with each connection. */
  readonly maker: (fixed: FixedColumns) => ChangeMaker
  /** By `schema.table`: the position of its copy's snapshot; commits before it are in the copy. None: everything is applied. */
  readonly copied: Readonly<Record<string, string>>
  readonly tell: (text: string) => void
  readonly clock?: Clock
}

export interface ApplierStatus {
  readonly state: 'connecting' | 'streaming' | 'paused' | 'failed' | 'stopped'
  /** Everything that was committed at the source before it is at the target. */
  readonly applied: number
  /** Changes applied since the start of this process. */
  readonly changes: number
  readonly trouble: string
}

/**
 * The slot is gone, or what it kept: the source failed over. Or the target did, and may lack what it had confirmed. The stream
 * must begin again.
 */
export class SlotLost extends Error {}

interface Waiter {
  readonly lsn: number
  readonly resolve: () => void
  readonly reject: (why: Error) => void
}

export class Applier {
  readonly #options: ApplierOptions
  readonly #clock: Clock
  readonly #watermarks: ReadonlyMap<string, number>
  #state: ApplierStatus['state'] = 'connecting'
  #trouble = ''
  #failure: Error | null = null
  #applied = 0
  #changes = 0
  /** Commits from here on wait. */
  #barrier = Number.POSITIVE_INFINITY
  #waiters: Waiter[] = []
  #wake: (() => void) | null = null
  #stopped = false
  #reader: ReplicationConnection | null = null
  #writer: pg.Client | null = null
  #stream: ReplicationStream | null = null
  /** Of the target, as it was at first. */
  #timeline = ''
  readonly #running: Promise<void>

  constructor(options: ApplierOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#watermarks = new Map(
      Object.entries(options.copied).map(([table, position]) => [table, lsnOf(position)]),
    )
    this.#running = this.#run()
  }

  get status(): ApplierStatus {
    const paused = this.#state === 'streaming' && this.#barrier !== Number.POSITIVE_INFINITY
    return {
      state: paused ? 'paused' : this.#state,
      applied: this.#applied,
      changes: this.#changes,
      trouble: this.#trouble,
    }
  }

  /** Why it has ended by itself; null: it goes on, or was stopped. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Everything that was committed before this position is applied. Rejects when the applier fails or stops. */
  async until(lsn: number, timeoutMs: number): Promise<void> {
    if (this.#applied >= lsn) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { lsn, resolve, reject }
    this.#waiters.push(waiter)
    const timer = setTimeout(
      () => reject(new Error(`changes are applied up to ${lsnText(this.#applied)}, not to ${lsnText(lsn)}`)),
      timeoutMs,
    )
    // The source says how far it has come when it is asked.
    const asking = setInterval(() => this.#reply(true), 10)
    this.#reply(true)
    if (this.#state === 'failed' || this.#stopped) reject(new Error(this.#trouble || 'it is stopped'))
    try {
      await promise
    } finally {
      clearTimeout(timer)
      clearInterval(asking)
      this.#waiters = this.#waiters.filter(one => one !== waiter)
    }
  }

  /** Commits from this position on wait until `resume`. */
  pauseAt(lsn: number): void {
    this.#barrier = lsn
    this.#wake?.()
  }

  resume(): void {
    this.#barrier = Number.POSITIVE_INFINITY
    this.#wake?.()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cut()
    this.#wake?.()
    await this.#running
    if (this.#state !== 'failed') this.#state = 'stopped'
    this.#reject(new Error('it is stopped'))
  }

  #cut(): void {
    this.#reader?.close()
    if (this.#writer !== null) cut(this.#writer)
  }

  #reject(why: Error): void {
    for (const { reject } of this.#waiters) reject(why)
  }

  #moved(applied: number): void {
    if (applied <= this.#applied) return
    this.#applied = applied
    for (const { lsn, resolve } of this.#waiters) if (lsn <= applied) resolve()
  }

  #reply(answerNow: boolean): void {
    if (this.#applied === 0) return
    this.#stream?.send(standbyStatus(this.#applied, this.#clock.wall(), answerNow))
  }

  async #run(): Promise<void> {
    for (let attempts = 0; !this.#stopped; ) {
      const begun = this.#applied
      try {
        await this.#live()
      } catch (error) {
        if (this.#stopped) return
        const why = saidBy(error)
        const final =
          error instanceof SlotLost ||
          error instanceof StreamBroken ||
          finalStates.test(sqlState(error) ?? '')
        if (this.#trouble !== why) this.#options.tell(`${this.#options.stream.slot}: ${why}`)
        this.#trouble = why
        this.#state = final ? 'failed' : 'connecting'
        if (final) {
          this.#failure = error instanceof SlotLost ? error : new Error(why, { cause: error })
          return this.#reject(this.#failure)
        }
      } finally {
        this.#stream = null
        this.#cut()
      }
      if (this.#stopped) return
      attempts = this.#applied > begun ? 0 : attempts + 1
      await this.#pause(backoffCeilingUs(attempts, pauseMsMin, pauseMsMax) / MS)
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

  async #live(): Promise<void> {
    const { stream } = this.#options
    const writer = await openWriter(stream.into, stream.slot, stream.slot)
    this.#writer = writer
    const { rows } = await writer.query(
      `SELECT coalesce(pg_replication_origin_progress('${stream.slot}', true)::text, '0/0') AS at,
        left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline`,
    )
    const [at] = rows as [{ readonly at: string; readonly timeline: string }]
    this.#timeline ||= at.timeline
    if (at.timeline !== this.#timeline)
      throw new SlotLost(`shard ${stream.into.shard} was replaced, and may lack what was applied to it`)
    const done = lsnOf(at.at)
    const fixed = await fixedColumns(writer)
    const reader = await openReader(stream.from, stream.slot)
    this.#reader = reader
    if (this.#stopped) return
    const slots = await reader.rows(
      `SELECT wal_status, coalesce(confirmed_flush_lsn::text, '0/0') FROM pg_replication_slots WHERE slot_name = '${stream.slot}'`,
    )
    const [slot] = slots
    if (slot === undefined || slot[0] === 'lost')
      throw new SlotLost(`shard ${stream.from.shard} has no slot '${stream.slot}' any more`)
    this.#stream = reader.startOwnChanges(stream.slot, stream.publication, done)
    this.#state = 'streaming'
    if (this.#trouble !== '') this.#options.tell(`${stream.slot}: goes on`)
    this.#trouble = ''
    this.#moved(Math.max(done, lsnOf(slot[1] ?? '0/0')))
    const life = new Life(this.#stream, writer, {
      stream,
      maker: this.#options.maker(fixed),
      clock: this.#clock,
      watermarks: this.#watermarks,
      barrier: () => this.#barrier,
      waits: async () => {
        await this.#pause(60_000)
        if (this.#stopped) throw new Error('it is stopped')
      },
      applied: (lsn, changes) => {
        this.#changes += changes
        this.#moved(lsn)
      },
      asked: () => this.#reply(false),
    })
    const replies = setInterval(() => {
      this.#reply(life.silentMs > silentMsMax / 3)
      if (life.silentMs > silentMsMax) reader.close()
    }, replyEveryMs)
    try {
      await life.follow()
    } finally {
      clearInterval(replies)
    }
    throw new Error('the source ended the stream')
  }
}

interface LifeOptions {
  readonly stream: FollowedStream
  readonly maker: ChangeMaker
  readonly clock: Clock
  readonly watermarks: ReadonlyMap<string, number>
  readonly barrier: () => number
  readonly waits: () => Promise<void>
  readonly applied: (lsn: number, changes: number) => void
  readonly asked: () => void
}

/** One connection's worth of changes. */
class Life {
  readonly #source: ReplicationStream
  readonly #target: pg.Client
  readonly #options: LifeOptions
  readonly #writer: ChangeMaker
  readonly #batch = new Batch()
  /** Of source transactions that the target has not committed. */
  #batched = 0
  /** Since when the source is waited for; -1: it is not. */
  #waitsSince = -1
  /** The target has an open transaction. */
  #open = false
  /** Of the last source transaction that is whole in the batch. */
  #end = 0
  /** Where the transaction that is read now commits; 0: none is. */
  #commits = 0

  constructor(source: ReplicationStream, target: pg.Client, options: LifeOptions) {
    this.#source = source
    this.#target = target
    this.#options = options
    this.#writer = options.maker
  }

  /** For how long the source has said nothing. */
  get silentMs(): number {
    return this.#waitsSince < 0 ? 0 : (this.#options.clock.monotonic() - this.#waitsSince) / MS
  }

  async #next(): Promise<Buffer | null> {
    if (this.#source.waits) return this.#source.next()
    if (this.#commits === 0) await this.#flush()
    this.#waitsSince = this.#options.clock.monotonic()
    const bytes = await this.#source.next()
    this.#waitsSince = -1
    return bytes
  }

  async follow(): Promise<void> {
    for (;;) {
      const bytes = await this.#next()
      if (bytes === null) return
      const frame = readLogicalFrame(bytes)
      if (frame === null) throw new StreamBroken('the source sent what is no frame of replication')
      if (frame.kind === 'keepalive') {
        if (this.#commits === 0) {
          await this.#flush()
          this.#options.applied(frame.xlogEnd, 0)
        }
        if (frame.answerNow) this.#options.asked()
        continue
      }
      const message = readLogicalMessage(bytes, frame.from)
      if (message === null) throw new StreamBroken('the source sent a change that can not be read')
      await this.#take(message)
    }
  }

  async #take(message: NonNullable<ReturnType<typeof readLogicalMessage>>): Promise<void> {
    switch (message.kind) {
      case 'begin':
        while (message.finalLsn >= this.#options.barrier()) {
          if (this.#end !== 0) {
            // The barrier may be another then.
            await this.#flush()
            continue
          }
          // Commits come in their order: all before this one are applied.
          this.#options.applied(message.finalLsn, 0)
          await this.#options.waits()
        }
        this.#commits = message.finalLsn
        return
      case 'commit':
        this.#commits = 0
        this.#end = message.endLsn
        if (this.#batch.characters > batchCharactersMax) await this.#flush()
        return
      case 'relation':
        return this.#writer.relation(message)
      case 'truncate':
        for (const relation of message.relations) await this.#change(message, relation)
        return
      case 'insert':
      case 'update':
      case 'delete':
        return this.#change(message, message.relation)
      default:
    }
  }

  async #change(message: LogicalMessage, relation: number): Promise<void> {
    const table = this.#writer.tableOf(relation)
    if (table !== null) {
      const watermark = this.#options.watermarks.get(`${table.schema}.${table.name}`) ?? 0
      // It is in the copy.
      if (this.#commits < watermark) return
    }
    for (const one of this.#writer.change(message, relation)) this.#batch.add(one)
    if (this.#batch.characters > batchCharactersMax) await this.#send(false)
  }

  /** Whole source transactions are committed at the target. */
  async #flush(): Promise<void> {
    if (this.#end === 0) return
    const end = this.#end
    if (!this.#batch.empty || this.#open) await this.#send(true)
    const changes = this.#batched
    this.#end = 0
    this.#batched = 0
    this.#options.applied(end, changes)
  }

  async #send(commits: boolean): Promise<void> {
    this.#batched += this.#batch.changes
    const statements = this.#batch.take()
    const begin = this.#open ? [] : ['BEGIN']
    const commit = commits
      ? [`SELECT pg_replication_origin_xact_setup('${lsnText(this.#end)}', now())`, 'COMMIT']
      : []
    const texts = [...begin, ...statements.map(({ sql }) => sql)]
    this.#open = true
    if (statements.every(({ meets }) => meets < 0)) await this.#say([...texts, ...commit])
    else {
      const results = await this.#say(texts)
      for (const [at, { sql, meets }] of statements.entries())
        if (meets >= 0 && results[begin.length + at] !== meets)
          throw new StreamBroken(
            `shard ${this.#options.stream.into.shard} lacks rows that changed: ${sql.slice(0, 200)}`,
          )
      if (commits) await this.#say(commit)
    }
    this.#open = !commits
  }

  /** Rows that each met. */
  async #say(texts: readonly string[]): Promise<readonly (number | null)[]> {
    const results = await inTime(this.#target.query(texts.join(';\n')))
    return (Array.isArray(results) ? results : [results]).map(({ rowCount }: pg.QueryResult) => rowCount)
  }
}

async function fixedColumns(client: pg.Client): Promise<FixedColumns> {
  const { rows } = await client.query(
    `SELECT n.nspname || '.' || c.relname AS name, array_agg(a.attname::text) AS columns FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = 'a' GROUP BY 1`,
  )
  return new Map(rows.map(({ name, columns }: { name: string; columns: string[] }) => [name, columns]))
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('the target does not answer')), answerMs)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}
