// One object as it lies on the disk: a head with its own checksum (numbers, tags, a checksum of each 64 KB piece of the
// body, key, fields), then the body. What does not add up is no record: who reads it sees null.

import { checksum } from '../../../io/segment-file.ts'
import type { StoredMeta } from '../contract.ts'

/** Records begin at multiples of it. */
export const recordAlign = 64
export const pieceBytes = 65_536
/** More than any head that memory takes. */
export const recordHeadBytesMax = 1_048_576
const magic = 0x31524654
const fixedBytes = 96
const checkedFrom = 8

export interface RecordHead {
  /** `receivedAtUs` is wall time. */
  readonly meta: StoredMeta
  readonly key: string
  readonly fields: string
  readonly tags: Int32Array
  readonly serial: number
  readonly bodyBytes: number
  readonly headBytes: number
  /** Of each piece. */
  readonly sums: Uint32Array
}

export function recordBytes({ headBytes, bodyBytes }: { headBytes: number; bodyBytes: number }): number {
  return Math.ceil((headBytes + bodyBytes) / recordAlign) * recordAlign
}

/** Head and body in one buffer, padded. `identity`: of the folder; records of another one are none. */
export function encodeRecord(
  identity: number,
  { meta, key, fields, tags, serial }: Omit<RecordHead, 'bodyBytes' | 'headBytes' | 'sums'>,
  body: Buffer,
): Buffer {
  const pieces = Math.ceil(body.length / pieceBytes)
  const headBytes = fixedBytes + (tags.length + pieces) * 4 + key.length + fields.length
  const record = Buffer.alloc(recordBytes({ headBytes, bodyBytes: body.length }))
  const numbers = [magic, 0, headBytes, body.length, key.length, fields.length, tags.length]
  for (const [i, number] of numbers.entries()) record.writeUInt32LE(number, i * 4)
  record.writeInt32LE(serial, 28)
  record.writeUInt32LE(meta.status, 32)
  record.writeInt32LE(meta.flags, 36)
  record.writeDoubleLE(meta.receivedAtUs, 40)
  record.writeDoubleLE(meta.initialAgeUs, 48)
  record.writeDoubleLE(meta.freshForUs, 56)
  record.writeDoubleLE(meta.staleWhileRevalidateUs, 64)
  record.writeDoubleLE(meta.staleIfErrorUs, 72)
  record.writeUInt32LE(identity, 80)
  let at = fixedBytes
  for (const tag of tags) at = record.writeInt32LE(tag, at)
  for (let from = 0; from < body.length; from += pieceBytes)
    at = record.writeUInt32LE(checksum(body.subarray(from, from + pieceBytes)), at)
  at += record.write(key, at, 'latin1')
  record.write(fields, at, 'latin1')
  body.copy(record, headBytes)
  record.writeUInt32LE(checksum(record.subarray(checkedFrom, headBytes)), 4)
  return record
}

/** How many bytes its head has; 0: there begins no record. */
export function headBytesOf(bytes: Buffer, identity: number): number {
  if (bytes.length < fixedBytes || bytes.readUInt32LE(0) !== magic) return 0
  const headBytes = bytes.readUInt32LE(8)
  const isOurs = bytes.readUInt32LE(80) === identity
  return isOurs && headBytes >= fixedBytes && headBytes <= recordHeadBytesMax ? headBytes : 0
}

/** `bytes` has the whole head; null: it is not as it was written. */
export function decodeHead(bytes: Buffer, identity: number): RecordHead | null {
  const headBytes = headBytesOf(bytes, identity)
  if (headBytes === 0 || bytes.length < headBytes) return null
  if (checksum(bytes.subarray(checkedFrom, headBytes)) !== bytes.readUInt32LE(4)) return null
  const bodyBytes = bytes.readUInt32LE(12)
  const keyBytes = bytes.readUInt32LE(16)
  const tags = Int32Array.from({ length: bytes.readUInt32LE(24) }, (_, i) =>
    bytes.readInt32LE(fixedBytes + i * 4),
  )
  const sumsAt = fixedBytes + tags.length * 4
  const pieces = Math.ceil(bodyBytes / pieceBytes)
  const sums = Uint32Array.from({ length: pieces }, (_, i) => bytes.readUInt32LE(sumsAt + i * 4))
  const keyAt = sumsAt + pieces * 4
  return {
    meta: {
      status: bytes.readUInt32LE(32),
      flags: bytes.readInt32LE(36),
      receivedAtUs: bytes.readDoubleLE(40),
      initialAgeUs: bytes.readDoubleLE(48),
      freshForUs: bytes.readDoubleLE(56),
      staleWhileRevalidateUs: bytes.readDoubleLE(64),
      staleIfErrorUs: bytes.readDoubleLE(72),
    },
    key: bytes.latin1Slice(keyAt, keyAt + keyBytes),
    fields: bytes.latin1Slice(keyAt + keyBytes, headBytes),
    tags,
    serial: bytes.readInt32LE(28),
    bodyBytes,
    headBytes,
    sums,
  }
}

/** Whether these are the bytes of piece `index` that were written. */
export function isPiece({ sums }: RecordHead, index: number, bytes: Buffer): boolean {
  return checksum(bytes) === sums[index]
}
