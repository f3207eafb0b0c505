// A database behind its router in virtual time: statements are placed, wait for a connection, run on a server, commit when the
// promised copies have them, and are held while there is no primary. What decides is in policy; here it is put together.

import type { CheckedDatabase } from '../../file/checked-databases.ts'
import type { CheckedFaultKind, CheckedFaultTarget } from '../../file/checked-rehearsals.ts'
import type { CheckedDatabaseLoad } from '../../file/checked-workload.ts'
import { type Engine, estimate, Law, type Stream } from '../core/index.ts'
import { Sketch } from '../core/statistics.ts'
import { Deadlines } from '../models/deadlines.ts'
import { Table } from '../models/table.ts'
import type { ConsistencyResult, PartResult } from '../result.ts'
import {
  type DatabaseEvents,
  type DatabasePort,
  StatementEnd,
  type StatementEndCode,
} from '../system/database-port.ts'
import type { World } from '../system/world.ts'
import { Agent } from './agent.ts'
import { Reads, toPrimary, waits } from './reads.ts'
import { type Server, Servers } from './servers.ts'
import { Staleness } from './staleness.ts'

/** Where a statement is. */
const State = { read: 1, held: 2, pool: 3, way: 4, runs: 5, commits: 6, back: 7 } as const

const fields = {
  token: 'i32',
  write: 'i32',
  key: 'i32',
  session: 'i32',
  server: 'i32',
  serverLife: 'i32',
  place: 'i32',
  state: 'i32',
  position: 'f64',
  began: 'f64',
  sentAt: 'f64',
  end: 'i32',
  /** In the pool's line. */
  queuedAt: 'f64',
} as const

const rowsMax = 4_194_304
/** Times without a write that are shorter are ordinary latency. */
const gapLeastUs = 100_000

interface Pool {
  used: number
  readonly waiting: number[]
}

export class DatabaseModel implements DatabasePort {
  readonly gauges: DatabasePort['gauges']
  readonly #world: World
  readonly #engine: Engine
  readonly #database: CheckedDatabase
  readonly #servers: Servers
  readonly #agent: Agent
  readonly #reads: Reads
  readonly #events: DatabaseEvents
  readonly #table = new Table(fields, rowsMax)
  readonly #rows = new Map<number, number>()
  readonly #readTime: Law
  readonly #writeTime: Law
  readonly #work: Stream
  readonly #network: Stream
  readonly #inside: Law
  readonly #pools: readonly Pool[]
  readonly #held: number[] = []
  readonly #commits: number[][]
  readonly #stranded: number[] = []
  readonly #staleness = new Staleness()
  readonly #propagation = new Sketch()
  readonly #holdLimit: Deadlines
  readonly #poolLimit: Deadlines
  readonly #codes: { arrive: number; back: number }
  #open: Server | null = null
  #everywhere = 0
  #writes = 0
  #lost = 0
  #refusedReads = 0
  #refusedWrites = 0
  #pendingWrites = 0
  #pendingSince = 0
  #lastAck = 0
  #gapMax = 0

