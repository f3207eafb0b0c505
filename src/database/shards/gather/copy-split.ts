// Rows of COPY FROM as they come in pieces of any size: where each begins and ends, and what its key's columns hold. Bytes are
// not changed: a shard reads them as the client wrote them. One row at a time is held.

import type { CopyOptions } from '../../sql/shards/contract.ts'
import { csvValue, textValue } from './copy-values.ts'
import { combineTooLarge, invalid, unsupported } from './refusals.ts'

const newline = 0x0a
const carriageReturn = 0x0d
const backslash = 0x5c

/** A value of a row; undefined: the row has no such column, which the server will say. */
export type CopyValue = Buffer | null | undefined

export interface CopyRow {
  /** Views, until the splitter is asked again. */
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  /** Goes to every shard: a header, a trailer. */
  readonly toAll: boolean
}

export class CopySplitter {
  readonly #options: CopyOptions
  readonly #rowBytesMax: number
  #bytes: Buffer = Buffer.alloc(0)
  #from = 0
  #to = 0
  /** Up to here no end of the row under way was found. */
  #scanned = 0
  #inQuotes = false
  #escaping = false
  #header: boolean
  #crlf: boolean | null = null
  #over = false
  /** Rows that were given, a header among them. */
  line = 0

  constructor(options: CopyOptions, rowBytesMax: number) {
    this.#options = options
    this.#rowBytesMax = rowBytesMax
    this.#header = options.header || options.format === 'binary'
  }

