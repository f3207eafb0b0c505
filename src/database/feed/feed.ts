// The change feed of one database: follows its primary by a logical slot, makes invalidations of commits, tells every sink,
// and lets the log go when all have heard. One at a time; runs from `use` to `close`, whatever the server does.
//
// A connection: connecting -> streaming -> (it breaks, another primary: pause, connecting). A slot that is new, because there
// was none, another primary or timeline, or too much was missed, begins with `everything`.

import { createHash } from 'node:crypto'
import { type Clock, MS } from '../../kit/clock.ts'
import { backoffCeilingUs } from '../../policy/backoff.ts'
import { readLogicalFrame, readLogicalMessage, standbyStatus } from '../../wire/postgres/index.ts'
import { ReplicationConnection, type ReplicationStream } from '../backup/replication.ts'
import type { Lsn } from '../contract.ts'
import { ChangeReader, type Commit } from './changes.ts'
import type { FeedSpec, InvalidationSink } from './contract.ts'
import { awayMsDefault, Lane, type LaneStatus } from './lane.ts'
import { Names } from './names.ts'
import { addressOf, type FeedPlace, FeedServer } from './place.ts'
import { rulesByTable, type TableRules } from './rules.ts'
import { planTables } from './tables.ts'
import { takeVisible, type Waiting } from './visible.ts'

const connectTimeoutMs = 5_000
const pauseMsMin = 50
const pauseMsMax = 1_000
/** Until a server that could not be asked to drop a slot of its time as the primary is asked again. */
const dropAgainMs = 30_000
const dropTries = 100
/** A server that said nothing for so long is asked for a word, and then not relied on. */
const askUs = 1_000_000
const silentUsMax = 6_000_000
/** The server hears this often how far everything is done; it cuts whoever is silent for wal_sender_timeout (10 s). */
const replyEveryMs = 500
/** Tables that are made, dropped or altered are found this late. */
const lookEveryMs = 2_000
const visibleAskMsMin = 1
const visibleAskMsMax = 100
/** Behind by more, forgetting everything is faster than reading it; and the disk is not ours. */
export const backlogBytesMax: number = 1024 ** 3
/** Commits that wait to become visible; more are not read for as long. */
const waitingMax = 10_000

export interface NamedSink {
  readonly name: string
  readonly sink: InvalidationSink
}

/** What must survive this process. Written before it is counted on. */
export interface FeedMemory {
  read(): FeedRecord | null
  write(record: FeedRecord): void
}

export interface FeedRecord {
  /** Whose slot it is; another system or timeline: what was missed is unknown. */
  readonly system: string
  readonly timeline: number
  /** Digest of the rules: what others would have named was not told. */
  readonly rules: string
  /** Sinks that are owed everything. */
  readonly owed: readonly string[]
}

export interface FeedOptions {
  readonly spec: FeedSpec
  /** Of the slot and the publication: `tenfold_feed`, or with an ending where several systems share servers. */
  readonly slot: string
  readonly sinks: readonly NamedSink[]
  readonly memory: FeedMemory
  readonly clock: Clock
  /** How long a sink that fails may hold the log. */
  readonly awayMs?: number
  tell(text: string): void
}

export interface FeedStatus {
  readonly state: 'stopped' | 'waiting' | 'connecting' | 'streaming'
  readonly server: string
  /** Why it does not stream; ''. */
  readonly problem: string
  /** What can't be followed, and what to do: sentences. */
  readonly told: readonly string[]
  /** Log that is not done with. */
  readonly lagBytes: number
  /** Since when the oldest change that not everybody has heard of is known. */
  readonly lagMs: number
  readonly commits: number
  readonly everythings: number
  readonly sinks: readonly LaneStatus[]
}

/** Of all feeds of this process. */
let livesBegun = 0
const noRecord: FeedRecord = { system: '', timeline: 0, rules: '', owed: [] }
const none: ReadonlySet<string> = new Set()

export class ChangeFeed {
  /** Another number with each connection that streams. */
  life = 0
  readonly #options: FeedOptions
  readonly #lanes: readonly Lane[]
  #spec: FeedSpec
  #rules: ReadonlyMap<string, TableRules>
  #place: FeedPlace | null = null
  #record: FeedRecord
  #running: Promise<void> | null = null
  #closed = false
  #state: FeedStatus['state'] = 'stopped'
  #problem = ''
  #told: readonly string[] = []
  #followed: ReadonlySet<string> = none
  #commits = 0
  #everythings = 0
  #life: Life | null = null
  #wake: (() => void) | null = null

