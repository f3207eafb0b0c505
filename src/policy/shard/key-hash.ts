// PostgreSQL's own 64-bit hashes of keys (src/common/hashfn.c: Bob Jenkins' lookup3, with a seed), so that SQL can
// check where a row belongs: `hashint8extended(customer_id, 0) & 4095`. Two 32-bit halves instead of one BigInt.
// `key-hash.test.ts` holds fixed values; the database tests compare with a real server.

/** Halves of a 64-bit hash, as signed 32-bit integers. Filled in by who computes one. */
export interface Hash64 {
  high: number
  low: number
}

const start = 0x9e3779b9 + 3_923_095

let a = 0
let b = 0
let c = 0

function mix(): void {
  a = (a - c) ^ rotate(c, 4)
  c = (c + b) | 0
  b = (b - a) ^ rotate(a, 6)
  a = (a + c) | 0
  c = (c - b) ^ rotate(b, 8)
  b = (b + a) | 0
  a = (a - c) ^ rotate(c, 16)
  c = (c + b) | 0
  b = (b - a) ^ rotate(a, 19)
  a = (a + c) | 0
  c = (c - b) ^ rotate(b, 4)
  b = (b + a) | 0
}

function final(): void {
  c = ((c ^ b) - rotate(b, 14)) | 0
  a = ((a ^ c) - rotate(c, 11)) | 0
  b = ((b ^ a) - rotate(a, 25)) | 0
  c = ((c ^ b) - rotate(b, 16)) | 0
  a = ((a ^ c) - rotate(c, 4)) | 0
  b = ((b ^ a) - rotate(a, 14)) | 0
  c = ((c ^ b) - rotate(b, 24)) | 0
}

function rotate(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits))
}

function begin(length: number, seedHigh: number, seedLow: number): void {
  a = b = c = (start + length) | 0
  if (seedHigh === 0 && seedLow === 0) return
  a = (a + seedHigh) | 0
  b = (b + seedLow) | 0
  mix()
}

/** hash_bytes_uint32_extended: of int2, int4, date. */
export function hashUint32(value: number, into: Hash64, seedHigh = 0, seedLow = 0): void {
  begin(4, seedHigh, seedLow)
  a = (a + value) | 0
  final()
  into.high = b
  into.low = c
}

/** hashint8extended: equal to the hash of an int4 of the same value. Also of timestamps (microseconds since 2000). */
export function hashInt8(high: number, low: number, into: Hash64, seedHigh = 0, seedLow = 0): void {
  hashUint32(low ^ (high >= 0 ? high : ~high), into, seedHigh, seedLow)
}

/** hash_bytes_extended of `bytes[from..to)`: of text in UTF-8 (deterministic collations), uuid, bytea. */
export function hashKeyBytes(
  bytes: Uint8Array,
  from: number,
  to: number,
  into: Hash64,
  seedHigh = 0,
  seedLow = 0,
): void {
  begin(to - from, seedHigh, seedLow)
  let at = from
  for (; to - at >= 12; at += 12) {
    a = (a + word(bytes, at, 4)) | 0
    b = (b + word(bytes, at + 4, 4)) | 0
    c = (c + word(bytes, at + 8, 4)) | 0
    mix()
  }
  const left = to - at
  a = (a + word(bytes, at, Math.min(left, 4))) | 0
  if (left > 4) b = (b + word(bytes, at + 4, Math.min(left - 4, 4))) | 0
  // The lowest byte of c is the length's.
  if (left > 8) c = (c + (word(bytes, at + 8, left - 8) << 8)) | 0
  final()
  into.high = b
  into.low = c
}

/** `count` bytes as a little-endian number. */
function word(bytes: Uint8Array, at: number, count: number): number {
  let value = 0
  for (let i = 0; i < count; i++) value |= bytes[at + i]! << (8 * i)
  return value
}
