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

interface Owner {
  /** Nothing waits any more ('' ), or the connection is gone (the system's code). */
  secureWriteEnded(code: string): void
}

function writeCompleted(this: WriteRequest, status: number): void {
  this.owner?.writeEnded(status)
}

export class SecureWriter {
  readonly #owner: Owner
  readonly #handle: Handle
  readonly #under: Handle
  #underWay = false
  #waiting: (string | Buffer)[] = []
  #waitingBytes = 0

  /** @param under The handle of the TCP socket, which tells whether the system keeps up. */
  constructor(owner: Owner, handle: Handle, under: Handle) {
    this.#owner = owner
    this.#handle = handle
    this.#under = under
  }

  get idle(): boolean {
    return !this.#underWay && this.#waiting.length === 0
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
    const little = this.#waitingBytes + data.length <= secureCopyBytesMax
    this.#waiting.push((little || passing) && typeof data !== 'string' ? Buffer.from(data) : data)
    this.#waitingBytes += data.length
    if (!this.#underWay) this.#sendWaiting()
    return little && this.#under.writeQueueSize === 0
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
    const pieces: (string | Buffer)[] = []
    let room = sliceBytes
    while (room > 0 && this.#waiting.length > 0) {
      const next = this.#waiting[0] as string | Buffer
      if (next.length <= room) this.#waiting.shift()
      else this.#waiting[0] = cut(next, room, next.length)
      pieces.push(next.length <= room ? next : cut(next, 0, room))
      room -= Math.min(room, next.length)
    }
    this.#waitingBytes -= sliceBytes - room
    this.#send(pieces.length === 1 ? (pieces[0] as string | Buffer) : together(pieces))
  }

  writeEnded(status: number): void {
    this.#underWay = false
    if (status < 0) this.#owner.secureWriteEnded(getSystemErrorName(status))
    else if (this.#waiting.length > 0) this.#sendWaiting()
    else this.#owner.secureWriteEnded('')
  }
}

function cut(data: string | Buffer, from: number, to: number): string | Buffer {
  return typeof data === 'string' ? data.slice(from, to) : data.subarray(from, to)
}

function together(pieces: readonly (string | Buffer)[]): string | Buffer {
  if (pieces.every(piece => typeof piece === 'string')) return pieces.join('')
  return Buffer.concat(
    pieces.map(piece => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)),
  )
}
