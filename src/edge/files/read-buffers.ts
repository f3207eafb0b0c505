// Buffers that files are read into while they are sent: large, because each read is a trip to another thread. Bounded:
// when many are in use, further ones are small and are left to the garbage collector afterwards.

const largeBytes = 262_144
const smallBytes = 65_536
/** In use at once, and kept for the next. */
const largeMax = 48
const keptMax = 16

export class ReadBuffers {
  readonly #free: Buffer[] = []
  #large = 0

  take(bytesWanted: number): Buffer {
    if (bytesWanted <= smallBytes || this.#large >= largeMax) return Buffer.allocUnsafeSlow(smallBytes)
    this.#large++
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(largeBytes)
  }

  /** `reusable`: nobody reads from it any more. */
  give(buffer: Buffer, reusable: boolean): void {
    if (buffer.length !== largeBytes) return
    this.#large--
    if (reusable && this.#free.length < keptMax) this.#free.push(buffer)
  }
}
