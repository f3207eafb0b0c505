// HTTP/1.x heads from Latin-1 text, strictly (RFC 9112 with what docs/decisions/0011-http1-strictness.md adds).
// The text is scanned once; names and values stay offsets into it until somebody asks. A head object is reused.
// `parse` answers the offset after the head, `more` when the text ends before it, or a problem (< more).

import {
  fieldHashStart,
  fieldHashStep,
  fieldId,
  fieldIdAt,
  fieldIdCount,
  fieldIdOf,
  sameName,
} from '../fields.ts'
import type { Head, RequestHead, ResponseHead } from '../head.ts'
import {
  COLON,
  CR,
  contentLengthOf,
  eachListElement,
  HTAB,
  isFieldValue,
  isTarget,
  isToken,
  isValidAuthority,
  LF,
  SP,
} from './grammar.ts'

/** The text ends before the head does. */
export const more = 0

/** Problems that `parse` answers, as negative integers; `problemOf` tells status and sentence. */
export const problem = {
  requestLine: -1,
  method: -2,
  target: -3,
  version: -4,
  lineEnd: -5,
  fieldName: -6,
  fieldValue: -7,
  folded: -8,
  host: -9,
  contentLength: -10,
  transferEncoding: -11,
  transferCoding: -12,
  bothLengths: -13,
  requestLineLong: -14,
  headLong: -15,
  fieldCount: -16,
  statusLine: -17,
  expectation: -18,
  bodyNotAllowed: -19,
  ambiguousName: -20,
} as const

const problems: Record<number, { status: number; code: string; text: string }> = {
  [problem.requestLine]: { status: 400, code: 'bad-request-line', text: 'The request line is malformed.' },
  [problem.method]: { status: 400, code: 'bad-method', text: 'The method is not a token.' },
  [problem.target]: {
    status: 400,
    code: 'bad-target',
    text: 'The request target has characters that must be encoded.',
  },
  [problem.version]: {
    status: 505,
    code: 'bad-version',
    text: 'Only HTTP/1.0 and HTTP/1.1 are spoken here.',
  },
  [problem.lineEnd]: { status: 400, code: 'bad-line-end', text: 'A line of the head does not end in CR LF.' },
  [problem.fieldName]: {
    status: 400,
    code: 'bad-field-name',
    text: 'A field name is empty or is not a token.',
  },
  [problem.fieldValue]: {
    status: 400,
    code: 'bad-field-value',
    text: 'A field value has a control character.',
  },
  [problem.folded]: { status: 400, code: 'folded-field', text: 'Folded field lines are not accepted.' },
  [problem.host]: { status: 400, code: 'bad-host', text: 'Exactly one valid Host is needed.' },
  [problem.contentLength]: {
    status: 400,
    code: 'bad-content-length',
    text: 'Content-Length is not one plain number.',
  },
  [problem.transferEncoding]: {
    status: 400,
    code: 'bad-transfer-encoding',
    text: 'Transfer-Encoding does not end in one chunked.',
  },
  [problem.transferCoding]: {
    status: 501,
    code: 'unknown-transfer-coding',
    text: 'Only the transfer coding chunked is spoken here.',
  },
  [problem.bothLengths]: {
    status: 400,
    code: 'two-framings',
    text: 'Content-Length and Transfer-Encoding must not come together.',
  },
  [problem.requestLineLong]: {
    status: 414,
    code: 'request-line-too-long',
    text: 'The request line is too long.',
  },
  [problem.headLong]: { status: 431, code: 'header-too-large', text: 'The header is too large.' },
  [problem.fieldCount]: { status: 431, code: 'too-many-fields', text: 'The header has too many fields.' },
  [problem.statusLine]: { status: 502, code: 'bad-status-line', text: 'The status line is malformed.' },
  [problem.expectation]: {
    status: 417,
    code: 'unknown-expectation',
    text: 'Only 100-continue can be expected.',
  },
  [problem.bodyNotAllowed]: {
    status: 400,
    code: 'body-not-allowed',
    text: 'This method must not have a body.',
  },
  [problem.ambiguousName]: {
    status: 400,
    code: 'ambiguous-field-name',
    text: 'A field name with an underscore imitates a field that steers the request.',
  },
}

