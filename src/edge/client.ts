// What an exchange asks of the client's side of it, whatever protocol the client speaks: one HTTP/1.x connection
// (http1-client.ts), one stream of an HTTP/2 connection, or nobody (a mirrored request). Heads come and go in HTTP/1.1
// form (text and slices of it); a protocol that frames otherwise translates at its own edge.

import type { TlsInfo } from '../io/tls.ts'
import type { ResponseHead } from '../wire/head.ts'
import type { ClientHello } from './client-hello.ts'
import type { CompiledRules } from './compile.ts'
import type { Tunnel } from './tunnel.ts'

/** One direction pair of an upgraded connection: what a tunnel writes to and holds back. A `Stream` is one. */
export interface TunnelSide {
  write(text: string): boolean
  writeBytes(bytes: Buffer, from: number, to: number): boolean
  pause(): void
  resume(): void
  end(): void
  destroy(): void
}

export interface ExchangeClient {
  /** The client's address; behind a listed peer that speaks the PROXY protocol, what that said. */
  readonly remoteAddress: string
  /** The peer is a trusted proxy: what it says about the client is believed. */
  readonly trusted: boolean
  /** Null without TLS. */
  readonly tls: TlsInfo | null
  /** How the client began TLS; null: without TLS, unreadable, or nobody asked for it. */
  readonly hello: ClientHello | null
  /** Id of the listener that it came to; '' for nobody. */
  readonly listener: string
  /** `1.0`, `1.1` or `2.0`: for Via and the log. */
  readonly httpVersion: string
  /** What instances are told about the client, where it is not a trusted proxy. */
  readonly forwardedText: string
  /** The same with the host, our Via and the start of the request's id. */
  aboutText(authority: string): string
  /** The request body is still to be read, at least in part. */
  readonly bodyOpen: boolean
  /** Set: the connection ends after this exchange (an HTTP/2 client: nothing else may come of this stream). */
  closing: boolean
  /** The exchange can take the body from now on. */
  startBody(): void
  pauseBody(): void
  resumeBody(): void
  /** An interim answer (RFC 9110 15.2). */
  sendInterim(head: ResponseHead, rules: CompiledRules): void
  /**
   * Begins the response of an instance; nothing need be written before `flush` or a body. `bodyFraming` is how the body
   * that follows is framed (`framing` of wire/http1), `extra` ready field lines (`Name: value\r\n`).
   */
  beginResponse(
    head: ResponseHead,
    bodyFraming: number,
    drop: Uint8Array,
    alsoDrop: readonly string[] | null,
    extra: string,
  ): void
  /**
   * Begins a response of our own, with ready field lines. Without Content-Length in `fields`, and where the status and
   * method allow a body, `chunked` must be true: the body is then of unknown length. `dated`: they have a Date.
   */
  beginOwnResponse(status: number, fields: string, chunked?: boolean, dated?: boolean): void
  /** Latin-1 text: one byte a character. */
  bodyText(text: string): void
  /** False: `bytes` must stay as they are, and no more should come, until the exchange hears `clientDrained`. */
  bodyBytes(bytes: Buffer, from: number, to: number): boolean
  endResponse(trailers: readonly string[] | null): void
  flush(): boolean
  /** `buffer` is what the last write still reads from: it goes back to the pool when that is over. */
  lend(buffer: Buffer): void
  /** The exchange is over and complete; its object must not be used afterwards. */
  exchangeDone(): void
  /** The response is over and it is not complete: the client must see that. */
  exchangeCut(): void
  /** What a tunnel uses once this client has become its end. */
  readonly side: TunnelSide
  /** The instance agreed to the upgrade (101): its head goes to the client, then bytes pass through `tunnel`. */
  becomeTunnel(tunnel: Tunnel, head: ResponseHead, protocol: string): void
}
