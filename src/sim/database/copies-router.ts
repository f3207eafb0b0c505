// A database in another topology than the file's, as its clients meet it: each is served by its own copy, or the next one that can
// be reached; reads ask one copy or a quorum; writes wait as the topology says. What cannot be promised is refused.

import type { CheckedDatabase } from '../../file/checked-databases.ts'
import type { CheckedFaultKind, CheckedFaultTarget, CheckedTopology } from '../../file/checked-rehearsals.ts'
import type { CheckedDatabaseLoad } from '../../file/checked-workload.ts'
import { mix32 } from '../../policy/hash.ts'
import { type Engine, estimate, Law, type Stream } from '../core/index.ts'
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
import { Copies, type Copy } from './copies.ts'

const State = { way: 1, runs: 2, waits: 3, back: 4 } as const
const fields = {
  token: 'i32',
  write: 'i32',
  key: 'i32',
  session: 'i32',
  copy: 'i32',
  copyLife: 'i32',
  place: 'i32',
  state: 'i32',
  began: 'f64',
  version: 'f64',
  /** Answers of a read quorum that are still to come, and the newest version among those that came. */
  missing: 'i32',
  newest: 'f64',
  end: 'i32',
} as const
const rowsMax = 4_194_304
/** A write that is not acknowledged by enough copies within this is given up, as clients would. */
const waitMaxMs = 5_000
const gapLeastUs = 100_000

