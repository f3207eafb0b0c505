// A stream that is no socket: between a seat and the session of a shard's router in the same process. What the seat sends is
// handed over at once, or kept while the session has paused; what the session writes goes to the seat in the same call.

import type { Duplex } from 'node:stream'
import type { Stream, StreamHandler } from '../../io/net.ts'

/** Who sits at the other end. */
export interface StreamEnd {
  /** `bytes[from..to)`, valid in the call only unless it answers false: then they stay until `drain`. */
  written(bytes: Buffer, from: number, to: number): boolean
  /** The session has ended. */
  over(): void
  /** The session takes again what is sent. */
  wanted(): void
}

export class SeatStream implements Stream {
  handler!: StreamHandler
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress = ''
  readonly localPort = 0
  readonly tls = null
  readonly #end: StreamEnd
  #paused = false
  #over = false
  #handing = false
  readonly #kept: Buffer[] = []
  #keptBytes = 0

  /** @param client who is served: for what the session says of it */
  constructor(end: StreamEnd, client: Pick<Stream, 'remoteAddress' | 'remotePort'>) {
    this.#end = end
    this.remoteAddress = client.remoteAddress
    this.remotePort = client.remotePort
  }

  // --- for the seat -------------------------------------------------------------------------------------------

  /** Answers how much is kept because the session has paused. Bytes that are kept are copied. */
  send(bytes: Buffer, from: number, to: number): number {
    if (this.#over || to === from) return 0
    if (this.#paused || this.#handing || this.#kept.length > 0) {
      this.#kept.push(Buffer.from(bytes.subarray(from, to)))
      this.#keptBytes += to - from
    } else this.#hand(from === 0 ? bytes : bytes.subarray(from, to), to - from)
    return this.#keptBytes
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  /** What was not taken has been. */
  drain(): void {
    if (!this.#over) this.handler.drained(this)
  }

  /** The client is gone. */
  close(): void {
    if (this.#over) return
    this.#over = true
    this.handler.closed(this, '')
  }

  #hand(bytes: Buffer, length: number): void {
    this.#handing = true
    this.handler.data(this, bytes, length)
    this.#handing = false
    this.#handKept()
  }

  #handKept(): void {
    if (this.#handing) return
    this.#handing = true
    const had = this.#keptBytes > 0
    while (!this.#paused && !this.#over) {
      const next = this.#kept.shift()
      if (next === undefined) break
      this.#keptBytes -= next.length
      this.handler.data(this, next, next.length)
    }
    this.#handing = false
    if (had && this.#keptBytes === 0 && !this.#over) this.#end.wanted()
  }

  // --- for the session ----------------------------------------------------------------------------------------

  write(text: string): boolean {
    const bytes = Buffer.from(text, 'latin1')
    return this.writeBytes(bytes, 0, bytes.length)
  }

  writeBytes(bytes: Buffer, from: number, to: number): boolean {
    return this.#over || this.#end.written(bytes, from, to)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    // Never inside a method of its own.
    if (this.#kept.length > 0) queueMicrotask(() => this.#handKept())
  }

  get paused(): boolean {
    return this.#paused
  }

  readInto(): void {}

  unshift(bytes: Buffer): void {
    this.#kept.unshift(Buffer.from(bytes))
    this.#keptBytes += bytes.length
    queueMicrotask(() => this.#handKept())
  }

  end(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.#over) return
    this.#over = true
    this.#kept.length = 0
    this.#keptBytes = 0
    this.#end.over()
  }

  reset(): void {
    this.destroy()
  }

  startTls(): void {
    throw new Error('A seat speaks no TLS.')
  }

  detach(): Duplex {
    throw new Error('A seat has no socket.')
  }
}