/** Status, stable code and sentence of a negative answer of `parse`. */
export function problemOf(code: number): { status: number; code: string; text: string } {
  return problems[code] ?? { status: 400, code: 'bad-request', text: 'The request is malformed.' }
}

export interface HeadLimits {
  readonly requestLineBytesMax: number
  readonly headerBytesMax: number
  readonly headerCountMax: number
}

/** How a body is framed. */
export const framing = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const

const stride = 5 // id, nameFrom, nameTo, valueFrom, valueTo

abstract class Http1Head implements Head {
  text = ''
  count = 0
  /** Offset of the first field line; the head's end is what `parse` answered. */
  protected fieldsFrom = 0
  /** Offset at which a resumed parse goes on; 0 = from the start. */
  protected position = 0
  protected limits: HeadLimits
  #fields: Int32Array
  readonly #first = new Int16Array(fieldIdCount).fill(-1)
  versionMinor = 1
  /** One of `framing`. */
  framing: number = framing.none
  /** Bytes of the body when `framing.length`. */
  contentLength = 0
  /** Connection: close was there, or HTTP/1.0 without keep-alive. */
  close = false
  /** Names listed in Connection beside the known ones; they are not forwarded. */
  connectionNames: string[] | null = null
  /** Connection: upgrade was there. */
  connectionUpgrade = false

  constructor(limits: HeadLimits) {
    this.limits = limits
    this.#fields = new Int32Array(stride * Math.min(limits.headerCountMax, 64))
  }

  /** Forget everything; keep the memory. */
  reset(limits: HeadLimits): void {
    this.limits = limits
    this.text = ''
    this.count = 0
    this.position = 0
    this.fieldsFrom = 0
    this.versionMinor = 1
    this.framing = framing.none
    this.contentLength = 0
    this.close = false
    this.connectionNames = null
    this.connectionUpgrade = false
    this.#first.fill(-1)
  }

