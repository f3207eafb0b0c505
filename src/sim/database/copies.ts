// Copies of data kept in other ways than the file's primary and replicas: to see what a topology would do before it is built.
// asynchronous and synchronous primaries, quorums, several primaries, a ring. One thing is one key; a write is a version, and of
// two versions that knew nothing of each other the later one stays (last writer wins).
//
// Who can hear whom makes groups. `refuse`: only a group with more than half of all copies works, the others refuse (consistent
// under partition). `serve`: every group works by itself, and what they did is reconciled when they meet (available).

import type { CheckedTopology } from '../../file/checked-rehearsals.ts'
import type { CheckedDatabaseLoad } from '../../file/checked-workload.ts'
import { type Engine, Law, type Stream } from '../core/index.ts'
import { Sketch } from '../core/statistics.ts'
import { Station } from '../models/station.ts'
import { Table } from '../models/table.ts'
import type { Window } from '../models/window.ts'
import { Staleness } from './staleness.ts'

export class Copy {
  readonly id: string
  readonly index: number
  readonly zone: number
  readonly station: Station
  alive = true
  /** Held down by a fault. */
  held = 0
  /** Whoever asks from outside can't reach it. */
  cutOff = 0
  delayUs = 0
  diskTimes = 1
  /** Version and origin's view of each thing it has. */
  readonly versions: Map<number, number> = new Map()
  life = 1
  /** When it came to the group that it is in. */
  joinedAt: number = Number.NEGATIVE_INFINITY

  constructor(id: string, index: number, zone: number, station: Station) {
    this.id = id
    this.index = index
    this.zone = zone
    this.station = station
  }
}

/** A write on its way to all copies. */
const writeFields = {
  key: 'i32',
  version: 'f64',
  /** What its origin had of the key before. */
  base: 'f64',
  origin: 'i32',
  /** Copies that do not have it yet. */
  missing: 'i32',
  ackedAt: 'f64',
  /** Who asked for it; -1: told already. */
  statement: 'i32',
  acks: 'i32',
  need: 'i32',
} as const

/** A write that waits for a line: its row may be somebody else's by then. */
interface HeldWrite {
  readonly row: number
  readonly life: number
  readonly key: number
  readonly version: number
  readonly base: number
  readonly origin: number
}

/** A copy is taken for lost, and a group for what it is, after so long. */
const detectUs = 1_000_000
const restartUs = 2_000_000
/** One that joins a group serves once what was on its way to it has come. */
const joinUs = 100_000
const writesMax = 4_194_304

export interface CopiesEvents {
  /** A write may be acknowledged; or never will be. */
  acked(statement: number, ok: boolean): void
  tell(what: string, why: string): void
}

export class Copies {
  readonly all: readonly Copy[]
  readonly topology: CheckedTopology
  readonly staleness: Staleness = new Staleness()
  readonly propagation: Sketch = new Sketch()
  conflicts = 0
  lost = 0
  failovers = 0
  readonly #engine: Engine
  readonly #fromUs: number
  readonly #events: CopiesEvents
  readonly #writes = new Table(writeFields, writesMax)
  readonly #shipping: Law
  readonly #apply: Law
  readonly #network: Stream
  readonly #cuts = new Map<number, number>()
  /** Writes that could not be sent from one copy to another, by `from * n + to`. */
  readonly #held = new Map<number, HeldWrite[]>()
  readonly #losers = new Set<number>()
  readonly #codes: { deliver: number; ack: number; group: number; restart: number }
  #version = 0
  /** Of the last `write`. */
  lastVersion = 0
  /** Of each copy: its group's number, as known since the last look; and the primary of each group (-1: none). */
  groups: number[] = []
  primaries: number[] = []
  #groupSizes: number[] = []

