// Sends what is stored to a client, piece by piece as the client takes it, also while it is still being filled by another
// exchange. Holds the entry's pin until the last byte has been taken: what it sends can't be overwritten meanwhile.

import type { Exchange } from '../exchange.ts'
import type { Part } from '../representation.ts'
import type { LocalSource } from '../response-sink.ts'
import type { Piece, StoredEntry } from '../store/contract.ts'

/** Of an entry whose length is not known: to its end. */
export const toTheEnd: number = Infinity

const piece: Piece = { bytes: Buffer.alloc(0), from: 0, to: 0 }

export class StoredSender implements LocalSource {
  readonly #exchange: Exchange
  readonly #serial: number
  readonly #entry: StoredEntry
  readonly #parts: readonly Part[]
  #part = 0
  #at = 0
  /** The client, or the store, has to say when it goes on. */
  #held = false
  #waits = false
  #over = false
  /** What stands behind it may still ask for more. */
  #allFed = false

  constructor(exchange: Exchange, entry: StoredEntry, parts: readonly Part[]) {
    this.#exchange = exchange
    this.#serial = exchange.serial
    this.#entry = entry
    this.#parts = parts
    this.#begin()
  }

  #begin(): void {
    const part = this.#parts[this.#part]
    if (part !== undefined && 'from' in part) this.#at = part.from
  }

  start(): void {
    this.#send()
  }

  drained(): void {
    this.#held = false
    if (!this.#waits && !this.#allFed) this.#send()
  }

  #send(): void {
    while (!this.#held && !this.#waits && !this.#over) {
      const part = this.#parts[this.#part]
      if (part === undefined) {
        this.#allFed = true
        this.#exchange.feedEnd()
        // All has been taken; an exchange that is over by now does not know of its source any more.
        this.cancel()
        return
      }
      if ('text' in part) {
        const bytes = Buffer.from(part.text, 'latin1')
        this.#next()
        this.#held = !this.#exchange.feedBytes(bytes, 0, bytes.length)
      } else this.#sendPiece(part.to)
    }
  }

  #next(): void {
    this.#part++
    this.#begin()
  }

  #sendPiece(to: number): void {
    if (this.#at >= to) {
      this.#next()
      return
    }
    const found = this.#entry.piece(this.#at, piece)
    if (found === null) {
      if (this.#entry.ended(this.#at)) this.#ended(to)
      else this.#await()
      return
    }
    const { bytes, from } = found
    const end = Math.min(found.to, from + (to - this.#at))
    this.#at += end - from
    this.#held = !this.#exchange.feedBytes(bytes, from, end)
  }

  #ended(to: number): void {
    if (to === toTheEnd) this.#next()
    else this.#cut()
  }

  #cut(): void {
    if (!this.#over) this.#exchange.sinkFailed('stored-answer-cut')
  }

  #await(): void {
    this.#waits = true
    this.#exchange.client?.flush()
    this.#entry.whenMore(this.#at, ok => {
      if (this.#over || this.#exchange.serial !== this.#serial) return
      this.#waits = false
      this.#exchange.worker.refresh()
      if (ok) this.#send()
      else this.#cut()
    })
  }

  cancel(): void {
    if (this.#over) return
    this.#over = true
    // The connection lets go of the bytes in this turn, after it hears that the answer is cut.
    if (this.#part < this.#parts.length || this.#held) setImmediate(release, this.#entry)
    else this.#entry.release()
  }
}

function release(entry: StoredEntry): void {
  entry.release()
}
