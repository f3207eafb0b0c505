// Range requests (RFC 9110 14): which bytes are asked for, what is sent for hostile sets (14.2 lets a server ignore many
// small or overlapping ranges), and the text around the parts of a multipart/byteranges body. Pure.

/** `from` to before `to`. */
export interface ByteRange {
  readonly from: number
  readonly to: number
}

/** `whole`: as if Range were absent. Otherwise at least one range, none empty, none overlapping. */
export type RangeAnswer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'unsatisfiable' }
  | { readonly kind: 'ranges'; readonly ranges: readonly ByteRange[] }

const whole: RangeAnswer = { kind: 'whole' }
const unsatisfiable: RangeAnswer = { kind: 'unsatisfiable' }

/** More ranges than this, or more overlaps, are nobody's reader: the whole file costs less than answering them. */
const rangesMax = 16
const overlapsMax = 2
/** A gap that costs less than a part's head is sent along. */
const gapBytesMax = 80
const digitsMax = 15

/** `size`: bytes of the representation. */
export function answerRange(field: string, size: number): RangeAnswer {
  const equals = field.indexOf('=')
  if (equals < 0 || field.slice(0, equals).trim().toLowerCase() !== 'bytes') return whole
  const specs = field.slice(equals + 1).split(',', rangesMax + 2)
  if (specs.length > rangesMax) return whole
  const ranges: ByteRange[] = []
  for (const spec of specs) {
    const range = readSpec(spec.trim(), size)
    // One malformed element makes the whole field invalid (14.2): ignored.
    if (range === null) return whole
    if (range.to > range.from) ranges.push(range)
  }
  if (ranges.length === 0) return unsatisfiable
  return bounded(ranges, size)
}

/** Null: malformed. An empty range: not satisfiable. */
function readSpec(spec: string, size: number): ByteRange | null {
  const match = /^([0-9]*)-([0-9]*)$/.exec(spec)
  if (match === null) return null
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return null
  if (first === '') return { from: Math.max(0, size - numberOf(last)), to: size }
  const from = numberOf(first)
  const to = last === '' ? size : numberOf(last) + 1
  if (last !== '' && to <= from) return null
  return { from, to: Math.min(size, to) }
}

function numberOf(digits: string): number {
  const plain = digits.replace(/^0+(?=.)/, '')
  return plain.length > digitsMax ? 10 ** digitsMax : Number(plain)
}

function bounded(ranges: readonly ByteRange[], size: number): RangeAnswer {
  if (ranges.length === 1) return { kind: 'ranges', ranges }
  const sorted = ranges.toSorted((a, b) => a.from - b.from || a.to - b.to)
  const merged: ByteRange[] = []
  let overlaps = 0
  let joined = false
  for (const range of sorted) {
    const before = merged.at(-1)
    if (before === undefined || range.from > before.to + gapBytesMax) {
      merged.push(range)
      continue
    }
    joined = true
    if (range.from < before.to) overlaps++
    merged[merged.length - 1] = { from: before.from, to: Math.max(before.to, range.to) }
  }
  if (overlaps > overlapsMax) return whole
  const bytes = merged.reduce((sum, range) => sum + range.to - range.from, 0)
  if (merged.length > 1 && bytes + merged.length * gapBytesMax >= size) return whole
  return { kind: 'ranges', ranges: joined ? merged : ranges }
}

export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.from}-${range.to - 1}/${size}`
}

/** RFC 9110 14.4: what a 416 says. */
export const contentRangeUnsatisfied = (size: number): string => `bytes */${size}`

export interface PartsText {
  /** Before each part's bytes. */
  readonly heads: readonly string[]
  readonly end: string
  /** Of the whole body. */
  readonly bytes: number
}

/** RFC 9110 14.6. `boundary` must not occur in the bytes. */
export function partsText(
  ranges: readonly ByteRange[],
  size: number,
  contentType: string,
  boundary: string,
): PartsText {
  const heads = ranges.map(
    (range, at) =>
      `${at === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`,
  )
  const end = `\r\n--${boundary}--\r\n`
  const text = heads.reduce((sum, head) => sum + head.length, end.length)
  const bytes = ranges.reduce((sum, range) => sum + range.to - range.from, text)
  return { heads, end, bytes }
}
