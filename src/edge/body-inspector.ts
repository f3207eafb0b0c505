// What stands between a request's body and its instance where a route asks for it. Routes without one pay a comparison.

export interface BodyInspector {
  /**
   * A piece of the body, valid until this returns. The inspector passes it on by `exchange.forwardBody` when it may.
   * False: no more for now; the inspector calls `client.resumeBody`.
   */
  bytes(bytes: Buffer, from: number, to: number): boolean
  /** The client has sent all: `exchange.forwardBodyEnd` follows, or `exchange.requestBodyBad`. */
  end(trailers: readonly string[] | null): void
  /** The exchange is over. */
  cancel(): void
}
