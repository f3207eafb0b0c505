// Read buffers that a stream owns while a large body flows, so that its bytes can be written without a copy. Bounded:
// beyond `fewMax` in use they are smaller; what comes back beyond `keptMax` is left to the garbage collector.

const largeBytes = 65_536
const smallBytes = 16_384
const fewMax = 256
const keptMax = 64

export class BufferPool {
  readonly #free: Buffer[] = []
  #inUse = 0

  /** A buffer of at least `bytesMin`, which is at most what one read brings (`sharedReadBytes`). */
  take(bytesMin = 0): Buffer {
    this.#inUse++
    if (this.#inUse > fewMax && bytesMin <= smallBytes) return Buffer.allocUnsafeSlow(smallBytes)
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(largeBytes)
  }

  give(buffer: Buffer): void {
    this.#inUse--
    if (buffer.length === largeBytes && this.#free.length < keptMax) this.#free.push(buffer)
  }

  get inUse(): number {
    return this.#inUse
  }
}
