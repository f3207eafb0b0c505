// Tables that were split by columns: the map has their names and those of both halves, and only the halves have rows.

import { halvesTrigger } from '../../policy/split-columns/names.ts'
import type { AskOne } from './drift.ts'

const askMs = 30_000

/** `schema.name` of the views that stand where a table was. */
export async function halvedViews(ask: AskOne, shard: string): Promise<ReadonlySet<string>> {
  const rows = await ask(
    shard,
    `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = '${halvesTrigger}' WHERE c.relkind = 'v'`,
    askMs,
  )
  return new Set(rows.flatMap(([name]) => name ?? []))
}
