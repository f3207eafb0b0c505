// Bytes of a client that can't be dealt with yet: kept in one piece, which grows by doubling.

export class Inbox {
  #bytes: Buffer | null = null
  #length = 0
  /** So many must be there before they are looked at again; 0: any more. */
  needed = 0

  get empty(): boolean {
    return this.#length === 0
  }

  get enough(): boolean {
    return this.#length >= this.needed
  }

  keep(bytes: Buffer, from: number, to: number): void {
    const length = this.#length + to - from
    if (this.#bytes === null || length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.needed, length * 2), 256))
      if (this.#bytes !== null) this.#bytes.copy(grown, 0, 0, this.#length)
      this.#bytes = grown
    }
    bytes.copy(this.#bytes, this.#length, from, to)
    this.#length = length
  }

  /** All of them; it is empty then. */
  take(): { readonly bytes: Buffer; readonly length: number } {
    const taken = { bytes: this.#bytes ?? Buffer.alloc(0), length: this.#length }
    this.clear()
    return taken
  }

  clear(): void {
    this.#bytes = null
    this.#length = 0
  }
}