  constructor(
    engine: Engine,
    name: string,
    count: number,
    zones: number,
    load: CheckedDatabaseLoad,
    topology: CheckedTopology,
    window: Window,
    done: (statement: number) => void,
    events: CopiesEvents,
  ) {
    this.#engine = engine
    this.#fromUs = window.fromUs
    this.#events = events
    this.topology = topology
    this.#shipping = new Law(load.shippingTime)
    this.#apply = new Law(load.applyTime)
    this.#network = engine.stream(`${name} propagation`)
    this.#codes = {
      deliver: engine.on(`${name} delivers`, (write, to) => this.#delivered(write, to)),
      ack: engine.on(`${name} hears of a copy`, (write, version) => this.#heard(write, version)),
      group: engine.on(`${name} regroups`, () => this.#regroup()),
      restart: engine.on(`${name} copy starts`, (index, life) => this.#started(index, life)),
    }
    const options = { servers: load.concurrency, discipline: 'fifo' as const, queueMax: null }
    this.all = Array.from({ length: count }, (_, index) => {
      const id = `${name}-${index + 1}`
      return new Copy(id, index, (index % zones) + 1, new Station(engine, id, options, window, done))
    })
    this.groups = this.all.map(() => 0)
    this.primaries = [0]
    this.#groupSizes = [count]
  }

  hears(a: number, b: number): boolean {
    return !this.#cuts.has(a * this.all.length + b)
  }
  cut(a: number, b: number, on: boolean): void {
    for (const key of [a * this.all.length + b, b * this.all.length + a]) {
      const next = (this.#cuts.get(key) ?? 0) + (on ? 1 : -1)
      if (next > 0) this.#cuts.set(key, next)
      else this.#cuts.delete(key)
    }
    if (!on) this.#resend()
    this.#changed()
  }

  /** May a copy work: alone it may only serve what may be stale. */
  mayWork(index: number): boolean {
    const copy = this.all[index] as Copy
    if (!copy.alive) return false
    if (this.topology.partition === 'serve') return true
    if (this.#engine.now < copy.joinedAt + joinUs) return false
    return (this.#groupSizes[this.groups[index] as number] ?? 0) * 2 > this.all.length
  }

  /** Who takes writes for those whom this copy serves; -1: nobody. */
  writerFor(index: number): number {
    const { kind } = this.topology
    if (!this.mayWork(index)) return -1
    return kind === 'async' || kind === 'sync' ? (this.primaries[this.groups[index] as number] ?? -1) : index
  }

  // --- writes ----------------------------------------------------------------------------------------------------------

  /** The copy has it on its disk: sent on, acknowledged when the topology says so. False: it can't be promised. */
  write(index: number, key: number, statement: number): boolean {
    const origin = this.all[index] as Copy
    const row = this.#writes.take()
    if (row < 0) return false
    const { at } = this.#writes
    const version = ++this.#version
    at.key[row] = key
    at.version[row] = version
    at.base[row] = origin.versions.get(key) ?? 0
    at.origin[row] = index
    at.missing[row] = this.all.length - 1
    at.ackedAt[row] = -1
    at.statement[row] = statement
    at.acks[row] = 1
    at.need[row] = this.#need(index)
    origin.versions.set(key, version)
    this.lastVersion = version
    if (this.topology.kind === 'quorum' && (at.need[row] as number) > this.#reachable(index)) {
      // A quorum that can't come together: nobody is promised anything, though this copy has it.
      at.statement[row] = -1
      this.#send(row, index)
      return false
    }
    this.#send(row, index)
    this.#maybeAcked(row)
    return true
  }

  /** Copies that must have a write before it is acknowledged, the first among them. */
  #need(index: number): number {
    const { kind, writeCopies, partition } = this.topology
    // Whom it takes for there: what was just lost is waited for until that is noticed.
    if (kind === 'sync') return this.#groupSizes[this.groups[index] as number] ?? 1
    if (kind !== 'quorum') return 1
    return partition === 'serve' ? Math.min(writeCopies, this.#reachable(index)) : writeCopies
  }

  #reachable(index: number): number {
    return this.all.filter(copy => copy.index === index || (copy.alive && this.hears(index, copy.index)))
      .length
  }

  #send(row: number, from: number): void {
    if (this.topology.kind !== 'ring') {
      for (const { index } of this.all) if (index !== from) this.#sendTo(row, from, index)
      if (this.all.length === 1) this.#everywhere(row)
      return
    }
    this.#passOn(row, from)
  }

  /** To the next one of the ring; who is known to be away is passed over, and has it later. */
  #passOn(row: number, from: number): void {
    const count = this.all.length
    const origin = this.#writes.at.origin[row] as number
    for (let step = 1; step < count; step++) {
      const next = (from + step) % count
      if (next === origin) break
      if (this.groups[next] === this.groups[from]) {
        this.#sendTo(row, from, next)
        return
      }
      this.#hold(row, from, next)
    }
    this.#everywhere(row)
  }

  #sendTo(row: number, from: number, to: number): void {
    const source = this.all[from] as Copy
    const target = this.all[to] as Copy
    if (!target.alive || !source.alive || !this.hears(from, to)) {
      this.#hold(row, from, to)
      return
    }
    const delay = this.#shipping.draw(this.#network) + source.delayUs + target.delayUs
    this.#engine.after(
      delay + this.#apply.draw(this.#network, target.diskTimes),
      this.#codes.deliver,
      row,
      from * this.all.length + to,
    )
  }

  #hold(row: number, from: number, to: number): void {
    const link = from * this.all.length + to
    const { at, lives } = this.#writes
    const held: HeldWrite = {
      row,
      life: lives[row] as number,
      key: at.key[row] as number,
      version: at.version[row] as number,
      base: at.base[row] as number,
      origin: at.origin[row] as number,
    }
    const list = this.#held.get(link)
    if (list === undefined) this.#held.set(link, [held])
    else list.push(held)
  }

