// Deletes rows that a shard holds no more, or that a cancelled copy left: page by page of the table, with pauses, as replication
// writes, so that no trigger fires and no feed hears of it. Begun again it goes through the table once more, and finds less.

import { setTimeout as sleep } from 'node:timers/promises'
import type { MovedTable, ShardEnd } from './contract.ts'
import { cut, openWriter, tableName } from './places.ts'

const blocksAtOnce = 256
const pauseMs = 2
/** Whole tables at once: nobody reads them there. */
const everything = 'true'

export interface LeftoversOptions {
  readonly end: ShardEnd
  readonly tables: readonly MovedTable[]
  /** Of the replication, by which the deletes are known for our own. */
  readonly origin: string
  readonly signal: AbortSignal
  readonly progress: (table: string, rows: number) => void
}

/** @returns rows that were deleted */
export async function deleteLeftovers({
  end,
  tables,
  origin,
  signal,
  progress,
}: LeftoversOptions): Promise<number> {
  const writer = await openWriter(end, origin, origin)
  const stop = (): void => cut(writer)
  signal.addEventListener('abort', stop)
  let total = 0
  try {
    for (const table of tables) {
      const name = tableName(table)
      let rows = 0
      const { rows: found } = await writer.query(
        `SELECT coalesce(pg_relation_size(to_regclass('${name.replaceAll("'", "''")}')) / current_setting('block_size')::int, -1) AS blocks`,
      )
      // -1: there is no such table (yet).
      const blocks = Number((found[0] as { blocks: string }).blocks)
      const where = table.where === everything ? '' : ` AND ${table.where}`
      for (let at = 0; at <= blocks; at += blocksAtOnce) {
        signal.throwIfAborted()
        const { rowCount } = await writer.query(
          `DELETE FROM ONLY ${name} WHERE ctid >= '(${at},0)'::tid AND ctid < '(${at + blocksAtOnce},0)'::tid${where}`,
        )
        rows += rowCount ?? 0
        progress(`${table.schema}.${table.name}`, rows)
        if (at + blocksAtOnce <= blocks) await sleep(pauseMs)
      }
      total += rows
    }
    return total
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}
