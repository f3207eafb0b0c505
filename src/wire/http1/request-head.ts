// A request's head (RFC 9112 3): its line, its target in the form that is forwarded, and what its fields mean for
// framing. `parse` answers the offset after the head, `more` when the text ends before it, or a problem (< more).

import { fieldId } from '../fields.ts'
import type { RequestHead } from '../head.ts'
import { CR, isTarget, isToken, isValidAuthority, LF, SP } from './grammar.ts'
import { framing, type HeadLimits, Http1Head, more } from './head.ts'
import { problem } from './problem.ts'

const methodBytesMax = 32
/** ` HTTP/1.1` and CR LF. */
const versionBytes = 11

const knownMethods = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE']

export class Http1RequestHead extends Http1Head implements RequestHead {
  method = ''
  target = ''
  authority = ''
  /** The target was sent in origin form: a path, and nothing else. */
  originForm = false
  /** Expect: 100-continue was there, in HTTP/1.1 and with a body to come. */
  expectContinue = false

  override reset(limits: HeadLimits): void {
    super.reset(limits)
    this.method = ''
    this.target = ''
    this.authority = ''
    this.originForm = false
    this.expectContinue = false
  }

  /**
   * Parses the head at the start of `text`. When it answers `more`, call again with the same text and what came
   * after it: finished lines are not read again. After a problem, `reset`.
   * @param same bytes whose start is the whole text, where the caller has them: saves a copy
   */
  parse(text: string, same: Uint8Array | null = null): number {
    return this.readText(text, same)
  }

  protected override read(bytes: Uint8Array, length: number): number {
    if (this.fieldsFrom === 0) {
      const after = this.#readLine(bytes, length)
      if (after <= 0) return after
      this.position = this.fieldsFrom = after
    }
    const end = this.scanFields(bytes, length)
    if (end <= 0) return end
    const refused = this.#readMeaning()
    return refused < 0 ? refused : end
  }

  #readLine(bytes: Uint8Array, length: number): number {
    // RFC 9112 2.2: one empty line before the request line is ignored. More would let a blank line stand where a
    // caller that looks for the end of a head finds one.
    const from = bytes[0] === CR && length > 0 ? 2 : 0
    if (length <= from) return from === 2 && length === 2 && bytes[1] !== LF ? problem.requestLine : more
    if (from === 2 && bytes[1] !== LF) return problem.requestLine
    let at = from
    while (at < length && isToken[bytes[at] as number] === 1) at++
    if (at - from > methodBytesMax) return problem.method
    if (at >= length) return more
    if (at === from) return problem.requestLine
    if (bytes[at] !== SP) return problem.method
    const methodTo = at
    const targetFrom = ++at
    while (at < length && isTarget[bytes[at] as number] === 1) at++
    if (at + versionBytes - 2 > this.limits.requestLineBytesMax) return problem.requestLineLong
    if (at >= length) return more
    const c = bytes[at] as number
    if (at === targetFrom || c === CR || c === LF) return problem.requestLine
    if (c !== SP) return problem.target
    const version = this.#readVersion(bytes, at + 1, length)
    if (version <= 0) return version
    this.lineFrom = from
    this.method = this.#methodOf(bytes, from, methodTo)
    this.target = this.#targetOf(this.text.slice(targetFrom, at))
    return this.target === '' ? problem.target : at + versionBytes
  }

  /** `HTTP/` DIGIT `.` DIGIT CR LF at `at`: 1, `more` or a problem; refused at the first byte that can't be it. */
  #readVersion(bytes: Uint8Array, at: number, length: number): number {
    const shape = 'HTTP/0.0\r\n'
    for (let i = 0; i < shape.length; i++) {
      if (at + i >= length) return more
      const c = bytes[at + i] as number
      const fits = i === 5 || i === 7 ? c >= 48 && c <= 57 : c === shape.charCodeAt(i)
      if (!fits) return problem.requestLine
    }
    const minor = (bytes[at + 7] as number) - 48
    if (bytes[at + 5] !== 49 || minor > 1) return problem.version
    this.versionMinor = minor
    return 1
  }

  /** A method that is known is one of our own strings, so that nobody keeps the head's text alive through it. */
  #methodOf(bytes: Uint8Array, from: number, to: number): string {
    // Nearly every request: G, E, T.
    if (to - from === 3 && bytes[from] === 71 && bytes[from + 1] === 69 && bytes[from + 2] === 84)
      return 'GET'
    const method = this.text.slice(from, to)
    return knownMethods.find(known => known === method) ?? method
  }

  /** Origin form, or the path of absolute form (RFC 9112 3.2.2: its authority replaces Host), or `*`; '' = refused. */
  #targetOf(target: string): string {
    if (this.method === 'CONNECT') return /:[0-9]+$/.test(target) && isValidAuthority(target) ? target : ''
    if (target.charCodeAt(0) === 47) {
      this.originForm = true
      return target
    }
    if (target === '*') return this.method === 'OPTIONS' ? target : ''
    const absolute = /^https?:\/\/([^/?]+)(.*)$/i.exec(target)
    if (absolute === null) return ''
    this.authority = absolute[1] as string
    const path = absolute[2] as string
    if (path === '') return this.method === 'OPTIONS' ? '*' : '/'
    return path.charCodeAt(0) === 63 ? `/${path}` : path
  }

  #readMeaning(): number {
    const host = this.#readHost()
    if (host < 0) return host
    const connection = this.readConnection()
    if (connection < 0) return connection
    const framed = this.#readFraming()
    return framed < 0 ? framed : this.#readExpect()
  }

  /** RFC 9112 3.2: exactly one valid Host, which only HTTP/1.0 may leave out; checked also where the target overrides it. */
  #readHost(): number {
    const value = this.readHostValue()
    if (value === null) return problem.host
    if (value === '' ? this.versionMinor === 1 || this.firstOf(fieldId.host) >= 0 : !isValidAuthority(value))
      return problem.host
    if (this.authority === '') this.authority = value
    else if (!isValidAuthority(this.authority)) return problem.host
    return 1
  }

  #readFraming(): number {
    const coding = this.readTransferEncoding()
    const length = this.readContentLength()
    if (length < -1) return length
    if (coding !== 0) {
      // RFC 9112 6.1: with Content-Length, or from HTTP/1.0, the framing is faulty.
      if (length >= 0) return problem.bothLengths
      if (this.versionMinor === 0) return problem.transferEncoding
      if (coding < 0) return coding
      this.framing = framing.chunked
    } else if (length > 0) {
      this.framing = framing.length
      this.contentLength = length
    }
    // RFC 9110 9.3.6, 9.3.8: neither has content.
    const bodiless = this.method === 'TRACE' || this.method === 'CONNECT'
    return bodiless && this.framing !== framing.none ? problem.bodyNotAllowed : 1
  }

  /** RFC 9110 10.1.1: each Expect line is 100-continue, or 417. */
  #readExpect(): number {
    const first = this.firstOf(fieldId.expect)
    for (let i = first; i >= 0 && i < this.count; i++) {
      if (this.idAt(i) !== fieldId.expect) continue
      if (this.valueAt(i).toLowerCase() !== '100-continue') return problem.expectation
      this.expectContinue = this.versionMinor === 1 && this.framing !== framing.none
    }
    return 1
  }
}