  #delivered(row: number, link: number): void {
    const count = this.all.length
    const from = Math.floor(link / count)
    const to = link % count
    const target = this.all[to] as Copy
    // It died, or the line was cut, while this was on its way.
    if (!target.alive || !this.hears(from, to) || !(this.all[from] as Copy).alive) {
      this.#hold(row, from, to)
      return
    }
    this.#merge(row, target)
    const { at } = this.#writes
    at.missing[row]!--
    if ((at.statement[row] as number) >= 0 && (at.need[row] as number) > 1) {
      const back = this.#shipping.draw(this.#network) + target.delayUs
      this.#engine.after(back, this.#codes.ack, row, this.#short(row))
    }
    if (this.topology.kind === 'ring') this.#passOn(row, to)
    else if (at.missing[row] === 0) this.#everywhere(row)
  }

  /** 31 bits of its version: tells a row's former use. */
  #short(row: number): number {
    return (this.#writes.at.version[row] as number) & 0x7fff_ffff
  }

  /** Last writer wins; two that knew nothing of each other are a conflict, told once for the one that is dropped. */
  #merge(row: number, copy: Copy): void {
    const { at } = this.#writes
    const key = at.key[row] as number
    const version = at.version[row] as number
    const mine = copy.versions.get(key) ?? 0
    if (mine !== version && mine > (at.base[row] as number) && this.#isConcurrent()) {
      const loser = Math.min(mine, version)
      if (!this.#losers.has(loser)) {
        this.#losers.add(loser)
        if (this.#losers.size > 1_000_000) for (const old of this.#losers) if (this.#losers.delete(old)) break
        if (this.#engine.now >= this.#fromUs) this.conflicts++
      }
    }
    if (version > mine) copy.versions.set(key, version)
  }

  /** One primary at a time orders its writes; several don't. */
  #isConcurrent(): boolean {
    const { kind, partition } = this.topology
    return kind === 'multi-primary' || kind === 'ring' || kind === 'quorum' || partition === 'serve'
  }

  #heard(row: number, short: number): void {
    if (this.#short(row) !== short) return
    const { at } = this.#writes
    if ((at.statement[row] as number) < 0) return
    at.acks[row]!++
    this.#maybeAcked(row)
  }

  #maybeAcked(row: number): void {
    const { at } = this.#writes
    if ((at.acks[row] as number) < (at.need[row] as number)) return
    const statement = at.statement[row] as number
    at.statement[row] = -1
    at.ackedAt[row] = this.#engine.now
    if (at.missing[row] === 0 && this.topology.kind !== 'ring') this.#everywhere(row)
    this.#events.acked(statement, true)
  }

  /** Nobody waits for its acknowledgement any more. */
  gaveUp(statement: number): void {
    const { at, rows } = this.#writes
    for (let row = 0; row < rows; row++) if (at.statement[row] === statement) at.statement[row] = -1
  }

  /** Told to its client. */
  acknowledged(key: number, version: number): void {
    this.staleness.wrote(key, version, this.#engine.now)
  }
  versionOf(index: number, key: number): number {
    return (this.all[index] as Copy).versions.get(key) ?? 0
  }

  #everywhere(row: number): void {
    const { at } = this.#writes
    // Who asked still waits to hear of copies: the row ends with that.
    if ((at.statement[row] as number) >= 0) return
    const acked = at.ackedAt[row] as number
    if (acked >= this.#fromUs) this.propagation.add(this.#engine.now - acked)
    this.#writes.end(row)
  }

  // --- who is there ----------------------------------------------------------------------------------------------------

  #changed(): void {
    this.#engine.after(detectUs, this.#codes.group)
  }

  kill(copy: Copy): void {
    if (!copy.alive) return
    copy.alive = false
    copy.life++
    copy.station.clear(() => {})
    this.#changed()
  }
  restart(copy: Copy): void {
    if (!copy.alive && copy.held === 0)
      this.#engine.after(restartUs, this.#codes.restart, copy.index, copy.life)
  }

  #started(index: number, life: number): void {
    const copy = this.all[index] as Copy
    if (copy.alive || copy.held > 0 || copy.life !== life) return
    copy.alive = true
    this.#changed()
  }

  /** What can hear each other is a group; each that may work has a primary; what was held is sent. */
  #regroup(): void {
    const before = this.groups.map(group => (group < 0 ? -1 : (this.primaries[group] ?? -1)))
    const groups: number[] = this.all.map(() => -1)
    const sizes: number[] = []
    for (const { index, alive } of this.all) {
      if (!alive || groups[index] !== -1) continue
      sizes.push(this.#flood(index, sizes.length, groups))
    }
    const wereMany = this.#groupSizes.length
    for (const copy of this.all) {
      const [was, is] = [this.groups[copy.index] as number, groups[copy.index] as number]
      const grew = is >= 0 && (was < 0 || (sizes[is] as number) > (this.#groupSizes[was] as number))
      // The smaller part of what meets joins the larger one.
      if (
        grew &&
        (was < 0 || (wereMany > 1 && (this.#groupSizes[was] as number) * 2 <= (sizes[is] as number)))
      )
        copy.joinedAt = this.#engine.now
    }
    this.groups = groups
    this.#groupSizes = sizes
    this.primaries = sizes.map((size, group) => this.#primaryOf(group, size, before))
    this.#resend()
  }

  #flood(from: number, group: number, groups: number[]): number {
    const open = [from]
    groups[from] = group
    let size = 0
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      size++
      for (const { index, alive } of this.all) {
        if (!alive || groups[index] !== -1 || !this.hears(at, index)) continue
        groups[index] = group
        open.push(index)
      }
    }
    return size
  }

  /** The one it had, else that which knows most. */
  #primaryOf(group: number, size: number, before: readonly number[]): number {
    if (this.topology.partition === 'refuse' && size * 2 <= this.all.length) return -1
    const members = this.all.filter(({ index }) => this.groups[index] === group).map(({ index }) => index)
    const kept = members.find(index => before[index] === index)
    if (kept !== undefined) return kept
    const newest = (index: number): number => Math.max(0, ...(this.all[index] as Copy).versions.values())
    const chosen = members.reduce((best, index) => (newest(index) > newest(best) ? index : best))
    const former = before.find(index => index >= 0) ?? -1
    const { kind } = this.topology
    if ((kind === 'async' || kind === 'sync') && former !== chosen) this.#promoted(former, chosen)
    return chosen
  }

  #promoted(former: number, chosen: number): void {
    this.failovers++
    this.#events.tell(
      `${(this.all[chosen] as Copy).id} takes writes`,
      'the primary is not heard; it knows most',
    )
    if (this.topology.partition === 'serve' || former < 0) return
    // What only the former one has will not be taken back: its log went another way.
    const held = this.#held.get(former * this.all.length + chosen) ?? []
    const { at } = this.#writes
    let count = 0
    for (const { row } of held) if ((at.ackedAt[row] as number) >= 0) count++
    for (const to of this.all) this.#held.delete(former * this.all.length + to.index)
    this.#forget(former, chosen)
    this.lost += count
    if (count > 0)
      this.#events.tell(`${count} acknowledged writes are lost`, 'the new primary does not have them')
  }

  /** The former primary comes back as a copy of the new one. */
  #forget(former: number, chosen: number): void {
    const versions = (this.all[former] as Copy).versions
    const known = (this.all[chosen] as Copy).versions
    for (const [key, version] of versions) {
      const own = known.get(key) ?? 0
      if (version === own) continue
      if (own === 0) versions.delete(key)
      else versions.set(key, own)
      this.staleness.dropped(key, version)
    }
  }

  #resend(): void {
    for (const [link, list] of [...this.#held]) {
      const from = Math.floor(link / this.all.length)
      const to = link % this.all.length
      if (!(this.all[from] as Copy).alive || !(this.all[to] as Copy).alive || !this.hears(from, to)) continue
      this.#held.delete(link)
      for (const held of list) this.#sendTo(this.#rowOf(held), from, to)
    }
    const { at, rows } = this.#writes
    for (let row = 0; row < rows; row++) {
      if ((at.statement[row] as number) < 0) continue
      // Who waited for a copy that is lost waits for those that are left, where the topology allows that.
      if (this.topology.kind === 'sync' && this.mayWork(at.origin[row] as number))
        at.need[row] = Math.min(at.need[row] as number, this.#reachable(at.origin[row] as number))
      this.#maybeAcked(row)
    }
  }

  #rowOf(held: HeldWrite): number {
    const { lives } = this.#writes
    if (lives[held.row] === held.life) return held.row
    const row = this.#writes.take()
    const { at } = this.#writes
    at.key[row] = held.key
    at.version[row] = held.version
    at.base[row] = held.base
    at.origin[row] = held.origin
    at.missing[row] = this.all.length
    at.ackedAt[row] = -1
    at.statement[row] = -1
    at.acks[row] = 0
    at.need[row] = 0
    return row
  }
}
