// Transformations that undo encodings. Byte strings in and out; what is malformed stays as it is, as rule sets expect it
// (ModSecurity's manual, "Transformation functions"). All linear.

import { entityBytes } from './entities.ts'

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  if (code >= 0x41 && code <= 0x46) return code - 0x37
  if (code >= 0x61 && code <= 0x66) return code - 0x57
  return -1
}

/** Two hexadecimal digits at `at`, or -1. */
function hexPair(text: string, at: number): number {
  if (at + 1 >= text.length) return -1
  const high = hexValue(text.charCodeAt(at))
  const low = hexValue(text.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

const byteText: readonly string[] = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))

/** A full-width form of ASCII (U+FF01 to U+FF5E) is that character; of others the low byte counts. */
function narrowed(high: number, low: number): string {
  const code = high === 0xff && low >= 0x01 && low <= 0x5e ? low + 0x20 : low
  return byteText[code]!
}

export function urlDecode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return text.replace(/\+|%([0-9A-Fa-f]{2})/g, (_, pair: string | undefined) =>
    pair === undefined ? ' ' : byteText[Number.parseInt(pair, 16)]!,
  )
}

/** With `%uHHHH` of Microsoft. */
export function urlDecodeUni(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return text.replace(
    /\+|%[uU]([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})|%([0-9A-Fa-f]{2})/g,
    (_, high: string | undefined, low: string, pair: string | undefined) => {
      if (high !== undefined) return narrowed(Number.parseInt(high, 16), Number.parseInt(low, 16))
      return pair === undefined ? ' ' : byteText[Number.parseInt(pair, 16)]!
    },
  )
}

