// COPY TO STDOUT over shards: rows of all, in no order, as they come. A header comes once, and so do the signature and the end
// of the binary format.

import type { CopyOptions } from '../../sql/shards/contract.ts'
import type { AcrossEnd, SeatRequest, SeatSink, ShardAnswer, ShardSeats } from '../contract.ts'
import { binaryTrailer } from './copy-form.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import { unsupported } from './refusals.ts'
import { addTags } from './tags.ts'

export interface CopyOutInput {
  readonly request: SeatRequest
  readonly targets: readonly number[]
  readonly options: Pick<CopyOptions, 'format' | 'header'>
  readonly seats: ShardSeats
  readonly answer: ShardAnswer
}

const frameHeaderBytes = 5

export async function copyOut(input: CopyOutInput): Promise<AcrossEnd> {
  const { seats, targets, request, answer, options } = input
  if (answer.copyOut === undefined || answer.copyData === undefined)
    throw unsupported('COPY TO can not be answered here.', 'Send it as a statement of its own.')
  const fan = new Fan(await Promise.all(targets.map(shard => seats.seat(shard))))
  const joint = new Joint(answer, fan, options)
  const tags = await fan.run(async seat => tagOf(await seat.run(request, guarded(fan, joint.sink()))))
  joint.end()
  return { tag: addTags(tags) }
}

/** The answers of all shards as one. */
class Joint {
  readonly #answer: ShardAnswer
  readonly #fan: Fan
  readonly #binary: boolean
  readonly #header: boolean
  #began = false
  #headed = false
  #waiting = false

  constructor(answer: ShardAnswer, fan: Fan, { format, header }: Pick<CopyOptions, 'format' | 'header'>) {
    this.#answer = answer
    this.#fan = fan
    this.#binary = format === 'binary'
    this.#header = header && !this.#binary
  }

  /** Of one shard. */
  sink(): SeatSink {
    let first = true
    return {
      row: () => {},
      notice: frame => this.#answer.notice(frame),
      copyOut: frame => {
        if (!this.#began) this.#answer.copyOut?.(frame)
        this.#began = true
      },
      copyData: (bytes, from, to) => {
        const wasFirst = first
        first = false
        if (this.#binary) this.#takeBinary(bytes, from, to, wasFirst)
        // A server sends the header as a message of its own.
        else if (wasFirst && this.#header && this.#headed) return
        else {
          this.#headed = true
          this.#pass(bytes, from, to)
        }
      },
    }
  }

  end(): void {
    if (this.#binary && this.#began) {
      const frame = copyDataFrame(binaryTrailer)
      this.#pass(frame, 0, frame.length)
    }
  }

  /** The signature stands in front of what is sent first, and the end is a message of its own or follows it. */
  #takeBinary(bytes: Buffer, from: number, to: number, first: boolean): void {
    let start = from + frameHeaderBytes
    const signed = start
    if (first) start += 19 + bytes.readInt32BE(start + 15)
    const empty = to - start < 2 || (to - start === 2 && bytes.readInt16BE(start) === -1)
    if (first && !this.#headed) {
      this.#headed = true
      const frame = copyDataFrame(bytes.subarray(signed, empty ? start : to))
      this.#pass(frame, 0, frame.length)
    } else if (!empty && !first) this.#pass(bytes, from, to)
    else if (!empty) {
      const frame = copyDataFrame(bytes.subarray(start, to))
      this.#pass(frame, 0, frame.length)
    }
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    if (this.#answer.copyData?.(bytes, from, to) !== false || this.#waiting) return
    this.#waiting = true
    this.#fan.pause()
    this.#answer.drained().then(
      () => {
        this.#waiting = false
        this.#fan.resume()
      },
      error => this.#fan.fail(error),
    )
  }
}

function copyDataFrame(payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payload.length)
  frame[0] = 0x64
  frame.writeInt32BE(4 + payload.length, 1)
  payload.copy(frame, frameHeaderBytes)
  return frame
}
