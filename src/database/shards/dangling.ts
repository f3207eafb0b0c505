// References over shards that point nowhere. No server can keep a foreign key to rows of another shard; one that is declared
// NOT ENFORCED is looked after here: page by page, each shard's references are looked for on all shards. Reports only.
// A reference counts when it is found missing twice, as rows come, go and move meanwhile.

import type { AskOne } from './drift.ts'

export interface DanglingReference {
  /** `public.orders`. */
  readonly table: string
  readonly constraint: string
  /** Where the row is that refers. */
  readonly shard: string
  readonly columns: readonly string[]
  /** PostgreSQL's text forms. */
  readonly key: readonly string[]
  /** The table that has no such row. */
  readonly target: string
}

export interface DanglingReport {
  readonly references: readonly DanglingReference[]
  /** There are more. */
  readonly cut: boolean
  /** Different keys that were looked for. */
  readonly looked: number
}

export interface DanglingOptions {
  readonly ask: AskOne
  readonly shards: readonly string[]
  /** Between two pages, so that clients come first; rejects to end the search. */
  readonly pause: () => Promise<void>
  readonly keysAtOnce?: number
}

interface Reference {
  readonly constraint: string
  readonly table: string
  readonly target: string
  /** Quoted where they have to be. */
  readonly columns: readonly string[]
  readonly targetColumns: readonly string[]
  readonly types: readonly string[]
}

const timeoutMs = 60_000
const referencesMax = 1_000
const keysAtOnceDefault = 500
const constraintsMax = 10_000

const constraintsSql = `
SELECT conname, format('%I.%I', n.nspname, c.relname), format('%I.%I', m.nspname, d.relname),
  (SELECT string_agg(quote_ident(attname), chr(1) ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS keys (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = number),
  (SELECT string_agg(quote_ident(attname), chr(1) ORDER BY place) FROM unnest(confkey) WITH ORDINALITY AS keys (number, place)
    JOIN pg_attribute ON attrelid = confrelid AND attnum = number),
  (SELECT string_agg(format_type(atttypid, atttypmod), chr(1) ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS keys (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = number)
FROM pg_constraint JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class d ON d.oid = confrelid JOIN pg_namespace m ON m.oid = d.relnamespace
WHERE contype = 'f' AND NOT conenforced AND conparentid = 0 ORDER BY 2, 1 LIMIT ${constraintsMax}`

export async function danglingReferences(options: DanglingOptions): Promise<DanglingReport> {
  const { ask, shards } = options
  const [first] = shards
  if (first === undefined) return { references: [], cut: false, looked: 0 }
  const references: DanglingReference[] = []
  let looked = 0
  for (const row of await ask(first, constraintsSql, timeoutMs)) {
    const reference = referenceOf(row)
    for (const shard of shards) {
      for await (const page of pagesOf(options, reference, shard)) {
        looked += page.length
        for (const key of await missing(options, reference, shard, page)) {
          const { constraint, table, columns, target } = reference
          if (references.length === referencesMax) return { references, cut: true, looked }
          references.push({ table, constraint, shard, columns, key, target })
        }
      }
    }
  }
  return { references, cut: false, looked }
}

const split = (text: string | null | undefined): readonly string[] => (text ?? '').split('\x01')

function referenceOf([constraint, table, target, columns, targetColumns, types]: readonly (
  | string
  | null
)[]): Reference {
  return {
    constraint: constraint as string,
    table: table as string,
    target: target as string,
    columns: split(columns),
    targetColumns: split(targetColumns),
    types: split(types),
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

type Key = readonly string[]

const typed = (key: Key, { types }: Reference): string =>
  key.map((value, at) => `${quoted(value)}::${types[at]}`).join(', ')

/** Different keys in their order; a key with a NULL in it refers to nothing. */
async function* pagesOf(
  { ask, pause, keysAtOnce = keysAtOnceDefault }: DanglingOptions,
  reference: Reference,
  shard: string,
): AsyncGenerator<readonly Key[]> {
  const columns = reference.columns.join(', ')
  const texts = reference.columns.map(column => `${column}::text`).join(', ')
  // Not the texts, which have the same names.
  const ordered = reference.columns.map(column => `page.${column}`).join(', ')
  const known = reference.columns.map(column => `${column} IS NOT NULL`).join(' AND ')
  for (let last: Key | null = null; ; ) {
    const after: string = last === null ? '' : `AND (${columns}) > (${typed(last, reference)})`
    const rows = await ask(
      shard,
      `SELECT ${texts} FROM (SELECT DISTINCT ${columns} FROM ${reference.table} WHERE ${known} ${after}
        ORDER BY ${columns} LIMIT ${keysAtOnce}) AS page ORDER BY ${ordered}`,
      timeoutMs,
    )
    if (rows.length > 0) yield rows as readonly Key[]
    if (rows.length < keysAtOnce) return
    last = rows.at(-1) as Key
    await pause()
  }
}

async function missing(
  options: DanglingOptions,
  reference: Reference,
  shard: string,
  keys: readonly Key[],
): Promise<readonly Key[]> {
  const once = await nowhere(options, reference, keys)
  if (once.length === 0) return []
  const still = await among(options.ask, shard, reference.table, reference.columns, reference, once)
  return nowhere(options, reference, still)
}

/** Those that no shard has. */
async function nowhere(
  { ask, shards }: DanglingOptions,
  reference: Reference,
  keys: readonly Key[],
): Promise<readonly Key[]> {
  const { target, targetColumns } = reference
  const there = await Promise.all(
    shards.map(shard => among(ask, shard, target, targetColumns, reference, keys)),
  )
  const known = new Set(there.flat())
  return keys.filter(key => !known.has(key))
}

/** Those of the keys that a table has on one shard. */
async function among(
  ask: AskOne,
  shard: string,
  table: string,
  columns: readonly string[],
  reference: Reference,
  keys: readonly Key[],
): Promise<readonly Key[]> {
  if (keys.length === 0) return []
  const values = keys.map((key, at) => `(${at}, ${typed(key, reference)})`).join(', ')
  const names = columns.map((_, at) => `key_${at}`)
  const equal = columns.map((column, at) => `one.${column} = key_${at}`).join(' AND ')
  const rows = await ask(
    shard,
    `SELECT at FROM (VALUES ${values}) AS keys (at, ${names.join(', ')}) WHERE EXISTS (SELECT FROM ${table} AS one WHERE ${equal})`,
    timeoutMs,
  )
  return rows.map(([at]) => keys[Number(at)] as Key)
}
