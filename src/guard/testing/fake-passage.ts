// One request for unit tests: its head is read by the real reader, what the guard answers is kept. Fits `Passage` and does
// what the edge does with it, without sockets.

import { Http1RequestHead } from '../../wire/http1/index.ts'
import type { Passage, PassageClient, PassageEdits, PassageRefusal, PassageSource } from '../passage.ts'

export interface FakeRequest {
  readonly method?: string
  /** Path and query, normalised already. */
  readonly target?: string
  /** Ready field lines. */
  readonly fields?: string
  readonly host?: string
  readonly address?: string
  readonly body?: string | Buffer
  readonly client?: Partial<PassageClient>
  readonly parameters?: Readonly<Record<string, string>>
  /** Monotonic, microseconds. */
  readonly now?: number
  readonly requestId?: string
}

const limits = { requestLineBytesMax: 16_384, headerBytesMax: 65_536, headerCountMax: 128 }

export class FakePassage implements Passage {
  readonly head: Http1RequestHead = new Http1RequestHead(limits)
  serial = 1
  readonly requestId: string
  address: string
  readonly path: string
  readonly target: string
  readonly startedAt: number
  client: PassageClient | null
  refusal: PassageRefusal | null = null
  extraFields = ''
  requestEdits: PassageEdits | null = null
  visit: Passage['visit'] = null
  status = 0
  bytesIn = 0
  bytesOut = 0
  /** Answers that gates resumed with, in order. */
  readonly resumed: number[] = []
  /** What `respond` was told. */
  answer: { readonly status: number; readonly fields: string; readonly body: string } | null = null
  /** What went out in pieces. */
  pieces = ''
  piecesEnded = false
  source: PassageSource | null = null
  readonly #body: Buffer
  readonly #parameters: Readonly<Record<string, string>>

  constructor(request: FakeRequest = {}) {
    const { method = 'GET', target = '/', fields = '', host = 'shop.example', body = '' } = request
    this.#body = Buffer.from(body)
    const length = this.#body.length > 0 ? `Content-Length: ${this.#body.length}\r\n` : ''
    const text = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}${length}\r\n`
    const end = this.head.parse(text)
    if (end !== text.length) throw new Error(`the head of this test is refused (${end}): ${text}`)
    this.requestId = request.requestId ?? 'request-1'
    this.address = request.address ?? '192.0.2.1'
    this.target = target
    this.path = target.split('?', 1)[0] as string
    this.startedAt = request.now ?? 0
    this.#parameters = request.parameters ?? {}
    this.client = {
      tls: null,
      listener: 'http',
      httpVersion: '1.1',
      bodyOpen: this.#body.length > 0,
      hello: null,
      ...request.client,
    }
  }

  pathParameter(name: string): string | undefined {
    return this.#parameters[name]
  }

  resumeGate(serial: number, answer: number): void {
    if (serial === this.serial && this.client !== null) this.resumed.push(answer)
  }

  respond(status: number, fields: string, body: string): void {
    this.status = status
    this.answer = { status, fields, body }
    this.over(false)
  }

  holdBody(bytesMax: number, done: (body: Buffer | null) => void): void {
    const { serial } = this
    queueMicrotask(() => {
      if (serial !== this.serial) return
      this.bytesIn = this.#body.length
      done(this.#body.length > bytesMax ? null : this.#body)
    })
  }

  respondInPieces(_fields: string, source: PassageSource): void {
    this.status = 200
    this.source = source
  }

  localBytes(bytes: Buffer, from: number, to: number): boolean {
    this.pieces += bytes.latin1Slice(from, to)
    this.bytesOut += to - from
    return true
  }

  localEnd(): void {
    this.piecesEnded = true
    this.over(false)
  }

  /** The instance has answered, or the client went away. */
  over(aborted: boolean, status: number = this.status): void {
    this.status = status
    const { visit } = this
    this.visit = null
    if (aborted) this.source?.cancel()
    visit?.over(this, aborted)
    this.serial++
  }
}
