// The discrete-event engine: a clock in integer microseconds, pending events, handlers by code, named streams. It is
// driven in steps by whoever has time (a progress bar lives outside) and never looks at a real clock. Each handled event
// goes into a hash: equal files, seeds and programs give equal hashes and equal numbers of draws.

import { assert } from '../../kit/failure.ts'
import { EventHeap, type EventId } from './heap.ts'
import { Stream } from './streams.ts'

export type { EventId } from './heap.ts'

/** What an event does. `first` and `second` are 32-bit integers, mostly rows of a table. */
export type Handler = (first: number, second: number) => void
/** A handler's number: what events carry. */
export type EventCode = number

export interface EngineOptions {
  /** Low 32 bits count. */
  readonly seed: number
  /** Events that may be pending at once; more is a fault of the model. Default 8,000,000, at most 16,777,214. */
  readonly pendingMax?: number
}

/** Later than every event: 285 years. */
export const timeMax: number = 2 ** 53 - 1

/** Among events of one moment, the lower comes first; then the one that was planned first. */
export const Priority = { fault: 0, end: 1, normal: 2, sample: 3 } as const

export class Engine {
  readonly seed: number
  /** Microseconds of virtual time. */
  now = 0
  events = 0
  readonly #heap: EventHeap
  readonly #handlers: Handler[] = []
  readonly #priorities: number[] = []
  readonly #names: string[] = []
  readonly #streams = new Map<string, Stream>()
  #hashA = 0x811c_9dc5 | 0
  #hashB = 0x1b87_3593 | 0

  constructor(options: EngineOptions) {
    this.seed = options.seed >>> 0
    this.#heap = new EventHeap(options.pendingMax ?? 8_000_000)
  }

  /** Registers what an event does. Names are unique; codes follow the order of registration. */
  on(name: string, handler: Handler, priority: number = Priority.normal): EventCode {
    assert(!this.#names.includes(name), `engine: two handlers named ${name}`)
    assert(priority >= 0 && priority < 256, `engine: priority ${priority} of ${name}`)
    this.#names.push(name)
    this.#priorities.push(priority)
    return this.#handlers.push(handler) - 1
  }

  /** Plans an event at `time`, an integer not before now. */
  at(time: number, code: EventCode, first = 0, second = 0): EventId {
    if (!(time >= this.now && time <= timeMax)) this.#refuse(time, code)
    const heap = this.#heap
    if (!heap.add(time, this.#priorities[code] as number, code, first, second)) this.#overflow()
    return heap.lastId
  }

  /** Plans an event `delay` microseconds from now. */
  after(delay: number, code: EventCode, first = 0, second = 0): EventId {
    return this.at(this.now + delay, code, first, second)
  }

  /** False: it has come up, or was cancelled before. */
  cancel(id: EventId): boolean {
    return this.#heap.cancel(id)
  }

  /**
   * Handles events up to and at `until`, at most `eventsMax` of them; then the clock stands at `until`, unless the bound
   * on events was reached first. True: nothing at or before `until` is left.
   */
  run(until: number, eventsMax: number = Number.POSITIVE_INFINITY): boolean {
    const heap = this.#heap
    const handlers = this.#handlers
    let left = eventsMax
    while (left-- > 0) {
      if (!heap.take(until)) {
        if (until < timeMax && until > this.now) this.now = until
        return true
      }
      const { time, code, first, second } = heap
      this.now = time
      this.events++
      this.#mix(time, code, first, second)
      ;(handlers[code] as Handler)(first, second)
    }
    return heap.nextTime > until
  }

  get pending(): number {
    return this.#heap.pending
  }

  /** The stream of this name; the same object each time. */
  stream(name: string): Stream {
    let stream = this.#streams.get(name)
    if (stream === undefined) this.#streams.set(name, (stream = new Stream(name, this.seed)))
    return stream
  }

  /** Of all streams. */
  get draws(): number {
    let sum = 0
    for (const stream of this.#streams.values()) sum += stream.draws
    return sum
  }

  /** 16 hexadecimal digits over every event so far: time, code and its two integers, in their order. */
  get hash(): string {
    const hex = (half: number): string => (half >>> 0).toString(16).padStart(8, '0')
    return hex(this.#hashA) + hex(this.#hashB)
  }

  /** Folds a number that is not an event into the hash: a decision, a result. */
  note(value: number): void {
    this.#mix(this.now, -1, value | 0, (value / 4_294_967_296) | 0)
  }

  #mix(time: number, code: number, first: number, second: number): void {
    const low = Math.imul((time | 0) ^ this.#hashA, 0x9e37_79b1)
    const high = Math.imul(((time / 4_294_967_296) | 0) ^ (code << 24) ^ first, 0x85eb_ca6b)
    this.#hashA = Math.imul(low ^ (low >>> 15) ^ high, 0xc2b2_ae35) + second
    const other = Math.imul(this.#hashB ^ second ^ (this.#hashA >>> 13), 0x27d4_eb2f)
    this.#hashB = (other ^ (other >>> 16)) + code
  }

  #refuse(time: number, code: EventCode): never {
    fault(`engine: ${this.#names[code]} planned for ${time} at ${this.now}`)
  }

  #overflow(): never {
    fault(
      `engine: more than ${this.#heap.bound} events are pending at ${this.now} us: something is planned without an end`,
    )
  }
}

function fault(reason: string): never {
  assert(false, reason)
}
