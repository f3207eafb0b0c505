// Rows of results as rows of COPY FROM. A DataRow's body is a row of the binary format as it stands; for types whose binary
// form differs between servers the text format is written.

import type { SeatCopy } from '../contract.ts'
import { valuesOf } from './rows.ts'

/** Types whose binary form is the same on every server; arrays of them too. */
const portable = new Set([
  ...['smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'boolean', 'text', 'bytea'],
  ...[
    'character varying',
    'character',
    'bpchar',
    'name',
    'uuid',
    'date',
    'interval',
    'json',
    'jsonb',
    'inet',
  ],
  ...['timestamp without time zone', 'timestamp with time zone', 'timestamp', 'timestamptz', 'cidr'],
  ...['time without time zone', 'time with time zone', 'int2', 'int4', 'int8', 'float4', 'float8', 'bool'],
  ...['varchar', 'point', 'oid', 'macaddr', 'bit', 'bit varying', 'varbit'],
])

/** @param type as format_type says it: `numeric(10,2)`, `timestamp(3) with time zone`, `integer[]` */
export function isPortable(type: string): boolean {
  return portable.has(
    type
      .toLowerCase()
      .replace(/\([^)]*\)/, '')
      .replace(/(\[\])+$/, '')
      .replace(/ +/g, ' ')
      .trim(),
  )
}

/** Signature, no flags, no extension. */
export const binaryHeader: Buffer = Buffer.concat([
  Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'),
  Buffer.alloc(8),
])
export const binaryTrailer: Buffer = Buffer.of(0xff, 0xff)
/** Of a DataRow's frame. */
export const rowHeaderBytes = 5

/** A line of the text format for the values of a row, from column `first` on. */
export function copyLine(bytes: Buffer, from: number, to: number, first = 0): Buffer {
  const fields = valuesOf(bytes, from, to)
    .slice(first)
    .map(value => (value === null ? '\\N' : escaped(value)))
  return Buffer.from(`${fields.join('\t')}\n`)
}

const special = /[\\\n\r\t]/
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escaped(value: Buffer): string {
  const text = value.toString()
  return special.test(text) ? text.replace(/[\\\n\r\t]/g, one => escapes[one] as string) : text
}

/** What is sent in one go. */
const chunkBytes = 64 << 10

/** Gathers rows for one COPY into larger pieces. Answers false when the server takes no more until `drained`. */
export class CopyOutlet {
  #copy: SeatCopy | null
  /** Gathered before there was a COPY to take them. */
  readonly #early: Buffer[] = []
  readonly #opened = Promise.withResolvers<void>()
  #chunk: Buffer = Buffer.alloc(0)
  #filled = 0
  rows = 0

  /** @param copy null: it is on its way, and `open` gives it */
  constructor(copy: SeatCopy | null) {
    this.#copy = copy
  }

  open(copy: SeatCopy): void {
    this.#copy = copy
    for (const chunk of this.#early.splice(0)) copy.send(chunk, 0, chunk.length)
    this.#opened.resolve()
  }

  /** Bytes of one row, or a part of them. */
  add(bytes: Buffer, from: number, to: number): boolean {
    let taken = true
    if (this.#filled + to - from > this.#chunk.length) {
      taken = this.flush()
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, to - from))
    }
    bytes.copy(this.#chunk, this.#filled, from, to)
    this.#filled += to - from
    return taken
  }

  flush(): boolean {
    if (this.#filled === 0) return true
    const filled = this.#filled
    const chunk = this.#chunk
    this.#filled = 0
    this.#chunk = Buffer.alloc(0)
    if (this.#copy !== null) return this.#copy.send(chunk, 0, filled)
    this.#early.push(chunk.subarray(0, filled))
    return false
  }

  async drained(): Promise<void> {
    if (this.#copy === null) await this.#opened.promise
    await this.#copy?.drained()
  }
}
