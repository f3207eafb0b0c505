// What request and response heads share: field lines from Latin-1 text, strictly (RFC 9112 5 with what
// docs/decisions/0011-http1-strictness.md adds), scanned once; names and values stay offsets into the text until
// somebody asks. A head object is reused. Never looks at a start line (request-head.ts, response-head.ts).

import {
  fieldHashStart,
  fieldHashStep,
  fieldId,
  fieldIdAt,
  fieldIdCount,
  fieldIdOf,
  sameFoldedName,
  sameName,
} from '../fields.ts'
import type { Head } from '../head.ts'
import {
  COLON,
  CR,
  contentLengthOf,
  eachListElement,
  HTAB,
  isFieldValue,
  LF,
  nameKind,
  SP,
} from './grammar.ts'
import { problem } from './problem.ts'
import { fillWindow, windowOf } from './scratch.ts'

/** The text ends before the head does. */
export const more = 0

export interface HeadLimits {
  /** The request line without its CR LF, with an empty line that comes before it. */
  readonly requestLineBytesMax: number
  /** All field lines with their CR LF; the empty line that ends the head does not count. */
  readonly headerBytesMax: number
  readonly headerCountMax: number
}

/** How a body is framed. */
export const framing = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const

const stride = 5 // id, nameFrom, nameTo, valueFrom, valueTo
/** Without a bound, a list of thousands of names would be compared with each field. */
const connectionNamesMax = 32

