// What stands between an answer and its client where a route asks for it: compression, a hook that may change the head.
// And a source: an answer of our own that comes in pieces (a file). Routes without either pay a comparison with null.

import type { Http1ResponseHead } from '../wire/http1/index.ts'
import type { Exchange } from './exchange.ts'

/**
 * Takes a response's body instead of the client. Made by the route's `ResponseStep`; writes to `exchange.client` itself,
 * and says `exchange.sinkDone(trailers)` when all has been written.
 */
export interface ResponseSink {
  text(text: string): void
  /** `bytes` are valid until this returns, or, after false, until the sink called `exchange.resumeResponse()`. */
  bytes(bytes: Buffer, from: number, to: number): boolean
  /** The instance's answer is complete. */
  end(trailers: readonly string[] | null): void
  /** The client takes more again. */
  drained(): void
  /** The exchange is over: let go of everything; nothing may be called on it any more. */
  cancel(): void
}

/** Compiled into a route that asks for it; asked at each final head of an instance, before it is sent. */
export interface ResponseStep {
  /**
   * Null: this answer needs nothing. A sink: it takes over; it has called `exchange.sendHead(...)` or will.
   * `head` is valid until this returns only; `Http1ResponseHead.copy()` keeps it.
   */
  begin(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null
}

/** An answer of our own that comes in pieces: it writes to `exchange.client`, and ends with `exchange.localEnd()`. */
export interface LocalSource {
  /** The client takes more again. */
  drained(): void
  /** The exchange is over: close what is open; nothing may be called on it any more. */
  cancel(): void
}

/** Changes that a hook wants on a request or response, beyond the route's own rules. */
export interface HeadEdits {
  /** Lower-case names that are removed, also those that are set. */
  readonly drop: readonly string[]
  /** Ready field lines. */
  readonly add: string
}
