// An instance's answer on its way to the client and into the store at once. The store copies, and never holds the client
// back; the client (or what stands before it) sets the pace, unless it is gone. Cut short: nothing is kept.

import type { Exchange } from '../exchange.ts'
import type { ResponseSink } from '../response-sink.ts'
import type { Fill } from '../store/contract.ts'

export class TeeSink implements ResponseSink {
  readonly #exchange: Exchange
  #fill: Fill | null
  /** Null: the client itself. */
  #inner: ResponseSink | null
  /** Nobody is to get the body: the client is gone, or has been told 304. */
  #mute: boolean

  constructor(exchange: Exchange, fill: Fill | null, inner: ResponseSink | null, mute: boolean) {
    this.#exchange = exchange
    this.#fill = fill
    this.#inner = inner
    this.#mute = mute
  }

  get filling(): boolean {
    return this.#fill !== null
  }

  text(text: string): void {
    if (this.#fill !== null && !this.#fill.writeText(text)) this.#fill = null
    if (this.#mute) return
    if (this.#inner !== null) this.#inner.text(text)
    else this.#exchange.client?.bodyText(text)
  }

  bytes(bytes: Buffer, from: number, to: number): boolean {
    if (this.#fill !== null && !this.#fill.write(bytes, from, to)) this.#fill = null
    if (this.#mute) return true
    if (this.#inner !== null) return this.#inner.bytes(bytes, from, to)
    return this.#exchange.client?.bodyBytes(bytes, from, to) ?? true
  }

  /** With trailers it is not whole without them, and they are not kept. */
  end(trailers: readonly string[] | null): void {
    const fill = this.#fill
    this.#fill = null
    if (trailers !== null && trailers.length > 0) fill?.abort()
    else fill?.commit()
    if (this.#inner !== null && !this.#mute) this.#inner.end(trailers)
    else this.#exchange.sinkDone(this.#mute ? null : trailers)
  }

  /** The client is gone; the rest is for the store alone. */
  detach(): void {
    const inner = this.#inner
    this.#inner = null
    this.#mute = true
    inner?.cancel()
  }

  drained(): void {
    if (this.#inner !== null) this.#inner.drained()
    else this.#exchange.resumeResponse()
  }

  cancel(): void {
    const fill = this.#fill
    this.#fill = null
    fill?.abort()
    this.#inner?.cancel()
  }
}

/** The instance's answer is not what the client gets: it is dropped, up to a bound, and something else comes instead. */
export class InsteadSink implements ResponseSink {
  readonly #answer: () => void
  #left = 65_536
  #over = false

  constructor(answer: () => void) {
    this.#answer = answer
  }

  text(): void {}

  bytes(_bytes: Buffer, from: number, to: number): boolean {
    this.#left -= to - from
    if (this.#left >= 0) return true
    // Not within the callback that hands the bytes over.
    setImmediate(() => this.end())
    this.#left = Infinity
    return true
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.#answer()
  }
  drained(): void {}
  cancel(): void {
    this.#over = true
  }
}