export abstract class Http1Head implements Head {
  text = ''
  count = 0
  /** Offset of the first field line; 0 until the start line is complete. The head's end is what `parse` answered. */
  /** Offset of the request or status line. */
  protected lineFrom = 0
  protected fieldsFrom = 0
  /** Offset of the empty line that ends the head. */
  protected fieldsEnd = 0
  /** Offset of the field line at which a resumed parse goes on. */
  protected position = 0
  /** The value of the line at `position` is good up to here; an offset of a line before says nothing. */
  #valueSeen = 0
  protected limits: HeadLimits
  #fields: Int32Array
  readonly #first = new Int32Array(fieldIdCount).fill(-1)
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
    this.#fields = new Int32Array(stride * Math.max(1, Math.min(limits.headerCountMax, 64)))
  }

  /** Forget everything; keep the memory. */
  reset(limits: HeadLimits): void {
    for (let i = 0; i < this.count; i++) this.#first[this.idAt(i)] = -1
    this.limits = limits
    this.text = ''
    this.count = 0
    this.position = 0
    this.fieldsFrom = this.lineFrom = 0
    this.fieldsEnd = 0
    this.#valueSeen = 0
    this.versionMinor = 1
    this.framing = framing.none
    this.contentLength = 0
    this.close = false
    this.connectionNames = null
    this.connectionUpgrade = false
  }

  /** Reads `bytes[0..length)`, the start of `this.text`: the offset after the head, `more`, or a problem. */
  protected abstract read(bytes: Uint8Array, length: number): number

  /**
   * Reads as much of the text as the head needs, by growing windows: a body behind a head is not copied.
   * @param same the text as bytes from offset 0 where the caller has them: nothing is copied then
   */
  protected readText(text: string, same: Uint8Array | null): number {
    this.text = text
    if (same !== null) return this.read(same, text.length)
    for (let level = 0; ; level++) {
      const window = windowOf(level)
      if (window.length <= this.position) continue
      const length = fillWindow(text, level)
      const answer = this.read(window, length)
      if (answer !== more || length >= text.length) return answer
    }
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
    // RFC 6265 5.4: cookies are one list whose separator is not the comma.
    const separator = id === fieldId.cookie ? '; ' : ', '
    let found: string | undefined
    const from = id === 0 ? 0 : (this.#first[id] as number)
    if (from < 0) return undefined
    for (let i = from; i < this.count; i++) {
      if (!this.#isNamed(i, id, name)) continue
      found = found === undefined ? this.valueAt(i) : found + separator + this.valueAt(i)
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
    return this.#copyFrom(this.fieldsFrom, dropById, alsoDrop)
  }

  /** `copyFields` with the request or status line as it was sent before them: mostly one piece of the text. */
  copyWithLine(dropById: Uint8Array, alsoDrop: readonly string[] | null): string {
    return this.#copyFrom(this.lineFrom, dropById, alsoDrop)
  }

  #copyFrom(from: number, dropById: Uint8Array, alsoDrop: readonly string[] | null): string {
    let out = ''
    let runFrom = from
    const fields = this.#fields
    for (let i = 0; i < this.count; i++) {
      const at = i * stride
      const id = fields[at] as number
      const nameFrom = fields[at + 1] as number
      const dropped =
        dropById[id] === 1 ||
        (alsoDrop !== null && this.#isListed(alsoDrop, nameFrom, fields[at + 2] as number))
      if (!dropped) continue
      if (nameFrom > runFrom) out += this.text.slice(runFrom, nameFrom)
      runFrom = i + 1 < this.count ? (fields[at + stride + 1] as number) : this.fieldsEnd
    }
    if (runFrom < this.fieldsEnd) out += this.text.slice(runFrom, this.fieldsEnd)
    return out
  }

  #isListed(names: readonly string[], from: number, to: number): boolean {
    for (const name of names) if (sameFoldedName(name, this.text, from, to)) return true
    return false
  }

  /**
   * Scans field lines of `bytes[0..length)` from `this.position`; answers the offset after the empty line, `more`, or
   * a problem. Every byte is judged by what comes before it alone, so that pieces and the whole are judged the same.
   */
  protected scanFields(bytes: Uint8Array, length: number): number {
    const limit = this.fieldsFrom + this.limits.headerBytesMax
    const stop = Math.min(length, limit)
    let at = this.position
    for (;;) {
      if (at >= length) return this.#wait(at)
      let c = bytes[at] as number
      if (c === CR) return this.#endOfFields(bytes, at, length)
      const nameFrom = at
      let hash = fieldHashStart
      let kinds = 0
      for (let kind = 0; at < stop; at++) {
        c = bytes[at] as number
        kind = nameKind[c] as number
        if (kind === 0) break
        kinds |= kind
        hash = fieldHashStep(hash, c)
      }
      if (at >= stop) return this.#cut(nameFrom, length, limit)
      if (c !== COLON || at === nameFrom) return nameProblem(c, at === nameFrom)
      const nameTo = at++
      while (at < stop && ((c = bytes[at] as number) === SP || c === HTAB)) at++
      const valueFrom = at
      if (this.#valueSeen > at) at = this.#valueSeen
      while (at < stop && isFieldValue[(c = bytes[at] as number)] === 1) at++
      if (at >= stop) {
        this.#valueSeen = at
        return this.#cut(nameFrom, length, limit)
      }
      if (c !== CR) return c === LF ? problem.lineEnd : problem.fieldValue
      if (at + 1 >= stop) return this.#cut(nameFrom, length, limit)
      if (bytes[at + 1] !== LF) return problem.lineEnd
      let valueTo = at
      while (valueTo > valueFrom && ((c = bytes[valueTo - 1] as number) === SP || c === HTAB)) valueTo--
      at += 2
      const id = fieldIdAt(bytes, nameFrom, nameTo, hash)
      if (id === 0 && kinds > 1 && isAmbiguous(this.text, nameFrom, nameTo)) return problem.ambiguousName
      if (this.count >= this.limits.headerCountMax) return problem.fieldCount
      this.#add(id, nameFrom, nameTo, valueFrom, valueTo)
      this.position = at
    }
  }

  #endOfFields(bytes: Uint8Array, at: number, length: number): number {
    if (at + 1 >= length) return this.#wait(at)
    if (bytes[at + 1] !== LF) return problem.lineEnd
    this.fieldsEnd = at
    return at + 2
  }

  /** The scan stopped inside the line that begins at `lineFrom`: at the end of what has come, or at the limit. */
  #cut(lineFrom: number, length: number, limit: number): number {
    return length > limit ? problem.headLong : this.#wait(lineFrom)
  }

  #wait(lineFrom: number): number {
    this.position = lineFrom
    return more
  }

  #add(id: number, nameFrom: number, nameTo: number, valueFrom: number, valueTo: number): void {
    const i = this.count++
    const at = i * stride
    if (at >= this.#fields.length) this.#grow()
    const fields = this.#fields
    fields[at] = id
    fields[at + 1] = nameFrom
    fields[at + 2] = nameTo
    fields[at + 3] = valueFrom
    fields[at + 4] = valueTo
    if (id !== 0 && this.#first[id] === -1) this.#first[id] = i
  }

  #grow(): void {
    const bigger = new Int32Array(this.#fields.length * 2)
    bigger.set(this.#fields)
    this.#fields = bigger
  }

  /** Reads Connection: `close`, `keep-alive`, `upgrade` and other names (RFC 9110 7.6.1); 1 or a problem. */
  protected readConnection(): number {
    const first = this.firstOf(fieldId.connection)
    let keepAlive = false
    for (let i = first; i >= 0 && i < this.count; i++) {
      if (this.idAt(i) !== fieldId.connection) continue
      const value = this.valueAt(i)
      if (value === 'keep-alive') keepAlive = true
      else if (value === 'close') this.close = true
      else keepAlive = this.#readConnectionList(value) || keepAlive
    }
    if (this.versionMinor === 0 && !keepAlive) this.close = true
    const listed = this.connectionNames
    return listed !== null && listed.length > connectionNamesMax ? problem.connectionList : 1
  }

  #readConnectionList(value: string): boolean {
    let keepAlive = false
    eachListElement(value, element => {
      if (element === 'close') this.close = true
      else if (element === 'keep-alive') keepAlive = true
      else if (element === 'upgrade') this.connectionUpgrade = true
      else if (!isEndToEnd(element)) this.#addConnectionName(element)
    })
    return keepAlive
  }

  #addConnectionName(name: string): void {
    const names = (this.connectionNames ??= [])
    if (names.length <= connectionNamesMax && !names.includes(name)) names.push(name)
  }

  /**
   * Content-Length: -1 absent, or a problem code (< -1). RFC 9112 6.3 would allow repeats of one value to be merged;
   * two lines are refused in both directions, because a peer that reads another of them is the whole attack.
   */
  protected readContentLength(): number {
    const first = this.firstOf(fieldId['content-length'])
    if (first < 0) return -1
    if (this.#isRepeated(first)) return problem.contentLength
    const length = contentLengthOf(this.valueAt(first))
    return length < 0 ? problem.contentLength : length
  }

  /** Is there another field of the same id after field i? */
  #isRepeated(i: number): boolean {
    const id = this.idAt(i)
    for (let k = i + 1; k < this.count; k++) if (this.idAt(k) === id) return true
    return false
  }

  /** All Host lines: the one value, '' when absent, or null when repeated. */
  protected readHostValue(): string | null {
    const first = this.firstOf(fieldId.host)
    if (first < 0) return ''
    return this.#isRepeated(first) ? null : this.valueAt(first)
  }

  /** Transfer-Encoding: 1 = chunked, 0 = absent, else a problem. RFC 9112 6.1, 6.3: only one `chunked` is read. */
  protected readTransferEncoding(): number {
    const first = this.firstOf(fieldId['transfer-encoding'])
    if (first < 0) return 0
    if (this.#isRepeated(first)) return problem.transferEncoding
    const value = this.valueAt(first).toLowerCase()
    return value === 'chunked' ? 1 : otherCodings(value)
  }
}

