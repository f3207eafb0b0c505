// One end of a TCP connection that is passed on: the client's or the member's. Reads here and writes there, holds back
// when the other end does not keep up, hands on ends and aborts as what they are. Knows nothing of members or deadlines.
//
// Little reads go over as text, which the stream copies once into the system. A side through which much flows, or whose
// other end is slow, reads into a buffer of its own, from which is written without a copy; it is given back when the side
// has been quiet. So an idle connection holds no buffer, and a slow one at most one a direction.

import type { Stream, StreamHandler } from '../io/net.ts'
import type { TcpSession } from './tcp-session.ts'

/** Reads up to this size are passed on as text; from here on a copy costs more than a buffer of one's own. */
const littleBytes = 8_192

export class TcpSide implements StreamHandler {
  readonly stream: Stream
  readonly #session: TcpSession
  /** Where to what is read here goes; null until there is a connection to a member. */
  other: TcpSide | null = null
  /** The peer has said that it sends no more. */
  finished = false
  isClosed = false
  /** Read here so far. */
  bytes = 0
  #own: Buffer | null = null

  constructor(session: TcpSession, stream: Stream) {
    this.#session = session
    this.stream = stream
  }

  opened(): void {}

  data(stream: Stream, bytes: Buffer, length: number): void {
    this.bytes += length
    this.#session.moved(this, length)
    const to = (this.other as TcpSide).stream
    const asText = length <= littleBytes && bytes !== this.#own
    const taken = asText ? to.write(bytes.latin1Slice(0, length)) : to.writeBytes(bytes, 0, length)
    if (!taken) stream.pause()
    if (this.#own === null && !(taken && asText)) this.#takeBuffer()
  }

  #takeBuffer(): void {
    this.#own = this.#session.worker.buffers.take()
    this.stream.readInto(this.#own)
    this.#session.holdsBuffer()
  }

  /** The buffer goes back, unless the other end still writes from it. Call it when nothing was read here for a while. */
  giveBuffer(): boolean {
    if (this.#own === null) return true
    if (!this.isClosed) {
      if (this.stream.paused) return false
      this.stream.readInto(null)
    }
    this.#session.worker.buffers.give(this.#own)
    this.#own = null
    return true
  }

  drained(): void {
    this.#session.moved(this, 0)
    this.other?.stream.resume()
  }

  ended(): void {
    this.finished = true
    this.#session.sideEnded(this)
    this.other?.stream.end()
  }

  closed(_stream: Stream, code: string): void {
    this.isClosed = true
    this.#session.sideClosed(this, code)
  }
}
