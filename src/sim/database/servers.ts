// PostgreSQL servers in virtual time: a log of positions, who copies from whom, what is flushed where, what is replayed. One
// write is one position. True to the real ones in what decides staleness and loss; knows nothing of routers or failover.

import type { CheckedDatabaseLoad } from '../../file/checked-workload.ts'
import { assert } from '../../kit/failure.ts'
import { type Engine, Law, type Stream } from '../core/index.ts'
import { Station } from '../models/station.ts'
import type { Window } from '../models/window.ts'

/**
 * running    answers
 * suspended  alive and silent
 * ended      no process
 */
export type ServerProcess = 'running' | 'suspended' | 'ended'

export class Server {
  readonly id: string
  readonly index: number
  readonly zone: number
  readonly station: Station
  process: ServerProcess = 'running'
  role: 'primary' | 'replica' = 'replica'
  /** Index of the branch of the log that it is on. */
  branch = 0
  /** Flushed up to here, and replayed: positions of its branch. */
  flushed = 0
  replayed = 0
  /** Whom it copies from; -1: nobody. */
  upstream = -1
  /** Replicas that a commit waits for: `need` of `names`. */
  need = 0
  names: readonly number[] = []
  fenced = false
  broken = false
  /** A step of the agent is under way with it. */
  busy = false
  /** Held down by a fault: does not start. */
  held = 0
  /** Messages to and from others arrive later; its disk takes so many times as long. */
  delayUs = 0
  diskTimes = 1
  /** It replays nothing newer than so long ago. */
  lagUs = 0
  /** The router and the agent can't hear it. */
  cutOff = 0
  /** Grows with each process. */
  life = 1
  /** The replay worker. */
  applying = false
  appliedTime = 0
  /** When the next position may arrive at the earliest: a stream keeps its order. */
  arrivesAt = 0

  constructor(id: string, index: number, zone: number, station: Station) {
    this.id = id
    this.index = index
    this.zone = zone
    this.station = station
  }
}

/** A branch of the log: where it left another one. The first has no parent. */
interface Branch {
  readonly parent: number
  readonly forkAt: number
}

const ringSize = 1 << 20

export class Servers {
  readonly all: readonly Server[]
  readonly branches: Branch[] = [{ parent: -1, forkAt: 0 }]
  /** Pairs of servers that can't hear each other, as `a * count + b` both ways. */
  readonly cuts: Map<number, number> = new Map()
  /** Of the last positions of the primary's branch: committed at, and acknowledged to a client. */
  readonly #committedAt = new Float64Array(ringSize)
  readonly #acknowledged = new Uint8Array(ringSize)
  readonly #engine: Engine
  readonly #apply: Law
  readonly #shipping: Law
  readonly #network: Stream
  readonly #replay: Stream
  readonly #codes: { receive: number; applied: number; report: number; allowed: number }
  /** A replica has flushed more: a commit may be acknowledged now. */
  onFlushed: (replica: Server) => void = () => {}
  onReplayed: (replica: Server) => void = () => {}

