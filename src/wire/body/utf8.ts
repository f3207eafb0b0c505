// UTF-8 in byte strings (RFC 3629): is it valid, and what are a code point's bytes. Overlong forms, surrogates and what is
// past U+10FFFF are not.

/** Offset of the first byte that is not valid UTF-8 in `text` from `from` to `to`, or -1. */
export function invalidUtf8At(text: string, from = 0, to: number = text.length): number {
  for (let at = from; at < to; ) {
    const byte = text.charCodeAt(at)
    if (byte < 0x80) {
      at++
      continue
    }
    const length = sequenceLength(byte, at + 1 < to ? text.charCodeAt(at + 1) : 0)
    if (length === 0 || at + length > to) return at
    for (let next = 1; next < length; next++) if ((text.charCodeAt(at + next) & 0xc0) !== 0x80) return at
    at += length
  }
  return -1
}

/** By the first byte; the second one's range depends on it. 0: no sequence begins so. */
function sequenceLength(first: number, second: number): number {
  if (first >= 0xc2 && first <= 0xdf) return 2
  if (first >= 0xe0 && first <= 0xef) {
    if (first === 0xe0 && second < 0xa0) return 0
    return first === 0xed && second > 0x9f ? 0 : 3
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (first === 0xf0 && second < 0x90) return 0
    return first === 0xf4 && second > 0x8f ? 0 : 4
  }
  return 0
}

/** The bytes of one code point, which is no surrogate. */
export function utf8Of(point: number): string {
  if (point < 0x80) return String.fromCharCode(point)
  if (point < 0x800) return String.fromCharCode(0xc0 | (point >> 6), tail(point))
  if (point < 0x1_0000) return String.fromCharCode(0xe0 | (point >> 12), tail(point >> 6), tail(point))
  return String.fromCharCode(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point))
}

function tail(bits: number): number {
  return 0x80 | (bits & 0x3f)
}
