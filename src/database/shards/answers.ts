// The answer of one statement on its way to the client: columns if the client wants them, rows as they come, or kept for a
// portal that is read in pieces. One shard's rows are stopped while the client takes no more.

import { backend, noData, rowDescription } from '../../wire/postgres/index.ts'
import type { ClientOutput } from './client-output.ts'
import type { SeatSink, ShardAnswer } from './contract.ts'
import type { Seat } from './seat.ts'
import { StatementFailed } from './statement-failed.ts'

/** Of rows that wait for the next Execute of their portal. */
const keptBytesMax = 64 << 20

export class ClientAnswer implements ShardAnswer {
  readonly #output: ClientOutput
  /** none: the client knows them, or does not want them; first: they, or that there are none, come before anything else. */
  readonly #wanted: 'none' | 'if-any' | 'first'
  readonly kept: Buffer[] | null
  #keptBytes = 0
  #said = false

  constructor(output: ClientOutput, wanted: 'none' | 'if-any' | 'first', keep = false) {
    this.#output = output
    this.#wanted = wanted
    this.kept = keep ? [] : null
  }

  fields(frame: Buffer): void {
    if (this.#wanted !== 'none' && !this.#said) this.#output.addAll(frame)
    this.#said = true
  }

  row(bytes: Buffer, from: number, to: number): boolean {
    if (this.kept === null) return this.#output.add(bytes, from, to)
    this.#keptBytes += to - from
    if (this.#keptBytes > keptBytesMax) throw tooMuchKept()
    this.kept.push(Buffer.from(bytes.subarray(from, to)))
    return true
  }

  drained(): Promise<void> {
    return this.#output.drained()
  }

  notice(frame: Buffer): void {
    this.#output.addAll(frame)
  }

  copyOut(frame: Buffer): void {
    this.#output.addAll(frame)
  }

  copyData(bytes: Buffer, from: number, to: number): boolean {
    return this.#output.add(bytes, from, to)
  }

  /** Columns and rows that we say ourselves. */
  texts(names: readonly string[], rows: readonly Buffer[]): void {
    this.fields(rowDescription(names.map(name => ({ name }))))
    for (const row of rows) this.row(row, 0, row.length)
  }

  /** Before the tag: who wanted columns is told that there are none. */
  end(): void {
    if (this.#wanted === 'first' && !this.#said) this.#output.addAll(noData)
  }

  /** For one seat. `failed` is asked when the statement has ended: what the sink could not throw. */
  sinkOf(seat: Seat): SeatSink & { failure: StatementFailed | null } {
    let paused = false
    const slow = (): void => {
      if (paused) return
      paused = true
      seat.pause()
      const go = (): void => {
        paused = false
        seat.resume()
      }
      this.drained().then(go, go)
    }
    const sink: SeatSink & { failure: StatementFailed | null } = {
      failure: null,
      fields: frame => this.fields(frame),
      row: (bytes, from, to) => {
        if (sink.failure !== null) return
        try {
          if (!this.row(bytes, from, to)) slow()
        } catch (failure) {
          sink.failure = failure as StatementFailed
          seat.cancel()
        }
      },
      notice: frame => this.notice(frame),
      copyOut: frame => this.copyOut(frame),
      copyData: (bytes, from, to) => {
        if (!this.copyData(bytes, from, to)) slow()
      },
    }
    return sink
  }
}

function tooMuchKept(): StatementFailed {
  return StatementFailed.of(
    '54000',
    `A portal that is read in pieces is kept in the router, ${keptBytesMax >> 20} MB at most, and this one is more.`,
    { detail: 'shard-portal-too-large', hint: 'Read it whole, or by DECLARE and FETCH.' },
  )
}

/** RowDescription of a statement, in the formats that its portal has. */
export function withFormats(frame: Buffer, formats: readonly number[]): Buffer {
  if (formats.length === 0 || frame[0] !== backend.rowDescription) return frame
  const made = Buffer.from(frame)
  const count = made.readUInt16BE(5)
  let at = 7
  for (let index = 0; index < count; index++) {
    at = made.indexOf(0, at) + 17
    made.writeUInt16BE((formats.length === 1 ? formats[0] : formats[index]) ?? 0, at)
    at += 2
  }
  return made
}
