// Logical replication as `pgoutput` sends it (protocol 1, text values): what stands inside CopyData of
// START_REPLICATION ... LOGICAL, and what goes back. A reader takes a whole message; a broken server must not break us:
// whatever does not fit gives null, and the connection ends. No state: relations are kept by the caller.

import { int32At, stringEnd, uint16At } from './frame.ts'

/** A value as text; null: NULL; undefined: not sent (a large value that did not change). */
export type TupleValue = string | null | undefined
export type Tuple = readonly TupleValue[]

export interface RelationColumn {
  readonly name: string
  /** Part of the replica identity. */
  readonly key: boolean
  readonly typeId: number
}

export type LogicalMessage =
  | { readonly kind: 'begin'; readonly finalLsn: number; readonly xid: number }
  | { readonly kind: 'commit'; readonly lsn: number; readonly endLsn: number }
  | {
      readonly kind: 'relation'
      readonly id: number
      readonly schema: string
      readonly name: string
      readonly columns: readonly RelationColumn[]
    }
  | { readonly kind: 'insert'; readonly relation: number; readonly row: Tuple }
  /** `old`: null where the server did not send one; only the identity's columns unless `oldWhole`. */
  | {
      readonly kind: 'update'
      readonly relation: number
      readonly old: Tuple | null
      readonly oldWhole: boolean
      readonly row: Tuple
    }
  | { readonly kind: 'delete'; readonly relation: number; readonly old: Tuple; readonly oldWhole: boolean }
  | { readonly kind: 'truncate'; readonly relations: readonly number[] }
  | {
      readonly kind: 'message'
      readonly transactional: boolean
      readonly prefix: string
      readonly content: Buffer
    }
  /** Types and origins: nothing that anybody here asks for. */
  | { readonly kind: 'other' }

/** What streams in one CopyData. `xlogEnd`: everything committed before it has been sent. */
export type LogicalFrame =
  | { readonly kind: 'data'; readonly from: number }
  | { readonly kind: 'keepalive'; readonly xlogEnd: number; readonly answerNow: boolean }

/** Of the payload of CopyData; `from` is where the message begins that `readLogicalMessage` reads. */
export function readLogicalFrame(bytes: Buffer): LogicalFrame | null {
  if (bytes[0] === 0x77 && bytes.length >= 26) return { kind: 'data', from: 25 }
  if (bytes[0] !== 0x6b || bytes.length !== 18) return null
  const xlogEnd = lsnAt(bytes, 1)
  return xlogEnd < 0 ? null : { kind: 'keepalive', xlogEnd, answerNow: bytes[17] === 1 }
}

/** 2000-01-01 in microseconds of Unix time: PostgreSQL counts from there. */
const epochUs = 946_684_800_000_000

/** Standby status update: everything before `lsn` is done with; the server may drop it. `answerNow`: it is to say something. */
export function standbyStatus(lsn: number, wallUs: number, answerNow: boolean = false): Buffer {
  const message = Buffer.alloc(34)
  message[0] = 0x72
  for (const at of [1, 9, 17]) message.writeBigUInt64BE(BigInt(lsn), at)
  message.writeBigInt64BE(BigInt(Math.round(wallUs) - epochUs), 25)
  message[33] = answerNow ? 1 : 0
  return message
}

/** `bytes[from..]` is one message; null: malformed. */
export function readLogicalMessage(bytes: Buffer, from: number): LogicalMessage | null {
  const reader = new Reader(bytes, from + 1)
  const message = messageOf(bytes[from] ?? 0, reader)
  return message === null || reader.failed || (reader.at !== bytes.length && message.kind !== 'other')
    ? null
    : message
}

function messageOf(type: number, reader: Reader): LogicalMessage | null {
  switch (String.fromCharCode(type)) {
    case 'B': {
      const finalLsn = reader.lsn()
      reader.skip(8)
      return { kind: 'begin', finalLsn, xid: reader.int32() >>> 0 }
    }
    case 'C': {
      reader.skip(1)
      const lsn = reader.lsn()
      const endLsn = reader.lsn()
      reader.skip(8)
      return { kind: 'commit', lsn, endLsn }
    }
    case 'R':
      return relationOf(reader)
    case 'I': {
      const relation = reader.int32() >>> 0
      if (reader.byte() !== 0x4e) return null
      return { kind: 'insert', relation, row: reader.tuple() }
    }
    case 'U':
      return updateOf(reader)
    case 'D': {
      const relation = reader.int32() >>> 0
      const mark = reader.byte()
      if (mark !== 0x4b && mark !== 0x4f) return null
      return { kind: 'delete', relation, old: reader.tuple(), oldWhole: mark === 0x4f }
    }
    case 'T':
      return truncateOf(reader)
    case 'M':
      return logicalMessageOf(reader)
    case 'O':
    case 'Y':
      return { kind: 'other' }
    default:
      return null
  }
}