  idAt(i: number): number {
    return this.#fields[i * stride] as number
  }
  nameAt(i: number): string {
    return this.text.slice(this.#fields[i * stride + 1], this.#fields[i * stride + 2])
  }
  valueAt(i: number): string {
    return this.text.slice(this.#fields[i * stride + 3], this.#fields[i * stride + 4])
  }
  firstOf(id: number): number {
    return this.#first[id] as number
  }
  value(id: number): string | undefined {
    const i = this.#first[id] as number
    return i < 0 ? undefined : this.valueAt(i)
  }

  find(name: string): string | undefined {
    const id = fieldIdOf(name)
    let found: string | undefined
    const from = id === 0 ? 0 : (this.#first[id] as number)
    if (from < 0) return undefined
    for (let i = from; i < this.count; i++) {
      if (!this.#isNamed(i, id, name)) continue
      found = found === undefined ? this.valueAt(i) : `${found}, ${this.valueAt(i)}`
    }
    return found
  }

  #isNamed(i: number, id: number, name: string): boolean {
    const at = i * stride
    if (this.#fields[at] !== id) return false
    return (
      id !== 0 || sameName(name, this.text, this.#fields[at + 1] as number, this.#fields[at + 2] as number)
    )
  }

  copyFields(dropById: Uint8Array, alsoDrop: readonly string[] | null): string {
    let out = ''
    let runFrom = this.fieldsFrom
    const fields = this.#fields
    for (let i = 0; i < this.count; i++) {
      const at = i * stride
      const id = fields[at] as number
      const from = fields[at + 1] as number
      const dropped =
        dropById[id] === 1 || (alsoDrop !== null && this.#isListed(alsoDrop, from, fields[at + 2] as number))
      if (!dropped) continue
      if (from > runFrom) out += this.text.slice(runFrom, from)
      runFrom = i + 1 < this.count ? (fields[at + stride + 1] as number) : this.fieldsEnd
    }
    if (runFrom < this.fieldsEnd) out += this.text.slice(runFrom, this.fieldsEnd)
    return out
  }

  #isListed(names: readonly string[], from: number, to: number): boolean {
    for (const name of names) if (sameName(name, this.text, from, to)) return true
    return false
  }

  /** Offset of the empty line that ends the head. */
  protected fieldsEnd = 0

  /** Scans field lines from `this.position`; answers the offset after the empty line, `more`, or a problem. */
  protected scanFields(text: string): number {
    const length = text.length
    let at = this.position
    for (;;) {
      if (at >= length) return this.#wait(at)
      let c = text.charCodeAt(at)
      if (c === CR) {
        if (at + 1 >= length) return this.#wait(at)
        if (text.charCodeAt(at + 1) !== LF) return problem.lineEnd
        this.fieldsEnd = at
        return at - this.fieldsFrom > this.limits.headerBytesMax ? problem.headLong : at + 2
      }
      const lineFrom = at
      let hash = fieldHashStart
      while (isToken[c] === 1) {
        hash = fieldHashStep(hash, c)
        if (++at >= length) return this.#wait(lineFrom)
        c = text.charCodeAt(at)
      }
      if (c !== COLON || at === lineFrom) return this.#nameProblem(c, at === lineFrom)
      const nameTo = at
      do {
        if (++at >= length) return this.#wait(lineFrom)
        c = text.charCodeAt(at)
      } while (c === SP || c === HTAB)
      const valueFrom = at
      while (isFieldValue[c] === 1) {
        if (++at >= length) return this.#wait(lineFrom)
        c = text.charCodeAt(at)
      }
      if (c !== CR) return c === LF ? problem.lineEnd : problem.fieldValue
      if (at + 1 >= length) return this.#wait(lineFrom)
      if (text.charCodeAt(at + 1) !== LF) return problem.lineEnd
      let valueTo = at
      while (valueTo > valueFrom && isBlank(text.charCodeAt(valueTo - 1))) valueTo--
      at += 2
      const refused = this.#add(
        text,
        fieldIdAt(text, lineFrom, nameTo, hash),
        lineFrom,
        nameTo,
        valueFrom,
        valueTo,
      )
      if (refused < 0) return refused
      this.position = at
    }
  }

  #nameProblem(c: number, empty: boolean): number {
    if (!empty) return c === LF || c === CR ? problem.fieldName : problem.fieldName
    if (c === SP || c === HTAB) return problem.folded
    return c === LF ? problem.lineEnd : problem.fieldName
  }

  /** The text ends inside the line that begins at `lineFrom`: go on there when more has come. */
  #wait(lineFrom: number): number {
    this.position = lineFrom
    return this.text.length - this.fieldsFrom > this.limits.headerBytesMax ? problem.headLong : more
  }

  #add(
    text: string,
    id: number,
    nameFrom: number,
    nameTo: number,
    valueFrom: number,
    valueTo: number,
  ): number {
    const i = this.count
    if (i >= this.limits.headerCountMax) return problem.fieldCount
    if (nameTo - this.fieldsFrom > this.limits.headerBytesMax) return problem.headLong
    if ((i + 1) * stride > this.#fields.length) this.#grow()
    const at = i * stride
    const fields = this.#fields
    fields[at] = id
    fields[at + 1] = nameFrom
    fields[at + 2] = nameTo
    fields[at + 3] = valueFrom
    fields[at + 4] = valueTo
    this.count = i + 1
    if (id === 0) return isAmbiguous(text, nameFrom, nameTo) ? problem.ambiguousName : 1
    const first = this.#first
    if (first[id] === -1) first[id] = i
    return 1
  }

  #grow(): void {
    const bigger = new Int32Array(Math.min(this.#fields.length * 2, stride * this.limits.headerCountMax))
    bigger.set(this.#fields)
    this.#fields = bigger
  }

  /** Reads Connection: `close`, `keep-alive`, `upgrade` and other names. RFC 9110 7.6.1. */
  protected readConnection(): void {
    const first = this.firstOf(fieldId.connection)
    let keepAlive = false
    if (first >= 0) {
      for (let i = first; i < this.count; i++) {
        if (this.idAt(i) !== fieldId.connection) continue
        const value = this.valueAt(i)
        if (value === 'keep-alive') keepAlive = true
        else if (value === 'close') this.close = true
        else keepAlive = this.#readConnectionList(value) || keepAlive
      }
    }
    if (this.versionMinor === 0 && !keepAlive) this.close = true
  }

  #readConnectionList(value: string): boolean {
    let keepAlive = false
    eachListElement(value, element => {
      if (element === 'close') this.close = true
      else if (element === 'keep-alive') keepAlive = true
      else if (element === 'upgrade') this.connectionUpgrade = true
      else if (!neverHopByHop.has(element)) (this.connectionNames ??= []).push(element)
    })
    return keepAlive
  }

  /** Content-Length over all its lines; -1 absent, or a problem code (< -1). */
  protected readContentLength(repeatsAllowed: boolean): number {
    const first = this.firstOf(fieldId['content-length'])
    if (first < 0) return -1
    const value = this.valueAt(first)
    for (let i = first + 1; i < this.count; i++) {
      if (this.idAt(i) !== fieldId['content-length']) continue
      if (!repeatsAllowed || this.valueAt(i) !== value) return problem.contentLength
    }
    const length = contentLengthOf(value)
    return length < 0 ? problem.contentLength : length
  }

  /** Transfer-Encoding: 1 = chunked, 0 = absent, else a problem. RFC 9112 6.1: anything but one `chunked` is refused. */
  protected readTransferEncoding(): number {
    const first = this.firstOf(fieldId['transfer-encoding'])
    if (first < 0) return 0
    for (let i = first + 1; i < this.count; i++) {
      if (this.idAt(i) === fieldId['transfer-encoding']) return problem.transferEncoding
    }
    const value = this.valueAt(first).toLowerCase()
    if (value === 'chunked') return 1
    const codings = value.split(',').map(coding => coding.trim())
    const last = codings.at(-1)
    const plain = codings.every(coding => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(coding))
    if (!plain || last !== 'chunked' || codings.indexOf('chunked') !== codings.length - 1) {
      return plain && !codings.includes('chunked') ? problem.transferCoding : problem.transferEncoding
    }
    return problem.transferCoding
  }
}

function isBlank(c: number): boolean {
  return c === SP || c === HTAB
}

/** Fields that no Connection list may take away (RFC 9110 7.6.1: a sender must not list end-to-end fields). */
const neverHopByHop: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'authorization',
  'cookie',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-real-ip',
  'x-request-id',
  'via',
  'date',
  'cache-control',
])

/** `Content_Length`, `Transfer_Encoding`, `X_Forwarded_For`...: some servers fold `_` into `-`. */
function isAmbiguous(text: string, from: number, to: number): boolean {
  let underscore = false
  for (let i = from; i < to && !underscore; i++) underscore = text.charCodeAt(i) === 95
  return underscore && fieldIdOf(text.slice(from, to).replaceAll('_', '-')) !== 0
}

const commonMethods = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']

export class Http1RequestHead extends Http1Head implements RequestHead {
  method = ''
  target = ''
  authority = ''
  /** Expect: 100-continue was there. */
  expectContinue = false
  #lineDone = false

