// Where a read goes, in virtual time: the questions of src/database/reads/planner.ts in its order, each answered by the same
// policy (policy/fresh-read, policy/replica). Samples of the primary and polls of replicas take a round trip.

import type { CheckedDatabase } from '../../file/checked-databases.ts'
import { Need, ReadHorizon, type SessionNeed, WaitEstimate } from '../../policy/fresh-read.ts'
import { ReplicaChoice, type ReplicaSettings, ReplicaStanding } from '../../policy/replica.ts'
import { LagHistory } from '../../policy/replica-lag.ts'
import type { Engine, Law, Stream } from '../core/index.ts'
import type { Server, Servers } from './servers.ts'

/** As in production: polled so often while somebody waits, else so often; the planner's own bounds. */
const hurryUs = 1_000
const watchUs = 250_000
const waitingMax = 4_096
const sessionsMax = 1_000_000

/** The read goes to the primary; it waits, and is told later. */
export const toPrimary = -1
export const waits = -2

interface Waiting {
  readonly statement: number
  sample: number
  lsn: number
  readonly session: number
  readonly since: number
  readonly deadline: number
}

export class Reads {
  readonly standings: readonly ReplicaStanding[]
  /** Index of the server of each standing. */
  readonly #serverOf: number[]
  readonly #engine: Engine
  readonly #database: CheckedDatabase
  readonly #servers: Servers
  readonly #choice: ReplicaChoice
  readonly #horizon = new ReadHorizon()
  readonly #history = new LagHistory(1_000)
  readonly #estimate = new WaitEstimate()
  readonly #random: Stream
  readonly #network: Stream
  readonly #inside: Law
  readonly #sessions = new Map<number, SessionNeed>()
  readonly #waiting: Waiting[] = []
  readonly #resume: (statement: number, server: number) => void
  readonly #codes: {
    sampled: number
    sampleBack: number
    polled: number
    pollBack: number
    tick: number
    hurry: number
  }
  #primary: Server | null = null
  #sampling = 0
  #sampleWanted = 0
  #sampleBegan = 0
  #sampleLsn = 0
  #sampleTimeline = 0
  readonly #polling: boolean[]
  readonly #polledLsn: number[]
  #hurrying = false

  constructor(
    engine: Engine,
    database: CheckedDatabase,
    servers: Servers,
    inside: Law,
    resume: (statement: number, server: number) => void,
  ) {
    this.#engine = engine
    this.#database = database
    this.#servers = servers
    this.#inside = inside
    this.#resume = resume
    this.#random = engine.stream(`${database.name} replicas`)
    this.#network = engine.stream(`${database.name} monitor`)
    const settings: ReplicaSettings = { balance: database.balance, ...database.lag }
    this.#choice = new ReplicaChoice(settings)
    this.standings = servers.all.map(({ id }) => {
      const standing = new ReplicaStanding(id)
      standing.weight = database.weights[id] ?? 1
      const member =
        database.servers.kind === 'embedded' ? database.servers.members.find(one => one.id === id) : undefined
      standing.delayed = (member?.delayMs ?? 0) > 0
      return standing
    })
    this.#serverOf = []
    this.#polling = servers.all.map(() => false)
    this.#polledLsn = servers.all.map(() => -1)
    this.#codes = {
      sampled: engine.on(`${database.name} sample`, number => this.#sampled(number)),
      sampleBack: engine.on(`${database.name} sample back`, number => this.#sampleBack(number)),
      polled: engine.on(`${database.name} poll`, server => this.#polled(server)),
      pollBack: engine.on(`${database.name} poll back`, server => this.#pollBack(server)),
      tick: engine.on(`${database.name} watch`, () => this.#watch()),
      hurry: engine.on(`${database.name} hurry`, () => this.#hurry()),
    }
    engine.after(0, this.#codes.tick)
  }

  /** Another primary, or none. */
  follow(primary: Server | null): void {
    if (primary !== this.#primary) {
      this.#horizon.forget()
      this.#history.forget()
      for (const one of this.#waiting.splice(0)) this.#resume(one.statement, toPrimary)
    }
    this.#primary = primary
    this.#serverOf.length = 0
    const used: ReplicaStanding[] = []
    for (const [index, standing] of this.standings.entries()) {
      const server = this.#servers.all[index] as Server
      if (server === primary) continue
      standing.ready = server.role === 'replica'
      used.push(standing)
      this.#serverOf.push(index)
    }
    const settings: ReplicaSettings = { balance: this.#database.balance, ...this.#database.lag }
    this.#choice.use(settings, used)
    if (used.length > 0) this.#want(this.#horizon.next)
  }

  /** A write of this session was acknowledged. */
  wrote(session: number): void {
    const covering = this.#horizon.wrote()
    if (this.#database.reads.kind !== 'session') return
    const state = this.#sessions.get(session)
    if (state !== undefined) state.lastWrite = covering
    else {
      // The one that wrote longest ago is forgotten: its reads see no less than a moment that long ago.
      if (this.#sessions.size >= sessionsMax)
        for (const first of this.#sessions.keys()) if (this.#sessions.delete(first)) break
      this.#sessions.set(session, { lastWrite: covering, after: null })
    }
  }

  /** Index of a server, `toPrimary`, or `waits`. */
  place(statement: number, session: number): number {
    const { reads } = this.#database
    const { now } = this.#engine
    if (reads.kind === 'primary') return toPrimary
    if (!this.#choice.anyUsable(now)) return this.#withoutReplicas(reads.kind === 'any', now)
    if (reads.kind === 'any') return this.#indexOf(this.#choice.pickAny(now, this.#random))
    if (reads.kind === 'maxLag') return this.#within(now, reads.maxLagMs * 1000)
    return this.#behind(statement, session, now)
  }

  #withoutReplicas(any: boolean, now: number): number {
    return any && this.#primary === null ? this.#indexOf(this.#choice.pickLast(now)) : toPrimary
  }

  #indexOf(standing: ReplicaStanding | null): number {
    return standing === null ? toPrimary : this.standings.indexOf(standing)
  }

  #within(now: number, lagMaxUs: number): number {
    const found = this.#choice.pickWithin(now, lagMaxUs, this.#random)
    if (found !== null || this.#primary !== null) return this.#indexOf(found)
    return this.#horizon.freshNeed(this.#database.shared) === Need.position
      ? this.#indexOf(this.#choice.pickAt(now, this.#horizon.timeline, this.#horizon.needLsn, this.#random))
      : toPrimary
  }

  #needOf(session: number): number {
    if (this.#database.reads.kind !== 'session') return this.#horizon.freshNeed(this.#database.shared)
    const state = this.#sessions.get(session)
    return state === undefined ? Need.nothing : this.#horizon.sessionNeed(state)
  }

  #behind(statement: number, session: number, now: number): number {
    const horizon = this.#horizon
    const need = this.#needOf(session)
    if (need === Need.nothing) return this.#indexOf(this.#choice.pickAny(now, this.#random))
    if (need === Need.otherTimeline) return toPrimary
    if (need === Need.position) {
      const found = this.#choice.pickAt(now, horizon.timeline, horizon.needLsn, this.#random)
      if (found !== null) return this.#indexOf(found)
    }
    const sample = need === Need.sample ? horizon.needSample : 0
    if (!this.#mayWait(now, sample)) {
      this.#want(sample)
      return toPrimary
    }
    const deadline = now + this.#database.readWaitMs * 1000
    this.#waiting.push({
      statement,
      sample,
      lsn: sample === 0 ? horizon.needLsn : -1,
      session,
      since: now,
      deadline,
    })
    this.#want(sample)
    this.#pollAll()
    this.#planHurry()
    return waits
  }

  #mayWait(now: number, sample: number): boolean {
    if (this.#waiting.length >= waitingMax || this.#horizon.timeline === 0) return false
    if (sample > 0 && !this.#answers(this.#primary)) return false
    return this.#estimate.worth(now, this.#database.readWaitMs * 1000)
  }

  cancel(statement: number): void {
    const at = this.#waiting.findIndex(one => one.statement === statement)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  began(server: number): void {
    this.#choice.began(this.standings[server] as ReplicaStanding)
  }
  ended(server: number, latencyUs: number, failed: boolean): void {
    this.#choice.ended(this.standings[server] as ReplicaStanding, this.#engine.now, latencyUs, failed)
  }

  // --- samples and polls ---------------------------------------------------------------------------------------------

  #answers(server: Server | null): boolean {
    return server !== null && server.process === 'running' && server.cutOff === 0
  }

  #want(sample: number): void {
    if (sample > this.#sampleWanted) this.#sampleWanted = sample
    if (this.#sampleWanted >= this.#horizon.next && this.#sampling === 0) this.#sample()
  }

  #sample(): void {
    if (!this.#answers(this.#primary)) return
    this.#sampling = this.#horizon.began()
    this.#sampleBegan = this.#engine.now
    this.#engine.after(this.#way(this.#primary as Server), this.#codes.sampled, this.#sampling)
  }

  #way(server: Server): number {
    return this.#inside.draw(this.#network) + server.delayUs
  }

  #sampled(number: number): void {
    const primary = this.#primary
    if (number !== this.#sampling) return
    if (!this.#answers(primary) || primary === null) {
      this.#sampling = 0
      return
    }
    this.#sampleLsn = primary.flushed
    this.#sampleTimeline = this.#servers.timelineOf(primary)
    this.#engine.after(this.#way(primary), this.#codes.sampleBack, number)
  }

  #sampleBack(number: number): void {
    if (number !== this.#sampling) return
    this.#sampling = 0
    if (this.#horizon.sampled(number, this.#sampleTimeline, this.#sampleLsn)) {
      this.#history.sampled(this.#sampleBegan, this.#sampleLsn)
      for (const index of this.#serverOf) this.#age(this.standings[index] as ReplicaStanding)
      this.#settle()
    }
    this.#want(0)
  }

  #age(standing: ReplicaStanding): void {
    if (standing.lsn < 0 || standing.timeline !== this.#horizon.timeline) {
      standing.caughtUp = false
      return
    }
    standing.asOf = Math.max(standing.asOf, this.#history.asOf(standing.lsn))
    standing.caughtUp = standing.lsn >= this.#horizon.lsn
  }

  #pollAll(): void {
    for (const index of this.#serverOf) this.#poll(index)
  }

  #poll(index: number): void {
    const server = this.#servers.all[index] as Server
    if (this.#polling[index] || (this.standings[index] as ReplicaStanding).delayed) return
    if (!this.#answers(server)) {
      ;(this.standings[index] as ReplicaStanding).forget()
      return
    }
    this.#polling[index] = true
    this.#engine.after(this.#way(server), this.#codes.polled, index)
  }

  #polled(index: number): void {
    const server = this.#servers.all[index] as Server
    if (!this.#answers(server)) {
      this.#polling[index] = false
      ;(this.standings[index] as ReplicaStanding).forget()
      return
    }
    this.#polledLsn[index] = server.role === 'replica' ? server.replayed : -1
    this.#engine.after(this.#way(server), this.#codes.pollBack, index)
  }

  #pollBack(index: number): void {
    this.#polling[index] = false
    const standing = this.standings[index] as ReplicaStanding
    const server = this.#servers.all[index] as Server
    standing.watched = true
    standing.lsn = this.#polledLsn[index] as number
    standing.timeline = this.#servers.timelineOf(server)
    standing.ready = server.role === 'replica' && server !== this.#primary
    this.#age(standing)
    if (this.#waiting.length > 0) this.#settle()
  }

  #watch(): void {
    this.#engine.after(watchUs, this.#codes.tick)
    this.#pollAll()
    if (this.#serverOf.length > 0 && this.#sampling === 0) this.#sample()
    this.#settle()
  }

  #planHurry(): void {
    if (this.#hurrying || this.#waiting.length === 0) return
    this.#hurrying = true
    this.#engine.after(hurryUs, this.#codes.hurry)
  }

  #hurry(): void {
    this.#hurrying = false
    this.#settle()
    this.#want(0)
    if (this.#waiting.length > 0) this.#pollAll()
    this.#planHurry()
  }

  /** First in, first out. */
  #settle(): void {
    const { now } = this.#engine
    for (let at = 0; at < this.#waiting.length; ) {
      const one = this.#waiting[at] as Waiting
      const server = this.#judge(one, now)
      if (server === waits) at++
      else {
        this.#waiting.splice(at, 1)
        this.#resume(one.statement, server)
      }
    }
  }

  #judge(one: Waiting, now: number): number {
    if (one.sample > 0) this.#learn(one)
    if (one.sample === 0) {
      const found = this.#choice.pickAt(now, this.#horizon.timeline, one.lsn, this.#random)
      if (found !== null) {
        this.#estimate.ended(now - one.since, now)
        return this.#indexOf(found)
      }
    }
    if (now >= one.deadline) this.#estimate.ended(2 * this.#database.readWaitMs * 1000, now)
    else if (one.sample === 0 || this.#answers(this.#primary)) return waits
    return toPrimary
  }

  #learn(one: Waiting): void {
    const lsn = this.#horizon.lsnOf(one.sample)
    if (lsn < 0) return
    one.sample = 0
    one.lsn = lsn
    const state = this.#database.reads.kind === 'session' ? this.#sessions.get(one.session) : undefined
    if (state !== undefined && this.#horizon.sessionNeed(state) === Need.position)
      one.lsn = Math.max(lsn, this.#horizon.needLsn)
  }

  lagUs(server: number, now: number): number | null {
    const lag = (this.standings[server] as ReplicaStanding).lagUs(now)
    return lag < 0 ? null : lag
  }
}
