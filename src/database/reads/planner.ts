// Where reads of one database go, in one thread: the policies (fresh-read, replica, replica-lag) fed with what the watches
// see, and the reads that wait. Samples and polls run while somebody waits, and now and then otherwise. Sends no statement.

import { MS } from '../../kit/clock.ts'
import { Need, ReadHorizon, WaitEstimate } from '../../policy/fresh-read.ts'
import { parseToken, tokenText } from '../../policy/read-token.ts'
import { ReplicaChoice, type ReplicaStanding } from '../../policy/replica.ts'
import { LagHistory } from '../../policy/replica-lag.ts'
import type { ReadsSetting } from '../contract.ts'
import type { RoutedDatabase } from '../router/snapshot.ts'
import { CatalogueReader } from './catalogue-reader.ts'
import type { ReadPlanner, ReadPlannerOptions, ReadReason, ReadResume, ReadState } from './contract.ts'
import type { ReplicaWatch } from './replica-watch.ts'
import { type WaitingRead, WaitingReads, WaitingTokens } from './waiting.ts'
import { Watches } from './watches.ts'

/** While somebody waits, replicas are asked each time that this has passed. */
const hurryMs = 1
/** Otherwise: while reads come, and while none do. */
const watchMs = 250
const restMs = 1_000
/** Reads that came within this time count as "reads come". */
const restlessUs = 5_000_000
/** Reads that are not waited for ask after the replicas this often. */
const nudgeUs = 5_000
/** A server that does not answer the monitor for this long is as good as gone. */
const answerTimeoutUs = 2_000_000
const tokenTimeoutUs = 2_000_000

const noCounts: Record<ReadReason, number> = {
  replica: 0,
  waited: 0,
  'primary:setting': 0,
  'primary:unknown-yet': 0,
  'primary:not-fresh': 0,
  'primary:lag': 0,
  'primary:no-replica': 0,
  'primary:timeline': 0,
}

export class Planner implements ReadPlanner {
  reasonOfLast: ReadReason = 'primary:unknown-yet'
  readonly counts: Record<ReadReason, number> = { ...noCounts }
  readonly #options: ReadPlannerOptions
  readonly #horizon = new ReadHorizon()
  readonly #history = new LagHistory(10 * MS)
  readonly #estimate = new WaitEstimate()
  readonly #choice: ReplicaChoice
  readonly #catalogue: CatalogueReader
  #database: RoutedDatabase
  readonly #watches: Watches
  readonly #replicas: ReadonlyMap<string, ReplicaWatch>
  readonly #reads = new WaitingReads()
  readonly #tokens = new WaitingTokens()
  /** Commits may be acknowledged before they are flushed: a session said so, the server's settings, the catalogue. */
  #sessionsLossy = false
  #serverLossy = false
  #timer: NodeJS.Timeout | undefined
  /** When the timer fires next, in milliseconds between two ticks; 0: no timer. */
  #paceMs = 0
  #lookedAt = -Infinity
  #readAt = -Infinity
  #nudgedAt = -Infinity
  /** The highest sample that somebody asked for; it is begun when it is the next one. */
  #sampleWanted = 0
  /** Smallest `maxLag` that reads asked for, which the pace follows. */
  #lagWantedUs = Infinity
  #closed = false

