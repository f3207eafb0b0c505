// 64 bits of a key, by HalfSipHash-2-4 (Aumasson & Bernstein) under a secret: who does not know it can't make two keys
// collide, nor fill one bucket of a table. Takes UTF-16 code units, two in a word; not the byte form of the reference.

/** Where a hash stands after a prefix (policy and limit), so that only the rest is hashed for each request. */
export type HashStart = Int32Array

/** The last hash: `low` and `high` are signed 32-bit numbers. One object, written anew by each call. */
export interface KeyHash {
  low: number
  high: number
}

const v = new Int32Array(4)

function round(): void {
  let v0 = v[0]!
  let v1 = v[1]!
  let v2 = v[2]!
  let v3 = v[3]!
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
  v[0] = v0
  v[1] = v1
  v[2] = v2
  v[3] = v3
}

function word(m: number): void {
  v[3] = v[3]! ^ m
  round()
  round()
  v[0] = v[0]! ^ m
}

/** The text, then its length: so no text is the beginning of another one's hash. */
function absorb(text: string): void {
  const even = text.length & ~1
  for (let i = 0; i < even; i += 2) word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16))
  word((even < text.length ? text.charCodeAt(even) : 0) | ((text.length & 0x7fff) << 16) | 0x80000000)
}

/** @param secret 8 bytes as two numbers. @param prefix absorbed at once */
export function hashStart(secret: readonly [number, number], prefix: string): HashStart {
  v[0] = secret[0]
  // 0xee: the variant with 64 bits of output.
  v[1] = secret[1] ^ 0xee
  v[2] = 0x6c796765 ^ secret[0]
  v[3] = 0x74656462 ^ secret[1]
  absorb(prefix)
  return Int32Array.from(v)
}

export function hashKey(start: HashStart, text: string, out: KeyHash): void {
  v[0] = start[0]!
  v[1] = start[1]!
  v[2] = start[2]!
  v[3] = start[3]!
  absorb(text)
  v[2] = v[2]! ^ 0xee
  round()
  round()
  round()
  round()
  out.low = v[1]! ^ v[3]!
  v[1] = v[1]! ^ 0xdd
  round()
  round()
  round()
  round()
  out.high = v[1]! ^ v[3]!
}
