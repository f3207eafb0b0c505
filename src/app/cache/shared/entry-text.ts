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
const noTags: readonly string[] = []

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

/** The line in front of a value, as scripts.ts writes it. Tags as they stand there; '' is none. */
export interface EntryHead {
  readonly epoch: number
  readonly counter: number
  readonly version: number
  readonly freshAtMs: number
  readonly goneAtMs: number
  readonly loadMs: number
  readonly format: string
  readonly kind: string
  readonly tags: string
  /** Where the value begins. */
  readonly valueAt: number
}

/** Null: not written by us. */
export function entryHead(raw: Buffer): EntryHead | null {
  const lineEnd = raw.indexOf(newline)
  if (lineEnd < 0 || lineEnd > lineMax) return null
  const words = raw.latin1Slice(0, lineEnd).split(' ')
  if (words.length !== 10) return null
  return {
    epoch: Number(words[1]),
    counter: Number(words[2]),
    version: Number(words[3]),
    freshAtMs: Number(words[4]),
    goneAtMs: Number(words[5]),
    loadMs: Number(words[6]),
    format: words[7]!,
    kind: words[8]!,
    tags: words[9]!,
    valueAt: lineEnd + 1,
  }
}

/**
 * At once, but for what has to be unpacked first. Null: damaged, or larger than `bytesMax` allows when unpacked.
 * @param nowMs by the server's clock @param softly expired by a soft invalidation
 */
export function readEntry(
  head: EntryHead,
  raw: Buffer,
  nowMs: number,
  softly: boolean,
  bytesMax: number,
): TierEntry | null | Promise<TierEntry | null> {
  const { kind, valueAt } = head
  if (kind === 'n') return entryOf(head, null, nowMs, softly)
  if (kind === 's') return entryOf(head, raw.utf8Slice(valueAt), nowMs, softly)
  const bytes = raw.subarray(valueAt)
  if (kind === 'b') return entryOf(head, bytes, nowMs, softly)
  if (kind !== 'S' && kind !== 'B') return null
  return new Promise(done =>
    unpackWhole('zstd', bytes, bytesMax * 8, plain => {
      if (plain === null) done(null)
      else done(entryOf(head, kind === 'S' ? plain.utf8Slice() : plain, nowMs, softly))
    }),
  )
}

function entryOf(head: EntryHead, value: Encoded | null, nowMs: number, softly: boolean): TierEntry {
  const freshAt = softly ? Math.min(head.freshAtMs, nowMs) : head.freshAtMs
  return {
    value,
    format: head.format,
    tags: head.tags === '' ? noTags : head.tags.split(',').map(decodeURIComponent),
    version: head.version,
    freshMs: freshAt - nowMs,
    graceMs: head.goneAtMs - freshAt,
    loadMs: head.loadMs,
  }
}
