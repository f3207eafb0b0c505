// Where work is done: servers (cores), and those who wait for one. `fifo` and `lifo` give a server to one job until it is
// done; `shared` gives all jobs equal parts of the servers at once (processor sharing). A job is a small integer of whoever
// submits it; its place here is the number that `submit` returns. Nothing is allocated for a job.

import { assert } from '../../kit/failure.ts'
import { type Engine, type EventCode, type EventId, Priority } from '../core/engine.ts'
import { type Estimate, TimeAverage } from '../core/statistics.ts'
import type { Window } from './window.ts'

export interface StationOptions {
  readonly servers: number
  readonly discipline: 'fifo' | 'lifo' | 'shared'
  /** Jobs that may wait; null: no bound. A `shared` station counts those beyond its servers as waiting. */
  readonly queueMax: number | null
}

/** Told when a job's work is done. It may submit again at once. */
export type Done = (job: number) => void

const none = -1
/** States of a place. */
const State = { free: 0, waiting: 1, served: 2 } as const
/** A station is full when somebody has waited for so long without a break. */
const saturatedAfterUs = 1_000_000

export class Station {
  readonly name: string
  readonly busy: TimeAverage
  readonly waitingLevel: TimeAverage
  saturatedAtUs: number | null = null
  waitingMax = 0
  servers: number
  readonly #engine: Engine
  readonly #options: StationOptions
  readonly #done: Done
  readonly #endCode: EventCode
  #speed = 1
  #stopped = false
  #waiting = 0
  #served = 0
  #fullSince = -1
  // One row a place.
  #state = new Uint8Array(16)
  #job = new Int32Array(16)
  /** Waiting: work to do. Served: when it ends (fifo, lifo) or its end in virtual work (shared). Stopped: work that is left. */
  #work = new Float64Array(16)
  #event = new Float64Array(16)
  #next = new Int32Array(16)
  #before = new Int32Array(16)
  #free = none
  #rows = 0
  #head = none
  #tail = none
  // Of `shared`: work that each job has been given since the beginning, and the order in which jobs end.
  #given = 0
  #givenAt = 0
  readonly #ends: number[] = []
  #endEvent: EventId = none

  constructor(engine: Engine, name: string, options: StationOptions, window: Window, done: Done) {
    assert(options.servers >= 1, `station ${name}: ${options.servers} servers`)
    this.name = name
    this.servers = options.servers
    this.#engine = engine
    this.#options = options
    this.#done = done
    this.busy = new TimeAverage(window.fromUs, window.toUs, window.batches)
    this.waitingLevel = new TimeAverage(window.fromUs, window.toUs, window.batches)
    this.#endCode = engine.on(
      `${name}.end`,
      place => (options.discipline === 'shared' ? this.#sharedEnd() : this.#end(place)),
      Priority.end,
    )
  }

  /** Jobs in it. */
  get inside(): number {
    return this.#waiting + this.#served
  }
  get waiting(): number {
    return this.#waiting
  }

