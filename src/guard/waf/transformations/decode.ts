// Transformations that undo encodings. Bytes in and out; what is malformed stays as it is, as rule sets expect it
// (ModSecurity's manual, "Transformation functions"). All linear.

import { onText, type Transform } from './bytes.ts'
import { entityBytes } from './entities.ts'

const percent = 0x25
const backslash = 0x5c

const hexValues: Int8Array = new Int8Array(256).fill(-1)
for (let digit = 0; digit < 16; digit += 1) {
  hexValues[digit.toString(16).charCodeAt(0)] = digit
  hexValues[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

/** Two hexadecimal digits at `at`, or -1. */
function hexPair(bytes: Uint8Array, at: number, length: number): number {
  if (at + 1 >= length) return -1
  const high = hexValues[bytes[at]!]!
  const low = hexValues[bytes[at + 1]!]!
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

/** A full-width form of ASCII (U+FF01 to U+FF5E) is that character; of others the low byte counts. */
function narrowed(high: number, low: number): number {
  return high === 0xff && low >= 0x01 && low <= 0x5e ? low + 0x20 : low
}

export const urlDecode: Transform = (bytes, length, out) => urlDecoded(bytes, length, out, false)

/** With `%uHHHH` of Microsoft. */
export const urlDecodeUni: Transform = (bytes, length, out) => urlDecoded(bytes, length, out, true)

function urlDecoded(bytes: Uint8Array, length: number, out: Uint8Array, wide: boolean): number {
  let end = 0
  for (let at = 0; at < length; ) {
    const byte = bytes[at]!
    if (byte === percent) {
      const pair = hexPair(bytes, at + 1, length)
      if (pair >= 0) {
        out[end++] = pair
        at += 3
        continue
      }
      const character = wide ? wideCharacter(bytes, at + 1, length, 0x75, 0x55) : -1
      if (character >= 0) {
        out[end++] = character
        at += 6
        continue
      }
    }
    out[end++] = byte === 0x2b ? 0x20 : byte
    at += 1
  }
  return end
}

/** `uHHHH` at `at`, narrowed, or -1. */
function wideCharacter(bytes: Uint8Array, at: number, length: number, mark: number, other: number): number {
  if (bytes[at] !== mark && bytes[at] !== other) return -1
  const high = hexPair(bytes, at + 1, length)
  const low = high < 0 ? -1 : hexPair(bytes, at + 3, length)
  return low < 0 ? -1 : narrowed(high, low)
}

export const urlEncode: Transform = onText(text =>
  text.replace(/[^A-Za-z0-9*]/g, one =>
    one === ' ' ? '+' : `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
  ),
)

/** Set by the readers of entities and escapes: how many bytes were read; 0: it is none. */
let taken = 0

/** `&lt;`, `&#60;`, `&#x3c;`, each with or without its semicolon. */
export const htmlEntityDecode: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; ) {
    const byte = bytes[at]!
    if (byte !== 0x26) {
      out[end++] = byte
      at += 1
      continue
    }
    taken = 0
    const character =
      bytes[at + 1] === 0x23 ? numericEntity(bytes, at, length) : namedEntity(bytes, at, length)
    out[end++] = taken === 0 ? byte : character
    at += taken === 0 ? 1 : taken
  }
  return end
}

function numericEntity(bytes: Uint8Array, from: number, length: number): number {
  const hexadecimal = bytes[from + 2] === 0x78 || bytes[from + 2] === 0x58
  let at = from + (hexadecimal ? 3 : 2)
  const begin = at
  let value = 0
  while (at < length) {
    const digit = hexValues[bytes[at]!]!
    if (digit < 0 || (!hexadecimal && digit > 9)) break
    value = Math.min(value * (hexadecimal ? 16 : 10) + digit, 0x7fffffff)
    at += 1
  }
  if (at === begin || at > length) return 0
  if (at < length && bytes[at] === 0x3b) at += 1
  taken = at - from
  return value & 0xff
}

const entityNameMax = 31

function namedEntity(bytes: Uint8Array, from: number, length: number): number {
  let name = ''
  let at = from + 1
  for (; at < length && at - from <= entityNameMax; at += 1) {
    const byte = bytes[at]!
    if (!isAlphanumeric(byte)) break
    name += String.fromCharCode(byte)
  }
  if (name === '') return 0
  const character = entityBytes[name] ?? entityBytes[name.toLowerCase()]
  if (character === undefined) return 0
  if (at < length && bytes[at] === 0x3b) at += 1
  taken = at - from
  return character.charCodeAt(0)
}

function isAlphanumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
}

/** a, b, f, n, r, t, v behind a backslash; -1: another one. */
const escapes: Int8Array = new Int8Array(256).fill(-1)
for (const [letter, byte] of [
  ['a', 0x07],
  ['b', 0x08],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
  ['v', 0x0b],
] as const)
  escapes[letter.charCodeAt(0)] = byte

/** JavaScript's escapes: `\uHHHH`, `\xHH`, `\OOO`, `\n`; another character after a backslash is itself. */
export const jsDecode: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; ) {
    const byte = bytes[at]!
    if (byte !== backslash || at + 1 >= length) {
      out[end++] = byte
      at += 1
      continue
    }
    out[end++] = jsEscape(bytes, at + 1, length)
    at += 1 + taken
  }
  return end
}

