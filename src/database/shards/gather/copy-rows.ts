// Rows that we have as lines of COPY's text format, put into a table of one shard.

import type { ShardSeat } from '../contract.ts'
import { isCopy } from './combine.ts'
import { CopyOutlet } from './copy-form.ts'
import { tagOf } from './fan.ts'
import { quotedList, quotedTable } from './names.ts'
import { countOf } from './tags.ts'

/** How many the server took; its error is thrown. */
export async function copyRows(
  seat: ShardSeat,
  table: string,
  columns: readonly string[],
  lines: readonly Buffer[],
): Promise<number> {
  const copy = await seat.copyIn(`COPY ${quotedTable(table)} (${quotedList(columns)}) FROM STDIN`)
  if (!isCopy(copy)) return countOf(tagOf(copy))
  const outlet = new CopyOutlet(copy)
  for (const line of lines) if (!outlet.add(line, 0, line.length)) await outlet.drained()
  outlet.flush()
  return countOf(tagOf(await copy.done()))
}
