// The chunked transfer coding (RFC 9112 7.1), decoded strictly from bytes in place: `scan` notes which ranges of the
// buffer are data. What is passed on is always framed anew from those ranges, so that nothing malformed, no extension
// and no unwanted trailer ever travels further.

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
  [chunkProblem.extension]: 'A chunk extension is too long or has a control character.',
  [chunkProblem.lineEnd]: 'A chunk does not end in CR LF.',
  [chunkProblem.trailer]: 'A trailer field is malformed.',
  [chunkProblem.trailerLong]: 'The trailer section is too large.',
}
export const chunkProblemText = (code: number): string =>
  problemTexts[code] ?? 'The chunked body is malformed.'

/** All extensions of one body together, and its trailer section (RFC 9112 7.1.1 asks for a bound). */
const extensionBytesMax = 4_096
const trailerBytesMax = 8_192
/** 13 hexadecimal digits: below 2^52. */
const sizeDigitsMax = 13

const state = {
  sizeFirst: 0,
  size: 1,
  extension: 2,
  sizeLf: 3,
  data: 4,
  dataCr: 5,
  dataLf: 6,
  trailerStart: 7,
  trailer: 8,
  trailerLf: 9,
  endLf: 10,
  done: 11,
} as const

export class ChunkedDecoder {
  #state: number = state.sizeFirst
  #left = 0
  #digits = 0
  #extensionBytes = 0
  #trailerBytes = 0
  #trailerLine = ''
  #ranges = new Int32Array(16)
  /** Number of data ranges that the last `scan` found. */
  rangeCount = 0
  /** Data bytes of the whole body so far. */
  dataBytes = 0
  /** Trailer field lines as received (`Name: value`), valid ones only. */
  trailers: string[] | null = null

  reset(): void {
    this.#state = state.sizeFirst
    this.#left = 0
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

  /** Decodes `bytes[from..to)`. Answers the offset after the body's end when `done`, `to` when more is needed, or a problem. */
  scan(bytes: Uint8Array, from: number, to: number): number {
    this.rangeCount = 0
    let at = from
    while (at < to && this.#state !== state.done) {
      if (this.#state === state.data) {
        const take = Math.min(this.#left, to - at)
        this.#addRange(at, at + take)
        at += take
        this.#left -= take
        if (this.#left === 0) this.#state = state.dataCr
        continue
      }
      const refused = this.#step(bytes[at] as number)
      if (refused < 0) return refused
      at++
    }
    return at
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
    switch (this.#state) {
      case state.sizeFirst:
      case state.size:
        return this.#sizeStep(c)
      case state.extension:
        return this.#extensionStep(c)
      case state.sizeLf:
        if (c !== LF) return chunkProblem.lineEnd
        this.#state = this.#left === 0 ? state.trailerStart : state.data
        return 1
      case state.dataCr:
        return c === CR ? this.#to(state.dataLf) : chunkProblem.lineEnd
      case state.dataLf:
        return c === LF ? this.#to(state.sizeFirst) : chunkProblem.lineEnd
      default:
        return this.#trailerStep(c)
    }
  }

  #to(next: number): number {
    this.#state = next
    return 1
  }

  #sizeStep(c: number): number {
    const digit = hexDigit(c)
    if (digit >= 0) {
      if (this.#state === state.sizeFirst) {
        this.#left = 0
        this.#digits = 0
        this.#state = state.size
      }
      if (++this.#digits > sizeDigitsMax) return chunkProblem.size
      this.#left = this.#left * 16 + digit
      return 1
    }
    if (this.#state === state.sizeFirst) return chunkProblem.size
    if (c === CR) return this.#to(state.sizeLf)
    return c === 59 ? this.#to(state.extension) : chunkProblem.size
  }

  #extensionStep(c: number): number {
    if (c === CR) return this.#to(state.sizeLf)
    if (isFieldValue[c] !== 1 || ++this.#extensionBytes > extensionBytesMax) return chunkProblem.extension
    return 1
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
    ;(this.trailers ??= []).push(line)
    return 1
  }
}

function hexDigit(c: number): number {
  if (c >= 48 && c <= 57) return c - 48
  const lower = c | 0x20
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/**
 * Trailer names that may travel on: nothing that frames, routes, authenticates or steers a request (RFC 9110 6.5.1).
 * Trailers are never merged into the header.
 */
export function isForwardableTrailer(line: string): boolean {
  const name = line.slice(0, line.indexOf(':')).toLowerCase()
  return !forbiddenTrailer.test(name)
}

const forbiddenTrailer =
  /^(?:host|connection|keep-alive|upgrade|trailer|te|expect|max-forwards|authorization|cookie|set-cookie|range|cache-control|content-.*|transfer-encoding|if-.*|proxy.*|www-authenticate|x-forwarded-.*|x-real-ip|forwarded|via|x-request-id|location|date|age|expires|vary|.*_.*)$/

/** The last chunk with the trailers that may travel on. */
export function lastChunk(trailers: readonly string[] | null): string {
  if (trailers === null) return '0\r\n\r\n'
  let out = '0\r\n'
  for (const line of trailers) if (isForwardableTrailer(line)) out += `${line}\r\n`
  return `${out}\r\n`
}