  push(bytes: Buffer, from: number, to: number): void {
    if (this.#over) return
    const left = this.#to - this.#from
    const needed = left + to - from
    if (this.#from > 0 || needed > this.#bytes.length) {
      const target = needed > this.#bytes.length ? Buffer.allocUnsafeSlow(roomFor(needed)) : this.#bytes
      this.#bytes.copy(target, 0, this.#from, this.#to)
      this.#bytes = target
      this.#scanned -= this.#from
      this.#from = 0
      this.#to = left
    }
    bytes.copy(this.#bytes, this.#to, from, to)
    this.#to = needed
  }

  /** The next whole row; null: more bytes are needed. */
  next(): CopyRow | null {
    if (this.#over || this.#from === this.#to) return null
    const end = this.#options.format === 'binary' ? this.#binaryEnd() : this.#lineEnd()
    if (end < 0) {
      if (this.#to - this.#from > this.#rowBytesMax)
        throw combineTooLarge(`${this.#rowBytesMax >> 20} MiB in one row of COPY`)
      return null
    }
    return this.#given(end)
  }

  /** When all has come: what is left without an end of its own. */
  rest(): CopyRow | null {
    if (this.#over || this.#from === this.#to) return null
    if (this.#options.format !== 'binary') {
      this.#checkEnd(this.#to, true)
      if (this.#ends(this.#from, this.#to)) return null
    }
    return this.#given(this.#to)
  }

  /** What columns of the row that was given last hold, in their order; a format is 0 (text) or 1 (binary). */
  values(row: CopyRow, columns: readonly number[]): CopyValue[] {
    const { format } = this.#options
    if (format === 'binary') return columns.map(column => binaryValue(row, column))
    const to = contentEnd(row)
    return columns.map(column =>
      format === 'csv'
        ? csvValue(row.bytes, row.from, to, column, this.#options)
        : textValue(row.bytes, row.from, to, column, this.#options),
    )
  }

  #given(end: number): CopyRow | null {
    const from = this.#from
    const toAll = this.#header || (this.#options.format === 'binary' && this.#bytes.readInt16BE(from) === -1)
    if (toAll && !this.#header) this.#over = true
    this.#header = false
    this.#from = end
    this.#scanned = end
    this.line++
    return { bytes: this.#bytes, from, to: end, toAll }
  }

  // --- lines --------------------------------------------------------------------------------------------------

  #lineEnd(): number {
    const end = this.#options.format === 'csv' ? this.#csvEnd() : this.#textEnd()
    if (end < 0) return -1
    this.#checkEnd(end, false)
    return this.#ends(this.#from, end) ? -1 : end
  }

  /** `\.` ends the data. */
  #ends(from: number, to: number): boolean {
    const size = contentEnd({ bytes: this.#bytes, from, to }) - from
    if (size !== 2 || this.#bytes[from] !== backslash || this.#bytes[from + 1] !== 0x2e) return false
    if (this.#options.format === 'csv')
      throw unsupported('A line of CSV is \\. and nothing else.', 'Quote it, or leave it out.')
    this.#over = true
    return true
  }

  #textEnd(): number {
    for (;;) {
      const at = this.#bytes.indexOf(newline, Math.max(this.#scanned, this.#from))
      if (at < 0 || at >= this.#to) {
        this.#scanned = this.#to
        return -1
      }
      this.#scanned = at + 1
      let slashes = 0
      while (at - slashes - 1 >= this.#from && this.#bytes[at - slashes - 1] === backslash) slashes++
      if (slashes % 2 === 0) return at + 1
    }
  }

  /** As PostgreSQL finds it: quotes anywhere, an escape before one keeps it from ending. */
  #csvEnd(): number {
    const { quote, escape: escaping } = this.#options
    const quoteByte = quote.charCodeAt(0)
    const escapeByte = escaping === quote ? -1 : escaping.charCodeAt(0)
    for (let at = this.#scanned; at < this.#to; at++) {
      const byte = this.#bytes[at] as number
      if (byte === newline && !this.#inQuotes) {
        this.#scanned = at + 1
        return at + 1
      }
      if (this.#inQuotes && byte === escapeByte) this.#escaping = !this.#escaping
      if (byte === quoteByte && !this.#escaping) this.#inQuotes = !this.#inQuotes
      if (byte !== escapeByte) this.#escaping = false
    }
    this.#scanned = this.#to
    return -1
  }

  /** All lines end alike, as PostgreSQL wants it; it would not see it where they are on different shards. */
  #checkEnd(end: number, last: boolean): void {
    const hasNewline = this.#bytes[end - 1] === newline
    const crlf = hasNewline && end - 2 >= this.#from && this.#bytes[end - 2] === carriageReturn
    if (!hasNewline && last && this.#bytes.subarray(this.#from, end).includes(carriageReturn))
      throw unsupported('Lines of COPY end with a carriage return alone.', 'End them with a newline.')
    if (!hasNewline) return
    this.#crlf ??= crlf
    if (this.#crlf === crlf) return
    throw invalid('22P04', `literal ${crlf ? 'carriage return' : 'newline'} found in data`)
  }

  // --- binary -------------------------------------------------------------------------------------------------

  #binaryEnd(): number {
    return this.#header ? this.#binaryHeaderEnd() : this.#tupleEnd()
  }

  #binaryHeaderEnd(): number {
    const start = this.#from
    if (this.#to - start < 19) return -1
    if (this.#bytes.latin1Slice(start, start + 11) !== 'PGCOPY\n\xff\r\n\0')
      throw invalid('22P04', 'COPY file signature not recognized')
    if (this.#bytes.readInt32BE(start + 11) !== 0)
      throw invalid('22P04', 'unrecognized critical flags in COPY file header')
    const extension = this.#bytes.readInt32BE(start + 15)
    if (extension < 0) throw invalid('22P04', 'invalid COPY file header (missing length)')
    const end = start + 19 + extension
    return end <= this.#to ? end : -1
  }

  #tupleEnd(): number {
    if (this.#to - this.#from < 2) return -1
    const count = this.#bytes.readInt16BE(this.#from)
    let at = this.#from + 2
    for (let index = 0; index < count; index++) {
      if (at + 4 > this.#to) return -1
      const size = this.#bytes.readInt32BE(at)
      if (size < -1) throw invalid('22P04', 'invalid field size')
      at += 4 + Math.max(0, size)
    }
    return at <= this.#to ? at : -1
  }
}

function roomFor(needed: number): number {
  return Math.max(64 << 10, 2 ** Math.ceil(Math.log2(needed)))
}

/** Without the end of its line. */
function contentEnd({ bytes, from, to }: Pick<CopyRow, 'bytes' | 'from' | 'to'>): number {
  if (to > from && bytes[to - 1] === newline) to--
  else return to
  return to > from && bytes[to - 1] === carriageReturn ? to - 1 : to
}

function binaryValue({ bytes, from, to }: CopyRow, column: number): CopyValue {
  if (to - from < 2 || column >= bytes.readInt16BE(from)) return undefined
  let at = from + 2
  for (let index = 0; index < column; index++) at += 4 + Math.max(0, bytes.readInt32BE(at))
  const size = bytes.readInt32BE(at)
  if (size < 0) return null
  return at + 4 + size <= to ? bytes.subarray(at + 4, at + 4 + size) : undefined
}
