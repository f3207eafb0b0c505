// The port through which others decide whether an exchange may pass: the guard fits it (limits, challenges, rooms). The
// edge knows only this. A gate answers at once, or `pending` and later calls `exchange.resumeGate`; no promise is made.

import type { Exchange } from './exchange.ts'
import type { ClientFailure } from './failures.ts'

/** `taken`: the gate has answered the request itself. */
export const gateAnswer = { pass: 0, refuse: 1, pending: 2, taken: 3 } as const

export interface Gate {
  readonly name: string
  /**
   * One of `gateAnswer`. `refuse`: the gate has set `exchange.refusal` (what the client is told). `pending`: the gate
   * keeps the exchange and calls `exchange.resumeGate(serial, answer)` with the `exchange.serial` of now, once; when the
   * client went away meanwhile the serial differs and the call does nothing.
   */
  enter(exchange: Exchange): number
}

export interface GateRefusal extends ClientFailure {
  /** Field lines for the answer: `Retry-After: 5\r\n`. */
  readonly fields?: string
}
