// Tells the front of a service's members: one publication at a time, the newest list each time, tried again while the
// front does not take it. Whoever waits is answered when a list at least as new as its wish is routed by.

import { setTimeout as sleep } from 'node:timers/promises'
import type { FleetLog, FleetMember, FrontPort } from './contract.ts'

const firstPauseMs = 50
const pauseMsMax = 2000

export class Publisher {
  readonly #service: string
  readonly #front: FrontPort
  readonly #log: FleetLog
  readonly #members: () => readonly FleetMember[]
  /** Grows with each wish; what the front has taken follows it. */
  #wanted = 0
  #done = 0
  #running = false
  #closed = false
  #waiting: { readonly number: number; readonly resolve: () => void }[] = []

  constructor(service: string, front: FrontPort, log: FleetLog, members: () => readonly FleetMember[]) {
    this.#service = service
    this.#front = front
    this.#log = log
    this.#members = members
  }

  /** Resolves when the front routes by the list as it is now, or a newer one, or when the publisher is closed. */
  publish(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#wanted++
    if (!this.#running) void this.#run()
    return this.flushed()
  }

  /** Resolves when nothing is left to publish. */
  flushed(): Promise<void> {
    if (this.#closed || this.#done === this.#wanted) return Promise.resolve()
    return new Promise<void>(resolve => this.#waiting.push({ number: this.#wanted, resolve }))
  }

  /** No more publications; whoever waits is let go. */
  close(): void {
    this.#closed = true
    this.#answer(Number.POSITIVE_INFINITY)
  }

  async #run(): Promise<void> {
    this.#running = true
    let pauseMs = firstPauseMs
    // What else changes in this turn of the event loop goes into the same list.
    await Promise.resolve()
    while (!this.#closed && this.#done < this.#wanted) {
      const number = this.#wanted
      try {
        await this.#front.publish(this.#service, this.#members())
        this.#done = number
        this.#answer(number)
        pauseMs = firstPauseMs
      } catch (error) {
        const sentence = `${this.#service}: its members could not be published, trying again in ${pauseMs} ms: ${(error as Error).message}`
        this.#log.warn({ service: this.#service }, sentence)
        await sleep(pauseMs)
        pauseMs = Math.min(pauseMsMax, pauseMs * 2)
      }
    }
    this.#running = false
  }

  #answer(number: number): void {
    const taken = this.#waiting.filter(one => one.number <= number)
    this.#waiting = this.#waiting.filter(one => one.number > number)
    for (const one of taken) one.resolve()
  }
}