  constructor(options: FeedOptions) {
    this.#options = options
    this.#spec = options.spec
    this.#rules = rulesByTable(options.spec)
    this.#record = options.memory.read() ?? noRecord
    this.#lanes = options.sinks.map(
      ({ name, sink }) =>
        new Lane({
          name,
          sink,
          database: options.spec.database,
          clock: options.clock,
          awayMs: options.awayMs ?? awayMsDefault,
          owed: this.#record.owed.includes(name),
          remember: owed => this.#remember(name, owed),
          moved: () => this.#life?.moved(),
          tell: text => options.tell(text),
        }),
    )
  }

  /** Tables whose changes are heard now, `schema.table`; none while it is not streaming. */
  get followed(): ReadonlySet<string> {
    const heard = this.#state === 'streaming' && this.#life?.silentUs !== undefined
    return heard && (this.#life as Life).silentUs < silentUsMax ? this.#followed : none
  }

  get status(): FeedStatus {
    const now = this.#options.clock.monotonic()
    const since = [this.#life?.sinceUs ?? null, ...this.#lanes.map(lane => lane.sinceUs)].filter(
      one => one !== null,
    )
    return {
      state: this.#state,
      server: this.#place?.id ?? '',
      problem: this.#problem,
      told: this.#told,
      lagBytes: this.#life?.lagBytes ?? 0,
      lagMs: since.length === 0 ? 0 : (now - Math.min(...since)) / MS,
      commits: this.#commits,
      everythings: this.#everythings,
      sinks: this.#lanes.map(lane => lane.status),
    }
  }

  /** Follows this primary from now on; null: there is none. */
  use(place: FeedPlace | null, spec: FeedSpec = this.#spec): void {
    const samePlace = JSON.stringify(place) === JSON.stringify(this.#place)
    const sameSpec = JSON.stringify(spec) === JSON.stringify(this.#spec)
    const sameRules = digestOf(spec) === digestOf(this.#spec)
    if (!samePlace) this.#place = place
    if (!sameSpec) {
      this.#spec = spec
      this.#rules = rulesByTable(spec)
    }
    if (!samePlace || !sameRules) this.#life?.close()
    else if (!sameSpec) this.#life?.use(this.#rules)
    this.#wake?.()
    this.#running ??= this.#run()
  }

  /** Lets the slot be; whoever comes next goes on with it. */
  async close(): Promise<void> {
    this.#closed = true
    for (const lane of this.#lanes) lane.close()
    this.#life?.close()
    this.#wake?.()
    await this.#running
    this.#state = 'stopped'
  }

  /** Nobody wants it any more: nothing of it stays on the server. */
  async remove(): Promise<void> {
    const place = this.#place
    await this.close()
    this.#options.memory.write(noRecord)
    if (place === null) return
    const server = new FeedServer(await addressOf(place))
    try {
      await this.#freed(server)
      await server.alter(`DROP PUBLICATION IF EXISTS ${this.#options.slot}`)
    } catch (cause) {
      this.#options.tell(`the slot ${this.#options.slot} stays on ${place.id}: ${(cause as Error).message}`)
    } finally {
      server.close()
    }
  }

  /** The connection that was just cut holds its slot for a moment. */
  async #freed(server: FeedServer): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await dropWhenFree(server, this.#options.slot)
      } catch (cause) {
        if (tries === dropTries) throw cause
        await new Promise(resolve => setTimeout(resolve, pauseMsMin))
      }
    }
  }

  #remember(sink: string, owed: boolean): void {
    const others = this.#record.owed.filter(name => name !== sink)
    this.#keep({ ...this.#record, owed: owed ? [...others, sink] : others })
  }

  #keep(record: FeedRecord): void {
    this.#options.memory.write(record)
    this.#record = record
  }

  async #run(): Promise<void> {
    let attempts = 0
    while (!this.#closed) {
      const place = this.#place
      if (place === null) {
        this.#state = 'waiting'
        this.#problem = 'there is no primary'
        await this.#pause(60_000)
        continue
      }
      const begun = this.#commits
      try {
        await this.#follow(place)
      } catch (error) {
        if (this.#place === place) this.#complain(place, error as Error)
      }
      this.#life?.close()
      this.#life = null
      if (this.#closed) return
      if (this.#place !== place || this.#commits > begun) attempts = 0
      else await this.#pause(backoffCeilingUs(attempts++, pauseMsMin, pauseMsMax) / MS)
    }
  }

  /** Said once, not at each attempt. */
  #complain(place: FeedPlace, error: Error): void {
    if (this.#closed) return
    this.#state = 'connecting'
    if (this.#problem !== error.message)
      this.#options.tell(`changes on ${place.id} are not followed: ${error.message}`)
    this.#problem = error.message
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer)
        this.#wake = null
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#wake = done
    })
  }

  async #follow(place: FeedPlace): Promise<void> {
    this.#state = 'connecting'
    const address = await addressOf(place)
    const server = new FeedServer(address)
    let connection: ReplicationConnection | null = null
    try {
      const life = new Life({
        server,
        rules: this.#rules,
        lanes: this.#lanes,
        clock: this.#options.clock,
        closed: () => this.#closed || this.#place !== place,
      })
      this.#life = life
      life.onClose = () => {
        server.close()
        connection?.close()
      }
      const level = await server.walLevel()
      if (level !== 'logical')
        throw new Error(`wal_level is '${level}': set it to 'logical' and restart ${place.id}`)
      const more = await this.#look(place, server)
      connection = await ReplicationConnection.open(address, this.#options.slot, connectTimeoutMs)
      life.check()
      const identity = await connection.identify()
      life.timeline = identity.timeline
      await this.#slot(place, server, connection, life, identity)
      this.#newTables(life, more)
      for (const lane of this.#lanes) if (lane.status.state === 'owed') this.#everythingTo(lane, life)
      life.check()
      this.#state = 'streaming'
      this.life = ++livesBegun
      if (this.#problem !== '') this.#options.tell(`changes are followed, on ${place.id}`)
      this.#problem = ''
      void this.#dropOthers(place, life)
      await this.#stream(place, connection, life)
    } finally {
      server.close()
      connection?.close()
    }
  }

  /** Tables that are followed from now on and whose changes so far were not heard. */
  async #look(place: FeedPlace, server: FeedServer): Promise<readonly string[]> {
    const { slot } = this.#options
    const [looks, published] = [await server.looks(this.#rules), await server.published(slot)]
    const plan = planTables(this.#rules, looks, published ?? [], place.own)
    for (const text of plan.told) if (!this.#told.includes(text)) this.#options.tell(text)
    this.#told = plan.told
    for (const sql of plan.alter) {
      await server.alter(sql)
      this.#options.tell(`${sql}: rules need more than the key of a changed row`)
    }
    if (published === null || plan.changed) await server.publish(slot, published !== null, plan.follow)
    this.#followed = new Set(plan.follow)
    return plan.follow.filter(table => !(published ?? []).includes(table))
  }

  #newTables(life: Life, tables: readonly string[]): void {
    if (tables.length === 0) return
    if (tables.some(table => (this.#rules.get(table)?.templates.length ?? 0) > 0)) {
      this.#forgetAll(life, `${tables.join(', ')} ${tables.length > 1 ? 'are' : 'is'} followed from now on`)
      return
    }
    const names = new Names()
    for (const table of tables) names.tables.add(table)
    for (const lane of this.#lanes) this.#push(lane, life, names)
  }

  /** A slot that knows everything since somebody last confirmed it, or a new one and `everything`. */
  async #slot(
    place: FeedPlace,
    server: FeedServer,
    connection: ReplicationConnection,
    life: Life,
    { systemId, timeline }: { readonly systemId: string; readonly timeline: number },
  ): Promise<void> {
    const { slot } = this.#options
    const found = await server.slot(slot)
    const ours = this.#record.system === systemId && this.#record.timeline === timeline
    const rules = digestOf(this.#spec)
    // Only when all have heard that everything is void may the next process go on with this slot.
    const begun = (): void => this.#keep({ ...this.#record, system: systemId, timeline, rules })
    if (found?.usable && ours && found.backlog <= backlogBytesMax) {
      life.begin(found.confirmed)
      if (this.#record.rules === rules) return
      life.whenDone = begun
      this.#forgetAll(life, 'there are other rules')
      return
    }
    if (found !== null) await dropWhenFree(server, slot)
    life.check()
    // Waits for the transactions that are open now to end.
    const rows = await connection.rows(`CREATE_REPLICATION_SLOT ${slot} LOGICAL pgoutput NOEXPORT_SNAPSHOT`)
    const made = await server.slot(slot)
    if (made === null) throw new Error(`the slot ${slot} vanished (${rows.length})`)
    life.begin(made.confirmed)
    life.whenDone = begun
    this.#forgetAll(life, found === null ? `a slot was made on ${place.id}` : whyNew(ours, found.usable))
  }

  #forgetAll(life: Life, why: string): void {
    this.#everythings++
    this.#options.tell(`caches forget everything that rules name: ${why}`)
    for (const lane of this.#lanes) this.#everythingTo(lane, life)
  }

  #everythingTo(lane: Lane, life: Life): void {
    const names = new Names()
    names.forgetAll()
    for (const table of this.#rules.keys()) names.tables.add(table)
    this.#push(lane, life, names)
  }

  #push(lane: Lane, life: Life, names: Names): void {
    lane.push(names, life.processed, life.timeline, life.processed, this.#options.clock.monotonic())
  }

  async #stream(place: FeedPlace, connection: ReplicationConnection, life: Life): Promise<void> {
    const { slot, clock } = this.#options
    const stream = connection.startChanges(slot, slot)
    life.reply = () => stream.send(standbyStatus(life.safe, clock.wall(), life.silentUs > askUs))
    const replies = setInterval(() => life.confirm(), replyEveryMs)
    let looking = false
    const look = (): void => {
      if (looking) return
      looking = true
      void this.#lookAgain(place, life).finally(() => {
        looking = false
      })
    }
    const looks = setInterval(look, lookEveryMs)
    life.onRules = look
    try {
      await this.#read(stream, life)
    } finally {
      clearInterval(replies)
      clearInterval(looks)
    }
  }

  async #lookAgain(place: FeedPlace, life: Life): Promise<void> {
    try {
      this.#newTables(life, await this.#look(place, life.server))
    } catch (cause) {
      const text = `tables of ${place.id} can't be looked at: ${(cause as Error).message}`
      if (!life.closed && !this.#told.includes(text)) {
        this.#told = [...this.#told, text]
        this.#options.tell(text)
      }
    }
  }

  async #read(stream: ReplicationStream, life: Life): Promise<void> {
    for (;;) {
      const bytes = await stream.next()
      life.heard()
      if (bytes === null) throw new Error('the server ended the stream')
      life.check()
      const frame = readLogicalFrame(bytes)
      if (frame === null) throw new Error('the server sent what is no frame of a stream')
      if (frame.kind === 'keepalive') {
        life.heardUpTo(frame.xlogEnd)
        if (frame.answerNow) life.reply()
        continue
      }
      const message = readLogicalMessage(bytes, frame.from)
      if (message === null) throw new Error('the server sent a message that pgoutput does not have')
      const commit = life.reader.take(message)
      if (commit === null) continue
      if (!commit.names.empty) this.#commits++
      if (commit.names.everything) this.#everythings++
      await life.committed(commit)
    }
  }

  /** A former primary would keep its log for our slot for ever. */
  async #dropOthers({ own, others, ...place }: FeedPlace, life: Life): Promise<void> {
    let left: FeedPlace['others'] = own ? others : []
    while (left.length > 0 && !life.closed) {
      const failed: FeedPlace['others'][number][] = []
      for (const other of left) {
        const server = new FeedServer(await addressOf({ ...place, ...other, own, others }))
        await server.dropSlot(this.#options.slot).catch(() => failed.push(other))
        server.close()
      }
      left = failed
      if (left.length > 0) await life.wait(dropAgainMs)
    }
  }
}

function digestOf({ rules }: FeedSpec): string {
  return createHash('sha256').update(JSON.stringify(rules)).digest('hex').slice(0, 16)
}

function whyNew(ours: boolean, usable: boolean): string {
  if (!ours) return 'another server is the primary'
  return usable ? 'the feed was away for too long' : 'the server has dropped log that was not heard'
}

/** A connection that was just cut holds its slot for a moment, and a router that ends for longer. */
async function dropWhenFree(server: FeedServer, slot: string): Promise<void> {
  const found = await server.slot(slot)
  if (found === null) return
  if (found.active) throw new Error(`somebody else uses the slot ${slot}`)
  await server.dropSlot(slot)
}

interface LifeOptions {
  readonly server: FeedServer
  readonly rules: ReadonlyMap<string, TableRules>
  readonly lanes: readonly Lane[]
  readonly clock: Clock
  closed(): boolean
}

/** One connection: what was read, what waits to become visible, how far everything is done. */
class Life {
  readonly server: FeedServer
  readonly reader: ChangeReader
  readonly #lanes: readonly Lane[]
  readonly #clock: Clock
  readonly #ended: () => boolean
  readonly #list: Waiting[] = []
  #asking = false
  #closed = false
  #confirmed: Lsn = 0
  #heardUs: number
  #broken: Error | null = null
  #room: (() => void) | null = null
  readonly #waits: (() => void)[] = []
  processed: Lsn = 0
  timeline = 0
  reply: () => void = () => {}
  onRules: () => void = () => {}
  whenDone: (() => void) | null = null
  onClose: () => void = () => {}

  constructor({ server, rules, lanes, clock, closed }: LifeOptions) {
    this.server = server
    this.reader = new ChangeReader(rules)
    this.#lanes = lanes
    this.#clock = clock
    this.#ended = closed
    this.#heardUs = clock.monotonic()
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Since the server said something. */
  get silentUs(): number {
    return this.#clock.monotonic() - this.#heardUs
  }

  heard(): void {
    this.#heardUs = this.#clock.monotonic()
  }

  use(rules: ReadonlyMap<string, TableRules>): void {
    this.reader.use(rules)
    this.onRules()
  }

  get sinceUs(): number | null {
    return this.#list[0]?.sinceUs ?? null
  }

  get lagBytes(): number {
    return Math.max(0, this.processed - this.safe)
  }

  check(): void {
    if (this.#broken !== null) throw this.#broken
    if (this.#closed || this.#ended()) throw new Error('another primary is to be followed')
  }

  begin(confirmed: Lsn): void {
    this.processed = confirmed
    this.#confirmed = confirmed
  }

  /** Everything before it is done with: heard by all, or of no interest. */
  get safe(): Lsn {
    const waiting = this.#list.length === 0 ? this.processed : (this.#list[0] as Waiting).before
    return Math.max(this.#confirmed, Math.min(waiting, ...this.#lanes.map(lane => lane.before)))
  }

  /** The server says that everything before it has been sent. */
  heardUpTo(lsn: Lsn): void {
    if (!this.reader.inTransaction) this.processed = Math.max(this.processed, lsn)
  }

  async committed(commit: Commit): Promise<void> {
    const before = this.processed
    this.processed = Math.max(before, commit.endLsn)
    if (commit.names.empty) return
    this.#list.push({ ...commit, before, sinceUs: this.#clock.monotonic() })
    void this.#ask()
    if (this.#list.length < waitingMax) return
    await new Promise<void>(resolve => {
      this.#room = resolve
    })
  }

  /** Until nothing waits: which of them does the primary show by now? */
  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    let pauseMs = visibleAskMsMin
    try {
      while (this.#list.length > 0 && !this.#closed) {
        const upTo = this.#list.length
        const visible = takeVisible(this.#list, upTo, await this.server.snapshot())
        if (visible.length > 0) {
          this.#deliver(visible)
          pauseMs = visibleAskMsMin
          if (visible.length === upTo) continue
        }
        await new Promise(resolve => setTimeout(resolve, pauseMs))
        pauseMs = Math.min(visibleAskMsMax, pauseMs * 2)
      }
    } catch (error) {
      this.#broken = error as Error
      this.close()
    } finally {
      this.#asking = false
    }
  }

  #deliver(visible: readonly Waiting[]): void {
    const names = new Names()
    for (const one of visible) names.addAll(one.names)
    const first = visible[0] as Waiting
    const last = visible.at(-1) as Waiting
    for (const lane of this.#lanes) lane.push(names, last.endLsn, this.timeline, first.before, first.sinceUs)
    this.#room?.()
    this.#room = null
  }

  moved(): void {
    this.confirm()
  }

  confirm(): void {
    if (this.#closed) return
    if (this.whenDone !== null && this.#lanes.every(lane => lane.before === Number.POSITIVE_INFINITY)) {
      this.whenDone()
      this.whenDone = null
    }
    this.#confirmed = this.safe
    this.reply()
  }

  /** So long, or until the connection's end. */
  wait(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#waits.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.reply = () => {}
    this.#room?.()
    for (const end of this.#waits) end()
    this.onClose()
  }
}