function jsEscape(bytes: Uint8Array, at: number, length: number): number {
  const byte = bytes[at]!
  const wide = wideCharacter(bytes, at, length, 0x75, 0x75)
  if (wide >= 0) {
    taken = 5
    return wide
  }
  if (byte === 0x78) {
    const pair = hexPair(bytes, at + 1, length)
    taken = 3
    if (pair >= 0) return pair
  }
  if (byte >= 0x30 && byte <= 0x37) return octal(bytes, at, length, byte > 0x33 ? 2 : 3)
  taken = 1
  return escapes[byte]! < 0 ? byte : escapes[byte]!
}

/** Up to `most` digits; ModSecurity reads three only where they make a byte. */
function octal(bytes: Uint8Array, from: number, length: number, most: number): number {
  let value = 0
  let at = from
  while (at < length && at - from < most && bytes[at]! >= 0x30 && bytes[at]! <= 0x37) {
    value = value * 8 + bytes[at]! - 0x30
    at += 1
  }
  taken = at - from
  return value & 0xff
}

/** CSS 2's escapes: up to six hexadecimal digits and one white space, or the character itself. */
export const cssDecode: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; ) {
    const byte = bytes[at]!
    at += 1
    if (byte !== backslash) {
      out[end++] = byte
      continue
    }
    if (at >= length) break
    let value = 0
    const begin = at
    while (at < length && at - begin < 6 && hexValues[bytes[at]!]! >= 0) {
      value = value * 16 + hexValues[bytes[at]!]!
      at += 1
    }
    if (at > begin) {
      out[end++] = narrowed((value >> 8) & 0xffff, value & 0xff)
      if (at < length && isWhite(bytes[at]!)) at += 1
      continue
    }
    // An escaped line end is no character at all.
    if (bytes[at] !== 0x0a) out[end++] = bytes[at]!
    at += 1
  }
  return end
}

function isWhite(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}

/** ANSI C's: `\n`, `\x41`, `\101`; of what is none only the backslash goes. */
export const escapeSeqDecode: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; ) {
    const byte = bytes[at]!
    at += 1
    if (byte !== backslash || at >= length) {
      out[end++] = byte
      continue
    }
    const next = bytes[at]!
    const pair = next === 0x78 || next === 0x58 ? hexPair(bytes, at + 1, length) : -1
    if (escapes[next]! >= 0) {
      out[end++] = escapes[next]!
      at += 1
    } else if (next === backslash || next === 0x3f || next === 0x27 || next === 0x22) {
      out[end++] = next
      at += 1
    } else if (pair >= 0) {
      out[end++] = pair
      at += 3
    } else if (next >= 0x30 && next <= 0x37) {
      out[end++] = octal(bytes, at, length, 3)
      at += taken
    }
  }
  return end
}

/** Stops at what is not Base64. */
export const base64Decode: Transform = onText(text => {
  const good = /^[A-Za-z0-9+/]*/.exec(text)![0]
  return Buffer.from(good, 'base64').latin1Slice()
})

/** Passes over what is not Base64. */
export const base64DecodeExt: Transform = onText(text =>
  Buffer.from(text.replace(/[^A-Za-z0-9+/]/g, ''), 'base64').latin1Slice(),
)

export const base64Encode: Transform = onText(text => Buffer.from(text, 'latin1').toString('base64'))

export const hexEncode: Transform = onText(text => Buffer.from(text, 'latin1').toString('hex'))

export const hexDecode: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at + 1 < length; at += 2) {
    const pair = hexPair(bytes, at, length)
    if (pair < 0) break
    out[end++] = pair
  }
  return end
}

/** `0x...` of SQL, wherever it stands. */
export const sqlHexDecode: Transform = onText(text =>
  text.replace(/0[xX]((?:[0-9A-Fa-f]{2})+)/g, (_, digits: string) =>
    Buffer.from(digits, 'hex').latin1Slice(),
  ),
)

const hexDigits = Buffer.from('0123456789abcdef')

/** Characters of UTF-8 beyond ASCII as `%uHHHH`; bytes that are no UTF-8 stay. */
export const utf8toUnicode: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; ) {
    const byte = bytes[at]!
    const size = byte < 0x80 ? 1 : utf8Length(bytes, at, length)
    if (size < 2) {
      out[end++] = byte
      at += 1
      continue
    }
    let character = byte & (0xff >> (size + 1))
    for (let index = 1; index < size; index += 1) character = (character << 6) | (bytes[at + index]! & 0x3f)
    out[end++] = percent
    out[end++] = 0x75
    for (let shift = character > 0xfffff ? 20 : character > 0xffff ? 16 : 12; shift >= 0; shift -= 4) {
      out[end++] = hexDigits[(character >> shift) & 15]!
    }
    at += size
  }
  return end
}

/** Bytes of the character at `at`; 0: it is malformed. Overlong forms count: attackers use them. */
function utf8Length(bytes: Uint8Array, at: number, length: number): number {
  const lead = bytes[at]!
  const size = lead >= 0xf8 || lead < 0xc0 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  if (size === 0 || at + size > length) return 0
  for (let index = 1; index < size; index += 1) if ((bytes[at + index]! & 0xc0) !== 0x80) return 0
  return size
}
