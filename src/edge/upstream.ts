// What an exchange and its attempts ask of a connection to an instance, whatever protocol the instance speaks: an
// HTTP/1.1 connection (http1-upstream.ts) or one stream of an HTTP/2 connection. The exchange hears of its fate through
// `attempts.connected`, `attempts.drained`, `attempts.failed`, `exchange.interim`, `exchange.response`,
// `exchange.responseText/Bytes/End` and `exchange.switched`.

import type { TunnelSide } from './client.ts'
import type { Exchange } from './exchange.ts'
import type { MemberPool } from './pools.ts'
import type { Tunnel } from './tunnel.ts'

/** How an attempt ended without a response. `noRoom`: this machine has no file or port left for a
 * connection, which says nothing about the instance. `refused`: the instance said that it did not process it (RFC 9113 8.7). */
export const attemptEnd = {
  connectFailed: 0,
  connectTimeout: 1,
  lost: 2,
  timeout: 3,
  bad: 4,
  refused: 5,
  noRoom: 6,
} as const

export type AttemptEndCode = (typeof attemptEnd)[keyof typeof attemptEnd]

/** Out of files, ports or memory on our side. */
const noRoomCodes = ['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']

/** What the system's code of a connection that did not come about means. */
export function connectEnd(code: string): AttemptEndCode {
  return noRoomCodes.includes(code) ? attemptEnd.noRoom : attemptEnd.connectFailed
}

export interface UpstreamConnection {
  readonly pool: MemberPool
  /** Index of the member in the exchange's group, and its row in the worker's cells, while busy. Set by the attempt. */
  member: number
  row: number
  /** Row of the upstream whose place it holds (`places.ts`), or -1; and since when. Set by the attempt. */
  placeRow: number
  placeAt: number
  /** Microseconds: the attempt took it; the connection was there; the request was given to the system. */
  readonly startedAt: number
  readonly connectedAt: number
  readonly sentAt: number
  /** Requests served before this one on the same connection. */
  readonly served: number
  /** Nothing was given to the system for this request yet, or the instance said that it did not look at it. */
  readonly unsent: boolean
  readonly isConnecting: boolean
  /** It can't take more of the request body for now. */
  readonly blocked: boolean
  /** `text`: the head (and a whole small body) as HTTP/1.1. `more`: a body follows, in chunks if `chunked`. */
  send(exchange: Exchange, text: string, more: boolean, chunked: boolean): void
  /** False: keep `bytes` unchanged and wait for `attempts.drained`. */
  body(bytes: Buffer, from: number, to: number): boolean
  bodyEnd(trailers: readonly string[] | null): void
  /** The response comes faster than it can be passed on. */
  pause(): void
  resume(): void
  /** The exchange is off. */
  cancel(): void
  readonly side: TunnelSide
  becomeTunnel(tunnel: Tunnel): void
  tunnelDone(): void
}
