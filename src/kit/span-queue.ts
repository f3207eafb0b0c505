// Finished spans of one worker, gathered and handed to whoever sends them: what a collector does never reaches a request. Bounded by what leaves: each batch is at most `batchChars`, and none is older than a second.

/** What a worker hands over: `count` spans as JSON text, separated by commas. */
export interface SpanBatch {
  readonly count: number
  readonly text: string
}

const batchChars = 65_536

export class SpanQueue {
  readonly #send: (batch: SpanBatch) => void
  #parts: string[] = []
  #chars = 0

  constructor(send: (batch: SpanBatch) => void) {
    this.#send = send
  }

  add(span: string): void {
    this.#parts.push(span)
    this.#chars += span.length
    if (this.#chars >= batchChars) this.flush()
  }

  /** Call it now and then, and before the end. */
  flush(): void {
    if (this.#parts.length === 0) return
    const parts = this.#parts
    this.#parts = []
    this.#chars = 0
    this.#send({ count: parts.length, text: parts.join(',') })
  }
}
