// The seam between the data planes and the operating system's TCP sockets: plain callbacks, no promises, no streams.
// `net-node.ts` and `net-bun.ts` implement it and `net.contract.ts` holds them to it. Whoever is above owns time-outs
// (see `timer-wheel.ts`): nothing here ends a connection by itself.
//
// Bytes that arrive are valid only until the callback returns: all streams of a thread read into one shared buffer,
// unless `readInto` gave one a buffer of its own. A write says what it took: `true` = the bytes are the system's (or
// were copied: text always is); `false` = the stream still needs them, so `writeBytes`' memory must stay unchanged, and
// the caller should produce no more, until `drained`.

export interface StreamHandler {
  /** A connection that we asked for is established. Not called for accepted ones. */
  opened(stream: Stream): void
  /** `bytes[0..length)` arrived; valid only until this returns. */
  data(stream: Stream, bytes: Buffer, length: number): void
  /** The peer will send no more (FIN). We may still write. */
  ended(stream: Stream): void
  /** All that was written has been handed to the system. Follows each write that answered `false`. */
  drained(stream: Stream): void
  /** Exactly once, last. `code` is '' after an orderly end, else the system's: ECONNREFUSED, ECONNRESET, EPIPE... */
  closed(stream: Stream, code: string): void
}

export interface Stream {
  handler: StreamHandler
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  /** Latin-1 text: one byte a character (0-255). Always copied. */
  write(text: string): boolean
  /** `bytes[from..to)`, without a copy. */
  writeBytes(bytes: Buffer, from: number, to: number): boolean
  /** No `data` or `ended` until `resume`; idempotent. */
  pause(): void
  resume(): void
  readonly paused: boolean
  /** Reads go into `buffer` from now on; `null`: into the thread's shared one again. */
  readInto(buffer: Buffer | null): void
  /** Gives back bytes that were peeked at: `data` is called with them, before any others, once the caller has returned. */
  unshift(bytes: Buffer): void
  /** FIN after what was written; reading goes on. */
  end(): void
  /** Ends both directions now; what the system already took is still sent. `closed` follows. */
  destroy(): void
  /** RST: the peer sees an aborted connection, never a complete one. `closed` follows. */
  reset(): void
}

export interface ListenOptions {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** Several threads or processes accept on the same port; the kernel spreads connections over them. */
  readonly reusePort: boolean
  readonly backlog: number
  readonly handlerOf: (stream: Stream) => StreamHandler
}

export interface Listener {
  readonly port: number
  /** Accepts no more; open streams live on. */
  close(): void
}

export interface Net {
  readonly name: 'node' | 'bun'
  readonly reusePortSupported: boolean
  /** Rejects with the system's code (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  listen(options: ListenOptions): Promise<Listener>
  /** `host` is an IP address. The handler hears `opened` or `closed`. Bytes written before `opened` are kept. */
  connect(host: string, port: number, handler: StreamHandler): Stream
}

/** Size of the buffer that all streams of a thread read into. */
export const sharedReadBytes = 65_536