export class CopiesModel implements DatabasePort {
  readonly gauges: DatabasePort['gauges']
  readonly #world: World
  readonly #engine: Engine
  readonly #name: string
  readonly #topology: CheckedTopology
  readonly #database: CheckedDatabase
  readonly #copies: Copies
  readonly #events: DatabaseEvents
  readonly #table = new Table(fields, rowsMax)
  readonly #rows = new Map<number, number>()
  readonly #readTime: Law
  readonly #writeTime: Law
  readonly #work: Stream
  readonly #network: Stream
  readonly #inside: Law
  readonly #shipping: Law
  readonly #limit: Deadlines
  readonly #codes: { arrive: number; back: number; asked: number; told: number }
  #writes = 0
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
    topology: CheckedTopology,
    events: DatabaseEvents,
  ) {
    const { engine, window, blueprint } = world
    this.#world = world
    this.#engine = engine
    this.#name = name
    this.#topology = topology
    this.#database = database
    this.#events = events
    this.#readTime = new Law(load.readTime)
    this.#writeTime = new Law(load.writeTime)
    this.#shipping = new Law(load.shippingTime)
    this.#work = engine.stream(`${name} statements`)
    this.#network = engine.stream(`${name} network`)
    this.#inside = world.network.inside
    const count =
      database.servers.kind === 'embedded' ? database.servers.members.length : database.servers.urls.length
    const { zones } = blueprint.workload.machine
    this.#copies = new Copies(engine, name, count, zones, load, topology, window, row => this.#ran(row), {
      acked: (row, ok) => this.#acked(row, ok),
      tell: (what, why) => events.decide('failover', name, what, why),
    })
    this.#codes = {
      arrive: engine.on(`${name} statement`, (row, life) => this.#arrive(row, life)),
      back: engine.on(`${name} answer`, (row, life) => this.#answered(row, life)),
      asked: engine.on(`${name} copy is asked`, (row, link) => this.#asked(row, link)),
      told: engine.on(`${name} copy tells`, (row, life) => this.#told(row, life)),
    }
    this.#limit = new Deadlines(
      engine,
      `${name} waits for copies`,
      waitMaxMs * 1000,
      (row, life) => this.#table.lives[row] === life && this.#table.at.state[row] === State.waits,
      row => {
        this.#copies.gaveUp(row)
        this.#refuse(row)
      },
    )
    this.gauges = [{ id: `${name}.alive`, label: `${name}: copies that are there`, unit: 'count' as const }]
  }

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
    at.copy[row] = -1
    at.version[row] = at.newest[row] = 0
    if (write && this.#pendingWrites++ === 0) this.#pendingSince = this.#engine.now
    at.state[row] = State.way
    this.#engine.after(this.#inside.draw(this.#network), this.#codes.arrive, row, this.#table.lives[row])
  }

  /** The copy that serves this session: its own, or the next that can be reached; -1: none. */
  #copyOf(session: number): number {
    const { all } = this.#copies
    const own = mix32(session) % all.length
    for (let step = 0; step < all.length; step++) {
      const copy = all[(own + step) % all.length] as Copy
      if (copy.alive && copy.cutOff === 0) return copy.index
    }
    return -1
  }

  #arrive(row: number, life: number): void {
    const { at, lives } = this.#table
    if (lives[row] !== life) return
    const home = this.#copyOf(at.session[row] as number)
    const isWrite = at.write[row] === 1
    const byPrimary = isWrite || this.#database.reads.kind === 'primary'
    const index = home < 0 ? -1 : byPrimary ? this.#copies.writerFor(home) : home
    const copy = this.#copies.all[index]
    if (copy === undefined || !this.#copies.mayWork(index) || copy.cutOff > 0) {
      this.#refuse(row)
      return
    }
    if (!copy.alive) {
      this.#finish(row, StatementEnd.failed)
      return
    }
    at.copy[row] = index
    at.copyLife[row] = copy.life
    at.state[row] = State.runs
    const law = isWrite ? this.#writeTime : this.#readTime
    at.place[row] = copy.station.submit(row, law.draw(this.#work, isWrite ? copy.diskTimes : 1))
    if (!isWrite) this.#read(row, index)
  }

  /** What it shows is what it has when it is asked; the others of a quorum are asked meanwhile. */
  #read(row: number, index: number): void {
    const { at, lives } = this.#table
    at.newest[row] = this.#copies.versionOf(index, at.key[row] as number)
    at.missing[row] = 0
    if (this.#topology.kind !== 'quorum') return
    const others = this.#copies.all.filter(
      other => other.index !== index && other.alive && this.#copies.hears(index, other.index),
    )
    const wanted = this.#topology.readCopies - 1
    if (others.length < wanted && this.#topology.partition === 'refuse') {
      at.missing[row] = -1
      return
    }
    // Those next to it in the order of copies, beginning with another one for each thing.
    const start = others.length === 0 ? 0 : mix32(at.key[row] as number) % others.length
    for (let step = 0; step < Math.min(wanted, others.length); step++) {
      const other = others[(start + step) % others.length] as Copy
      at.missing[row]!++
      this.#engine.after(
        this.#shipping.draw(this.#network) + other.delayUs,
        this.#codes.asked,
        row,
        (other.index << 20) | ((lives[row] as number) & 0xf_ffff),
      )
    }
  }

  #asked(row: number, link: number): void {
    const { at, lives } = this.#table
    if (((lives[row] as number) & 0xf_ffff) !== (link & 0xf_ffff)) return
    const other = this.#copies.all[link >> 20] as Copy
    if (!other.alive) return
    at.newest[row] = Math.max(
      at.newest[row] as number,
      this.#copies.versionOf(other.index, at.key[row] as number),
    )
    this.#engine.after(this.#shipping.draw(this.#network) + other.delayUs, this.#codes.told, row, lives[row])
  }

  #told(row: number, life: number): void {
    const { at, lives } = this.#table
    if (lives[row] !== life) return
    at.missing[row]!--
    if (at.missing[row] === 0 && at.state[row] === State.waits) this.#back(row, StatementEnd.ok)
  }

  /** The copy has worked on it. */
  #ran(row: number): void {
    const { at, lives } = this.#table
    const index = at.copy[row] as number
    at.state[row] = State.waits
    // Its group may have become another while it was worked on.
    if (at.write[row] === 1 && this.#copies.writerFor(index) !== index) {
      this.#refuse(row)
      return
    }
    if (at.write[row] === 1) {
      this.#limit.begin(row, lives[row] as number)
      const isPromised = this.#copies.write(index, at.key[row] as number, row)
      at.version[row] = this.#copies.lastVersion
      if (!isPromised) this.#refuse(row)
      else if (at.state[row] === State.back) return
      return
    }
    if ((at.missing[row] as number) < 0) this.#refuse(row)
    else if (at.missing[row] === 0) this.#back(row, StatementEnd.ok)
    else this.#limit.begin(row, lives[row] as number)
  }

  #acked(row: number, ok: boolean): void {
    const { at } = this.#table
    if (at.state[row] !== State.waits) return
    // Known before `write` returns where nobody is waited for.
    at.version[row] = at.version[row] === 0 ? this.#copies.lastVersion : (at.version[row] as number)
    this.#back(row, ok ? StatementEnd.ok : StatementEnd.failed)
  }

  #back(row: number, end: StatementEndCode): void {
    const { at, lives } = this.#table
    at.end[row] = end
    at.state[row] = State.back
    const copy = this.#copies.all[at.copy[row] as number] as Copy
    this.#engine.after(this.#inside.draw(this.#network) + copy.delayUs, this.#codes.back, row, lives[row])
  }

  #answered(row: number, life: number): void {
    const { at, lives } = this.#table
    if (lives[row] !== life) return
    const { now } = this.#engine
    const counts = (at.began[row] as number) >= this.#world.window.fromUs
    const key = at.key[row] as number
    if (at.end[row] === StatementEnd.ok && at.write[row] === 1) {
      this.#copies.acknowledged(key, at.version[row] as number)
      if (counts) this.#writes++
      const gap = now - Math.max(this.#lastAck, this.#pendingSince)
      if (gap > this.#gapMax && gap >= gapLeastUs && now > this.#world.window.fromUs) this.#gapMax = gap
      this.#lastAck = now
    } else if (at.end[row] === StatementEnd.ok)
      this.#copies.staleness.read(key, at.newest[row] as number, at.began[row] as number, now, counts)
    this.#finish(row, at.end[row] as StatementEndCode)
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

  #refuse(row: number): void {
    const { at } = this.#table
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
    const copy = this.#copies.all[at.copy[row] as number]
    if (at.state[row] === State.runs && copy !== undefined) copy.station.remove(at.place[row] as number)
    if (at.state[row] === State.waits && at.write[row] === 1) this.#copies.gaveUp(row)
    if (at.write[row] === 1) this.#pendingWrites--
    at.state[row] = 0
    this.#table.end(row)
  }

  // --- faults --------------------------------------------------------------------------------------------------------

  #targets(target: CheckedFaultTarget): readonly Copy[] {
    if (target.kind !== 'database' || target.database !== this.#name) return []
    const one =
      this.#copies.all[
        target.member === null ? Math.max(0, this.#copies.primaries[0] ?? 0) : target.member - 1
      ]
    return one === undefined ? [] : [one]
  }

  apply(fault: CheckedFaultKind, on: boolean): string | null {
    if (fault.kind === 'cut') {
      this.#cut(fault, on)
      return null
    }
    const targets =
      fault.kind === 'zone'
        ? this.#copies.all.filter(({ zone }) => zone === fault.zone)
        : 'target' in fault
          ? this.#targets(fault.target)
          : []
    for (const copy of targets) {
      const problem = this.#change(copy, fault, on)
      if (problem !== null) return problem
    }
    return null
  }

  #change(copy: Copy, fault: CheckedFaultKind, on: boolean): string | null {
    switch (fault.kind) {
      case 'kill':
      case 'zone':
        if (on) this.#kill(copy)
        else {
          copy.held = Math.max(0, copy.held - 1)
          this.#copies.restart(copy)
        }
        return null
      case 'slow':
        copy.station.setSpeed(on ? fault.times : 1)
        return null
      case 'disk':
        copy.diskTimes = on ? fault.times : 1
        return null
      case 'delay':
        copy.delayUs = on ? Math.round(fault.byMs * 1000) : 0
        return null
      default:
        return `The fault '${fault.kind}' is not simulated for topology '${this.#topology.kind}': it changed nothing.`
    }
  }

  #kill(copy: Copy): void {
    copy.held++
    this.#events.decide('fault', copy.id, 'dies', 'killed by the rehearsal')
    this.#copies.kill(copy)
    const { at, rows } = this.#table
    for (let row = 0; row < rows; row++) {
      const state = at.state[row]
      if (at.copy[row] !== copy.index || (state !== State.runs && state !== State.waits)) continue
      if (at.write[row] === 1) this.#copies.gaveUp(row)
      this.#finish(row, StatementEnd.failed)
    }
  }

  #cut(fault: CheckedFaultKind & { kind: 'cut' }, on: boolean): void {
    const from = fault.from.flatMap(target => this.#targets(target))
    const to = fault.to.flatMap(target => this.#targets(target))
    for (const a of from) for (const b of to) this.#copies.cut(a.index, b.index, on)
    const outside = (side: readonly CheckedFaultTarget[]): boolean =>
      side.some(({ kind }) => kind !== 'database')
    for (const copy of [...(outside(fault.to) ? from : []), ...(outside(fault.from) ? to : [])])
      copy.cutOff += on ? 1 : -1
  }

  // --- figures -------------------------------------------------------------------------------------------------------

  gauge(): number {
    return this.#copies.all.filter(({ alive }) => alive).length
  }

  results(now: number): { readonly part: PartResult; readonly consistency: ConsistencyResult } {
    const stations = this.#copies.all.map(({ station }) => station)
    const sums = (lists: readonly (readonly number[])[]): number[] =>
      (lists[0] ?? []).map((_, at) => lists.reduce((sum, list) => sum + (list[at] as number), 0))
    const mean = (list: readonly number[]): number =>
      list.reduce((a, b) => a + b, 0) / Math.max(1, list.length)
    const busy = sums(stations.map(station => station.busy.means(now)))
    const waiting = sums(stations.map(station => station.waitingLevel.means(now)))
    const cores = stations.reduce((sum, station) => sum + station.servers, 0)
    const shares = busy.map(level => level / Math.max(1, cores))
    const inside = busy.map((level, at) => level + (waiting[at] as number))
    const full = stations.flatMap(({ saturatedAtUs }) => (saturatedAtUs === null ? [] : [saturatedAtUs]))
    const part: PartResult = {
      id: this.#name,
      kind: 'database',
      members: this.gauge(),
      membersMin: stations.length,
      membersMax: stations.length,
      utilisation: estimate(mean(shares), shares),
      inside: estimate(mean(inside), inside),
      waiting: estimate(mean(waiting), waiting),
      waitingMax: Math.max(...stations.map(station => station.waitingMax)),
      saturatedAtUs: full.length === 0 ? null : Math.max(0, Math.min(...full) - this.#world.window.fromUs),
      hitRatio: null,
      counts: { failovers: this.#copies.failovers },
    }
    return { part, consistency: this.#consistency(now) }
  }

  #consistency(now: number): ConsistencyResult {
    const { staleness, propagation, conflicts, lost } = this.#copies
    const { kind, writeCopies, readCopies, partition } = this.#topology
    const quorum = kind === 'quorum' ? ` W ${writeCopies}, R ${readCopies}` : ''
    const waits = this.#pendingWrites > 0 ? now - Math.max(this.#lastAck, this.#pendingSince) : 0
    return {
      database: this.#name,
      topology: `${kind}${quorum} over ${this.#copies.all.length} copies, under a partition ${partition}`,
      reads: staleness.reads,
      staleReads: staleness.stale,
      staleP50Us: staleness.ages.quantile(0.5),
      staleMaxUs: staleness.ages.max,
      writes: this.#writes,
      lostWrites: lost,
      conflicts,
      refusedReads: this.#refusedReads,
      refusedWrites: this.#refusedWrites,
      propagationP50Us: propagation.count > 0 ? propagation.quantile(0.5) : null,
      propagationP99Us: propagation.count > 0 ? propagation.quantile(0.99) : null,
      writeGapMaxUs: Math.max(this.#gapMax, waits >= gapLeastUs ? waits : 0),
    }
  }
}
