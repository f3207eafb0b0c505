// Checks of bytes and encodings.

import { OperatorError } from './operator.ts'

/** `10,13,32-126`: 1 for each byte that is allowed. */
export function byteRange(parameter: string): Uint8Array {
  const allowed = new Uint8Array(256)
  for (const piece of parameter.split(',')) {
    const found = /^\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*$/.exec(piece)
    const from = Number(found?.[1] ?? -1)
    const to = Number(found?.[2] ?? from)
    if (found === null || from > to || to > 255) {
      throw new OperatorError(`'${piece}' is no range of bytes (0 to 255)`)
    }
    allowed.fill(1, from, to + 1)
  }
  return allowed
}

/** A `%` without two hexadecimal digits after it. */
export function urlEncodingIsBad(text: string): boolean {
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', at + 1)) {
    if (!isHexadecimal(text.charCodeAt(at + 1)) || !isHexadecimal(text.charCodeAt(at + 2))) return true
  }
  return false
}

/** NaN, past the end, is none. */
function isHexadecimal(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66)
}

/** RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function utf8IsBad(text: string): boolean {
  for (let at = 0; at < text.length; ) {
    const lead = text.charCodeAt(at)
    const length =
      lead < 0x80
        ? 1
        : lead >= 0xc2 && lead < 0xe0
          ? 2
          : lead >= 0xe0 && lead < 0xf0
            ? 3
            : lead >= 0xf0 && lead < 0xf5
              ? 4
              : 0
    if (length === 0 || at + length > text.length) return true
    let character = length === 1 ? lead : lead & (0xff >> (length + 1))
    for (let index = 1; index < length; index += 1) {
      const next = text.charCodeAt(at + index)
      if ((next & 0xc0) !== 0x80) return true
      character = (character << 6) | (next & 0x3f)
    }
    if (length === 3 && (character < 0x800 || (character >= 0xd800 && character < 0xe000))) return true
    if (length === 4 && (character < 0x10000 || character > 0x10ffff)) return true
    at += length
  }
  return false
}
