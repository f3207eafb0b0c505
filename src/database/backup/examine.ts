// Looks at a restored database as closely as it can be looked at: reads every row of every table (so every page's checksum),
// and has amcheck go through tables and indexes. Says what it found; decides nothing.

import type pg from 'pg'

export interface Examination {
  readonly tables: number
  readonly rows: number
  readonly indexes: number
  /** Sentences; empty: all is well. At most `problemsMax`. */
  readonly problems: readonly string[]
}

const problemsMax = 20

const tablesSql = `
SELECT oid::regclass::text AS name, relkind <> 'p' AND relpersistence = 'p' AS heap FROM pg_class
WHERE relkind IN ('r', 'm') AND relpersistence = 'p' AND relnamespace <> 'pg_toast'::regnamespace ORDER BY oid`

const indexesSql = `
SELECT pg_class.oid::regclass::text AS name, indisunique AS unique FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE amname = 'btree' AND indisvalid AND relpersistence = 'p' AND relkind = 'i' ORDER BY pg_class.oid`

/** Named in full: a function of the same name that a service has made would be called as a superuser. */
const amcheckSql = `SELECT extnamespace::regnamespace::text AS place FROM pg_extension WHERE extname = 'amcheck'`

export async function examine(client: pg.Client, progress: (sentence: string) => void): Promise<Examination> {
  const problems: string[] = []
  const attempt = async (what: string, text: string, values: unknown[] = []): Promise<unknown[][]> => {
    progress(`looking at ${what}`)
    try {
      const query: pg.QueryArrayConfig = { text, values, rowMode: 'array' }
      return (await client.query<unknown[]>(query)).rows
    } catch (error) {
      if (problems.length < problemsMax) problems.push(`${what}: ${(error as Error).message}`)
      return []
    }
  }
  await client.query('CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA pg_catalog')
  const amcheck = (await client.query<{ place: string }>(amcheckSql)).rows[0]?.place ?? 'pg_catalog'
  const tables = (await client.query<{ name: string }>(tablesSql)).rows
  let rows = 0
  for (const { name } of tables) {
    const counted = await attempt(`table ${name}`, `SELECT count(*) FROM ${name}`)
    rows += Number(counted[0]?.[0] ?? 0)
    const broken = await attempt(
      `table ${name}`,
      `SELECT blkno, msg FROM ${amcheck}.verify_heapam($1::text::regclass) LIMIT 3`,
      [name],
    )
    for (const [block, message] of broken)
      if (problems.length < problemsMax) problems.push(`table ${name}, block ${block}: ${message}`)
  }
  const indexes = (await client.query<{ name: string }>(indexesSql)).rows
  for (const { name } of indexes)
    await attempt(`index ${name}`, `SELECT ${amcheck}.bt_index_check($1::text::regclass, true)`, [name])
  return { tables: tables.length, rows, indexes: indexes.length, problems }
}
