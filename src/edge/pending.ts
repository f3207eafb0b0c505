// Requests that wait for a place on a member, first come first served, one queue an upstream and worker, kept over
// snapshots. The bound is over all workers (policy/circuit); a place that another worker frees is noticed within `pollMs`.

import { upstreamSlots } from './cells.ts'
import type { WorkerContext } from './context.ts'
import type { MemberGroup } from './group.ts'

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
  #timer: NodeJS.Timeout | null = null
  #waking = false

  constructor(worker: WorkerContext, name: string) {
    this.#worker = worker
    this.#name = name
  }

  get count(): number {
    return this.#waiting.length
  }

  enter(waiter: Waiter): void {
    this.#waiting.push(waiter)
    this.#count(1)
    this.#timer ??= setInterval(() => this.#poll(), pollMs)
  }

  leave(waiter: Waiter): void {
    const at = this.#waiting.indexOf(waiter)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    waiter.waitingUntil = 0
    this.#count(-1)
  }

  #count(by: number): void {
    const { snapshot, cells, index } = this.#worker
    const group = snapshot.groups.get(this.#name)
    if (group !== undefined) cells.upstreamWorker.pending[index * upstreamSlots + group.slot]! += by
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
    if (this.#waiting.length > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
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
}
