// Texts that differ in their integers only: `SELECT ... WHERE id = 7`, then `id = 8`. Where the only key of a statement is an
// integer that stands in it once, it is at the same place in every text of the same shape, and no other integer says where the
// statement goes: so one text is planned for all of them. Everything but integers has to be the same, byte by byte.

import type { TextStatement } from './texts.ts'

/** A statement for one shard whose key is the integer at this place of its text. */
export interface IntegerShape {
  readonly family: string
  /** Which of the integers. */
  readonly at: number
  readonly writes: boolean
}

const runsMax = 32
const textMax = 1_000
/** Exact in a double. */
const digitsMax = 15
const placeholder = '\x01'
const starts = new Int32Array(runsMax)
const ends = new Int32Array(runsMax)
let count = 0

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

/** Letters, digits, `_`, `$`, `.` and what is not ASCII: beside one of them digits are no integer of their own. */
const joins = new Uint8Array(128)
for (let code = 0; code < 128; code++) if (/[\w$.]/.test(String.fromCharCode(code))) joins[code] = 1
const isJoined = (code: number): boolean => code >= 128 || joins[code] === 1

/** The text without its integers; null: it has none, or too much. Where they are is known until the next call. */
export function shapeOfIntegers(text: string): string | null {
  const { length } = text
  if (length > textMax) return null
  count = 0
  let shape = ''
  let from = 0
  let joined = false
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at)
    if (!isDigit(code) || joined) {
      if (code === 1) return null
      joined = isJoined(code)
      continue
    }
    const start = at
    while (at + 1 < length && isDigit(text.charCodeAt(at + 1))) at++
    if (at + 1 < length && isJoined(text.charCodeAt(at + 1))) {
      joined = true
      continue
    }
    if (count === runsMax) return null
    starts[count] = start
    ends[count++] = at + 1
    shape += text.slice(from, start) + placeholder
    from = at + 1
  }
  return count === 0 ? null : shape + text.slice(from)
}

/** Of the text that `shapeOfIntegers` was last called with; NaN: it is not written as integers mostly are. */
export function integerAt(text: string, index: number): number {
  const start = starts[index] as number
  const end = ends[index] as number
  if (end - start > digitsMax || (text.charCodeAt(start) === 0x30 && end - start > 1)) return Number.NaN
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + text.charCodeAt(at) - 0x30
  return value
}

/** What the plan of this text, which `shapeOfIntegers` was last called with, says of all of its shape; null: nothing. */
export function integerShape(text: string, planned: readonly TextStatement[]): IntegerShape | null {
  const [one] = planned
  if (planned.length !== 1 || one?.passes !== true || one.plan.kind !== 'keys') return null
  const [key = []] = one.plan.keys
  const [source] = key
  if (one.plan.keys.length !== 1 || key.length !== 1 || source?.from !== 'literal') return null
  let found = -1
  for (let at = 0; at < count; at++) {
    if (text.slice(starts[at], ends[at]) !== source.text) continue
    if (found >= 0) return null
    found = at
  }
  return found < 0 ? null : { family: one.plan.family, at: found, writes: one.writes }
}
