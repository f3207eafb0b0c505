// RowDescription and DataRow of several shards as one answer: are they alike, columns cut off their ends, values found in
// place. Frames are whole messages.

import {
  backend,
  type Column,
  int32At,
  readDataRow,
  readRowDescription,
  stringEnd,
  uint16At,
} from '../../../wire/postgres/index.ts'
import { drift } from './refusals.ts'

const headerBytes = 5
/** Object ids below are the same on every server. */
const builtinTypesEnd = 16_384

export function columnsOf(fields: Buffer): readonly Column[] {
  const columns = readRowDescription(fields, headerBytes, fields.length)
  if (columns === null) throw drift('A shard described its rows in a way that can not be read.')
  return columns
}

/** Throws where two shards answer with different columns: their tables are not the same. */
export function sameColumns(one: readonly Column[], other: readonly Column[]): void {
  const differs =
    one.length !== other.length ||
    one.some((column, index) => {
      const { name, typeId } = other[index] as Column
      const builtin = column.typeId < builtinTypesEnd || typeId < builtinTypesEnd
      return column.name !== name || (builtin && column.typeId !== typeId)
    })
  if (differs) throw drift('Shards answer the same statement with different columns.')
}

/** Without its last `hidden` columns; with `rootless`, not said to belong to a table. */
export function cutFields(fields: Buffer, hidden: number, rootless = false): Buffer {
  const count = uint16At(fields, headerBytes) - hidden
  const parts: Buffer[] = []
  let at = headerBytes + 2
  const cut = Buffer.from(fields)
  for (let index = 0; index < count; index++) {
    const end = stringEnd(fields, at, fields.length)
    if (rootless) cut.fill(0, end + 1, end + 7)
    at = end + 1 + 18
  }
  parts.push(cut.subarray(0, at))
  const frame = Buffer.concat(parts)
  frame.writeInt32BE(at - 1, 1)
  frame.writeUInt16BE(count, headerBytes)
  return frame
}

/** Where value `column` of a row begins: behind its length word. */
export function valueAt(bytes: Buffer, from: number, column: number): number {
  let at = from + headerBytes + 2
  for (let index = 0; index < column; index++) at += 4 + Math.max(0, int32At(bytes, at))
  return at + 4
}

/** A copy of a row with only its columns from `first` up to `end`. */
export function cutRow(bytes: Buffer, from: number, first: number, end: number): Buffer {
  const start = valueAt(bytes, from, first) - 4
  const stop = valueAt(bytes, start - headerBytes - 2, end - first) - 4
  const size = headerBytes + 2 + stop - start
  const frame = Buffer.allocUnsafe(size)
  frame[0] = backend.dataRow
  frame.writeInt32BE(size - 1, 1)
  frame.writeUInt16BE(end - first, headerBytes)
  bytes.copy(frame, headerBytes + 2, start, stop)
  return frame
}

/** Values as views into the message. */
export function valuesOf(bytes: Buffer, from: number, to: number): readonly (Buffer | null)[] {
  const values = readDataRow(bytes, from + headerBytes, to)
  if (values === null) throw drift('A shard sent a row that can not be read.')
  return values
}
