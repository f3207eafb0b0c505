// One end of a TCP connection for tests: writes exactly what it is told, reads exactly what came, and tells a FIN from a
// reset. Reads messages by a parser of its own that shares nothing with the code under test. Not a client for use.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'

/** Of every wait in these tests. Generous: it bounds a hang and measures nothing. */
export const patienceMs = 60_000

export interface RawMessage {
  /** The head as it came, with its empty line. */
  readonly head: string
  readonly startLine: string
  /** Lower-case names; repeats joined by a comma and a space. */
  readonly fields: ReadonlyMap<string, string>
  readonly body: Buffer
  /** As they came, without CR LF. */
  readonly trailers: readonly string[]
  /** Sizes of the chunks, without the last; empty when the body is not chunked. */
  readonly chunks: readonly number[]
}

export interface RawResponse extends RawMessage {
  readonly status: number
  /** False: the connection ended or was reset before the body was whole. */
  readonly complete: boolean
}

export class RawPeer {
  readonly socket: Socket
  /** Everything that has come and was not read by a call below. */
  waiting: Buffer = Buffer.alloc(0)
  /** '' while open; `end` after a FIN; else the error's code. */
  over = ''
  receivedBytes = 0
  #parts: Buffer[] = []
  #partBytes = 0
  #wakers: (() => void)[] = []
  readonly #gone: Promise<void>

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => {
      this.receivedBytes += bytes.length
      this.#parts.push(bytes)
      this.#partBytes += bytes.length
      this.#wake()
    })
    socket.on('end', () => this.#finish('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#finish(error.code ?? 'error'))
    this.#gone = new Promise(resolve => {
      socket.on('close', () => {
        this.#finish('closed')
        resolve()
      })
    })
  }

  /** A connection to a port of this machine; the other side's FIN does not end ours. @param from our own address */
  static async connect(port: number, host = '127.0.0.1', from?: string): Promise<RawPeer> {
    const local = from === undefined ? {} : { localAddress: from }
    const socket = connect({ host, port, allowHalfOpen: true, ...local })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawPeer(socket)
  }

  #finish(how: string): void {
    if (this.over === '' || (this.over === 'end' && how.startsWith('E'))) this.over = how
    this.#wake()
  }

  #wake(): void {
    for (const waker of this.#wakers.splice(0)) waker()
  }

  #gather(): void {
    if (this.#parts.length === 0) return
    this.waiting = Buffer.concat([this.waiting, ...this.#parts])
    this.#parts = []
    this.#partBytes = 0
  }

  /** Resolves when `condition` holds; it is asked whenever something came. Rejects, with what is there, when it never does. */
  async when(what: string, condition: () => boolean, limitMs: number = patienceMs): Promise<void> {
    const until = performance.now() + limitMs
    for (;;) {
      if (condition()) return
      const left = until - performance.now()
      if (left <= 0) {
        this.#gather()
        const seen = this.waiting.subarray(0, 2_000).toString('latin1')
        throw new Error(
          `no ${what} in ${patienceMs} ms; over: '${this.over}'; unread: ${JSON.stringify(seen)}`,
        )
      }
      await new Promise<void>(resolve => {
        const timer = left === Infinity ? undefined : setTimeout(resolve, left)
        this.#wakers.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  write(data: string | Buffer): boolean {
    return typeof data === 'string' ? this.socket.write(data, 'latin1') : this.socket.write(data)
  }

  /** Resolves when the system has taken it, or the connection is over. */
  async send(data: string | Buffer): Promise<void> {
    const written = new Promise<void>(resolve => {
      this.socket.write(data as Buffer, 'latin1', () => resolve())
    })
    await Promise.race([written, this.#gone])
  }

  /** FIN: nothing more will be written; reading goes on. */
  halfClose(): void {
    this.socket.end()
  }

  reset(): void {
    const { socket } = this
    if (socket.destroyed) return
    // A shutdown that is under way refuses a reset, and Node then keeps the handle and spins at its exit.
    if (socket.writableEnded && !socket.writableFinished)
      socket.once('finish', () => socket.resetAndDestroy())
    else socket.resetAndDestroy()
  }

  destroy(): void {
    this.socket.destroy()
  }

  #take(length: number): Buffer {
    const taken = this.waiting.subarray(0, length)
    this.waiting = this.waiting.subarray(length)
    return taken
  }

  /** The next `length` bytes; fewer only when the connection is over before. */
  async bytes(length: number): Promise<Buffer> {
    const isThere = (): boolean => this.waiting.length + this.#partBytes >= length
    await this.when(`${length} bytes`, () => isThere() || this.over !== '')
    this.#gather()
    return this.#take(Math.min(length, this.waiting.length))
  }

  /** Whatever has come, at least a byte; empty only when the connection is over. Waits as long as it takes. */
  async some(): Promise<Buffer> {
    await this.when('a byte', () => this.waiting.length + this.#partBytes > 0 || this.over !== '', Infinity)
    this.#gather()
    return this.#take(this.waiting.length)
  }

  /** Up to and with the text; null when the connection is over before. */
  async upTo(text: string): Promise<string | null> {
    let from = 0
    let found = -1
    await this.when(`'${JSON.stringify(text)}'`, () => {
      this.#gather()
      found = this.waiting.indexOf(text, from, 'latin1')
      from = Math.max(0, this.waiting.length - text.length)
      return found >= 0 || this.over !== ''
    })
    return found < 0 ? null : this.#take(found + text.length).toString('latin1')
  }

  /** Everything until the connection is over. */
  async rest(): Promise<Buffer> {
    await this.when('end of the connection', () => this.over !== '')
    this.#gather()
    return this.#take(this.waiting.length)
  }

  /** A head with its empty line; null when the connection is over before one began. */
  async head(): Promise<string | null> {
    const head = await this.upTo('\r\n\r\n')
    if (head === null && this.waiting.length > 0)
      throw new Error(`the connection ended (${this.over}) inside a head: ${this.waiting.toString('latin1')}`)
    return head
  }

  /** The next request, body and all; null when the connection is over. */
  async request(): Promise<RawMessage | null> {
    // An idle connection is no hang.
    await this.when(
      'a request',
      () => this.waiting.length + this.#partBytes > 0 || this.over !== '',
      Infinity,
    )
    const head = await this.head()
    if (head === null) return null
    const fields = fieldsOf(head)
    const message = { head, startLine: startLineOf(head), fields }
    if (fields.get('transfer-encoding') === 'chunked') return { ...message, ...(await this.#chunked()) }
    const length = Number(fields.get('content-length') ?? 0)
    return { ...message, body: await this.bytes(length), trailers: [], chunks: [] }
  }

  /** The next final response; interim ones are put into `interims`. */
  async response(method = 'GET', interims: RawMessage[] = []): Promise<RawResponse> {
    for (;;) {
      const head = await this.head()
      if (head === null) throw new Error(`the connection ended (${this.over}) before a response`)
      const startLine = startLineOf(head)
      assert.match(startLine, /^HTTP\/1\.1 \d{3} /, 'a status line')
      const status = Number(startLine.slice(9, 12))
      const message = { head, startLine, fields: fieldsOf(head) }
      if (status >= 100 && status < 200 && status !== 101) {
        interims.push({ ...message, body: Buffer.alloc(0), trailers: [], chunks: [] })
        continue
      }
      return { ...message, status, ...(await this.#responseBody(method, status, message.fields)) }
    }
  }

  async #responseBody(
    method: string,
    status: number,
    fields: ReadonlyMap<string, string>,
  ): Promise<Pick<RawResponse, 'body' | 'trailers' | 'chunks' | 'complete'>> {
    const none = { trailers: [], chunks: [], complete: true }
    if (method === 'HEAD' || status === 204 || status === 304 || status === 101)
      return { ...none, body: Buffer.alloc(0) }
    if (fields.has('transfer-encoding')) {
      assert.equal(fields.get('transfer-encoding'), 'chunked')
      assert.ok(!fields.has('content-length'), 'never both framings')
      return await this.#chunked()
    }
    const length = fields.get('content-length')
    if (length !== undefined) {
      const body = await this.bytes(Number(length))
      return { ...none, body, complete: body.length === Number(length) }
    }
    const body = await this.rest()
    return { ...none, body, complete: this.over === 'end' }
  }

  async #chunked(): Promise<Pick<RawResponse, 'body' | 'trailers' | 'chunks' | 'complete'>> {
    const parts: Buffer[] = []
    const chunks: number[] = []
    const cut = (): Pick<RawResponse, 'body' | 'trailers' | 'chunks' | 'complete'> => ({
      body: Buffer.concat(parts),
      trailers: [],
      chunks,
      complete: false,
    })
    for (;;) {
      const line = await this.upTo('\r\n')
      if (line === null) return cut()
      assert.match(line, /^[0-9a-f]+\r\n$/i, 'a chunk size of plain hexadecimal digits')
      const size = Number.parseInt(line, 16)
      if (size === 0) break
      const data = await this.bytes(size + 2)
      if (data.length < size + 2) {
        parts.push(data.subarray(0, size))
        return cut()
      }
      assert.equal(data.subarray(size).toString('latin1'), '\r\n', 'CR LF after a chunk')
      chunks.push(size)
      parts.push(data.subarray(0, size))
    }
    const trailers: string[] = []
    for (;;) {
      const line = await this.upTo('\r\n')
      if (line === null) return cut()
      if (line === '\r\n') return { body: Buffer.concat(parts), trailers, chunks, complete: true }
      trailers.push(line.slice(0, -2))
    }
  }
}

function startLineOf(head: string): string {
  return head.slice(0, head.indexOf('\r\n'))
}

function fieldsOf(head: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of head.split('\r\n').slice(1)) {
    if (line === '') continue
    const colon = line.indexOf(':')
    assert.ok(colon > 0, `a field line with a name: ${JSON.stringify(line)}`)
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = fields.get(name)
    fields.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return fields
}