  override reset(limits: HeadLimits): void {
    super.reset(limits)
    this.method = ''
    this.target = ''
    this.authority = ''
    this.expectContinue = false
    this.#lineDone = false
  }

  /**
   * Parses the head at the start of `text`. When it answers `more`, call again with the same text and what came
   * after it: finished lines are not read again.
   */
  parse(text: string): number {
    this.text = text
    if (!this.#lineDone) {
      const after = this.#parseLine(text)
      if (after <= 0) return after
      this.#lineDone = true
      this.position = this.fieldsFrom = after
    }
    const end = this.scanFields(text)
    if (end <= 0) return end
    const refused = this.#readMeaning()
    return refused < 0 ? refused : end
  }

  #parseLine(text: string): number {
    let from = 0
    // RFC 9112 2.2: at least one empty line before the request line is ignored.
    while (from <= 2 && text.charCodeAt(from) === CR && text.charCodeAt(from + 1) === LF) from += 2
    const room = this.limits.requestLineBytesMax
    const length = text.length
    let at = from
    while (at < length && isToken[text.charCodeAt(at)] === 1) at++
    if (at >= length) return at - from > 32 ? problem.method : more
    if (at === from) return this.#emptyStart(text, at)
    if (text.charCodeAt(at) !== SP || at - from > 32) return problem.method
    this.method = methodOf(text, from, at)
    const targetFrom = ++at
    while (at < length && isTarget[text.charCodeAt(at)] === 1) at++
    if (at - from > room) return problem.requestLineLong
    if (at >= length) return more
    if (text.charCodeAt(at) !== SP || at === targetFrom) {
      const c = text.charCodeAt(at)
      return at === targetFrom || c === CR || c === LF ? problem.requestLine : problem.target
    }
    const targetTo = at
    if (length < at + 11) return this.#partialVersion(text, at + 1)
    const version = this.#parseVersion(text, at + 1)
    if (version < 0) return version
    this.#setTarget(text.slice(targetFrom, targetTo))
    if (this.target === '') return problem.target
    return at + 11
  }