  /** A place number for `remove`, or -1: no room. @param workUs of one server at its usual speed */
  submit(job: number, workUs: number): number {
    const { queueMax, discipline } = this.#options
    if (queueMax !== null && this.inside >= this.servers + queueMax) return none
    const place = this.#take(job)
    const work = workUs * this.#speed
    if (this.#stopped) this.#enqueue(place, work)
    else if (discipline === 'shared') this.#share(place, work)
    else if (this.#served < this.servers) this.#serve(place, work)
    else this.#enqueue(place, work)
    this.#measure()
    return place
  }

  /** Whoever waits for it gave up: its place is free, its work is not finished. */
  remove(place: number): void {
    const state = this.#state[place]
    assert(state !== State.free, `station ${this.name}: place ${place} is free`)
    if (state === State.waiting) this.#unlink(place)
    else if (this.#options.discipline === 'shared') this.#unshare(place)
    else {
      this.#engine.cancel(this.#event[place] as number)
      this.#served--
    }
    this.#release(place)
    this.#fill()
    this.#measure()
  }

  /** Work that begins from now on takes `times` as long; what is served goes on as it was. */
  setSpeed(times: number): void {
    this.#speed = times
  }

  /** Stands still with all that is in it: a process that hangs. What comes waits. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    if (this.#options.discipline === 'shared') this.#advance()
    if (this.#endEvent !== none) this.#engine.cancel(this.#endEvent)
    this.#endEvent = none
    for (let place = 0; place < this.#rows; place++) {
      if (this.#state[place] !== State.served) continue
      if (this.#options.discipline === 'shared') this.#work[place]! -= this.#given
      else {
        this.#engine.cancel(this.#event[place] as number)
        this.#work[place]! -= this.#engine.now
      }
    }
  }

  resume(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#givenAt = this.#engine.now
    for (let place = 0; place < this.#rows; place++) {
      if (this.#state[place] !== State.served) continue
      if (this.#options.discipline === 'shared') this.#work[place]! += this.#given
      else this.#begin(place, this.#work[place] as number)
    }
    if (this.#options.discipline === 'shared') this.#planEnd()
    this.#fill()
    this.#measure()
  }

  /** The process is gone: all jobs are dropped, each is told. */
  clear(dropped: (job: number) => void): void {
    const jobs: number[] = []
    for (let place = 0; place < this.#rows; place++) {
      if (this.#state[place] === State.free) continue
      if (this.#state[place] === State.served && this.#options.discipline !== 'shared' && !this.#stopped)
        this.#engine.cancel(this.#event[place] as number)
      jobs.push(this.#job[place] as number)
      this.#release(place)
    }
    if (this.#endEvent !== none) this.#engine.cancel(this.#endEvent)
    this.#endEvent = none
    this.#ends.length = 0
    this.#head = this.#tail = none
    this.#waiting = this.#served = 0
    this.#stopped = false
    this.#measure()
    for (const job of jobs) dropped(job)
  }

  /** Microseconds that servers worked, since the beginning. */
  busyTime(now: number): number {
    return this.busy.total(now)
  }

  /** Share of the servers' time that was worked. */
  utilisation(now: number): Estimate {
    const { value, halfWidth } = this.busy.mean(now)
    return {
      value: value / this.servers,
      halfWidth: halfWidth === null ? null : halfWidth / this.servers,
    }
  }

  // --- one server a job ------------------------------------------------------------------------------------------

  #serve(place: number, work: number): void {
    this.#served++
    this.#state[place] = State.served
    this.#begin(place, work)
  }

  #begin(place: number, work: number): void {
    const end = this.#engine.now + work
    this.#work[place] = end
    this.#event[place] = this.#engine.at(end, this.#endCode, place)
  }

  #end(place: number): void {
    const job = this.#job[place] as number
    this.#served--
    this.#release(place)
    this.#fill()
    this.#measure()
    this.#done(job)
  }

  /** Servers that are free take whoever waits. */
  #fill(): void {
    if (this.#stopped) return
    const { discipline } = this.#options
    while (this.#head !== none && (discipline === 'shared' || this.#served < this.servers)) {
      const place = discipline === 'lifo' ? this.#tail : this.#head
      const work = this.#work[place] as number
      this.#unlink(place)
      if (discipline === 'shared') this.#share(place, work)
      else this.#serve(place, work)
    }
  }

  // --- who waits -------------------------------------------------------------------------------------------------

  #enqueue(place: number, work: number): void {
    this.#state[place] = State.waiting
    this.#work[place] = work
    this.#before[place] = this.#tail
    this.#next[place] = none
    if (this.#tail === none) this.#head = place
    else this.#next[this.#tail] = place
    this.#tail = place
    this.#waiting++
  }

  #unlink(place: number): void {
    const before = this.#before[place] as number
    const next = this.#next[place] as number
    if (before === none) this.#head = next
    else this.#next[before] = next
    if (next === none) this.#tail = before
    else this.#before[next] = before
    this.#waiting--
  }

  // --- shared servers --------------------------------------------------------------------------------------------

  /** Each of n jobs is given min(1, servers / n) of a server's time. */
  #advance(): void {
    const { now } = this.#engine
    if (this.#served > 0) this.#given += (now - this.#givenAt) * Math.min(1, this.servers / this.#served)
    this.#givenAt = now
  }

  #share(place: number, work: number): void {
    this.#advance()
    this.#served++
    this.#state[place] = State.served
    this.#work[place] = this.#given + work
    this.#insertEnd(place)
    this.#planEnd()
  }

  #unshare(place: number): void {
    this.#advance()
    this.#served--
    this.#ends.splice(this.#ends.indexOf(place), 1)
    if (!this.#stopped) this.#planEnd()
  }

  /** By end in virtual work; equal ends in the order of coming. The last one ends first. */
  #insertEnd(place: number): void {
    const ends = this.#ends
    const end = this.#work[place] as number
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#work[ends[middle] as number] as number) > end) low = middle + 1
      else high = middle
    }
    ends.splice(low, 0, place)
  }

  #planEnd(): void {
    if (this.#endEvent !== none) this.#engine.cancel(this.#endEvent)
    this.#endEvent = none
    const place = this.#ends.at(-1)
    if (place === undefined) return
    const left = Math.max(0, (this.#work[place] as number) - this.#given)
    const rate = Math.min(1, this.servers / this.#served)
    this.#endEvent = this.#engine.after(Math.ceil(left / rate), this.#endCode, 0)
  }

  #sharedEnd(): void {
    this.#endEvent = none
    this.#advance()
    const place = this.#ends.pop() as number
    const job = this.#job[place] as number
    this.#served--
    this.#release(place)
    this.#planEnd()
    this.#measure()
    this.#done(job)
  }

  // --- places ----------------------------------------------------------------------------------------------------

  #take(job: number): number {
    let place = this.#free
    if (place === none) {
      if (this.#rows === this.#state.length) this.#grow()
      place = this.#rows++
    } else this.#free = this.#next[place] as number
    this.#job[place] = job
    return place
  }

  #release(place: number): void {
    this.#state[place] = State.free
    this.#next[place] = this.#free
    this.#free = place
  }

  #grow(): void {
    const size = this.#state.length * 2
    const wider = <T extends Uint8Array | Int32Array | Float64Array>(column: T): T => {
      const next = new (column.constructor as new (length: number) => T)(size)
      next.set(column)
      return next
    }
    this.#state = wider(this.#state)
    this.#job = wider(this.#job)
    this.#work = wider(this.#work)
    this.#event = wider(this.#event)
    this.#next = wider(this.#next)
    this.#before = wider(this.#before)
  }

  #measure(): void {
    const { now } = this.#engine
    const busy = Math.min(this.#served, this.servers)
    const waiting = this.#waiting + this.#served - busy
    this.busy.set(now, this.#stopped ? 0 : busy)
    this.waitingLevel.set(now, waiting)
    if (waiting > this.waitingMax) this.waitingMax = waiting
    if (waiting === 0) this.#fullSince = -1
    else if (this.#fullSince < 0) this.#fullSince = now
    else if (this.saturatedAtUs === null && now - this.#fullSince >= saturatedAfterUs)
      this.saturatedAtUs = this.#fullSince
  }
}
