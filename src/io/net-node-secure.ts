// Writes of one stream under TLS through the TLSSocket's handle. Facts of Node (24 to 26) that this relies on: the handle
// encrypts what it is given before it returns, so nothing of the caller's memory is kept; a write completes in a later turn,
// even when the system took it at once; and it must not be given another before (a check in Node ends the process).
//
// So while one is under way the next ones wait here, and go out together, as few TLS records as they can be. `true` is
// answered while the system keeps up and what waits is little, copied; `false` as soon as it does not.

import { getSystemErrorName } from 'node:util'
import { type Doors, doors, type Handle, type WriteRequest } from './net-node-doors.ts'
import { secureCopyBytesMax } from './net-node-plain.ts'

/** Given to TLS at once: 9 records of 16 KB, which Node hands to the system in one call. */
const sliceBytes = 9 * 16_384
/** Pieces that go out together are put together here: TLS has read it when the write returns. */
const scratch = Buffer.allocUnsafeSlow(sliceBytes)

/** Buffers of `secureCopyBytesMax` for what waits; new ones each time would keep the garbage collector busy. */
const spares: Buffer[] = []
const sparesMax = 64

interface Owner {
  /** Nothing waits any more ('' ), or the connection is gone (the system's code). */
  secureWriteEnded(code: string): void
}

function writeCompleted(this: WriteRequest, status: number): void {
  this.owner?.writeEnded(status)
}

function put(data: string | Buffer, target: Buffer, at: number): number {
  return typeof data === 'string' ? target.latin1Write(data, at) : data.copy(target, at)
}

export class SecureWriter {
  readonly #owner: Owner
  readonly #handle: Handle
  readonly #under: Handle
  #underWay = false
  /** Copies of what came first while a write was under way; null: nothing waits. */
  #held: Buffer | null = null
  #heldBytes = 0
  /** What came when there was no more room there: by reference, or copied where it would not stay. */
  #large: (string | Buffer)[] = []

  /** @param under The handle of the TCP socket, which tells whether the system keeps up. */
  constructor(owner: Owner, handle: Handle, under: Handle) {
    this.#owner = owner
    this.#handle = handle
    this.#under = under
  }

  get idle(): boolean {
    return !this.#underWay && this.#heldBytes === 0 && this.#large.length === 0
  }

  /**
   * `data` is not empty. false: bytes must stay unchanged until `secureWriteEnded`.
   * @param passing The bytes will not stay: what must wait is copied.
   */
  write(data: string | Buffer, passing: boolean): boolean {
    if (!this.#underWay && data.length <= sliceBytes) {
      this.#send(data)
      return this.#under.writeQueueSize === 0
    }
    if (this.#large.length === 0 && this.#heldBytes + data.length <= secureCopyBytesMax) {
      this.#held ??= spares.pop() ?? Buffer.allocUnsafeSlow(secureCopyBytesMax)
      this.#heldBytes += put(data, this.#held, this.#heldBytes)
      return this.#under.writeQueueSize === 0
    }
    this.#large.push(passing && typeof data !== 'string' ? Buffer.from(data) : data)
    if (!this.#underWay) this.#sendWaiting()
    return false
  }

  /** Text, then bytes, in one write where that can be. */
  writeBoth(text: string, bytes: Buffer, passing: boolean): boolean {
    const length = text.length + bytes.length
    if (this.#underWay || length > sliceBytes) {
      const taken = this.write(text, false)
      return this.write(bytes, passing) && taken
    }
    put(bytes, scratch, put(text, scratch, 0))
    this.#send(scratch.subarray(0, length))
    return this.#under.writeQueueSize === 0
  }

  #send(data: string | Buffer): void {
    const request = new (doors as Doors).WriteRequest()
    request.owner = this
    request.oncomplete = writeCompleted
    this.#underWay = true
    const error =
      typeof data === 'string'
        ? this.#handle.writeLatin1String(request, data)
        : this.#handle.writeBuffer(request, data)
    if (error !== 0) this.#owner.secureWriteEnded(getSystemErrorName(error))
  }

  #sendWaiting(): void {
    const held = this.#held
    const length = this.#heldBytes
    this.#held = null
    this.#heldBytes = 0
    if (this.#large.length > 0) this.#sendSlice(held, length)
    else this.#send((held as Buffer).subarray(0, length))
    if (held !== null && spares.length < sparesMax) spares.push(held)
  }

  #sendSlice(held: Buffer | null, length: number): void {
    let filled = held === null ? 0 : held.copy(scratch, 0, 0, length)
    while (filled < sliceBytes && this.#large.length > 0) {
      const next = this.#large[0] as string | Buffer
      const room = sliceBytes - filled
      if (next.length <= room) this.#large.shift()
      else this.#large[0] = cut(next, room, next.length)
      filled += put(next.length <= room ? next : cut(next, 0, room), scratch, filled)
    }
    this.#send(scratch.subarray(0, filled))
  }

  writeEnded(status: number): void {
    this.#underWay = false
    if (status < 0) this.#owner.secureWriteEnded(getSystemErrorName(status))
    else if (this.idle) this.#owner.secureWriteEnded('')
    else this.#sendWaiting()
  }
}

function cut(data: string | Buffer, from: number, to: number): string | Buffer {
  return typeof data === 'string' ? data.slice(from, to) : data.subarray(from, to)
}
