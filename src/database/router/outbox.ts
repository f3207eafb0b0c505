// Where messages for one stream are put together, so that a read of the other side becomes one write. One for each direction
// and thread: it is filled and sent inside one callback, never kept. Reads land in a buffer that all streams share, from
// which a write would copy anyway; so the copy is made here, and renamed or added messages cost nothing more.

import type { Stream } from '../../io/net.ts'

const outboxBytes = 128 * 1024

export interface Tap {
  add(bytes: Buffer, from: number, to: number): void
}

export class Outbox {
  #bytes: Buffer = Buffer.allocUnsafeSlow(outboxBytes)
  #length = 0
  #stream: Stream | null = null
  #tap: Tap | null = null
  /** Did the stream take all since `begin`? */
  #taken = true

  /** @param tap gets a copy of everything */
  begin(stream: Stream, tap: Tap | null = null): void {
    this.#stream = stream
    this.#tap = tap
    this.#length = 0
    this.#taken = true
  }

  get empty(): boolean {
    return this.#length === 0
  }

  /** `bytes[from..to)`. */
  add(bytes: Buffer, from: number, to: number): void {
    const size = to - from
    if (this.#tap !== null) this.#tap.add(bytes, from, to)
    if (size > outboxBytes - this.#length) {
      this.#flush()
      if (size > outboxBytes) {
        const copy = Buffer.from(bytes.subarray(from, to))
        if (!(this.#stream as Stream).writeBytes(copy, 0, copy.length)) this.#taken = false
        return
      }
    }
    if (size < 24)
      for (let at = from, put = this.#length; at < to; ) this.#bytes[put++] = bytes[at++] as number
    else bytes.copy(this.#bytes, this.#length, from, to)
    this.#length += size
  }

  addAll(bytes: Buffer): void {
    this.add(bytes, 0, bytes.length)
  }

  /** A frame `bytes[start..end)` with `name` in the place of `bytes[nameFrom..nameTo)`. */
  addRenamed(
    bytes: Buffer,
    start: number,
    end: number,
    nameFrom: number,
    nameTo: number,
    name: Buffer,
  ): void {
    const size = end - start + name.length - (nameTo - nameFrom)
    if (size > outboxBytes - this.#length) this.#flush()
    if (size > outboxBytes) {
      const header = Buffer.from(bytes.subarray(start, nameFrom))
      header.writeInt32BE(size - 1, 1)
      this.addAll(header)
    } else {
      const at = this.#length
      this.add(bytes, start, nameFrom)
      this.#bytes.writeInt32BE(size - 1, at + 1)
    }
    this.addAll(name)
    this.add(bytes, nameTo, end)
  }

  #flush(): void {
    if (this.#length === 0) return
    const taken = (this.#stream as Stream).writeBytes(this.#bytes, 0, this.#length)
    this.#length = 0
    if (taken) return
    // The stream needs these bytes until it has drained.
    this.#bytes = Buffer.allocUnsafeSlow(outboxBytes)
    this.#taken = false
  }

  /** Answers false if the stream has not taken all: produce no more until it has drained. */
  send(): boolean {
    this.#flush()
    this.#stream = null
    return this.#taken
  }
}
