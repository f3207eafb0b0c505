// Walks what a server's answer is made of, over chunks that end anywhere. For answers that pass untouched: only how many
// ReadyForQuery went by, and the last one's status. For others: whole frames.

import { backend, idleStatus, int32At } from '../../wire/postgres/index.ts'

const headerBytes = 5

/** Counts what passes. */
export class PassingWalk {
  /** ReadyForQuery since `take`. */
  #readies = 0
  status: number = idleStatus
  /** Of the frame under way: bytes still to come; while its header is not whole, `#have` bytes of it are here. */
  #left = 0
  #have = 0
  readonly #header = Buffer.alloc(headerBytes)
  #statusNext = false

  /** Nothing of a frame is under way. */
  get between(): boolean {
    return this.#left === 0 && this.#have === 0
  }

  take(): number {
    const readies = this.#readies
    this.#readies = 0
    return readies
  }

  walk(bytes: Buffer, from: number, to: number): void {
    let at = from
    while (at < to) {
      if (this.#left > 0) {
        if (this.#statusNext) {
          this.status = bytes[at] as number
          this.#statusNext = false
        }
        const size = Math.min(this.#left, to - at)
        this.#left -= size
        at += size
        continue
      }
      let type: number
      let length: number
      if (this.#have === 0 && to - at >= headerBytes) {
        type = bytes[at] as number
        length = int32At(bytes, at + 1)
        at += headerBytes
      } else {
        const size = Math.min(headerBytes - this.#have, to - at)
        bytes.copy(this.#header, this.#have, at, at + size)
        this.#have += size
        at += size
        if (this.#have < headerBytes) return
        this.#have = 0
        type = this.#header[0] as number
        length = int32At(this.#header, 1)
      }
      this.#left = length - 4
      if (type === backend.readyForQuery) {
        this.#readies++
        this.#statusNext = true
      }
    }
  }
}

/** Whole frames, one call each; the bytes are valid in the call only. */
export class FrameWalk {
  #tail: Buffer | null = null
  #length = 0
  #needed = 0
  readonly #frame: (type: number, bytes: Buffer, from: number, to: number) => void

  constructor(frame: (type: number, bytes: Buffer, from: number, to: number) => void) {
    this.#frame = frame
  }

  walk(bytes: Buffer, from: number, to: number): void {
    let at = from
    while (this.#length > 0 && at < to) at = this.#fill(bytes, at, to)
    while (to - at >= headerBytes) {
      const size = 1 + int32At(bytes, at + 1)
      if (at + size > to) break
      this.#frame(bytes[at] as number, bytes, at, at + size)
      at += size
    }
    if (at < to) this.#keep(bytes, at, to)
  }

  /** The frame that began in an earlier chunk gets what it lacks, and no more. */
  #fill(bytes: Buffer, at: number, to: number): number {
    const size = Math.min(this.#needed - this.#length, to - at)
    const tail = this.#tail as Buffer
    bytes.copy(tail, this.#length, at, at + size)
    this.#length += size
    if (this.#length < this.#needed) return at + size
    if (this.#needed === headerBytes) {
      const whole = 1 + int32At(tail, 1)
      if (whole > headerBytes) {
        this.#needed = whole
        if (tail.length < whole) {
          this.#tail = Buffer.allocUnsafeSlow(whole)
          tail.copy(this.#tail, 0, 0, headerBytes)
        }
        return at + size
      }
    }
    const length = this.#length
    this.#length = 0
    this.#tail = null
    this.#frame(tail[0] as number, tail, 0, length)
    return at + size
  }

  #keep(bytes: Buffer, at: number, to: number): void {
    const have = to - at
    this.#needed = have < headerBytes ? headerBytes : 1 + int32At(bytes, at + 1)
    this.#tail = Buffer.allocUnsafeSlow(Math.max(this.#needed, 64))
    bytes.copy(this.#tail, 0, at, to)
    this.#length = have
  }
}
