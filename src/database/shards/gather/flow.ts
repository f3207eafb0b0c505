// Rows of several shards to one client who may be slow: when he takes no more, all seats are paused until he does.

import type { SeatSink, ShardAnswer } from '../contract.ts'
import type { Fan } from './fan.ts'
import { columnsOf, sameColumns } from './rows.ts'

export class Flow {
  readonly #answer: ShardAnswer
  readonly #fan: Fan
  #columns: ReturnType<typeof columnsOf> | null = null
  #waiting: Promise<void> | null = null
  rows = 0

  constructor(answer: ShardAnswer, fan: Fan) {
    this.#answer = answer
    this.#fan = fan
  }

  /** Everything is passed on as it is. */
  get sink(): SeatSink {
    return {
      fields: frame => this.fields(frame),
      row: (bytes, from, to) => this.row(bytes, from, to),
      notice: frame => this.notice(frame),
    }
  }

  /** The first description goes to the client; the others must be like it. */
  fields(frame: Buffer, shown: (frame: Buffer) => Buffer = same): void {
    const columns = columnsOf(frame)
    if (this.#columns === null) this.#answer.fields(shown(frame))
    else sameColumns(this.#columns, columns)
    this.#columns ??= columns
  }

  row(bytes: Buffer, from: number, to: number): void {
    this.rows++
    if (!this.#answer.row(bytes, from, to)) this.hold()
  }

  notice(frame: Buffer): void {
    this.#answer.notice(frame)
  }

  /** Everything stands still until the client has taken what he was given. */
  hold(): void {
    if (this.#waiting !== null) return
    this.#fan.pause()
    this.#waiting = this.#answer.drained().then(
      () => {
        this.#waiting = null
        this.#fan.resume()
      },
      error => {
        this.#waiting = null
        this.#fan.fail(error)
      },
    )
  }
}

const same = (frame: Buffer): Buffer => frame
