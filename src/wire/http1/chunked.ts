// The chunked transfer coding (RFC 9112 7.1), decoded strictly from bytes in place: `scan` notes which ranges of the
// buffer are data. What is passed on is always framed anew from those ranges, so that nothing malformed, no extension
// and no unwanted trailer ever travels further.

import { fieldId, fieldIdOf } from '../fields.ts'
import { CR, isFieldValue, isToken, LF } from './grammar.ts'

export const chunkProblem = {
  size: -1,
  extension: -2,
  lineEnd: -3,
  trailer: -4,
  trailerLong: -5,
} as const

const problemTexts: Record<number, string> = {
  [chunkProblem.size]: 'A chunk size is not a plain hexadecimal number.',
  [chunkProblem.extension]: 'A chunk extension is malformed or too long.',
  [chunkProblem.lineEnd]: 'A chunk does not end in CR LF.',
  [chunkProblem.trailer]: 'A trailer field is malformed or would frame the message.',
  [chunkProblem.trailerLong]: 'The trailer section is too large.',
}
export const chunkProblemText = (code: number): string =>
  problemTexts[code] ?? 'The chunked body is malformed.'

/** All extensions of one body together, and its trailer section (RFC 9112 7.1.1 asks for a bound). */
const extensionBytesMax = 4_096
const trailerBytesMax = 8_192
const trailerCountMax = 64
/** 13 hexadecimal digits: below 2^52. */
const sizeDigitsMax = 13
/** Memory for ranges that a decoder keeps between bodies: 64 ranges. */
const rangesKept = 128

const SEMICOLON = 59
const EQUALS = 61
const QUOTE = 34
const BACKSLASH = 92

// After a problem the decoder stays `failed` and says the same problem again.
const state = {
  sizeFirst: 0,
  size: 1,
  sizeLf: 2,
  data: 3,
  dataCr: 4,
  dataLf: 5,
  extensionNameFirst: 6,
  extensionName: 7,
  extensionValueFirst: 8,
  extensionValue: 9,
  extensionQuoted: 10,
  extensionEscape: 11,
  extensionQuotedEnd: 12,
  trailerStart: 13,
  trailer: 14,
  trailerLf: 15,
  endLf: 16,
  done: 17,
  failed: 18,
} as const

export class ChunkedDecoder {
  #state: number = state.sizeFirst
  #left = 0
  #digits = 0
  #extensionBytes = 0
  #trailerBytes = 0
  #trailerLine = ''
  #ranges = new Int32Array(rangesKept)
  #problem = 0
  /** Number of data ranges that the last `scan` found. */
  rangeCount = 0
  /** Data bytes of the whole body so far. */
  dataBytes = 0
  /** Trailer field lines as received (`Name: value`), valid ones only. */
  trailers: string[] | null = null

  reset(): void {
    this.#state = state.sizeFirst
    this.#left = 0
    this.#problem = 0
    if (this.#ranges.length > rangesKept) this.#ranges = new Int32Array(rangesKept)
    this.#extensionBytes = 0
    this.#trailerBytes = 0
    this.#trailerLine = ''
    this.rangeCount = 0
    this.dataBytes = 0
    this.trailers = null
  }

  get done(): boolean {
    return this.#state === state.done
  }

  rangeFrom(i: number): number {
    return this.#ranges[i * 2] as number
  }
  rangeTo(i: number): number {
    return this.#ranges[i * 2 + 1] as number
  }

  /**
   * Decodes `bytes[from..to)`. Answers the offset after the body's end when `done`, `to` when more is needed, or a
   * problem; what was found before a problem is in the ranges all the same.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    this.rangeCount = 0
    let at = from
    while (at < to) {
      if (this.#state === state.data) at = this.#takeData(bytes, at, to)
      else if (this.#state === state.sizeFirst && to - at > 2) at = this.#takeSize(bytes, at, to)
      else if (this.#state === state.done) return at
      else if (this.#step(bytes[at] as number) < 0) return this.#problem
      else at++
    }
    return this.#problem < 0 ? this.#problem : at
  }

  /** Data, and its CR LF where that has come too. */
  #takeData(bytes: Uint8Array, at: number, to: number): number {
    const end = Math.min(at + this.#left, to)
    this.#addRange(at, end)
    this.#left -= end - at
    if (this.#left > 0) return end
    const whole = end + 1 < to && bytes[end] === CR && bytes[end + 1] === LF
    this.#state = whole ? state.sizeFirst : state.dataCr
    return whole ? end + 2 : end
  }

  /** The plain case of a size line, `hex CR LF` in one piece; any other is left to the steps. */
  #takeSize(bytes: Uint8Array, from: number, to: number): number {
    let size = 0
    let at = from
    for (let digit = 0; at < to && at - from < sizeDigitsMax; at++) {
      digit = hexDigit(bytes[at] as number)
      if (digit < 0) break
      size = size * 16 + digit
    }
    if (at > from && at + 1 < to && bytes[at] === CR && bytes[at + 1] === LF) {
      this.#left = size
      this.#state = size === 0 ? state.trailerStart : state.data
      return at + 2
    }
    if (this.#step(bytes[from] as number) < 0) return to
    return from + 1
  }

  #addRange(from: number, to: number): void {
    const i = this.rangeCount++ * 2
    if (i >= this.#ranges.length) {
      const bigger = new Int32Array(this.#ranges.length * 2)
      bigger.set(this.#ranges)
      this.#ranges = bigger
    }
    this.#ranges[i] = from
    this.#ranges[i + 1] = to
    this.dataBytes += to - from
  }

  #step(c: number): number {
    const refused = this.#next(c)
    if (refused < 0) {
      this.#problem = refused
      this.#state = state.failed
    }
    return refused
  }

  #next(c: number): number {
    switch (this.#state) {
      case state.sizeFirst:
      case state.size:
        return this.#sizeStep(c)
      case state.sizeLf:
        if (c !== LF) return chunkProblem.lineEnd
        return this.#to(this.#left === 0 ? state.trailerStart : state.data)
      case state.dataCr:
        return c === CR ? this.#to(state.dataLf) : chunkProblem.lineEnd
      case state.dataLf:
        return c === LF ? this.#to(state.sizeFirst) : chunkProblem.lineEnd
      case state.failed:
        return this.#problem
      default:
        return this.#state < state.trailerStart ? this.#extensionStep(c) : this.#trailerStep(c)
    }
  }

  #to(next: number): number {
    this.#state = next
    return 1
  }

