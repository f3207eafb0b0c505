// What the front itself says to its client: frames are put together and written in large pieces. Bytes are copied when they
// are added. Tells when the client takes no more, and whoever produces waits for `drained`.

import type { Stream } from '../../io/net.ts'

const pieceBytes = 64 * 1024

/** The client is gone: nobody reads what is said. */
export class ClientGone extends Error {
  constructor() {
    super('the client is gone')
  }
}

export class ClientOutput {
  readonly #stream: Stream
  #piece: Buffer | null = null
  #length = 0
  #full = false
  #gone = false
  #waiters: { resolve: () => void; reject: (gone: ClientGone) => void }[] = []

  constructor(stream: Stream) {
    this.#stream = stream
  }

  get full(): boolean {
    return this.#full
  }

  /** Answers false when the client takes no more for now: what was added is kept. */
  add(bytes: Buffer, from: number, to: number): boolean {
    if (this.#gone) return true
    const size = to - from
    if (size > pieceBytes - this.#length) this.flush()
    if (size > pieceBytes) {
      this.#write(Buffer.from(bytes.subarray(from, to)), size)
      return !this.#full
    }
    this.#piece ??= Buffer.allocUnsafeSlow(pieceBytes)
    bytes.copy(this.#piece, this.#length, from, to)
    this.#length += size
    return !this.#full
  }

  addAll(frame: Buffer): boolean {
    return this.add(frame, 0, frame.length)
  }

  flush(): void {
    if (this.#length === 0) return
    const length = this.#length
    this.#length = 0
    this.#write(this.#piece as Buffer, length)
  }

  #write(bytes: Buffer, length: number): void {
    if (this.#gone || this.#stream.writeBytes(bytes, 0, length)) return
    // The stream needs these bytes until it has drained.
    if (bytes === this.#piece) this.#piece = null
    this.#full = true
  }

  /** Rejects with ClientGone when the client goes away. */
  drained(): Promise<void> {
    if (this.#gone) return Promise.reject(new ClientGone())
    if (!this.#full) return Promise.resolve()
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** The stream has taken all. */
  takes(): void {
    this.#full = false
    const waiters = this.#waiters
    this.#waiters = []
    for (const { resolve } of waiters) resolve()
  }

  gone(): void {
    this.#gone = true
    this.#length = 0
    this.#piece = null
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(new ClientGone())
  }
}
