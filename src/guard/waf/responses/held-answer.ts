// An instance's answer that is kept until it is judged, with its head: then it goes on through what stands behind, or
// nothing of it does.
//
// States: holding -> judging (all came, or as much as is looked at; the instance waits) -> released | refused | over.

import type { Http1ResponseHead } from '../../../wire/http1/index.ts'
import type { AnswerPassage, AnswerSink, AnswerStep } from '../../answer.ts'
import type { PassageRefusal } from '../../passage.ts'

export type JudgeBody = (body: Buffer, done: (refused: PassageRefusal | null) => void) => void

/** Of all answers of a worker thread; what comes when there is no room is passed on as it comes. */
const heldBytesMax = 128 << 20
let heldBytes = 0

export class HeldAnswer implements AnswerSink {
  readonly #head: Http1ResponseHead
  readonly #behind: AnswerStep | null
  readonly #bytesMax: number
  readonly #judge: JudgeBody
  /** Null: it is over. */
  #passage: AnswerPassage | null
  #inner: AnswerSink | null = null
  #pieces: Buffer[] = []
  #bytes = 0
  #judging = false
  #released = false
  #ended = false
  #trailers: readonly string[] | null = null

  /** @param refused By the head alone already: said as soon as whoever gave it is done. */
  constructor(
    passage: AnswerPassage,
    head: Http1ResponseHead,
    behind: AnswerStep | null,
    bytesMax: number,
    refused: PassageRefusal | null,
    judge: JudgeBody,
  ) {
    this.#passage = passage
    this.#head = head
    this.#behind = behind
    this.#bytesMax = bytesMax
    this.#judge = judge
    if (refused === null) return
    this.#judging = true
    setImmediate(() => this.#decided(refused))
  }

  text(text: string): void {
    if (!this.#released) this.#hold(Buffer.from(text, 'latin1'))
    else if (this.#inner !== null) this.#inner.text(text)
    else this.#passOn(Buffer.from(text, 'latin1'))
  }

  bytes(bytes: Buffer, from: number, to: number): boolean {
    if (!this.#released) return this.#hold(Buffer.from(bytes.subarray(from, to)))
    if (this.#inner !== null) return this.#inner.bytes(bytes, from, to)
    return this.#passage?.client?.bodyBytes(bytes, from, to) ?? false
  }

  /** False while it is judged: the instance waits. */
  #hold(piece: Buffer): boolean {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    heldBytes += piece.length
    if (!this.#judging && (this.#bytes >= this.#bytesMax || heldBytes > heldBytesMax)) this.#ask()
    return !this.#judging
  }

  end(trailers: readonly string[] | null): void {
    this.#ended = true
    this.#trailers = trailers
    if (this.#released) this.#finish()
    else if (!this.#judging) this.#ask()
  }

  #ask(): void {
    this.#judging = true
    const body = Buffer.concat(this.#pieces)
    this.#pieces = [body]
    // Never from inside of what feeds it.
    setImmediate(() => {
      if (this.#passage === null) return
      const looked = body.length > this.#bytesMax ? body.subarray(0, this.#bytesMax) : body
      this.#judge(looked, refused => this.#decided(refused))
    })
  }

  #decided(refused: PassageRefusal | null): void {
    const passage = this.#passage
    if (passage === null) return
    passage.refreshClock()
    if (refused === null) this.#release(passage)
    else {
      this.cancel()
      passage.giveUpAnswer()
      passage.refuse(refused)
    }
  }

  #release(passage: AnswerPassage): void {
    this.#released = true
    const pieces = this.#letGo()
    this.#inner = this.#behind?.begin(passage, this.#head) ?? null
    if (this.#inner === null) passage.sendHead(this.#head, this.#head.framing, null)
    let taken = true
    for (const piece of pieces) taken = this.#passOn(piece) && taken
    if (this.#ended) this.#finish()
    else if (this.#passage !== null) {
      passage.client?.flush()
      if (taken) passage.resumeResponse()
    }
  }

  #passOn(piece: Buffer): boolean {
    if (piece.length === 0) return true
    if (this.#inner !== null) return this.#inner.bytes(piece, 0, piece.length)
    return this.#passage?.client?.bodyBytes(piece, 0, piece.length) ?? false
  }

  #finish(): void {
    if (this.#inner !== null) this.#inner.end(this.#trailers)
    else this.#passage?.sinkDone(this.#trailers)
  }

  drained(): void {
    if (this.#inner !== null) this.#inner.drained()
    else if (this.#released) this.#passage?.resumeResponse()
  }

  cancel(): void {
    this.#passage = null
    this.#letGo()
    this.#inner?.cancel()
  }

  #letGo(): Buffer[] {
    const pieces = this.#pieces
    heldBytes -= this.#bytes
    this.#bytes = 0
    this.#pieces = []
    return pieces
  }
}
