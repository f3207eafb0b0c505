// Which tables would be better cut into partitions: large ones that are read or emptied by spans of one time column.

import type { PartitionAdvice, StatementUse, TableFacts } from './contract.ts'

/** Smaller tables fit where they are. */
const bytesMin = 10 * 2 ** 30
/** A partition of so many bytes is handy to read, to vacuum and to drop. */
const partBytes = 2 * 2 ** 30
/** Of all calls on the table. */
const spanShareMin = 0.05

/** @param bytesMinimum of a table */
export function partitionAdvice(
  statements: readonly StatementUse[],
  tables: readonly TableFacts[],
  bytesMinimum: number = bytesMin,
): readonly PartitionAdvice[] {
  return tables.flatMap(table => {
    if (table.partitioned === true || table.bytes < bytesMinimum) return []
    const found = table.columns.flatMap(({ name, spanDays }) => {
      if (spanDays === undefined || spanDays === null) return []
      let calls = 0
      let reads = 0
      let deletes = 0
      for (const { calls: count, uses } of statements)
        for (const use of uses) {
          if (use.table !== table.table) continue
          calls += count
          if (!use.range.includes(name)) continue
          if (use.deletes === true) deletes += count
          else reads += count
        }
      if (deletes === 0 && reads < spanShareMin * calls) return []
      if (reads + deletes === 0) return []
      return [{ name, spanDays, reads, deletes }]
    })
    const [best] = found.sort((one, other) => other.deletes - one.deletes || other.reads - one.reads)
    if (best === undefined) return []
    const { name: column, spanDays, reads, deletes } = best
    const every = everyOf((spanDays * partBytes) / table.bytes)
    return [{ table: table.table, column, every, rows: table.rows, bytes: table.bytes, reads, deletes }]
  })
}

/** @param days that a partition would have by its size */
function everyOf(days: number): PartitionAdvice['every'] {
  if (days < 4) return 'day'
  if (days < 16) return 'week'
  return days < 190 ? 'month' : 'year'
}
