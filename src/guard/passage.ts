// What the guard sees of one request, and how a step answers. The edge's exchange fits `Passage`; the guard never imports
// the edge. A step answers at once, or `pending` and resumes later; no promise is made on the way of a request.

import type { RequestHead } from '../wire/head.ts'

/** The same numbers as the edge's gates answer. `taken`: the guard has answered the request itself. */
export const verdict = { pass: 0, refuse: 1, pending: 2, taken: 3 } as const

/** What a refused client is told. */
export interface PassageRefusal {
  /** Stable: `RATE_LIMITED`. */
  readonly code: string
  readonly status: number
  readonly text: string
  /** Ready field lines for the answer: `Retry-After: 5\r\n`. */
  readonly fields?: string
}

/** What a hook or a guard wants changed in the request as the instance gets it. */
export interface PassageEdits {
  /** Lower-case names that are removed, also those that are set. */
  readonly drop: readonly string[]
  /** Ready field lines. */
  readonly add: string
}

export interface PassageTls {
  readonly serverName: string
  readonly protocol: string
  readonly version: string
  readonly cipher: string
}

export interface PassageClient {
  /** The peer is a trusted proxy: what the connection shows is that proxy's, not the client's. */
  readonly trusted?: boolean
  readonly tls: PassageTls | null
  /** Id of the listener. */
  readonly listener: string
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string
  /** The request body is still to be read, at least in part. */
  readonly bodyOpen: boolean
  /** How the client began its TLS handshake; null: without TLS, or nobody asked for it. */
  readonly hello: ClientHello | null
}

/** Fingerprints of a TLS ClientHello. */
export interface ClientHello {
  /** `t13d1516h2_8daaf6152771_02713d6af862` (FoxIO's JA4, TLS client). */
  readonly ja4: string
  /** MD5 of JA3's text, hexadecimal. */
  readonly ja3: string
}

/** One request and its answer. */
export interface Passage {
  readonly head: RequestHead
  /** Grows with each request that this object carries: what resumes later compares it. */
  readonly serial: number
  readonly requestId: string
  /** The client's address, behind trusted proxies too; text of an IP address, unless a trusted proxy sent nonsense. */
  readonly address: string
  /** Normalised path without the query: what was matched. */
  readonly path: string
  /** Path and query as they are forwarded. */
  readonly target: string
  /** Monotonic, microseconds. */
  readonly startedAt: number
  readonly client: PassageClient | null
  /** A gate that refuses sets it. */
  refusal: PassageRefusal | null
  /** Added to every answer. */
  extraFields: string
  /** Others may have set some: `addEdits` of edits.ts joins them. */
  requestEdits: PassageEdits | null
  visit: {
    over(passage: Passage, aborted: boolean): void
    failed(passage: Passage, error: unknown): boolean
  } | null
  /** Of the answer, once there is one. */
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  pathParameter(name: string): string | undefined
  /** A gate that said `pending` has decided. Does nothing when the request is over meanwhile. */
  resumeGate(serial: number, answer: number): void
  /** A whole answer of our own: ready field lines with Content-Length; `body` is Latin-1 text, one byte a character. */
  respond(status: number, fields: string, body: string): void
  /**
   * Reads the request's body to its end before anything of it is passed on, then calls `done` once, never before this
   * returns: with the bytes as the client sent them (without chunk framing), or null when there are more than
   * `bytesMax`. When the body is malformed, too slow or cut, or the client goes, the request is over and `done` is never
   * called. Afterwards the request is passed on as it came, byte for byte, also one that is longer than `bytesMax`; and
   * it may be asked for again, with another bound. For a gate that answers `pending`.
   */
  holdBody(bytesMax: number, done: (body: Buffer | null) => void): void
  /** Begins an answer of our own that comes in pieces (an event stream); the status may be 200 only. */
  respondInPieces(fields: string, source: PassageSource): void
  /** A piece; false: no more until `source.drained`. */
  localBytes(bytes: Buffer, from: number, to: number): boolean
  localEnd(): void
}

export interface PassageSource {
  drained(): void
  /** The request is over: nothing may be called on it any more. */
  cancel(): void
}
