// A key that is an integer, read from the bytes of a Bind in place: what nearly every statement of one shard has. Whatever is not
// plainly one is NaN, and `key-places.ts` says what it is.

import { int32At, uint16At } from '../../wire/postgres/index.ts'

/** Exact in a double. */
const digitsMax = 15
/** Not declared, bigint, smallint, integer. */
const isPlain = (declared: number): boolean =>
  declared === 0 || declared === 20 || declared === 21 || declared === 23

/**
 * @param from where the formats of the parameters begin
 * @param index which parameter
 * @param declared its type's object id, as Parse had it; 0: left to the server
 */
export function integerParameter(
  bytes: Buffer,
  from: number,
  to: number,
  index: number,
  declared: number,
): number {
  if (!isPlain(declared) || from + 2 > to) return Number.NaN
  const formatCount = uint16At(bytes, from)
  let at = from + 2 + 2 * formatCount
  if (at + 2 > to) return Number.NaN
  const count = uint16At(bytes, at)
  if (index >= count || (formatCount > 1 && formatCount !== count)) return Number.NaN
  at += 2
  for (let before = 0; before < index; before++) {
    if (at + 4 > to) return Number.NaN
    at += 4 + Math.max(int32At(bytes, at), 0)
  }
  if (at + 4 > to) return Number.NaN
  const size = int32At(bytes, at)
  at += 4
  if (size <= 0 || at + size > to) return Number.NaN
  const format = formatCount === 0 ? 0 : uint16At(bytes, from + 2 + (formatCount === 1 ? 0 : 2 * index))
  return format === 0 ? written(bytes, at, size) : binary(bytes, at, size)
}

/** Digits without a sign or a zero in front. */
function written(bytes: Buffer, at: number, size: number): number {
  if (size > digitsMax || (size > 1 && bytes[at] === 0x30)) return Number.NaN
  let value = 0
  for (let end = at + size; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function binary(bytes: Buffer, at: number, size: number): number {
  if (size === 4) return int32At(bytes, at)
  if (size === 2) return (uint16At(bytes, at) << 16) >> 16
  if (size !== 8) return Number.NaN
  const value = int32At(bytes, at) * 0x1_0000_0000 + (int32At(bytes, at + 4) >>> 0)
  return Number.isSafeInteger(value) ? value : Number.NaN
}
