// Where one message of the PostgreSQL protocol (3.0, 3.2) ends and the next begins: a type byte, then a length that
// counts itself. Works in place over bytes[at..to): no objects, no copies, nothing kept between calls, never throws.
//
// An answer above 0 is the size of the whole frame, header included; whether it has all arrived is the caller's
// comparison (at + size <= to), and what is missing is at + size - to. 0: the header has not all arrived. Below 0: a
// problem, for `frameProblem`. What follows a problem can't be found any more: the connection ends.

import { type Problem, violation } from './problem.ts'

/** Type and length. */
export const frameHeaderBytes = 5

const tooShort = -1
const tooLong = -2
const unknownType = -3

/** Largest length word of short messages, as PostgreSQL itself has it (PQ_SMALL_MESSAGE_LIMIT). */
export const smallMessageBytesMax = 10_000
/** PG_MAX_AUTH_TOKEN_LENGTH. */
export const passwordMessageBytesMax = 65_535

/** A frame of either side. `bytesMax` bounds the whole frame. */
export function frameBytes(bytes: Buffer, at: number, to: number, bytesMax: number): number {
  if (to - at < frameHeaderBytes) return 0
  const length = int32At(bytes, at + 1)
  if (length < 4) return tooShort
  return length >= bytesMax ? tooLong : length + 1
}

/** By type byte: 0 no message of a client, 1 short ones, 2 those that may be as large as they want, 3 passwords. */
const clientSizes = new Uint8Array(256)
for (const type of 'CDEHSXcf') clientSizes[type.charCodeAt(0)] = 1
for (const type of 'QFPBd') clientSizes[type.charCodeAt(0)] = 2
clientSizes['p'.charCodeAt(0)] = 3

/** A frame of a client: its type must be one of a client's, and its size is bounded by type, as PostgreSQL's own. */
export function frontendFrameBytes(bytes: Buffer, at: number, to: number, bytesMax: number): number {
  if (at >= to) return 0
  const size = clientSizes[bytes[at] as number]
  if (size === 0) return unknownType
  if (size === 2) return frameBytes(bytes, at, to, bytesMax)
  const most = size === 1 ? smallMessageBytesMax : passwordMessageBytesMax
  return frameBytes(bytes, at, to, Math.min(bytesMax, most + 1))
}

const problems: readonly Problem[] = [
  violation('The length of a message is below 4, which it counts itself.'),
  violation('A message is larger than is allowed; pool.messageBytesMax bounds those of clients.'),
  violation('A message has a type that no client sends.'),
]

/** What a negative answer means. */
export function frameProblem(answer: number): Problem {
  return problems[-answer - 1] as Problem
}

/** Signed, as the protocol's integers are. */
export function int32At(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

/** Unsigned: counts are checked against the bytes that are there, and lists may have up to 65,535 elements. */
export function uint16At(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

/** Where the NUL of a string is that begins at `at`; -1: not before `to`. */
export function stringEnd(bytes: Buffer, at: number, to: number): number {
  // Names are short and mostly empty: a loop beats indexOf, whose call costs more; long texts are left to it.
  const near = Math.min(to, at + 32)
  for (let end = at; end < near; end++) if (bytes[end] === 0) return end
  if (near === to) return -1
  const end = bytes.indexOf(0, near)
  return end < to ? end : -1
}