  constructor(
    engine: Engine,
    name: string,
    count: number,
    zones: number,
    load: CheckedDatabaseLoad,
    window: Window,
    done: (statement: number) => void,
  ) {
    this.#engine = engine
    this.#apply = new Law(load.applyTime)
    this.#shipping = new Law(load.shippingTime)
    this.#network = engine.stream(`${name} shipping`)
    this.#replay = engine.stream(`${name} replay`)
    this.#codes = {
      receive: engine.on(`${name} receives`, (server, life) => this.#receive(server, life)),
      applied: engine.on(`${name} replays`, (server, life) => this.#applied(server, life)),
      report: engine.on(`${name} reports`, (server, life) => this.#reported(server, life)),
      allowed: engine.on(`${name} may replay`, (server, life) => this.#mayApply(server, life)),
    }
    const options = { servers: load.concurrency, discipline: 'fifo' as const, queueMax: null }
    this.all = Array.from({ length: count }, (_, index) => {
      const id = `${name}-${index + 1}`
      return new Server(id, index, (index % zones) + 1, new Station(engine, id, options, window, done))
    })
    this.#received = Array.from({ length: count }, () => [])
  }

  /** Positions on their way or arrived, by server, in order: a message carries everything up to its position. */
  readonly #received: { at: number; upTo: number; branch: number }[][]

  /** May `server` go on from `from`'s log as it is? */
  fits(server: Server, from: Server): boolean {
    let { branch } = from
    let limit = from.flushed
    for (;;) {
      if (branch === server.branch) return server.flushed <= limit
      const { parent, forkAt } = this.branches[branch] as Branch
      if (parent < 0) return false
      limit = Math.min(limit, forkAt)
      branch = parent
    }
  }

  hears(a: Server, b: Server): boolean {
    return !this.cuts.has(a.index * this.all.length + b.index)
  }

  /** Whom it streams from now; null: nobody. */
  upstreamOf(server: Server): Server | null {
    const upstream = this.all[server.upstream]
    if (upstream === undefined || server.process !== 'running' || server.role !== 'replica') return null
    if (upstream.process !== 'running' || !this.hears(server, upstream)) return null
    return this.fits(server, upstream) ? upstream : null
  }

  /** A write of the primary is on its disk: its position. */
  commit(primary: Server): number {
    const position = ++primary.flushed
    primary.replayed = position
    const at = position & (ringSize - 1)
    this.#committedAt[at] = this.#engine.now
    this.#acknowledged[at] = 0
    this.ship(primary)
    return position
  }

  committedAt(position: number): number {
    return this.#committedAt[position & (ringSize - 1)] as number
  }
  acknowledge(position: number): void {
    this.#acknowledged[position & (ringSize - 1)] = 1
  }

  /** Commits that clients were told of, above a position of the former primary's branch. */
  acknowledgedAbove(position: number, former: Server): number {
    let count = 0
    const from = Math.max(position + 1, former.flushed - ringSize + 1)
    for (let at = from; at <= former.flushed; at++) count += this.#acknowledged[at & (ringSize - 1)] as number
    return count
  }

  /** All that stream from it are sent what it has. */
  ship(from: Server): void {
    for (const server of this.all) if (this.upstreamOf(server) === from) this.send(from, server)
  }

  send(from: Server, to: Server): void {
    const { now } = this.#engine
    const delay = this.#shipping.draw(this.#network) + from.delayUs + to.delayUs
    to.arrivesAt = Math.max(to.arrivesAt, now + delay)
    ;(this.#received[to.index] as { at: number; upTo: number; branch: number }[]).push({
      at: to.arrivesAt,
      upTo: from.flushed,
      branch: from.branch,
    })
    this.#engine.at(to.arrivesAt, this.#codes.receive, to.index, to.life)
  }

  #receive(index: number, life: number): void {
    const server = this.all[index] as Server
    const message = (this.#received[index] as { at: number; upTo: number; branch: number }[]).shift()
    if (message === undefined || server.life !== life || this.upstreamOf(server) === null) return
    if (message.branch !== server.branch && !this.#isBefore(server, message)) return
    server.branch = message.branch
    if (message.upTo <= server.flushed) return
    server.flushed = message.upTo
    this.#engine.after(
      this.#shipping.draw(this.#network) + server.delayUs,
      this.#codes.report,
      index,
      server.life,
    )
    this.ship(server)
    this.#beginApply(server)
  }

  #isBefore(server: Server, message: { readonly branch: number }): boolean {
    let { branch } = message
    let limit = Number.POSITIVE_INFINITY
    while (branch !== server.branch) {
      const { parent, forkAt } = this.branches[branch] as Branch
      if (parent < 0) return false
      limit = Math.min(limit, forkAt)
      branch = parent
    }
    return server.flushed <= limit
  }

  #reported(index: number, life: number): void {
    const server = this.all[index] as Server
    if (server.life === life && this.upstreamOf(server) !== null) this.onFlushed(server)
  }

