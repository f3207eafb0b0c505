// Sets of bytes, and the few that regular expressions name. A set is 256 zeros and ones. Letters are ASCII's: patterns
// match bytes, and no byte above 0x7F has a case.

export type ByteSet = Uint8Array

export function byteSet(...ranges: readonly (readonly [from: number, to: number])[]): ByteSet {
  const set = new Uint8Array(256)
  for (const [from, to] of ranges) set.fill(1, from, to + 1)
  return set
}

export function inverted(set: ByteSet): ByteSet {
  return set.map(one => 1 - one)
}

export function addAll(into: ByteSet, from: ByteSet): void {
  for (let byte = 0; byte < 256; byte += 1) if (from[byte] === 1) into[byte] = 1
}

/** With each letter also in its other case. */
export function withBothCases(set: ByteSet): ByteSet {
  const both = set.slice()
  for (let upper = 0x41; upper <= 0x5a; upper += 1) {
    if (set[upper] === 1) both[upper + 0x20] = 1
    if (set[upper + 0x20] === 1) both[upper] = 1
  }
  return both
}

const oneByteSets: (ByteSet | undefined)[] = []

/** Shared by all patterns, whose literals it stands for: never changed. */
export function oneByteSet(byte: number, anyCase: boolean): ByteSet {
  const place = byte * 2 + (anyCase ? 1 : 0)
  const set = oneByteSets[place] ?? byteSet([byte, byte])
  oneByteSets[place] ??= anyCase ? withBothCases(set) : set
  return oneByteSets[place]
}

/** Equal for equal sets: a key that is made at once. */
export function textOfSet(set: ByteSet): string {
  return Buffer.from(set.buffer, set.byteOffset, set.length).latin1Slice()
}

export function membersOf(set: ByteSet): number[] {
  const members: number[] = []
  for (let byte = 0; byte < 256; byte += 1) if (set[byte] === 1) members.push(byte)
  return members
}

const digits = byteSet([0x30, 0x39])
const words = byteSet([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a])
const spaces = byteSet([0x09, 0x0d], [0x20, 0x20])
const blanks = byteSet([0x09, 0x09], [0x20, 0x20], [0xa0, 0xa0])
const verticals = byteSet([0x0a, 0x0d], [0x85, 0x85])

/** `\d`, `\W` ... as PCRE defines them without Unicode. */
export const escapedSets: Readonly<Record<string, ByteSet>> = {
  d: digits,
  D: inverted(digits),
  w: words,
  W: inverted(words),
  s: spaces,
  S: inverted(spaces),
  h: blanks,
  H: inverted(blanks),
  v: verticals,
  V: inverted(verticals),
}

/** `[[:alpha:]]` ... */
export const namedSets: Readonly<Record<string, ByteSet>> = {
  alnum: byteSet([0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a]),
  alpha: byteSet([0x41, 0x5a], [0x61, 0x7a]),
  ascii: byteSet([0, 0x7f]),
  blank: byteSet([0x09, 0x09], [0x20, 0x20]),
  cntrl: byteSet([0, 0x1f], [0x7f, 0x7f]),
  digit: digits,
  graph: byteSet([0x21, 0x7e]),
  lower: byteSet([0x61, 0x7a]),
  print: byteSet([0x20, 0x7e]),
  punct: byteSet([0x21, 0x2f], [0x3a, 0x40], [0x5b, 0x60], [0x7b, 0x7e]),
  space: spaces,
  upper: byteSet([0x41, 0x5a]),
  word: words,
  xdigit: byteSet([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]),
}

export const isWordByte: ByteSet = words
export const anyByte: ByteSet = byteSet([0, 255])
export const anyButNewline: ByteSet = inverted(byteSet([0x0a, 0x0a]))
