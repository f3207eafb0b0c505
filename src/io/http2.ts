// The only door to `node:http2`: sessions over sockets that a `Stream` gave up (`detach`). What callers get are Node's own
// session and stream objects; settings, bounds and codes are here. Owns no policy: who floods, idles or stalls is judged
// by whoever holds the session.

import http2, { type ClientHttp2Session, type ClientHttp2Stream, type ServerHttp2Session } from 'node:http2'
import type { Duplex } from 'node:stream'

export type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'

/** RFC 9113 7. */
export const http2Code = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  refusedStream: 7,
  cancel: 8,
  enhanceYourCalm: 11,
} as const

/** END_STREAM among a frame's flags. */
export const endStreamFlag = 1

/** Says in GOAWAY that no stream is refused yet (RFC 9113 6.8). */
export const lastStreamIdMax: number = 2 ** 31 - 1

export interface Http2ServerSettings {
  readonly streamsMax: number
  /** As RFC 9113 6.5.2 counts: names, values and 32 a field. */
  readonly headerListBytesMax: number
  readonly headerFieldsMax: number
}

/**
 * Bytes that a peer may send on a stream whose reader waits; each stream holds at most this much. The connection's own
 * window is wide: what is bounded is bounded stream by stream.
 */
const streamWindowBytes = 65_535
const connectionWindowBytes = 1 << 20

const instanceWindowBytes = 16 << 20

/** Megabytes that Node lets one session hold before it refuses further streams. */
const sessionMegabytesMax = 32

/**
 * Frames that nghttp2 drops or refuses as malformed before anybody here hears of them, per connection; beyond it Node
 * ends the session. nghttp2 bounds the rest of what needs no answer of ours: CONTINUATION, SETTINGS and PING that are
 * not read.
 */
const invalidFramesMax = 128
/**
 * More than one turn of the loop can bring (32 reads of 64 KB, of requests that are taken back at once: some 90,000), so that
 * who holds the session counts first and can say why it ends. Streams that Node refuses by itself are not told to anybody.
 */
const rejectedStreamsMax = 131_072
const resetsMax = 131_072

/** The session of a client; the socket's unread bytes are its first. */
export function serveHttp2(socket: Duplex, settings: Http2ServerSettings): ServerHttp2Session {
  const session = http2.performServerHandshake(socket, {
    maxSessionMemory: sessionMegabytesMax,
    maxSessionInvalidFrames: invalidFramesMax,
    maxSessionRejectedStreams: rejectedStreamsMax,
    maxHeaderListPairs: settings.headerFieldsMax,
    streamResetBurst: resetsMax,
    streamResetRate: resetsMax,
    // What an instance repeats, it repeats; `respond` would throw.
    strictSingleValueFields: false,
    settings: {
      maxConcurrentStreams: settings.streamsMax,
      maxHeaderListSize: settings.headerListBytesMax,
      initialWindowSize: streamWindowBytes,
      enableConnectProtocol: true,
    },
  })
  session.setLocalWindowSize(connectionWindowBytes)
  return session
}

/** A session with an instance over a connection that is established. */
export function speakHttp2(socket: Duplex, scheme: 'http' | 'https'): ClientHttp2Session {
  const options: http2.ClientSessionOptions & { strictSingleValueFields: boolean } = {
    createConnection: () => socket,
    maxSessionMemory: sessionMegabytesMax,
    maxHeaderListPairs: 1_000,
    strictSingleValueFields: false,
    settings: { enablePush: false, initialWindowSize: 262_144, maxHeaderListSize: 262_144 },
  }
  const session = http2.connect(`${scheme}://instance.invalid`, options)
  session.once('connect', () => session.setLocalWindowSize(instanceWindowBytes))
  return session
}

/**
 * Asked at a stream's `end`: has END_STREAM come? Node says `end` also where the instance gave the stream up
 * (RST_STREAM with NO_ERROR or CANCEL) or its connection closed, and what came by then is not whole. Those it marks as
 * closed before they end.
 */
export function wholeness(stream: ClientHttp2Stream): () => boolean {
  let whole = false
  const push = stream.push.bind(stream)
  stream.push = (bytes: unknown, encoding?: BufferEncoding): boolean => {
    if (bytes === null && !stream.closed) whole = true
    return push(bytes, encoding)
  }
  return () => whole
}
