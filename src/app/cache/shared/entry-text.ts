// An entry as bytes in Redis and back. Large values are compressed; what is too large is refused. The line in front is
// written inside Redis (scripts.ts), which knows its time and counters; here it is only read. No I/O but compression.

import { packWhole, unpackWhole } from '../../../io/zlib.ts'
import type { Encoded, TierEntry } from '../contract.ts'

export interface PackedValue {
  /** `n` no value, `s` text, `b` bytes; `S` and `B`: compressed. */
  readonly kind: 'n' | 's' | 'b' | 'S' | 'B'
  readonly value: string | Buffer
}

const lineMax = 16_384
const newline = 0x0a

/** Null: larger than `bytesMax`, compressed too. */
export async function packedValue(
  value: Encoded | null,
  compressAboveBytes: number,
  bytesMax: number,
): Promise<PackedValue | null> {
  if (value === null) return { kind: 'n', value: '' }
  const text = typeof value === 'string'
  const size = text ? Buffer.byteLength(value) : value.byteLength
  const plain: PackedValue = text
    ? { kind: 's', value }
    : { kind: 'b', value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) }
  // What is far too large is not even tried: compressing it would cost more than loading it again.
  if (size > bytesMax * 8) return null
  if (size <= compressAboveBytes) return size <= bytesMax ? plain : null
  const packed = await new Promise<Buffer | null>(done =>
    packWhole('zstd', 'fast', text ? Buffer.from(value) : (plain.value as Buffer), done),
  )
  if (packed === null || packed.length >= size) return size <= bytesMax ? plain : null
  return packed.length <= bytesMax ? { kind: text ? 'S' : 'B', value: packed } : null
}

/** Tags as they stand in the line: no spaces, commas or line ends inside one. */
export function tagText(tag: string): string {
  return encodeURIComponent(tag)
}

/**
 * @param nowMs by the server's clock @param softly expired by a soft invalidation
 * Null: not written by us, damaged, or larger than `bytesMax` when unpacked.
 */
export async function readEntry(
  raw: Buffer,
  nowMs: number,
  softly: boolean,
  bytesMax: number,
): Promise<TierEntry | null> {
  const lineEnd = raw.subarray(0, lineMax).indexOf(newline)
  if (lineEnd < 0) return null
  const words = raw.latin1Slice(0, lineEnd).split(' ')
  if (words.length !== 10) return null
  const [, , , version, fresh, gone, load, format, kind, tags] = words as [string, ...string[]] as string[]
  const value = await unpackedValue(kind!, raw.subarray(lineEnd + 1), bytesMax)
  if (value === undefined) return null
  const freshAt = softly ? Math.min(Number(fresh), nowMs) : Number(fresh)
  return {
    value,
    format: format!,
    tags: tags === '' ? [] : tags!.split(',').map(decodeURIComponent),
    version: Number(version),
    freshMs: freshAt - nowMs,
    graceMs: Number(gone) - freshAt,
    loadMs: Number(load),
  }
}

async function unpackedValue(
  kind: string,
  bytes: Buffer,
  bytesMax: number,
): Promise<Encoded | null | undefined> {
  if (kind === 'n') return null
  if (kind === 's') return bytes.utf8Slice()
  if (kind === 'b') return bytes
  if (kind !== 'S' && kind !== 'B') return undefined
  const plain = await new Promise<Buffer | null>(done => unpackWhole('zstd', bytes, bytesMax * 8, done))
  if (plain === null) return undefined
  return kind === 'S' ? plain.utf8Slice() : plain
}