  #emptyStart(text: string, at: number): number {
    const c = text.charCodeAt(at)
    return c === CR && at + 1 >= text.length && at < 4 ? more : problem.requestLine
  }

  #parseVersion(text: string, at: number): number {
    if (!text.startsWith('HTTP/', at) || text.charCodeAt(at + 6) !== 46) return problem.requestLine
    const major = text.charCodeAt(at + 5)
    const minor = text.charCodeAt(at + 7)
    if (major < 48 || major > 57 || minor < 48 || minor > 57) return problem.requestLine
    if (text.charCodeAt(at + 8) !== CR || text.charCodeAt(at + 9) !== LF) return problem.requestLine
    if (major !== 49 || minor > 49) return problem.version
    this.versionMinor = minor - 48
    return 1
  }

  /** The line is shorter than a whole version: refuse at once what can't become one. */
  #partialVersion(text: string, at: number): number {
    const part = text.slice(at)
    const fits = 'HTTP/'.startsWith(part.slice(0, 5)) && /^[0-9]?\.?[0-9]?\r?\n?$/.test(part.slice(5))
    return fits ? more : problem.requestLine
  }

  /** Origin form, or absolute form (RFC 9112 3.2.2: its authority replaces Host), or `*`. CONNECT's form is kept as is. */
  #setTarget(target: string): void {
    const first = target.charCodeAt(0)
    if (first === 47 || this.method === 'CONNECT' || target === '*') {
      this.target = target === '*' && this.method !== 'OPTIONS' ? '' : target
      return
    }
    const scheme = /^https?:\/\//i.exec(target)
    if (scheme === null) return
    const rest = target.slice(scheme[0].length)
    const slash = rest.search(/[/?]/)
    this.authority = slash < 0 ? rest : rest.slice(0, slash)
    if (this.authority === '') return
    const path = slash < 0 ? '' : rest.slice(slash)
    this.target = path === '' ? (this.method === 'OPTIONS' ? '*' : '/') : path[0] === '?' ? `/${path}` : path
  }

  #readMeaning(): number {
    const host = this.#readHost()
    if (host < 0) return host
    this.readConnection()
    const framed = this.#readFraming()
    if (framed < 0) return framed
    return this.#readExpect()
  }

  #readHost(): number {
    const first = this.firstOf(fieldId.host)
    if (first < 0) {
      if (this.versionMinor === 1) return problem.host
      return this.authority === '' || isValidAuthority(this.authority) ? 1 : problem.host
    }
    for (let i = first + 1; i < this.count; i++) if (this.idAt(i) === fieldId.host) return problem.host
    const value = this.valueAt(first)
    if (!isValidAuthority(value)) return problem.host
    if (this.authority === '') this.authority = value
    else if (!isValidAuthority(this.authority)) return problem.host
    return 1
  }

  #readFraming(): number {
    const coding = this.readTransferEncoding()
    const length = this.readContentLength(false)
    if (length < -1) return length
    if (coding !== 0) {
      // RFC 9112 6.1: with Content-Length, or from HTTP/1.0, the framing is faulty.
      if (length >= 0) return problem.bothLengths
      if (this.versionMinor === 0) return problem.transferEncoding
      if (coding < 0) return coding
      this.framing = framing.chunked
    } else if (length >= 0) {
      this.framing = length > 0 ? framing.length : framing.none
      this.contentLength = length
    }
    if (this.framing !== framing.none && this.method === 'TRACE') return problem.bodyNotAllowed
    return 1
  }

  #readExpect(): number {
    const first = this.firstOf(fieldId.expect)
    if (first < 0) return 1
    if (this.valueAt(first).toLowerCase() !== '100-continue') return problem.expectation
    this.expectContinue = this.versionMinor === 1 && this.framing !== framing.none
    return 1
  }
}

