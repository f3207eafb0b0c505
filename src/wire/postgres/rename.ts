// Parse, Bind, Describe and Close with another statement name: one new frame, one copy of the rest. A statement that
// clients prepared by names of their own has one name for all on a server connection.

import { frameHeaderBytes } from './frame.ts'
import type { BindView, ParseView } from './frontend.ts'

/** A frame bytes[start..end) in which the text at [nameFrom..nameTo) is `name` (its bytes, without NUL). */
export function renamed(
  bytes: Buffer,
  start: number,
  end: number,
  nameFrom: number,
  nameTo: number,
  name: Buffer,
): Buffer {
  const size = end - start + name.length - (nameTo - nameFrom)
  const frame = Buffer.allocUnsafe(size)
  bytes.copy(frame, 0, start, nameFrom)
  name.copy(frame, nameFrom - start)
  bytes.copy(frame, nameFrom - start + name.length, nameTo, end)
  frame.writeInt32BE(size - 1, 1)
  return frame
}

/** A whole Parse frame from `start`; `view` is of its payload. */
export function renamedParse(
  bytes: Buffer,
  start: number,
  end: number,
  view: ParseView,
  name: Buffer,
): Buffer {
  return renamed(bytes, start, end, view.nameFrom, view.nameTo, name)
}

export function renamedBind(bytes: Buffer, start: number, end: number, view: BindView, name: Buffer): Buffer {
  return renamed(bytes, start, end, view.statementFrom, view.statementTo, name)
}

/** What follows the statement's name in a Parse frame: kept once, it makes the same Parse under any name. */
export function parseTail(bytes: Buffer, end: number, view: ParseView): Buffer {
  return Buffer.from(bytes.subarray(view.nameTo, end))
}

/** A Parse frame of a tail that `parseTail` kept. */
export function parseOfTail(name: Buffer, tail: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + name.length + tail.length)
  frame[0] = 0x50
  frame.writeInt32BE(frame.length - 1, 1)
  name.copy(frame, frameHeaderBytes)
  tail.copy(frame, frameHeaderBytes + name.length)
  return frame
}
