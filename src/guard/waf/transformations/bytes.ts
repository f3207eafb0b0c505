// What transformations have in common: how one writes its result, and which bytes make it worth while to begin at all.

/**
 * Writes what becomes of the first `length` bytes into `out`, which has room for `roomFor(length)`; gives the new length,
 * or -1: nothing changes.
 */
export type Transform = (bytes: Uint8Array, length: number, out: Uint8Array) => number

export interface Transformation {
  /** A text with none of these traits stays as it is; 0: always ask. */
  readonly needs: number
  readonly transform: Transform
}

/** Kinds of bytes: what a text has of them is found out once, and most transformations then have nothing to do. */
export const trait = {
  percentOrPlus: 1,
  upper: 2,
  lower: 4,
  nul: 8,
  backslash: 16,
  ampersand: 32,
  /** White space but for the blank. */
  white: 64,
  blank: 128,
  star: 256,
  high: 512,
  quote: 1024,
  listMark: 2048,
  slash: 4096,
  caret: 8192,
} as const

const traitOfByte: Uint16Array = new Uint16Array(256)
for (let byte = 0; byte < 256; byte += 1) traitOfByte[byte] = traitsOfByte(byte)

function traitsOfByte(byte: number): number {
  if (byte >= 0x80) return byte === 0xa0 ? trait.high | trait.white : trait.high
  if (byte >= 0x41 && byte <= 0x5a) return trait.upper
  if (byte >= 0x61 && byte <= 0x7a) return trait.lower
  if (byte >= 0x09 && byte <= 0x0d) return trait.white
  switch (String.fromCharCode(byte)) {
    case '\0':
      return trait.nul
    case '%':
    case '+':
      return trait.percentOrPlus
    case '\\':
      return trait.backslash
    case '&':
      return trait.ampersand
    case ' ':
      return trait.blank
    case '*':
      return trait.star
    case '"':
    case "'":
      return trait.quote
    case ',':
    case ';':
      return trait.listMark
    case '/':
      return trait.slash
    case '^':
      return trait.caret
  }
  return 0
}

export function traitsOf(bytes: Uint8Array, length: number): number {
  let traits = 0
  for (let at = 0; at < length; at += 1) traits |= traitOfByte[bytes[at]!]!
  return traits
}

/** The worst is `%u00e9` for two bytes, and a hash for none. */
export function roomFor(length: number): number {
  return length * 3 + 64
}

/** A transformation that is rarely asked for, on texts. */
export function onText(change: (text: string) => string): Transform {
  return (bytes, length, out) => {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, length).latin1Slice()
    const made = change(text)
    if (made === text) return -1
    return Buffer.from(out.buffer, out.byteOffset, out.length).latin1Write(made, 0)
  }
}

let scratch = new Uint8Array(4096)

/** The bytes as they are when nothing changes, else new ones of their own. */
export function transformed(
  transformation: Transformation,
  bytes: Uint8Array,
  length: number,
): Buffer | null {
  const room = roomFor(length)
  if (scratch.length < room) scratch = new Uint8Array(room * 2)
  const made = transformation.transform(bytes, length, scratch)
  if (made < 0 || (made === length && isSame(bytes, scratch, length))) return null
  return Buffer.from(scratch.subarray(0, made))
}

export function isSame(one: Uint8Array, other: Uint8Array, length: number): boolean {
  if (length > 64) return Buffer.compare(one.subarray(0, length), other.subarray(0, length)) === 0
  for (let at = 0; at < length; at += 1) if (one[at] !== other[at]) return false
  return true
}

/** Of a text that is not kept: for who needs one result only. */
export function transformText(transformation: Transformation, text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  const made = transformed(transformation, bytes, bytes.length)
  return made === null ? text : made.latin1Slice()
}
