// Asks one prepared question after another over a connection that is logged in, without the machinery of a whole client:
// samples and polls are asked thousands of times a second while replicas are waited for, and cost a third this way.
// Takes the connection's bytes over for good. One question at a time; anything unexpected is a reason to give it up.

import type { Duplex } from 'node:stream'
import {
  backend,
  bindMessage,
  executeMessage,
  frameBytes,
  parseMessage,
  readDataRow,
  readReport,
  syncMessage,
} from '../../wire/postgres/index.ts'

export interface Question {
  /** Prepared under this name on each connection. */
  readonly name: string
  readonly text: string
}

/** One row of texts. */
export type Row = readonly (string | null)[]

/** Answers are one row of numbers. */
const answerBytesMax = 65_536

export class Asker {
  readonly #stream: Duplex
  readonly #failed: (why: string) => void
  readonly #messages = new Map<string, Buffer>()
  #answer: ((row: Row) => void) | null = null
  #row: Row = []
  #rest: Buffer | null = null

  /** @param stream nothing is under way on it */
  constructor(stream: Duplex, failed: (why: string) => void) {
    this.#stream = stream
    this.#failed = failed
    stream.removeAllListeners('data')
    stream.on('data', (bytes: Buffer) => this.#read(bytes))
  }

  ask(question: Question, answer: (row: Row) => void): void {
    this.#answer = answer
    this.#row = []
    this.#stream.write(this.#messages.get(question.name) ?? this.#first(question))
  }

  #first({ name, text }: Question): Buffer {
    const again = Buffer.concat([bindMessage('', name, []), executeMessage('', 1), syncMessage])
    this.#messages.set(name, again)
    return Buffer.concat([parseMessage(name, text), again])
  }

  #read(bytes: Buffer): void {
    const whole = this.#rest === null ? bytes : Buffer.concat([this.#rest, bytes])
    this.#rest = null
    let at = 0
    while (at < whole.length) {
      const size = frameBytes(whole, at, whole.length, answerBytesMax)
      if (size < 0) {
        this.#failed('it answers what is no PostgreSQL')
        return
      }
      if (size === 0 || at + size > whole.length) {
        this.#rest = whole.subarray(at)
        return
      }
      if (!this.#hear(whole, at, at + size)) return
      at += size
    }
  }

  /** False: it is given up. */
  #hear(bytes: Buffer, at: number, end: number): boolean {
    const type = bytes[at]
    if (type === backend.dataRow)
      this.#row = (readDataRow(bytes, at + 5, end) ?? []).map(value => value?.latin1Slice() ?? null)
    else if (type === backend.errorResponse) {
      this.#failed(readReport(bytes, at + 5, end)?.message ?? 'it refuses the question')
      return false
    } else if (type === backend.readyForQuery) {
      const answer = this.#answer
      this.#answer = null
      answer?.(this.#row)
    }
    return true
  }
}