function methodOf(text: string, from: number, to: number): string {
  for (const method of commonMethods) {
    if (method.length === to - from && text.startsWith(method, from)) return method
  }
  return text.slice(from, to)
}

export class Http1ResponseHead extends Http1Head implements ResponseHead {
  status = 0
  #reasonFrom = 0
  #reasonTo = 0
  #lineDone = false

  override reset(limits: HeadLimits): void {
    super.reset(limits)
    this.status = 0
    this.#lineDone = false
  }

  get reason(): string {
    return this.text.slice(this.#reasonFrom, this.#reasonTo)
  }

  /** As for requests; `method` is the request's, `body` framing depends on it (RFC 9112 6.3). */
  parse(text: string, method: string): number {
    this.text = text
    if (!this.#lineDone) {
      const after = this.#parseLine(text)
      if (after <= 0) return after
      this.#lineDone = true
      this.position = this.fieldsFrom = after
    }
    const end = this.scanFields(text)
    if (end <= 0) return end
    this.readConnection()
    const refused = this.#readFraming(method)
    return refused < 0 ? refused : end
  }

  #parseLine(text: string): number {
    const length = text.length
    if (length < 12) return 'HTTP/1.'.startsWith(text.slice(0, 7)) ? more : problem.statusLine
    const minor = text.charCodeAt(7) - 48
    if (!text.startsWith('HTTP/1.') || minor < 0 || minor > 1 || text.charCodeAt(8) !== SP)
      return problem.statusLine
    let status = 0
    for (let i = 9; i < 12; i++) {
      const digit = text.charCodeAt(i) - 48
      if (digit < 0 || digit > 9) return problem.statusLine
      status = status * 10 + digit
    }
    if (status < 100) return problem.statusLine
    this.versionMinor = minor
    this.status = status
    return this.#parseReason(text)
  }

  #parseReason(text: string): number {
    let at = 12
    if (text.charCodeAt(at) === SP) at++
    else if (at < text.length && text.charCodeAt(at) !== CR) return problem.statusLine
    this.#reasonFrom = at
    while (at < text.length && isFieldValue[text.charCodeAt(at)] === 1) at++
    if (at - 12 > this.limits.headerBytesMax) return problem.headLong
    if (at + 1 >= text.length) return more
    if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF) return problem.statusLine
    this.#reasonTo = at
    return at + 2
  }

  #readFraming(method: string): number {
    const coding = this.readTransferEncoding()
    const length = this.readContentLength(true)
    if (length < -1) return length
    if (coding < 0) return coding
    // RFC 9112 6.3: both together "ought to be handled as an error".
    if (coding !== 0 && length >= 0) return problem.bothLengths
    this.contentLength = Math.max(length, 0)
    if (method === 'HEAD' || this.status < 200 || this.status === 204 || this.status === 304) {
      this.framing = framing.none
      return 1
    }
    if (coding !== 0) this.framing = this.versionMinor === 1 ? framing.chunked : problem.transferEncoding
    else if (length >= 0) this.framing = length > 0 ? framing.length : framing.none
    else {
      this.framing = framing.untilClose
      this.close = true
    }
    return this.framing < 0 ? this.framing : 1
  }
}
