// WebSocket frames (RFC 6455 5.2) as an intermediary sees them: only where one ends, so that a close frame can be put
// between two and never into one. Does not look at payloads.

export class FrameTracker {
  /** Bytes of the frame header seen so far; its size is known after two. */
  #header = 0
  #headerSize = 2
  #length = 0
  #payloadLeft = 0
  #opcode = 0
  /** A close frame has passed. */
  closed = false

  /** The last byte seen ended a frame (or none has begun). */
  get atBoundary(): boolean {
    return this.#header === 0 && this.#payloadLeft === 0
  }

  push(bytes: Uint8Array, from: number, to: number): void {
    let at = from
    while (at < to) {
      if (this.#payloadLeft > 0) {
        const take = Math.min(this.#payloadLeft, to - at)
        this.#payloadLeft -= take
        at += take
      } else this.#headerByte(bytes[at++] as number)
    }
  }

  #headerByte(byte: number): void {
    const at = this.#header++
    if (at === 0) this.#opcode = byte & 15
    else if (at === 1) {
      const short = byte & 127
      const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
      this.#headerSize = 2 + lengthBytes + (byte & 128 ? 4 : 0)
      this.#length = lengthBytes === 0 ? short : 0
      if (lengthBytes > 0) this.#lengthEnd = 2 + lengthBytes
      else this.#lengthEnd = 2
    } else if (at < this.#lengthEnd) this.#length = this.#length * 256 + byte
    if (this.#header < this.#headerSize || this.#header < 2) return
    this.#header = 0
    this.#payloadLeft = this.#length
    this.#headerSize = 2
    if (this.#opcode === 8) this.closed = true
  }

  #lengthEnd = 2
}

/** An unmasked close frame (from a server), 1001 = going away (RFC 6455 7.4.1). */
export const closeGoingAway = '\x88\x02\x03\xe9'

/** The same masked (from a client), with a fixed mask of zeros: nothing in it needs hiding. */
export const closeGoingAwayMasked = '\x88\x82\x00\x00\x00\x00\x03\xe9'