  #sizeStep(c: number): number {
    const digit = hexDigit(c)
    if (this.#state === state.sizeFirst) {
      if (digit < 0) return chunkProblem.size
      this.#left = digit
      this.#digits = 1
      return this.#to(state.size)
    }
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit
      return ++this.#digits > sizeDigitsMax ? chunkProblem.size : 1
    }
    if (c === CR) return this.#to(state.sizeLf)
    return c === SEMICOLON ? this.#to(state.extensionNameFirst) : chunkProblem.size
  }

  /** RFC 9112 7.1.1 without its "bad" white space: `;` token [ `=` token or quoted-string ], read only to be dropped. */
  #extensionStep(c: number): number {
    if (++this.#extensionBytes > extensionBytesMax) return chunkProblem.extension
    const token = isToken[c] === 1
    switch (this.#state) {
      case state.extensionNameFirst:
        return token ? this.#to(state.extensionName) : chunkProblem.extension
      case state.extensionName:
        if (token) return 1
        return c === EQUALS ? this.#to(state.extensionValueFirst) : this.#extensionEnd(c)
      case state.extensionValueFirst:
        if (c === QUOTE) return this.#to(state.extensionQuoted)
        return token ? this.#to(state.extensionValue) : chunkProblem.extension
      case state.extensionValue:
        return token ? 1 : this.#extensionEnd(c)
      case state.extensionQuoted:
        if (c === QUOTE) return this.#to(state.extensionQuotedEnd)
        if (c === BACKSLASH) return this.#to(state.extensionEscape)
        return isFieldValue[c] === 1 ? 1 : chunkProblem.extension
      case state.extensionEscape:
        return isFieldValue[c] === 1 ? this.#to(state.extensionQuoted) : chunkProblem.extension
      default:
        return this.#extensionEnd(c)
    }
  }

  #extensionEnd(c: number): number {
    if (c === CR) return this.#to(state.sizeLf)
    return c === SEMICOLON ? this.#to(state.extensionNameFirst) : chunkProblem.extension
  }

  #trailerStep(c: number): number {
    switch (this.#state) {
      case state.trailerStart:
        if (c === CR) return this.#to(state.endLf)
        this.#trailerLine = ''
        this.#state = state.trailer
        return this.#trailerByte(c)
      case state.trailer:
        return c === CR ? this.#to(state.trailerLf) : this.#trailerByte(c)
      case state.trailerLf:
        if (c !== LF) return chunkProblem.lineEnd
        this.#state = state.trailerStart
        return this.#addTrailer()
      default:
        return c === LF ? this.#to(state.done) : chunkProblem.lineEnd
    }
  }

  #trailerByte(c: number): number {
    if (isFieldValue[c] !== 1) return chunkProblem.trailer
    if (++this.#trailerBytes > trailerBytesMax) return chunkProblem.trailerLong
    this.#trailerLine += String.fromCharCode(c)
    return 1
  }

  #addTrailer(): number {
    const line = this.#trailerLine
    const colon = line.indexOf(':')
    if (colon <= 0) return chunkProblem.trailer
    for (let i = 0; i < colon; i++) if (isToken[line.charCodeAt(i)] !== 1) return chunkProblem.trailer
    if (/^(?:content-length|transfer-encoding)$/i.test(line.slice(0, colon))) return chunkProblem.trailer
    this.trailers ??= []
    return this.trailers.push(line) > trailerCountMax ? chunkProblem.trailerLong : 1
  }
}

function hexDigit(c: number): number {
  if (c >= 48 && c <= 57) return c - 48
  const lower = c | 0x20
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/**
 * Trailer names that may travel on: nothing that frames, routes, authenticates or steers (RFC 9110 6.5.1), nothing that
 * the edge reads or writes itself, nothing that folds into such a name. Trailers are never merged into the header.
 */
export function isForwardableTrailer(line: string): boolean {
  const name = line.slice(0, line.indexOf(':')).toLowerCase()
  const id = fieldIdOf(name)
  // What only describes the content may come behind it (RFC 9110 6.5.1).
  const known = id !== 0 && id !== fieldId.etag && id !== fieldId['last-modified']
  return !known && !forbiddenTrailer.test(name)
}

const forbiddenTrailer =
  /^(?:range|cache-control|pragma|origin|warning|www-authenticate|authentication-info|age|expires|vary|allow|(?:content|if|proxy|sec|x-forwarded|access-control)-.*|.*[^-0-9a-z].*)$/

/** The last chunk with the trailers that may travel on. */
export function lastChunk(trailers: readonly string[] | null): string {
  if (trailers === null) return '0\r\n\r\n'
  let out = '0\r\n'
  for (const line of trailers) if (isForwardableTrailer(line)) out += `${line}\r\n`
  return `${out}\r\n`
}