  constructor(options: ReadPlannerOptions) {
    this.#options = options
    this.#database = options.database
    this.#choice = new ReplicaChoice(settingsOf(options.database))
    // What was sampled as if commits were not flushed may lie past the end of the log for long: sampled again.
    this.#catalogue = new CatalogueReader(options, () => {
      if (!this.#lossy) this.#horizon.wrote()
    })
    this.#watches = new Watches(options, {
      primaryOpened: lossy => this.#primaryOpened(lossy),
      replicaMoved: standing => this.#replicaMoved(standing),
      lost: () => this.#settle(),
    })
    this.#replicas = this.#watches.replicas
    this.#follow(null)
    this.#pace()
  }

  use(database: RoutedDatabase): void {
    if (this.#closed || database.epoch < this.#database.epoch) return
    const before = this.#database
    this.#database = database
    this.#follow(before)
    this.#settle()
  }

  writing(): void {
    // Counted by the end alone: what is under way has been acknowledged to nobody.
  }

  wrote(state: ReadState): void {
    state.lastWrite = this.#horizon.wrote()
  }

  asynchronousCommit(): void {
    this.#sessionsLossy = true
  }

  definitionsChanged(): void {
    this.#catalogue.read()
  }

  place(state: ReadState, reads: ReadsSetting, resume: ReadResume): string | null {
    if (reads.kind === 'primary') return this.#placed('', 'primary:setting')
    const now = this.#options.clock.monotonic()
    this.#readAt = now
    if (this.#paceMs > watchMs) this.#pace()
    if (!this.#choice.anyUsable(now)) return this.#placeWithoutReplicas(reads)
    if (reads.kind === 'any') return this.#placeAny(now)
    if (reads.kind === 'maxLag') return this.#placeWithin(now, reads.maxLagMs)
    return this.#placeBehind(now, state, reads.kind === 'session', resume)
  }

  serves(server: string, state: ReadState, reads: ReadsSetting): boolean {
    const standing = this.#replicas.get(server)?.standing
    if (standing === undefined) return false
    const now = this.#options.clock.monotonic()
    if (reads.kind === 'primary') return false
    if (reads.kind === 'maxLag') return this.#choice.isWithin(standing, now, reads.maxLagMs * MS)
    const { timeline, lsn } = this.#horizon
    // Others write too: the last sample is at or above the one that placed the read.
    if (reads.kind === 'fresh' && this.#database.shared) return this.#choice.has(standing, now, timeline, lsn)
    const need = reads.kind === 'any' ? Need.nothing : this.#needOf(state, reads.kind === 'session')
    if (need === Need.nothing) return standing.ready && !standing.delayed
    return need === Need.position && this.#choice.has(standing, now, timeline, this.#horizon.needLsn)
  }

  cancel(resume: ReadResume): void {
    this.#reads.remove(resume)
  }

  began(server: string): void {
    const standing = this.#replicas.get(server)?.standing
    if (standing !== undefined) this.#choice.began(standing)
  }

  ended(server: string, latencyUs: number, failed: boolean): void {
    const standing = this.#replicas.get(server)?.standing
    if (standing !== undefined)
      this.#choice.ended(standing, this.#options.clock.monotonic(), latencyUs, failed)
  }

  token(state: ReadState, give: (token: string | null) => void): void {
    const known = this.#closed ? null : this.#tokenOf(state)
    const deadline = this.#options.clock.monotonic() + tokenTimeoutUs
    if (known !== undefined) give(known)
    else if (!this.#tokens.add({ state, give, deadline })) give(null)
    else {
      this.#pace()
      this.#want(state.lastWrite)
    }
  }

  after(state: ReadState, token: string): boolean {
    const place = parseToken(token)
    if (place === null) return false
    this.#horizon.told(state, place)
    return true
  }

  lagOf(server: string): { readonly bytes: number; readonly ms: number } | null {
    const standing = this.#replicas.get(server)?.standing
    if (standing === undefined || standing.lsn < 0 || this.#horizon.timeline === 0) return null
    const us = standing.lagUs(this.#options.clock.monotonic())
    return us < 0 ? null : { bytes: Math.max(0, this.#horizon.lsn - standing.lsn), ms: us / MS }
  }

  standingOf(server: string): string {
    const standing = this.#replicas.get(server)?.standing
    if (standing === undefined) return server === this.#database.primary ? 'used' : 'not used: unknown'
    return this.#choice.standing(standing, this.#options.clock.monotonic(), this.#horizon.timeline)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#watches.close()
    this.#catalogue.close()
    this.#reads.settle(() => this.#gone('primary:no-replica'))
    this.#tokens.settle(() => null)
  }

  // Places.

  #placed(server: string, reason: ReadReason): string {
    this.reasonOfLast = reason
    this.counts[reason]++
    return server
  }

  #gone(reason: ReadReason): { server: string; reason: ReadReason } {
    this.reasonOfLast = reason
    this.counts[reason]++
    return { server: '', reason }
  }

  /** With no primary, reads that take anything go even where the monitor does not get through. */
  #placeWithoutReplicas(reads: ReadsSetting): string {
    if (reads.kind === 'any' && this.#database.primary === null) {
      const last = this.#choice.pickLast(this.#options.clock.monotonic())
      if (last !== null) return this.#placed(last.id, 'replica')
    }
    return this.#placed('', 'primary:no-replica')
  }

  #placeAny(now: number): string {
    const standing = this.#choice.pickAny(now, this.#options.random)
    return standing === null ? this.#placed('', 'primary:no-replica') : this.#placed(standing.id, 'replica')
  }

  #placeWithin(now: number, lagMaxMs: number): string {
    const lagMaxUs = lagMaxMs * MS
    if (lagMaxUs < this.#lagWantedUs) {
      this.#lagWantedUs = lagMaxUs
      this.#pace()
    }
    const standing =
      this.#choice.pickWithin(now, lagMaxUs, this.#options.random) ??
      (this.#database.primary === null ? this.#pickSettled(now) : null)
    return standing === null ? this.#placed('', 'primary:lag') : this.#placed(standing.id, 'replica')
  }

  /** Without a primary nothing is written: who has the last acknowledged write is as new as anybody. */
  #pickSettled(now: number): ReplicaStanding | null {
    if (this.#horizon.freshNeed(this.#database.shared) !== Need.position) return null
    return this.#choice.pickAt(now, this.#horizon.timeline, this.#horizon.needLsn, this.#options.random)
  }

  #needOf(state: ReadState, session: boolean): number {
    return session ? this.#horizon.sessionNeed(state) : this.#horizon.freshNeed(this.#database.shared)
  }

  #placeBehind(now: number, state: ReadState, session: boolean, resume: ReadResume): string | null {
    const horizon = this.#horizon
    const need = this.#needOf(state, session)
    if (need === Need.nothing) return this.#placeAny(now)
    if (need === Need.otherTimeline) return this.#placed('', 'primary:timeline')
    if (need === Need.position) {
      const standing = this.#choice.pickAt(now, horizon.timeline, horizon.needLsn, this.#options.random)
      if (standing !== null) return this.#placed(standing.id, 'replica')
    }
    const sample = need === Need.sample ? horizon.needSample : 0
    if (!this.#mayWait(now, sample)) {
      this.#nudge(now, sample)
      return this.#placed('', horizon.timeline === 0 ? 'primary:unknown-yet' : 'primary:not-fresh')
    }
    const deadline = now + this.#database.readWaitMs * MS
    const lsn = sample === 0 ? horizon.needLsn : -1
    this.#reads.add({ resume, sample, lsn, state: session ? state : null, since: now, deadline })
    this.#want(sample)
    this.#hurry(now)
    return null
  }

  /** Only when it can be known in time, and lately was. */
  #mayWait(now: number, sample: number): boolean {
    if (this.#closed || this.#reads.full || this.#horizon.timeline === 0) return false
    if (sample > 0 && this.#watches.primary?.known !== true) return false
    return this.#estimate.worth(now, this.#database.readWaitMs * MS)
  }

  /** A read went to the primary for want of knowledge: the next one should find it. */
  #nudge(now: number, sample: number): void {
    this.#want(sample)
    if (now - this.#nudgedAt < nudgeUs) return
    this.#nudgedAt = now
    for (const watch of this.#replicas.values()) watch.poll(now)
  }

  // Samples and polls.

  #hurry(now: number): void {
    // Where the log has been replayed is mostly known as soon as where it ends.
    for (const watch of this.#replicas.values())
      if (!watch.standing.delayed && now - watch.polledAt >= hurryMs * MS) watch.poll(now)
    this.#pace()
  }

  #want(sample: number): void {
    if (sample > this.#sampleWanted) this.#sampleWanted = sample
    this.#sampleIfWanted()
  }

  #sampleIfWanted(): void {
    if (this.#sampleWanted >= this.#horizon.next) this.#sample()
  }

  get #lossy(): boolean {
    return this.#sessionsLossy || this.#serverLossy || this.#catalogue.lossy
  }

  #sample(): void {
    const primary = this.#watches.primary
    if (primary === null || !primary.ready) return
    const number = this.#horizon.began()
    const beganAt = this.#options.clock.monotonic()
    primary.sample(this.#lossy, lsn => {
      if (primary !== this.#watches.primary || !this.#horizon.sampled(number, primary.timeline, lsn)) return
      this.#history.sampled(beganAt, lsn)
      for (const { standing } of this.#replicas.values()) this.#age(standing)
      this.#settle()
      this.#sampleIfWanted()
    })
  }

  /** How old what this replica shows may be. */
  #age(standing: ReplicaStanding): void {
    if (standing.lsn < 0 || standing.timeline !== this.#horizon.timeline) {
      standing.caughtUp = false
      return
    }
    standing.asOf = Math.max(standing.asOf, this.#history.asOf(standing.lsn))
    standing.caughtUp = standing.lsn >= this.#horizon.lsn
  }

  #settle(): void {
    const now = this.#options.clock.monotonic()
    if (this.#reads.count > 0) this.#reads.settle(read => this.#judge(read, now))
    if (this.#tokens.count > 0)
      this.#tokens.settle(({ state, deadline }) => (now >= deadline ? null : this.#tokenOf(state)))
  }

  #judge(read: WaitingRead, now: number): { server: string; reason: ReadReason } | null {
    if (read.sample > 0) this.#learn(read)
    if (read.sample === 0) {
      const standing = this.#choice.pickAt(now, this.#horizon.timeline, read.lsn, this.#options.random)
      if (standing !== null) {
        this.#estimate.ended(now - read.since, now)
        this.counts.waited++
        this.reasonOfLast = 'waited'
        return { server: standing.id, reason: 'waited' }
      }
    }
    if (now >= read.deadline) this.#estimate.ended(2 * this.#database.readWaitMs * MS, now)
    else if (read.sample === 0 || this.#watches.primary?.known === true) return null
    return this.#gone('primary:not-fresh')
  }

  /** Its sample may have ended: then the position is known. */
  #learn(read: WaitingRead): void {
    const lsn = this.#horizon.lsnOf(read.sample)
    if (lsn < 0) return
    read.sample = 0
    read.lsn = lsn
    // A session may have written or been told more since; `sessionNeed` looks at that.
    if (read.state !== null && this.#horizon.sessionNeed(read.state) === Need.position) {
      read.lsn = Math.max(lsn, this.#horizon.needLsn)
    }
  }

  #tokenOf(state: ReadState): string | null | undefined {
    const need = this.#horizon.sessionNeed(state)
    if (need === Need.nothing) return null
    if (need === Need.sample) return undefined
    return state.after === null ? null : tokenText(state.after)
  }

  // Time.

  /** One timer: a millisecond apart while somebody waits, else as often as lags should be known. */
  #pace(): void {
    if (this.#closed) return
    const now = this.#options.clock.monotonic()
    const paceMs = this.#reads.count > 0 || this.#tokens.count > 0 ? hurryMs : this.#watchMs(now)
    if (paceMs === this.#paceMs) return
    clearTimeout(this.#timer)
    this.#paceMs = paceMs
    this.#timer = setTimeout(() => this.#tick(), paceMs)
  }

  #watchMs(now: number): number {
    if (now - this.#readAt > restlessUs) {
      this.#lagWantedUs = Infinity
      return restMs
    }
    return Math.min(watchMs, Math.max(10, Math.floor(this.#lagWantedUs / MS / 4)))
  }

  #tick(): void {
    this.#paceMs = 0
    const now = this.#options.clock.monotonic()
    this.#settle()
    this.#sampleIfWanted()
    if (this.#reads.count > 0) this.#hurry(now)
    if (now - this.#lookedAt >= this.#watchMs(now) * MS * 0.9) this.#look(now)
    this.#pace()
  }

  #look(now: number): void {
    this.#lookedAt = now
    this.#watches.primary?.link.expire(now, answerTimeoutUs)
    for (const watch of this.#replicas.values()) {
      watch.link.expire(now, answerTimeoutUs)
      watch.poll(now)
    }
    if (this.#replicas.size > 0) this.#sample()
  }

  // Servers.

  #follow(before: RoutedDatabase | null): void {
    const anew = before?.epoch !== this.#database.epoch
    if (anew) this.#forget()
    this.#watches.follow(this.#database, anew)
    this.#catalogue.use(this.#watches.primary?.link.target ?? null)
    this.#choice.use(
      settingsOf(this.#database),
      [...this.#replicas.values()].map(watch => watch.standing),
    )
  }

  #forget(): void {
    this.#horizon.forget()
    this.#history.forget()
    for (const { standing } of this.#replicas.values()) standing.caughtUp = false
    // They know positions of a log that may not go on.
    this.#reads.settle(() => this.#gone('primary:not-fresh'))
  }

  #primaryOpened(lossy: boolean): void {
    this.#serverLossy = lossy
    // Its life may be another than the one that was sampled.
    this.#forget()
    this.#catalogue.read()
    this.#sample()
  }

  #replicaMoved(standing: ReplicaStanding): void {
    this.#age(standing)
    if (this.#reads.count > 0) this.#settle()
  }
}

function settingsOf({ balance, lag }: RoutedDatabase): {
  readonly balance: RoutedDatabase['balance']
  readonly lessFromMs: number
  readonly notFromMs: number
} {
  return { balance, ...lag }
}
