// A response body of JSON lines that are pushed as things happen. Bounded: a reader that is too slow loses the
// oldest lines, never costs memory without bound. Knows nothing of what the lines mean.

/** Bytes that wait for a slow reader. */
export const bytesWaitingMax: number = 16 * 1024 * 1024

export interface LineStream {
  readonly body: ReadableStream<Uint8Array>
  push(value: unknown): void
  /** Everything pushed before is still delivered. */
  end(): void
  /** True after the reader has gone. */
  readonly gone: boolean
}

export function lineStream(options: { onGone?: () => void } = {}): LineStream {
  const encoder = new TextEncoder()
  const waiting: Uint8Array[] = []
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let waitingBytes = 0
  let ended = false
  let gone = false

  function shift(): Uint8Array {
    const line = waiting.shift() as Uint8Array
    waitingBytes -= line.byteLength
    return line
  }

  function flush(): void {
    while (controller !== undefined && waiting.length > 0 && (controller.desiredSize ?? 0) > 0) {
      controller.enqueue(shift())
    }
    if (ended && waiting.length === 0 && !gone) {
      gone = true
      controller?.close()
    }
  }

  const body = new ReadableStream<Uint8Array>(
    {
      start: given => {
        controller = given
      },
      pull: flush,
      cancel: () => {
        gone = true
        waiting.length = 0
        options.onGone?.()
      },
    },
    { highWaterMark: 64 },
  )

  return {
    body,
    push: value => {
      if (ended || gone) return
      const line = encoder.encode(`${JSON.stringify(value)}\n`)
      waiting.push(line)
      waitingBytes += line.byteLength
      // The oldest goes first: the last line of an operation says how it ended.
      while (waitingBytes > bytesWaitingMax && waiting.length > 1) shift()
      flush()
    },
    end: () => {
      if (ended) return
      ended = true
      flush()
    },
    get gone() {
      return gone
    },
  }
}
