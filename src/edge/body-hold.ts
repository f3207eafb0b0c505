// A request's body that is read to its end before anything of it is passed on, because somebody must see it whole first
// (`exchange.holdBody`). Holds copies of what the client sent, at most `bytesMax` and one read more, and all holds of a
// worker together at most `heldBytesMax`. Never judges a body, and never outlives its exchange.
//
// States: reading -> whole (the end came) | full (more than `bytesMax`: the client waits; the rest may be passed on
// behind what is held, or asked for with a larger bound) -> reading | dropped.

import type { Exchange } from './exchange.ts'
import { clientFailures } from './failures.ts'

/** Of all exchanges of a worker thread. */
export const heldBytesMax: number = 256 << 20
let heldBytes = 0

type Done = (body: Buffer | null) => void

/** Whoever looks at the body of one request may fail at it: that request alone is refused, and the worker lives. */
export function tellHolder(exchange: Exchange, serial: number, body: Buffer | null, done: Done): void {
  try {
    done(body)
  } catch (error) {
    exchange.holdFailed(serial, error)
  }
}

export class BodyHold {
  readonly #exchange: Exchange
  readonly #serial: number
  #pieces: Buffer[] = []
  #bytes = 0
  #bytesMax = 0
  #done: Done | null = null
  #whole = false

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    this.#serial = exchange.serial
  }

  /** The client has sent all of it. */
  get whole(): boolean {
    return this.#whole
  }

  /** `done` is called once, unless the exchange is over before. True: the client is to be read on. */
  wait(bytesMax: number, done: Done): boolean {
    this.#bytesMax = bytesMax
    this.#done = done
    if (this.#bytes <= bytesMax) return !this.#whole || this.#tell()
    return this.#tell()
  }

  /** False: no more for now. */
  take(bytes: Buffer, from: number, to: number): boolean {
    if (heldBytes + to - from > heldBytesMax) {
      this.#exchange.requestBodyBad(clientFailures.holdsFull)
      return true
    }
    heldBytes += to - from
    this.#bytes += to - from
    this.#pieces.push(Buffer.from(bytes.subarray(from, to)))
    if (this.#bytes <= this.#bytesMax) return true
    return this.#tell()
  }

  end(): void {
    this.#whole = true
    this.#tell()
  }

  /** What is held, in one piece. */
  bytes(): Buffer {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)]
    return this.#pieces[0] as Buffer
  }

  /** Nothing of it is wanted any more. */
  drop(): void {
    heldBytes -= this.#bytes
    this.#bytes = 0
    this.#pieces = []
    this.#done = null
  }

  /** Never at once: who feeds a body, or asks for it, is not done. */
  #tell(): false {
    const done = this.#done
    this.#done = null
    if (done !== null) queueMicrotask(() => this.#told(done))
    return false
  }

  #told(done: Done): void {
    if (this.#exchange.serial !== this.#serial) return
    tellHolder(this.#exchange, this.#serial, this.#bytes > this.#bytesMax ? null : this.bytes(), done)
  }
}