/** A list that ends in its only `chunked` is a coding that we do not speak; any other leaves the body without an end. */
function otherCodings(value: string): number {
  const wellFormed = /^(?:[!#$%&'*+\-.^_`|~0-9a-z]+[\t ]*,[\t ]*)+chunked$/.test(value)
  return wellFormed && !/(?:^|[\t ,])chunked[\t ]*,/.test(value)
    ? problem.transferCoding
    : problem.transferEncoding
}

function nameProblem(c: number, empty: boolean): number {
  if (!empty) return problem.fieldName
  if (c === SP || c === HTAB) return problem.folded
  return c === LF ? problem.lineEnd : problem.fieldName
}

/** What no Connection list may take away: a sender must not list end-to-end fields (RFC 9110 7.6.1). */
function isEndToEnd(name: string): boolean {
  return endToEnd.has(name) || /^(?:content-|x-forwarded-|sec-)/.test(name)
}

const endToEnd: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'cookie',
  'set-cookie',
  'forwarded',
  'x-request-id',
  'traceparent',
  'tracestate',
  'via',
  'date',
  'cache-control',
  'expires',
  'vary',
  'age',
  'origin',
  'location',
  'range',
  'expect',
  'x-real-ip',
])

/**
 * `Content_Length`, `Transfer.Encoding`, `X_Forwarded_For`...: servers that hand fields on as CGI variables fold every
 * such character into the same `_` as the hyphen.
 */
function isAmbiguous(text: string, from: number, to: number): boolean {
  return fieldIdOf(text.slice(from, to).replaceAll(/[^0-9A-Za-z]/g, '-')) !== 0
}
