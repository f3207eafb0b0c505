// Questions of a part in a worker to its half in the main thread, and the answers. Those of one turn of the loop go as one
// message, and so do their answers. Bounded; a question that is not answered in time gets null, once. What is answered
// after that is an orphan: whoever reserves something by asking can give it back.

import type { Clock } from '../kit/clock.ts'

/** To the main thread. */
export interface CourierAsks<Q> {
  readonly kind: 'asks'
  readonly first: number
  readonly asks: Q[]
}

/** From it: in the order of the questions. */
export interface CourierAnswers<A> {
  readonly kind: 'answers'
  readonly first: number
  readonly answers: readonly A[]
}

const batchMax = 256
const waitingMax = 20_000
const timeoutUs = 5_000_000
const sweepMs = 1_000

interface Waiting<Q, A> {
  readonly question: Q
  readonly done: (answer: A | null) => void
  readonly until: number
}

export class Courier<Q, A> {
  readonly #send: (message: CourierAsks<Q>) => void
  readonly #clock: Clock
  readonly #waiting = new Map<number, Waiting<Q, A>>()
  readonly #late = new Map<number, Q>()
  readonly #orphan: ((question: Q, answer: A) => void) | null
  #gathered: Q[] | null = null
  #next = 1
  #timer: NodeJS.Timeout | null = null

  constructor(
    send: (message: CourierAsks<Q>) => void,
    clock: Clock,
    orphan: ((question: Q, answer: A) => void) | null = null,
  ) {
    this.#orphan = orphan
    this.#send = send
    this.#clock = clock
  }

  /** @param done never called before this returns, unless too many wait: then at once, with null. */
  ask(question: Q, done: (answer: A | null) => void): void {
    if (this.#waiting.size >= waitingMax) {
      done(null)
      return
    }
    const until = this.#clock.monotonic() + timeoutUs
    this.#waiting.set(this.#next, { question, done, until })
    this.#timer ??= setInterval(() => this.#sweep(), sweepMs).unref()
    if (this.#gathered === null || this.#gathered.length >= batchMax) this.#begin(question)
    else this.#gathered.push(question)
    this.#next++
  }

  /** The message is copied when it leaves, at the end of this turn: until then questions are added to it. */
  #begin(question: Q): void {
    const asks = [question]
    this.#send({ kind: 'asks', first: this.#next, asks })
    this.#gathered = asks
    setImmediate(() => {
      if (this.#gathered === asks) this.#gathered = null
    })
  }

  hear({ first, answers }: CourierAnswers<A>): void {
    for (const [index, answer] of answers.entries()) this.#tell(first + index, answer)
  }

  #tell(serial: number, answer: A | null): void {
    const waiting = this.#waiting.get(serial)
    if (waiting === undefined) {
      const question = this.#late.get(serial)
      if (this.#late.delete(serial) && answer !== null) this.#orphan?.(question as Q, answer)
      return
    }
    this.#waiting.delete(serial)
    if (answer === null && this.#orphan !== null) this.#keepLate(serial, waiting.question)
    waiting.done(answer)
  }

  #keepLate(serial: number, question: Q): void {
    this.#late.set(serial, question)
    if (this.#late.size <= waitingMax) return
    const [oldest] = this.#late.keys()
    if (oldest !== undefined) this.#late.delete(oldest)
  }

  /** Oldest first: they were added in order. */
  #sweep(): void {
    const now = this.#clock.monotonic()
    for (const [serial, { until }] of this.#waiting) {
      if (until > now) return
      this.#tell(serial, null)
    }
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    for (const serial of [...this.#waiting.keys()]) this.#tell(serial, null)
  }
}
