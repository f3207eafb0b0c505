// What a client sends amid COPY FROM STDIN: data in pieces as they come, whatever their messages' bounds, then its end. Data
// that its target does not take for now stops the client.

import { frameHeaderBytes, frontend, frontendFrameBytes } from '../../wire/postgres/index.ts'
import type { CopyEnd, CopyTarget } from './client.ts'
import { ClientGone } from './client-output.ts'
import { StatementFailed } from './statement-failed.ts'

export interface CopyClient {
  pause(): void
  resume(): void
}

export class CopyReader {
  readonly end: Promise<CopyEnd>
  readonly #target: CopyTarget
  readonly #client: CopyClient
  readonly #bytesMax: number
  readonly #resolve: (end: CopyEnd) => void
  readonly #reject: (error: Error) => void
  over = false
  full = false
  /** Of a CopyData that has begun. */
  #left = 0
  #tail: Buffer | null = null

  constructor(target: CopyTarget, bytesMax: number, client: CopyClient) {
    const { promise, resolve, reject } = Promise.withResolvers<CopyEnd>()
    this.end = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#target = target
    this.#bytesMax = bytesMax
    this.#client = client
  }

  /** Answers where what follows the COPY begins. */
  take(bytes: Buffer, from: number, to: number): number {
    const tail = this.#tail
    if (tail !== null) {
      this.#tail = null
      const whole = Buffer.concat([tail, bytes.subarray(from, to)])
      const used = this.#walk(whole, 0, whole.length)
      return to - (whole.length - used)
    }
    return this.#walk(bytes, from, to)
  }

  #walk(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (at < to && !this.over) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, to - at)
        this.#left -= size
        this.#give(bytes, at, at + size)
        at += size
        continue
      }
      const size = frontendFrameBytes(bytes, at, to, this.#bytesMax)
      const type = bytes[at] as number
      if (size > 0 && type === frontend.copyData) {
        this.#left = size - frameHeaderBytes
        at += frameHeaderBytes
        continue
      }
      if (size >= 0 && (size === 0 || at + size > to)) {
        this.#tail = Buffer.from(bytes.subarray(at, to))
        return to
      }
      at += this.#message(type, size, bytes, at)
    }
    return at
  }

  /** Answers what it has used up of a message that is no data. */
  #message(type: number, size: number, bytes: Buffer, at: number): number {
    if (type === frontend.sync || type === frontend.flush) return size
    this.over = true
    if (type === frontend.copyDone) this.#resolve({ done: true })
    else if (type === frontend.copyFail) {
      const reason = bytes.utf8Slice(at + frameHeaderBytes, at + size - 1)
      this.#resolve({ done: false, reason })
    } else {
      const what = `unexpected message type 0x${type.toString(16)} during COPY from stdin`
      this.#reject(StatementFailed.of('08P01', what))
      return 0
    }
    return size
  }

  #give(bytes: Buffer, from: number, to: number): void {
    if (this.#target.take(bytes, from, to) || this.full) return
    this.full = true
    this.#client.pause()
    const go = (): void => {
      this.full = false
      if (!this.over) this.#client.resume()
    }
    this.#target.drained().then(go, go)
  }

  gone(): void {
    this.over = true
    this.#reject(new ClientGone())
  }
}
