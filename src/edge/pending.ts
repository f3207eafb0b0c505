// Requests that wait for a place, one queue an upstream and worker, kept over snapshots. First come, first served; where
// the upstream's limit is adaptive, by class and as policy/shed/line says. The bound is over all workers (policy/circuit);
// a place that another worker frees is noticed within `pollMs`.

import { type ImportanceCode, upstreamLoad, type Waiting, WaitingLine } from '../policy/shed/index.ts'
import { upstreamSlots } from './cells.ts'
import type { WorkerContext } from './context.ts'
import type { MemberGroup } from './group.ts'
import type { Places } from './places.ts'

const pollMs = 2

/** A request, or a connection passed on as it is. */
export interface Waiter {
  readonly group: MemberGroup | null
  /** Microseconds; 0 = it does not wait. */
  waitingUntil: number
  /** False: there was no place to take. */
  offerPlace(): boolean
  waitedTooLong(): void
}

export class PendingQueue {
  readonly #worker: WorkerContext
  readonly #name: string
  #waiting: Waiter[] = []
  /** Of those who wait for one of the upstream's places. */
  readonly #line = new WaitingLine<Waiter>()
  readonly #inLine = new Map<Waiter, Waiting<Waiter>>()
  #timer: NodeJS.Timeout | null = null
  #waking = false

  constructor(worker: WorkerContext, name: string) {
    this.#worker = worker
    this.#name = name
  }

  get count(): number {
    return this.#waiting.length + this.#line.count
  }

  enter(waiter: Waiter): void {
    this.#waiting.push(waiter)
    this.#begun()
  }

  #begun(): void {
    this.#count(1)
    this.#timer ??= setInterval(() => this.#poll(), pollMs)
  }

  leave(waiter: Waiter): void {
    if (this.#leaveLine(waiter)) return
    const at = this.#waiting.indexOf(waiter)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    waiter.waitingUntil = 0
    this.#count(-1)
  }

  #count(by: number): void {
    const { cells, index } = this.#worker
    const group = this.#group
    if (group !== undefined) cells.upstreamWorker.pending[index * upstreamSlots + group.slot]! += by
  }

  get #group(): MemberGroup | undefined {
    return this.#worker.snapshot.groups.get(this.#name)
  }

  /** Offers places until nobody takes one. */
  wake(): void {
    if (this.#waking) return
    this.#waking = true
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#count(-1)
      const until = first.waitingUntil
      first.waitingUntil = 0
      if (first.offerPlace()) continue
      first.waitingUntil = until
      this.#waiting.unshift(first)
      this.#count(1)
      break
    }
    if (this.#line.count > 0) this.#wakeLine()
    this.#waking = false
  }

  #poll(): void {
    this.#worker.refresh()
    this.wake()
    const now = this.#worker.now
    for (const waiter of this.#waiting.filter(one => one.waitingUntil <= now)) {
      this.leave(waiter)
      waiter.waitedTooLong()
    }
    if (this.#line.count > 0) this.#dropLate(now)
    if (this.count > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }

  // --- the line for places of an adaptive limit ---------------------------------------------------------------

  enterLine(waiter: Waiter, importance: ImportanceCode): void {
    this.#inLine.set(waiter, this.#line.enter(waiter, importance, this.#worker.now))
    this.#begun()
  }

  /** What was offered could not be taken. */
  #putBack(waiting: Waiting<Waiter>, until: number): void {
    waiting.who.waitingUntil = until
    this.#line.putBack(waiting)
    this.#inLine.set(waiting.who, waiting)
    this.#count(1)
  }

  #leaveLine(waiter: Waiter): boolean {
    const waiting = this.#inLine.get(waiter)
    if (waiting === undefined) return false
    this.#inLine.delete(waiter)
    this.#line.leave(waiting)
    waiter.waitingUntil = 0
    this.#count(-1)
    return true
  }

  /** Does anybody wait who comes before a newcomer of this class? */
  isBehind(importance: ImportanceCode, places: Places): boolean {
    if (this.#waiting.length > 0) return true
    return this.#line.count > 0 && this.#line.isBehind(importance, this.#worker.now, places.line)
  }

  /** Somebody of a lower class gives way: true when there was one. */
  makeRoom(importance: ImportanceCode): boolean {
    const waiting = this.#line.givesWay(importance)
    if (waiting === null) return false
    this.#drop(waiting)
    return true
  }

  #drop({ who }: Waiting<Waiter>): void {
    this.#leaveLine(who)
    who.waitedTooLong()
  }

  #wakeLine(): void {
    const places = this.#group?.places ?? null
    if (places === null) {
      this.#dissolve()
      return
    }
    const { now } = this.#worker
    for (
      let next = this.#line.next(now, places.line);
      next !== null;
      next = this.#line.next(now, places.line)
    ) {
      if (!places.hasRoom(next.importance, now)) return
      const { who } = next
      const until = who.waitingUntil
      this.#leaveLine(who)
      if (!who.offerPlace()) {
        this.#putBack(next, until)
        return
      }
      places.waited(now - next.sinceUs)
    }
  }

  /** The limit is no longer adaptive: whoever waits goes on first come, first served. */
  #dissolve(): void {
    for (const [waiter] of [...this.#inLine]) {
      const until = waiter.waitingUntil
      this.#leaveLine(waiter)
      waiter.waitingUntil = until
      this.enter(waiter)
    }
  }

  #dropLate(now: number): void {
    const places = this.#group?.places ?? null
    if (places === null) return
    for (
      let late = this.#line.late(now, places.line);
      late !== null;
      late = this.#line.late(now, places.line)
    ) {
      places.waited(now - late.sinceUs)
      this.#drop(late)
    }
  }

  /** How loaded the upstream is, 0..1, as far as its limit shows it. */
  get load(): number {
    const places = this.#group?.places ?? null
    if (places === null) return 0
    const waitUs = this.#line.count === 0 ? 0 : this.#line.waitUs(this.#worker.now)
    return upstreamLoad(places.used, places.limit, waitUs, places.line.intervalUs)
  }
}

export class PendingQueues {
  readonly #worker: WorkerContext
  readonly #byName = new Map<string, PendingQueue>()

  constructor(worker: WorkerContext) {
    this.#worker = worker
  }

  of(name: string): PendingQueue {
    let queue = this.#byName.get(name)
    if (queue === undefined) this.#byName.set(name, (queue = new PendingQueue(this.#worker, name)))
    return queue
  }

  enter(name: string, waiter: Waiter): void {
    this.of(name).enter(waiter)
  }

  leave(waiter: Waiter): void {
    const name = waiter.group?.spec.name
    if (name !== undefined) this.#byName.get(name)?.leave(waiter)
  }

  /** Of the upstream that a route goes to, 0..1; 0 where its limit is not adaptive. */
  loadOf(routeId: string): number {
    const group = this.#worker.snapshot.routes.find(({ spec }) => spec.id === routeId)?.group
    return group?.places == null ? 0 : this.of(group.spec.name).load
  }
}