  #beginApply(server: Server): void {
    if (server.applying || server.replayed >= server.flushed || server.process !== 'running') return
    const { now } = this.#engine
    const dueAt = server.lagUs === 0 ? now : this.committedAt(server.replayed + 1) + server.lagUs
    server.applying = true
    if (dueAt > now) this.#engine.at(Math.round(dueAt), this.#codes.allowed, server.index, server.life)
    else
      this.#engine.after(
        this.#apply.draw(this.#replay, server.diskTimes),
        this.#codes.applied,
        server.index,
        server.life,
      )
  }

  #mayApply(index: number, life: number): void {
    const server = this.all[index] as Server
    if (server.life !== life) return
    server.applying = false
    this.#beginApply(server)
  }

  #applied(index: number, life: number): void {
    const server = this.all[index] as Server
    if (server.life !== life) return
    server.applying = false
    if (server.process !== 'running' || server.role !== 'replica') return
    server.replayed = Math.min(server.flushed, server.replayed + 1)
    this.onReplayed(server)
    this.#beginApply(server)
  }

  // --- lives ---------------------------------------------------------------------------------------------------------

  /** Its process ends, with what it worked on. */
  end(server: Server): void {
    if (server.process === 'ended') return
    server.process = 'ended'
    server.life++
    server.applying = false
    ;(this.#received[server.index] as unknown[]).length = 0
    server.arrivesAt = 0
    server.station.clear(() => {})
  }

  /** As what it is on its disk. */
  start(server: Server): void {
    server.process = 'running'
    server.life++
    server.replayed = Math.min(server.replayed, server.flushed)
    this.#join(server)
  }

  suspend(server: Server): void {
    if (server.process !== 'running') return
    server.process = 'suspended'
    server.station.stop()
  }
  wake(server: Server): void {
    if (server.process !== 'suspended') return
    server.process = 'running'
    server.station.resume()
    this.#join(server)
  }

  /** It has a connection to its upstream again: what it lacks is sent. */
  #join(server: Server): void {
    const upstream = this.upstreamOf(server)
    if (upstream !== null) this.send(upstream, server)
    for (const other of this.all) if (this.upstreamOf(other) === server) this.send(server, other)
    this.#beginApply(server)
  }

  /** All that can hear each other again go on. */
  rejoin(): void {
    for (const server of this.all) if (server.process === 'running') this.#join(server)
  }

  promote(server: Server): void {
    assert(server.process === 'running', `${server.id} is promoted and does not run`)
    if (server.role === 'replica') {
      this.branches.push({ parent: server.branch, forkAt: server.flushed })
      server.branch = this.branches.length - 1
    }
    server.role = 'primary'
    server.upstream = -1
    server.replayed = server.flushed
    server.applying = false
    server.life++
  }

  /** False: their logs went different ways. */
  follow(server: Server, from: Server): boolean {
    server.role = 'replica'
    server.upstream = from.index
    server.process = 'running'
    server.fenced = false
    server.life++
    server.applying = false
    if (!this.fits(server, from)) {
      this.end(server)
      server.fenced = true
      return false
    }
    this.#join(server)
    return true
  }

  /** A fresh copy. */
  clone(server: Server, from: Server): void {
    server.branch = from.branch
    server.flushed = server.replayed = from.flushed
    server.broken = false
    server.process = 'running'
    this.follow(server, from)
  }

  /** Changed lags and delays: whoever waits looks again. */
  wakeReplay(server: Server): void {
    if (!server.applying) this.#beginApply(server)
  }

  /** The timeline as PostgreSQL counts it. */
  timelineOf(server: Server): number {
    let count = 1
    for (let { parent } = this.branches[server.branch] as Branch; parent >= 0; ) {
      count++
      parent = (this.branches[parent] as Branch).parent
    }
    return count
  }
}
