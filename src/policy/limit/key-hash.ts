// 64 bits of a key, by HalfSipHash-1-3 (Aumasson & Bernstein; what Linux hashes its tables with) under a secret: who does not know it can't make two keys
// collide, nor fill one bucket of a table. Takes UTF-16 code units, two in a word; not the byte form of the reference.

/** Where a hash stands after a prefix (policy and limit), so that only the rest is hashed for each request. */
export type HashStart = Int32Array

/** The last hash: `low` and `high` are signed 32-bit numbers. One object, written anew by each call. */
export interface KeyHash {
  low: number
  high: number
}

/** 0xee, 0xdd: the variant with 64 bits of output. */
const wide = 0xee
const second = 0xdd
const finalRounds = 3

/** @param secret 8 bytes as two numbers. @param prefix absorbed at once */
export function hashStart(secret: readonly [number, number], prefix: string): HashStart {
  const start = Int32Array.of(secret[0], secret[1] ^ wide, 0x6c796765 ^ secret[0], 0x74656462 ^ secret[1])
  sip(start, prefix, start, null)
  return start
}

export function hashKey(start: HashStart, text: string, out: KeyHash): void {
  sip(start, text, null, out)
}

/**
 * The text, then its length, so that no text is the beginning of another one's hash; then the end, where `out` is wanted.
 * One function with all in locals, because it runs once a limit and request.
 */
function sip(start: HashStart, text: string, state: Int32Array | null, out: KeyHash | null): void {
  let v0 = start[0]!
  let v1 = start[1]!
  let v2 = start[2]!
  let v3 = start[3]!
  const { length } = text
  const words = (length >> 1) + 1
  const rounds = out === null ? words : words + finalRounds * 2
  for (let i = 0; i < rounds; i++) {
    let m = 0
    if (i < words - 1) m = text.charCodeAt(i * 2) | (text.charCodeAt(i * 2 + 1) << 16)
    else if (i === words - 1)
      m = ((length & 1) === 1 ? text.charCodeAt(length - 1) : 0) | ((length & 0x7fff) << 16) | 0x80000000
    else if (i === words) v2 ^= wide
    else if (i === words + finalRounds) {
      out!.low = v1 ^ v3
      v1 ^= second
    }
    v3 ^= m
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= m
  }
  if (out !== null) out.high = v1 ^ v3
  if (state !== null) {
    state[0] = v0
    state[1] = v1
    state[2] = v2
    state[3] = v3
  }
}