function relationOf(reader: Reader): LogicalMessage {
  const id = reader.int32() >>> 0
  // '' stands for pg_catalog.
  const schema = reader.string() || 'pg_catalog'
  const name = reader.string()
  reader.skip(1)
  const columns: RelationColumn[] = []
  for (let left = reader.count(10); left > 0 && !reader.failed; left--) {
    const flags = reader.byte()
    const column = reader.string()
    const typeId = reader.int32() >>> 0
    reader.skip(4)
    columns.push({ name: column, key: (flags & 1) === 1, typeId })
  }
  return { kind: 'relation', id, schema, name, columns }
}

function updateOf(reader: Reader): LogicalMessage | null {
  const relation = reader.int32() >>> 0
  let mark = reader.byte()
  let old: Tuple | null = null
  const oldWhole = mark === 0x4f
  if (mark === 0x4b || mark === 0x4f) {
    old = reader.tuple()
    mark = reader.byte()
  }
  if (mark !== 0x4e) return null
  return { kind: 'update', relation, old, oldWhole, row: reader.tuple() }
}

function truncateOf(reader: Reader): LogicalMessage {
  const count = reader.int32()
  reader.skip(1)
  const relations: number[] = []
  if (count < 0 || count > reader.left / 4) reader.failed = true
  for (let left = count; left > 0 && !reader.failed; left--) relations.push(reader.int32() >>> 0)
  return { kind: 'truncate', relations }
}

function logicalMessageOf(reader: Reader): LogicalMessage {
  const transactional = (reader.byte() & 1) === 1
  reader.skip(8)
  const prefix = reader.string()
  return { kind: 'message', transactional, prefix, content: reader.bytes(reader.int32()) }
}

/** Numbers and texts one after the other; what is not there fails once and for all. */
class Reader {
  readonly #bytes: Buffer
  at: number
  failed = false

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  get left(): number {
    return this.#bytes.length - this.at
  }

  /** Where the next `count` bytes begin. */
  #take(count: number): number {
    const { at } = this
    if (this.failed || count < 0 || count > this.left) {
      this.failed = true
      return -1
    }
    this.at += count
    return at
  }

  skip(count: number): void {
    this.#take(count)
  }

  byte(): number {
    const at = this.#take(1)
    return at < 0 ? 0 : (this.#bytes[at] as number)
  }

  int32(): number {
    const at = this.#take(4)
    return at < 0 ? 0 : int32At(this.#bytes, at)
  }

  /** How many elements follow, each of at least so many bytes. */
  count(bytesEach: number): number {
    const at = this.#take(2)
    const count = at < 0 ? 0 : uint16At(this.#bytes, at)
    if (count * bytesEach > this.left) this.failed = true
    return this.failed ? 0 : count
  }

  lsn(): number {
    const at = this.#take(8)
    const lsn = at < 0 ? -1 : lsnAt(this.#bytes, at)
    if (lsn < 0) this.failed = true
    return Math.max(0, lsn)
  }

  bytes(count: number): Buffer {
    const at = this.#take(count)
    return at < 0 ? Buffer.alloc(0) : this.#bytes.subarray(at, at + count)
  }

  string(): string {
    const end = this.failed ? -1 : stringEnd(this.#bytes, this.at, this.#bytes.length)
    if (end < 0) {
      this.failed = true
      return ''
    }
    const text = this.#bytes.toString('utf8', this.at, end)
    this.at = end + 1
    return text
  }

  tuple(): Tuple {
    const values: TupleValue[] = []
    for (let left = this.count(1); left > 0 && !this.failed; left--) values.push(this.#value())
    return values
  }

  #value(): TupleValue {
    const kind = this.byte()
    if (kind === 0x6e) return null
    if (kind === 0x75) return undefined
    // Binary values were not asked for.
    if (kind !== 0x74) this.failed = true
    return this.bytes(this.int32()).toString('utf8')
  }
}

/** -1: beyond what a number holds exactly. */
function lsnAt(bytes: Buffer, at: number): number {
  const lsn = bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
  return lsn <= Number.MAX_SAFE_INTEGER ? lsn : -1
}
