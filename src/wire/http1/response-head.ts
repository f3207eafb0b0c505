// A response's head (RFC 9112 4) and how its body is framed, which depends on the request's method (RFC 9112 6.3).

import { fieldIdCount, knownIds } from '../fields.ts'
import type { ResponseHead } from '../head.ts'
import { CR, isFieldValue, LF, SP } from './grammar.ts'
import { framing, type HeadLimits, Http1Head, more } from './head.ts'
import { problem } from './problem.ts'

const start = 'HTTP/1.'

export class Http1ResponseHead extends Http1Head implements ResponseHead {
  status = 0
  #method = ''
  #reasonFrom = 0
  #reasonTo = 0

  override reset(limits: HeadLimits): void {
    super.reset(limits)
    this.status = 0
    this.#reasonFrom = 0
    this.#reasonTo = 0
  }

  get reason(): string {
    return this.text.slice(this.#reasonFrom, this.#reasonTo)
  }

  /** As for requests; `method` is the request's, body framing depends on it (RFC 9112 6.3). */
  parse(text: string, method: string, same: Uint8Array | null = null): number {
    this.#method = method
    return this.readText(text, same)
  }

  /**
   * A head of its own, which stays when this one is reused, with another status, without the fields of `drop` (lower
   * case) and with the ready lines of `add`. Null: it would be larger than a head may be. Framing fields must stay.
   */
  copy(
    status: number = this.status,
    drop: readonly string[] = [],
    add = '',
    reason: string = this.reason,
  ): Http1ResponseHead | null {
    const copy = new Http1ResponseHead(this.limits)
    const ids = knownIds(drop)
    const byId = new Uint8Array(fieldIdCount)
    for (const id of ids) byId[id] = 1
    const fields = this.copyFields(byId, drop.length > ids.length ? drop : null)
    const text = `HTTP/1.${this.versionMinor} ${status} ${reason}\r\n${fields}${add}\r\n`
    return copy.parse(text, this.#method) > 0 ? copy : null
  }

  protected override read(bytes: Uint8Array, length: number): number {
    if (this.fieldsFrom === 0) {
      const after = this.#readLine(bytes, length)
      if (after <= 0) return after
      this.position = this.fieldsFrom = after
    }
    const end = this.scanFields(bytes, length)
    if (end <= 0) return end
    const connection = this.readConnection()
    if (connection < 0) return connection
    const refused = this.#readFraming()
    return refused < 0 ? refused : end
  }

  #readLine(bytes: Uint8Array, length: number): number {
    for (let i = 0; i < start.length; i++) {
      if (i >= length) return more
      if (bytes[i] !== start.charCodeAt(i)) return problem.statusLine
    }
    if (length <= 7) return more
    const minor = (bytes[7] as number) - 48
    if (minor < 0 || minor > 1) return problem.statusLine
    if (length <= 8) return more
    if (bytes[8] !== SP) return problem.statusLine
    const status = this.#readStatus(bytes, length)
    if (status <= 0) return status
    this.versionMinor = minor
    this.status = status
    return this.#readReason(bytes, length)
  }

  #readStatus(bytes: Uint8Array, length: number): number {
    let status = 0
    for (let i = 9; i < 12; i++) {
      if (i >= length) return more
      const digit = (bytes[i] as number) - 48
      if (digit < 0 || digit > 9) return problem.statusLine
      status = status * 10 + digit
    }
    return status < 100 ? problem.statusLine : status
  }

  /** The reason may be absent, with or without its SP (common; Node's parser takes both). */
  #readReason(bytes: Uint8Array, length: number): number {
    let at = 12
    if (at >= length) return more
    if (bytes[at] === SP) at++
    else if (bytes[at] !== CR) return problem.statusLine
    this.#reasonFrom = at
    while (at < length && isFieldValue[bytes[at] as number] === 1) at++
    if (at > this.limits.requestLineBytesMax) return problem.headLong
    if (at >= length) return more
    if (bytes[at] !== CR) return problem.statusLine
    if (at + 1 >= length) return more
    if (bytes[at + 1] !== LF) return problem.statusLine
    this.#reasonTo = at
    return at + 2
  }

  #readFraming(): number {
    const coding = this.readTransferEncoding()
    const length = this.readContentLength()
    if (length < -1) return length
    if (coding < 0) return coding
    // RFC 9112 6.3: both together "ought to be handled as an error".
    if (coding !== 0 && length >= 0) return problem.bothLengths
    this.contentLength = Math.max(length, 0)
    if (this.#hasNoBody()) return 1
    if (coding !== 0) {
      if (this.versionMinor === 0) return problem.transferEncoding
      this.framing = framing.chunked
    } else if (length > 0) this.framing = framing.length
    else if (length < 0) {
      this.framing = framing.untilClose
      this.close = true
    }
    return 1
  }

  /** RFC 9112 6.3, rules 1 and 2: whatever the fields say. */
  #hasNoBody(): boolean {
    const { status } = this
    if (status < 200 || status === 204 || status === 304 || this.#method === 'HEAD') return true
    return this.#method === 'CONNECT' && status < 300
  }
}