  constructor(
    world: World,
    name: string,
    database: CheckedDatabase,
    load: CheckedDatabaseLoad,
    events: DatabaseEvents,
  ) {
    const { engine, window, blueprint } = world
    this.#world = world
    this.#engine = engine
    this.#database = database
    this.#events = events
    this.#readTime = new Law(load.readTime)
    this.#writeTime = new Law(load.writeTime)
    this.#work = engine.stream(`${name} statements`)
    this.#network = engine.stream(`${name} network`)
    this.#inside = world.network.inside
    const count =
      database.servers.kind === 'embedded' ? database.servers.members.length : database.servers.urls.length
    const zones = blueprint.workload.machine.zones
    this.#servers = new Servers(engine, name, count, zones, load, window, row => this.#ran(row))
    this.#begin(database)
    this.#pools = this.#servers.all.map(() => ({ used: 0, waiting: [] }))
    this.#commits = this.#servers.all.map(() => [])
    this.#codes = {
      arrive: engine.on(`${name} statement`, (row, life) => this.#arrive(row, life)),
      back: engine.on(`${name} answer`, (row, life) => this.#answered(row, life)),
    }
    this.#holdLimit = this.#limit(`${name} held`, database.hold.timeoutMs, State.held)
    this.#poolLimit = this.#limit(`${name} waits`, database.pool.waitTimeoutMs, State.pool)
    this.#reads = new Reads(engine, database, this.#servers, this.#inside, (row, server) =>
      this.#placed(row, server),
    )
    this.#servers.onFlushed = () => this.#acknowledge()
    this.#servers.onReplayed = () => this.#spread()
    this.#agent = new Agent(engine, database, this.#servers, {
      opened: (_, primary) => this.#opened(primary),
      ended: server => this.#serverEnded(server),
      promoted: (server, former) => this.#promoted(server, former),
      decide: (what, why) => events.decide('failover', name, what, why),
    })
    const replicas = this.#servers.all.slice(1)
    this.gauges = [
      {
        id: `${name}.waiting`,
        label: `${name}: statements that wait for a connection`,
        unit: 'count' as const,
      },
      ...replicas.map(({ id }) => ({
        id: `${id}.behind`,
        label: `${id}: behind the primary`,
        unit: 'us' as const,
      })),
    ]
  }

  #begin(database: CheckedDatabase): void {
    const [first, ...others] = this.#servers.all
    if (first === undefined) return
    first.role = 'primary'
    for (const server of others) {
      const member = database.servers.kind === 'embedded' ? database.servers.members[server.index] : undefined
      const from = this.#servers.all.find(({ id }) => id === member?.from)
      server.upstream = (from ?? first).index
      server.lagUs = (member?.delayMs ?? 0) * 1000
    }
  }

  #limit(name: string, ms: number, state: number): Deadlines {
    return new Deadlines(
      this.#engine,
      name,
      Math.max(1, ms) * 1000,
      (row, life) => this.#table.lives[row] === life && this.#table.at.state[row] === state,
      row => this.#refuse(row),
    )
  }

  // --- a statement ---------------------------------------------------------------------------------------------------

  statement(token: number, write: boolean, key: number, session: number): void {
    const row = this.#table.take()
    if (row < 0) throw new Error(`simulation: more than ${rowsMax} statements at once`)
    const { at } = this.#table
    this.#rows.set(token, row)
    at.token[row] = token
    at.write[row] = write ? 1 : 0
    at.key[row] = key
    at.session[row] = session
    at.began[row] = this.#engine.now
    at.end[row] = StatementEnd.ok
    at.server[row] = -1
    at.position[row] = 0
    at.sentAt[row] = -1
    if (write && this.#pendingWrites++ === 0) this.#pendingSince = this.#engine.now
    // Placed in an event of its own: `done` is never called before this returns.
    at.state[row] = State.read
    this.#engine.after(0, this.#codes.arrive, row, this.#table.lives[row])
  }

  #arrive(row: number, life: number): void {
    const { at, lives } = this.#table
    if (lives[row] !== life) return
    if (at.state[row] === State.way) {
      this.#atServer(row)
      return
    }
    if (at.write[row] === 1) {
      this.#toPrimary(row)
      return
    }
    const server = this.#reads.place(row, at.session[row] as number)
    if (server !== waits) this.#placed(row, server)
  }

  #placed(row: number, server: number): void {
    if (server === toPrimary) this.#toPrimary(row)
    else this.#connect(row, this.#servers.all[server] as Server)
  }

  #toPrimary(row: number): void {
    if (this.#open !== null) {
      this.#connect(row, this.#open)
      return
    }
    if (this.#held.length >= this.#database.hold.statementsMax) {
      this.#refuse(row)
      return
    }
    this.#table.at.state[row] = State.held
    this.#held.push(row)
    this.#holdLimit.begin(row, this.#table.lives[row] as number)
  }

  #connect(row: number, server: Server): void {
    const pool = this.#pools[server.index] as Pool
    const { at } = this.#table
    at.server[row] = server.index
    if (pool.used < this.#database.pool.sizeMax) {
      pool.used++
      this.#send(row, server)
    } else if (pool.waiting.length >= this.#database.pool.waitingMax) this.#refuse(row)
    else {
      at.state[row] = State.pool
      pool.waiting.push(row)
      this.#poolLimit.begin(row, this.#table.lives[row] as number)
    }
  }

  #send(row: number, server: Server): void {
    const { at, lives } = this.#table
    at.state[row] = State.way
    at.sentAt[row] = this.#engine.now
    at.serverLife[row] = server.life
    if (at.write[row] === 0 && server !== this.#open) this.#reads.began(server.index)
    this.#engine.after(this.#inside.draw(this.#network) + server.delayUs, this.#codes.arrive, row, lives[row])
  }

  #atServer(row: number): void {
    const { at } = this.#table
    const server = this.#servers.all[at.server[row] as number] as Server
    if (server.process === 'ended' || server.life !== at.serverLife[row]) {
      this.#fail(row, server)
      return
    }
    const isWrite = at.write[row] === 1
    // A former primary that clients were still sent to: it takes no writes as a replica.
    if (isWrite && server.role !== 'primary') {
      this.#fail(row, server)
      return
    }
    if (!isWrite) {
      const counts = (at.began[row] as number) >= this.#world.window.fromUs
      const seen = server.role === 'primary' ? Number.POSITIVE_INFINITY : server.replayed
      this.#staleness.read(at.key[row] as number, seen, at.began[row] as number, this.#engine.now, counts)
    }
    at.state[row] = State.runs
    const law = isWrite ? this.#writeTime : this.#readTime
    const place = server.station.submit(row, law.draw(this.#work, isWrite ? server.diskTimes : 1))
    at.place[row] = place
  }

  /** The server has worked on it. */
  #ran(row: number): void {
    const { at } = this.#table
    const server = this.#servers.all[at.server[row] as number] as Server
    if (at.write[row] === 0) {
      this.#back(row, server, StatementEnd.ok)
      return
    }
    at.position[row] = this.#servers.commit(server)
    if (server.need === 0) {
      this.#committed(row, server)
      return
    }
    at.state[row] = State.commits
    ;(this.#commits[server.index] as number[]).push(row)
    this.#acknowledge()
  }

  /** Commits of primaries that stand where they were promised to stand. */
  #acknowledge(): void {
    for (const server of this.#servers.all) {
      const waiting = this.#commits[server.index] as number[]
      if (waiting.length === 0 || server.process !== 'running') continue
      const standing = this.#standing(server)
      while (waiting.length > 0 && (this.#table.at.position[waiting[0] as number] as number) <= standing)
        this.#committed(waiting.shift() as number, server)
    }
  }

  /** The position that at least `need` of the named replicas have. */
  #standing(server: Server): number {
    const positions = server.names
      .map(index => this.#servers.all[index])
      .map(replica => (replica !== undefined && this.#streams(replica, server) ? replica.flushed : -1))
      .sort((a, b) => b - a)
    return server.need === 0 ? Number.POSITIVE_INFINITY : (positions[server.need - 1] ?? -1)
  }

  #streams(replica: Server, from: Server): boolean {
    const upstream = this.#servers.upstreamOf(replica)
    return upstream === from || (upstream !== null && this.#streams(upstream, from))
  }

  #committed(row: number, server: Server): void {
    this.#back(row, server, StatementEnd.ok)
  }

  #back(row: number, server: Server, end: StatementEndCode): void {
    const { at, lives } = this.#table
    at.end[row] = end
    at.state[row] = State.back
    if (server.cutOff > 0) {
      this.#stranded.push(row)
      return
    }
    this.#engine.after(this.#inside.draw(this.#network) + server.delayUs, this.#codes.back, row, lives[row])
  }

  #answered(row: number, life: number): void {
    const { at, lives } = this.#table
    if (lives[row] !== life) return
    const server = this.#servers.all[at.server[row] as number] as Server
    if (at.write[row] === 1 && at.end[row] === StatementEnd.ok) this.#acknowledged(row, server)
    this.#release(row, server, at.end[row] !== StatementEnd.ok)
    this.#finish(row, at.end[row] as StatementEndCode)
  }

  #acknowledged(row: number, server: Server): void {
    const { at } = this.#table
    const { now } = this.#engine
    const position = at.position[row] as number
    if (server.role === 'primary') this.#servers.acknowledge(position)
    this.#staleness.wrote(at.key[row] as number, position, now)
    if ((at.began[row] as number) >= this.#world.window.fromUs) this.#writes++
    this.#reads.wrote(at.session[row] as number)
    const gap = now - Math.max(this.#lastAck, this.#pendingSince)
    if (gap > this.#gapMax && gap >= gapLeastUs && now > this.#world.window.fromUs) this.#gapMax = gap
    this.#lastAck = now
  }

  /** Its connection is free. */
  #release(row: number, server: Server, failed: boolean): void {
    const { at } = this.#table
    if ((at.sentAt[row] as number) < 0) return
    if (at.write[row] === 0 && server !== this.#open && server.role === 'replica')
      this.#reads.ended(server.index, this.#engine.now - (at.sentAt[row] as number), failed)
    at.sentAt[row] = -1
    const pool = this.#pools[server.index] as Pool
    pool.used--
    this.#next(pool, server)
  }

  #next(pool: Pool, server: Server): void {
    while (pool.used < this.#database.pool.sizeMax) {
      const next = pool.waiting.shift()
      if (next === undefined) return
      if (this.#table.at.state[next] !== State.pool || this.#table.at.server[next] !== server.index) continue
      pool.used++
      this.#send(next, server)
    }
  }

  #finish(row: number, end: StatementEndCode): void {
    const { at } = this.#table
    const token = at.token[row] as number
    this.#rows.delete(token)
    if (at.write[row] === 1) this.#pendingWrites--
    at.state[row] = 0
    this.#table.end(row)
    this.#events.done(token, end)
  }

  #fail(row: number, server: Server): void {
    this.#release(row, server, true)
    this.#finish(row, StatementEnd.failed)
  }

  #refuse(row: number): void {
    const { at } = this.#table
    if (at.state[row] === State.held) this.#held.splice(this.#held.indexOf(row), 1)
    if (at.state[row] === State.pool) {
      const { waiting } = this.#pools[at.server[row] as number] as Pool
      waiting.splice(waiting.indexOf(row), 1)
    }
    if ((at.began[row] as number) >= this.#world.window.fromUs) {
      if (at.write[row] === 1) this.#refusedWrites++
      else this.#refusedReads++
    }
    this.#finish(row, StatementEnd.refused)
  }

  cancel(token: number): void {
    const row = this.#rows.get(token)
    if (row === undefined) return
    const { at } = this.#table
    this.#rows.delete(token)
    const server = this.#servers.all[at.server[row] as number]
    const state = at.state[row]
    if (state === State.read) this.#reads.cancel(row)
    if (state === State.held) this.#held.splice(this.#held.indexOf(row), 1)
    if (state === State.pool && server !== undefined) {
      const { waiting } = this.#pools[server.index] as Pool
      waiting.splice(waiting.indexOf(row), 1)
    }
    if (state === State.runs && server !== undefined) server.station.remove(at.place[row] as number)
    if (state === State.commits && server !== undefined) {
      const waiting = this.#commits[server.index] as number[]
      waiting.splice(waiting.indexOf(row), 1)
    }
    const stranded = this.#stranded.indexOf(row)
    if (stranded >= 0) this.#stranded.splice(stranded, 1)
    if (server !== undefined) this.#release(row, server, false)
    if (at.write[row] === 1) this.#pendingWrites--
    at.state[row] = 0
    this.#table.end(row)
  }

  // --- servers come and go -------------------------------------------------------------------------------------------

  #opened(primary: Server | null): void {
    this.#open = primary
    this.#reads.follow(primary)
    if (primary === null) return
    for (const row of this.#held.splice(0)) this.#connect(row, primary)
  }

  /** Its process is gone: what ran there is lost, what waited for a connection to it goes elsewhere. */
  #serverEnded(server: Server): void {
    const { at, rows } = this.#table
    if (this.#open === server) this.#open = null
    ;(this.#commits[server.index] as number[]).length = 0
    const again: number[] = []
    for (let row = 0; row < rows; row++) {
      if (at.server[row] !== server.index) continue
      const state = at.state[row]
      if (state === State.pool) again.push(row)
      // `way` finds nobody there; `back` left before it died.
      else if (state === State.runs || state === State.commits) this.#fail(row, server)
    }
    for (const row of this.#stranded.splice(0)) {
      if (at.server[row] === server.index) this.#fail(row, server)
      else this.#stranded.push(row)
    }
    ;(this.#pools[server.index] as Pool).waiting.length = 0
    for (const row of again) {
      at.state[row] = State.read
      this.#engine.after(0, this.#codes.arrive, row, this.#table.lives[row])
    }
  }

  #promoted(server: Server, former: Server | null): void {
    if (former === null) return
    const lost = this.#servers.acknowledgedAbove(server.flushed, former)
    this.#lost += lost
    this.#staleness.lost(server.flushed)
    this.#everywhere = Math.min(this.#everywhere, server.flushed)
    if (lost > 0)
      this.#events.decide(
        'failover',
        this.#database.name,
        `${lost} acknowledged writes are lost`,
        `${server.id} did not have them, and durability '${this.#database.durability}' waits for no more`,
      )
  }

  /** Positions that every copy shows now. */
  #spread(): void {
    const primary = this.#open
    if (primary === null) return
    let least = primary.flushed
    for (const server of this.#servers.all)
      if (server !== primary && server.lagUs === 0 && !server.broken && server.process === 'running')
        least = Math.min(least, server.replayed)
    const { now } = this.#engine
    while (this.#everywhere < least) {
      const at = this.#servers.committedAt(++this.#everywhere)
      if (at >= this.#world.window.fromUs) this.#propagation.add(now - at)
    }
    this.#staleness.everywhere(least)
  }

  // --- faults --------------------------------------------------------------------------------------------------------

  #targets(target: CheckedFaultTarget): readonly Server[] {
    if (target.kind !== 'database' || target.database !== this.#database.name) return []
    if (target.member !== null) {
      const one = this.#servers.all[target.member - 1]
      return one === undefined ? [] : [one]
    }
    const primary = this.#servers.all.find(({ role, process }) => role === 'primary' && process === 'running')
    return primary === undefined ? [] : [primary]
  }

  /** A fault that has no server of its own choice ends where it began. */
  readonly #chosen = new Map<CheckedFaultKind, readonly Server[]>()

  apply(fault: CheckedFaultKind, on: boolean): string | null {
    if (fault.kind === 'cut') return this.#cut(fault, on)
    const targets = this.#chosen.get(fault) ?? this.#targetsOf(fault)
    if (on) this.#chosen.set(fault, targets)
    else this.#chosen.delete(fault)
    for (const server of targets) {
      const problem = this.#change(server, fault, on)
      if (problem !== null) return problem
    }
    return null
  }

  #targetsOf(fault: CheckedFaultKind): readonly Server[] {
    if (fault.kind === 'zone') return this.#servers.all.filter(({ zone }) => zone === fault.zone)
    return 'target' in fault ? this.#targets(fault.target) : []
  }

  #change(server: Server, fault: CheckedFaultKind, on: boolean): string | null {
    switch (fault.kind) {
      case 'kill':
      case 'zone':
        this.#kill(server, on)
        return null
      case 'hang':
        if (on) this.#servers.suspend(server)
        else this.#servers.wake(server)
        return null
      case 'slow':
        server.station.setSpeed(on ? fault.times : 1)
        return null
      case 'disk':
        server.diskTimes = on ? fault.times : 1
        return null
      case 'delay':
        server.delayUs = on ? Math.round(fault.byMs * 1000) : 0
        return null
      case 'lag':
        server.lagUs = on ? Math.round(fault.byMs * 1000) : 0
        this.#servers.wakeReplay(server)
        return null
      default:
        return `The fault '${fault.kind}' is nothing that a database server has: it changed nothing.`
    }
  }

  #kill(server: Server, on: boolean): void {
    if (on) {
      server.held++
      this.#servers.end(server)
      this.#events.decide('fault', server.id, 'dies', 'killed by the rehearsal')
      this.#serverEnded(server)
    } else server.held = Math.max(0, server.held - 1)
  }

  #cut(fault: CheckedFaultKind & { kind: 'cut' }, on: boolean): null {
    const from = fault.from.flatMap(target => this.#targets(target))
    const to = fault.to.flatMap(target => this.#targets(target))
    const count = this.#servers.all.length
    const change = (key: number): void => {
      const next = (this.#servers.cuts.get(key) ?? 0) + (on ? 1 : -1)
      if (next > 0) this.#servers.cuts.set(key, next)
      else this.#servers.cuts.delete(key)
    }
    for (const a of from)
      for (const b of to) {
        change(a.index * count + b.index)
        change(b.index * count + a.index)
      }
    const outside = (side: readonly CheckedFaultTarget[]): boolean =>
      side.some(({ kind }) => kind !== 'database')
    for (const server of [...(outside(fault.to) ? from : []), ...(outside(fault.from) ? to : [])])
      server.cutOff += on ? 1 : -1
    if (!on) this.#rejoin()
    return null
  }

  #rejoin(): void {
    this.#servers.rejoin()
    const rows = this.#stranded.splice(0)
    for (const row of rows) {
      const server = this.#servers.all[this.#table.at.server[row] as number] as Server
      this.#back(row, server, this.#table.at.end[row] as StatementEndCode)
    }
    this.#acknowledge()
  }

  // --- figures -------------------------------------------------------------------------------------------------------

  gauge(index: number, now: number): number | null {
    if (index === 0) return this.#pools.reduce((sum, pool) => sum + pool.waiting.length, this.#held.length)
    const server = this.#servers.all[index] as Server
    const primary = this.#open
    if (primary === null || server === primary) return server === primary ? 0 : null
    return server.replayed >= primary.flushed ? 0 : now - this.#servers.committedAt(server.replayed + 1)
  }

  results(now: number): { readonly part: PartResult; readonly consistency: ConsistencyResult } {
    const { name } = this.#database
    const stations = this.#servers.all.map(({ station }) => station)
    const sums = (lists: readonly (readonly number[])[]): number[] =>
      (lists[0] ?? []).map((_, at) => lists.reduce((sum, list) => sum + (list[at] as number), 0))
    const mean = (list: readonly number[]): number =>
      list.reduce((a, b) => a + b, 0) / Math.max(1, list.length)
    const busy = sums(stations.map(station => station.busy.means(now)))
    const waiting = sums(stations.map(station => station.waitingLevel.means(now)))
    const cores = stations.reduce((sum, station) => sum + station.servers, 0)
    const shares = busy.map(level => level / Math.max(1, cores))
    const full = stations.flatMap(({ saturatedAtUs }) => (saturatedAtUs === null ? [] : [saturatedAtUs]))
    const inside = busy.map((level, at) => level + (waiting[at] as number))
    const part: PartResult = {
      id: name,
      kind: 'database',
      members: this.#servers.all.filter(({ process }) => process === 'running').length,
      membersMin: this.#servers.all.length,
      membersMax: this.#servers.all.length,
      utilisation: estimate(mean(shares), shares),
      inside: estimate(mean(inside), inside),
      waiting: estimate(mean(waiting), waiting),
      waitingMax: Math.max(...stations.map(station => station.waitingMax)),
      saturatedAtUs: full.length === 0 ? null : Math.max(0, Math.min(...full) - this.#world.window.fromUs),
      hitRatio: null,
      counts: { failovers: this.#agent.failovers },
    }
    const { reads, stale, ages } = this.#staleness
    const copies = this.#propagation.count > 0
    const consistency: ConsistencyResult = {
      database: name,
      topology: this.#topologyText(),
      reads,
      staleReads: stale,
      staleP50Us: ages.quantile(0.5),
      staleMaxUs: ages.max,
      writes: this.#writes,
      lostWrites: this.#lost,
      conflicts: 0,
      refusedReads: this.#refusedReads,
      refusedWrites: this.#refusedWrites,
      propagationP50Us: copies ? this.#propagation.quantile(0.5) : null,
      propagationP99Us: copies ? this.#propagation.quantile(0.99) : null,
      writeGapMaxUs: Math.max(this.#gapMax, this.#openGap(now)),
    }
    return { part, consistency }
  }

  /** Writes that wait at the end have waited for so long. */
  #openGap(now: number): number {
    if (this.#pendingWrites === 0) return 0
    const gap = now - Math.max(this.#lastAck, this.#pendingSince)
    return gap >= gapLeastUs ? gap : 0
  }

  #topologyText(): string {
    const replicas = this.#servers.all.length - 1
    const { durability, reads } = this.#database
    return `${replicas} replica${replicas === 1 ? '' : 's'}, durability ${durability}, reads ${reads.kind}`
  }
}
