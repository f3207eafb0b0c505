// Cuts the columns of a policy out of one piece of memory, one typed array after the other, each on a multiple of 8
// bytes. The same constructor that attaches a policy also says how large it is: it is run once over no memory at all.
// Zeroed memory is the empty state of everything here, so that threads can attach in any order and nobody has to begin.

import { assert } from '../../kit/failure.ts'

type Column<T> = { new (buffer: ArrayBufferLike, offset: number, length: number): T; new (length: number): T }

export class Memory {
  readonly #buffer: ArrayBufferLike | null
  readonly #from: number
  #next: number

  /** @param buffer null only measures: columns come out empty. */
  constructor(buffer: ArrayBufferLike | null, byteOffset = 0) {
    assert(byteOffset % 8 === 0, 'eviction memory begins at a multiple of 8 bytes')
    this.#buffer = buffer
    this.#from = byteOffset
    this.#next = byteOffset
  }

  get bytes(): number {
    return this.#next - this.#from
  }

  u8(length: number): Uint8Array {
    return this.#cut(Uint8Array, length, 1)
  }

  u32(length: number): Uint32Array {
    return this.#cut(Uint32Array, length, 4)
  }

  i32(length: number): Int32Array {
    return this.#cut(Int32Array, length, 4)
  }

  f64(length: number): Float64Array {
    return this.#cut(Float64Array, length, 8)
  }

  #cut<T>(column: Column<T>, length: number, bytesEach: number): T {
    const offset = this.#next
    this.#next += Math.ceil((length * bytesEach) / 8) * 8
    if (this.#buffer === null) return new column(0)
    assert(this.#next <= this.#buffer.byteLength, 'eviction memory is smaller than `bytes` says')
    return new column(this.#buffer, offset, length)
  }
}
