// The seam between the data planes and the operating system's TCP sockets: plain callbacks, no promises, no streams.
// `net-node.ts` and `net-bun.ts` implement it and `net.contract.ts` holds them to it. Whoever is above owns time-outs
// (see `timer-wheel.ts`): nothing here ends a connection by itself.
//
// Bytes that arrive are valid only until the callback returns: all streams of a thread read into one shared buffer,
// unless `readInto` gave one a buffer of its own. A write says what it took: `true` = the bytes are the system's (or
// were copied: text always is, and so are bytes of the shared buffer); `false` = the stream still needs them, so
// `writeBytes`' memory must stay unchanged, and the caller should produce no more, until `drained`.
//
// No callback is called from inside a method of its own stream, so a handler never finds itself called in its middle.

import type { Duplex } from 'node:stream'
import type { TlsClient, TlsInfo, TlsServer } from './tls.ts'

export interface StreamHandler {
  /**
   * A connection that we asked for is established, its TLS handshake included; or one for which `startTls` was called
   * has finished its handshake. Not called for other accepted ones.
   */
  opened(stream: Stream): void
  /** `bytes[0..length)` arrived, at most `sharedReadBytes`; valid only until this returns. */
  data(stream: Stream, bytes: Buffer, length: number): void
  /** The peer will send no more (FIN); all that it sent was delivered. We may still write. */
  ended(stream: Stream): void
  /** All that was written has been handed to the system. Follows each write that answered `false`: once for several. */
  drained(stream: Stream): void
  /**
   * Exactly once, last. `code` is '' after an orderly end and after our own `destroy` or `reset`, else the system's:
   * ECONNREFUSED, ECONNRESET, EPIPE... A connection that both sides have ended closes by itself. A TLS handshake that
   * fails ends here without `opened`, with OpenSSL's or Node's code: ERR_SSL_NO_SHARED_CIPHER, CERT_HAS_EXPIRED,
   * ERR_TLS_CERT_ALTNAME_INVALID...; ECONNRESET if the peer went away in its middle.
   */
  closed(stream: Stream, code: string): void
}

export interface Stream {
  /** May be replaced at any time, also inside a callback: the next callback goes to the new one. */
  handler: StreamHandler
  /** '' before `opened` and, where nobody asked earlier, after the end; a port is 0 then. */
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  /** Null until a TLS handshake is done, and on plain connections. */
  readonly tls: TlsInfo | null
  /** Latin-1 text: one byte a character (0-255). Always copied. Ignored after `end`, `destroy` and `closed`. */
  write(text: string): boolean
  /** `bytes[from..to)`, without a copy unless it is the thread's shared buffer. Otherwise as `write`. */
  writeBytes(bytes: Buffer, from: number, to: number): boolean
  /** `write`, then `writeBytes`, in one call of the system. Absent where that gains nothing. */
  writeBoth?(text: string, bytes: Buffer, from: number, to: number): boolean
  /**
   * No `data` or `ended` until `resume`; idempotent; also before `opened`. The peer feels it by TCP's flow control. A
   * peer that aborts meanwhile may be noticed at once, at the next write, or only at `resume`.
   */
  pause(): void
  resume(): void
  readonly paused: boolean
  /** Reads go into `buffer` from now on; `null`: into the thread's shared one again, and `buffer` is the caller's. */
  readInto(buffer: Buffer | null): void
  /**
   * Gives back bytes that were peeked at (they are copied): `data` is called with them, before any others, once the
   * caller has returned and the stream is not paused.
   */
  unshift(bytes: Buffer): void
  /** FIN after what was written; reading goes on. */
  end(): void
  /** Ends both directions now; what the system already took is still sent, the rest is dropped. `closed` follows. */
  destroy(): void
  /**
   * RST: the peer sees an aborted connection, never a complete one (unless `end` had already completed it). `closed`
   * follows.
   */
  reset(): void
  /**
   * From now on this accepted stream speaks TLS: what was given back by `unshift`, then what arrives, is the client's
   * handshake. `opened` or `closed` follows; no `data` before. What is written meanwhile is sent after the handshake.
   * Whoever calls this owns the deadline. Only where `Net.tlsSupported`, once, and with nothing waiting to be written.
   */
  startTls(server: TlsServer): void
  /**
   * Gives up the connection to `node:http2`: no callback follows, no method may be called any more. The socket has what
   * was given back by `unshift` before it in its read buffer. Its reads go through the handle, so that nothing but an
   * HTTP/2 session may read from it. Only where `Net.detachSupported`, and with nothing waiting to be written.
   */
  detach(): Duplex
}

export interface ListenOptions {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** Several threads or processes accept on the same port; the kernel spreads connections over them. */
  readonly reusePort: boolean
  /** Connections that wait to be accepted, at most; the system has a limit of its own. Bun always asks for 512. */
  readonly backlog: number
  /** Nobody will call `startTls` or `detach` on what it accepts: such streams cost less to make and to end. */
  readonly lean?: boolean
  readonly handlerOf: (stream: Stream) => StreamHandler
}

export interface Listener {
  readonly port: number
  /** Accepts no more; open streams live on. Idempotent. */
  close(): void
}

export interface Net {
  readonly name: 'node' | 'bun'
  readonly reusePortSupported: boolean
  /** Rejects with the system's code (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  listen(options: ListenOptions): Promise<Listener>
  /** Do `startTls`, and `connect` with TLS, work? */
  readonly tlsSupported: boolean
  readonly detachSupported: boolean
  /**
   * `host` is an IP address. The handler hears `opened` or `closed`. Bytes written before `opened` are kept. With `tls`
   * the connection is under TLS from its start.
   */
  connect(host: string, port: number, handler: StreamHandler, tls?: TlsClient): Stream
  /** The same without TLS, for whoever never calls `detach`: costs less to make and to end. */
  connectLean(host: string, port: number, handler: StreamHandler): Stream
}

/** Size of the buffer that all streams of a thread read into. */
export const sharedReadBytes = 65_536