export function urlEncode(text: string): string {
  return text.replace(/[^A-Za-z0-9*]/g, one =>
    one === ' ' ? '+' : `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** `&lt;`, `&#60;`, `&#x3c;`, each with or without its semicolon. */
export function htmlEntityDecode(text: string): string {
  if (!text.includes('&')) return text
  let out = ''
  for (let at = 0; at < text.length; ) {
    const character = text[at]!
    if (character !== '&') {
      out += character
      at += 1
      continue
    }
    const [bytes, length] = text[at + 1] === '#' ? numericEntity(text, at) : namedEntity(text, at)
    out += length === 0 ? character : bytes
    at += length === 0 ? 1 : length
  }
  return out
}

function numericEntity(text: string, from: number): readonly [string, number] {
  const hexadecimal = text[from + 2] === 'x' || text[from + 2] === 'X'
  let at = from + (hexadecimal ? 3 : 2)
  const begin = at
  let value = 0
  while (at < text.length) {
    const digit = hexValue(text.charCodeAt(at))
    if (digit < 0 || (!hexadecimal && digit > 9)) break
    value = Math.min(value * (hexadecimal ? 16 : 10) + digit, 0x7fffffff)
    at += 1
  }
  if (at === begin) return ['', 0]
  if (text[at] === ';') at += 1
  return [byteText[value & 0xff]!, at - from]
}

function namedEntity(text: string, from: number): readonly [string, number] {
  let at = from + 1
  while (at < text.length && at - from < 32 && /^[A-Za-z0-9]$/.test(text[at]!)) at += 1
  const bytes = entityBytes[text.slice(from + 1, at)] ?? entityBytes[text.slice(from + 1, at).toLowerCase()]
  if (bytes === undefined) return ['', 0]
  if (text[at] === ';') at += 1
  return [bytes, at - from]
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/** JavaScript's escapes: `\uHHHH`, `\xHH`, `\OOO`, `\n`; another character after a backslash is itself. */
export function jsDecode(text: string): string {
  if (!text.includes('\\')) return text
  let out = ''
  for (let at = 0; at < text.length; ) {
    if (text[at] !== '\\' || at + 1 >= text.length) {
      out += text[at]
      at += 1
      continue
    }
    const [bytes, length] = jsEscape(text, at + 1)
    out += bytes
    at += 1 + length
  }
  return out
}

function jsEscape(text: string, at: number): readonly [string, number] {
  const character = text[at]!
  if (character === 'u') {
    const high = hexPair(text, at + 1)
    const low = hexPair(text, at + 3)
    if (high >= 0 && low >= 0) return [narrowed(high, low), 5]
  }
  if (character === 'x') {
    const pair = hexPair(text, at + 1)
    if (pair >= 0) return [byteText[pair]!, 3]
  }
  if (character >= '0' && character <= '7') return octalEscape(text, at)
  return [escapes[character] ?? character, 1]
}

/** Up to three digits; three only when they still make a byte. */
function octalEscape(text: string, at: number): readonly [string, number] {
  const digits = /^[0-7]{1,3}/.exec(text.slice(at, at + 3))![0]
  const used = digits.length === 3 && digits[0]! > '3' ? digits.slice(0, 2) : digits
  return [byteText[Number.parseInt(used, 8)]!, used.length]
}

/** CSS 2's escapes: up to six hexadecimal digits and one white space, or the character itself. */
export function cssDecode(text: string): string {
  if (!text.includes('\\')) return text
  let out = ''
  for (let at = 0; at < text.length; ) {
    if (text[at] !== '\\') {
      out += text[at]
      at += 1
      continue
    }
    at += 1
    if (at >= text.length) break
    const digits = /^[0-9A-Fa-f]{1,6}/.exec(text.slice(at, at + 6))?.[0]
    if (digits === undefined) {
      // An escaped line end is no character at all.
      if (text[at] !== '\n') out += text[at]
      at += 1
      continue
    }
    out += cssCharacter(digits)
    at += digits.length
    if (/^[\t-\r ]$/.test(text[at] ?? '')) at += 1
  }
  return out
}

function cssCharacter(digits: string): string {
  const value = Number.parseInt(digits, 16)
  return narrowed((value >> 8) & 0xffff, value & 0xff)
}

/** ANSI C's: `\n`, `\x41`, `\101`; of what is none only the backslash goes. */
export function escapeSeqDecode(text: string): string {
  if (!text.includes('\\')) return text
  let out = ''
  for (let at = 0; at < text.length; at += 1) {
    const next = text[at + 1]
    if (text[at] !== '\\' || next === undefined) {
      out += text[at]
      continue
    }
    const known = escapes[next] ?? (/^[\\?'"]$/.test(next) ? next : undefined)
    const pair = next === 'x' || next === 'X' ? hexPair(text, at + 2) : -1
    if (known !== undefined) {
      out += known
      at += 1
    } else if (pair >= 0) {
      out += byteText[pair]
      at += 3
    } else if (next >= '0' && next <= '7') {
      const digits = /^[0-7]{1,3}/.exec(text.slice(at + 1, at + 4))![0]
      out += byteText[Number.parseInt(digits, 8) & 0xff]
      at += digits.length
    }
  }
  return out
}

/** Stops at what is not Base64. */
export function base64Decode(text: string): string {
  const good = /^[A-Za-z0-9+/]*/.exec(text)![0]
  return Buffer.from(good, 'base64').latin1Slice()
}

/** Passes over what is not Base64. */
export function base64DecodeExt(text: string): string {
  return Buffer.from(text.replace(/[^A-Za-z0-9+/]/g, ''), 'base64').latin1Slice()
}

export function base64Encode(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64')
}

export function hexDecode(text: string): string {
  let out = ''
  for (let at = 0; at + 1 < text.length; at += 2) {
    const pair = hexPair(text, at)
    if (pair < 0) break
    out += byteText[pair]
  }
  return out
}

/** `0x...` of SQL, wherever it stands. */
export function sqlHexDecode(text: string): string {
  return text.replace(/0[xX]((?:[0-9A-Fa-f]{2})+)/g, (_, digits: string) => hexDecode(digits))
}

/** Characters of UTF-8 beyond ASCII as `%uHHHH`; bytes that are no UTF-8 stay. */
export function utf8toUnicode(text: string): string {
  if (/^[\x00-\x7f]*$/.test(text)) return text
  let out = ''
  for (let at = 0; at < text.length; ) {
    const [character, length] = utf8Character(text, at)
    if (length < 2) out += text[at]
    else out += `%u${character.toString(16).padStart(4, '0')}`
    at += Math.max(1, length)
  }
  return out
}

/** The code point at `at` and its bytes; length 0 for what is malformed. Overlong forms count: attackers use them. */
export function utf8Character(text: string, at: number): readonly [character: number, length: number] {
  const lead = text.charCodeAt(at)
  if (lead < 0x80) return [lead, 1]
  const length =
    lead >= 0xf0 && lead <= 0xf7 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc0 && lead < 0xe0 ? 2 : 0
  if (length === 0 || at + length > text.length) return [lead, 0]
  let character = lead & (0xff >> (length + 1))
  for (let index = 1; index < length; index += 1) {
    const next = text.charCodeAt(at + index)
    if ((next & 0xc0) !== 0x80) return [lead, 0]
    character = (character << 6) | (next & 0x3f)
  }
  return [character, length]
}
