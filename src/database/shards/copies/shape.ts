// What a copy is on the servers: its table, made from what the source is; who may read the source may read it.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { copiesSchema, copyDefinition, type ShardCopy } from '../../../policy/shard/copies.ts'
import type { AskOne } from '../drift.ts'
import { literal } from '../reshard/changes.ts'
import { quotedName } from '../reshard/places.ts'

const askMs = 30_000

export interface CopyShape {
  readonly copy: ShardCopy
  /** Of the source's columns: what the copy has, in its order; of totals: its key. */
  readonly columns: readonly string[]
  /** Of the source; the copy's own, where it has rows. */
  readonly primary: readonly string[]
}

/** It can't be made, or kept: somebody has to change something. */
export class CopyRefused extends Error {}

/** Throws CopyRefused where the source does not have what the copy needs. Null: the source is not there yet. */
export async function shapeOf(ask: AskOne, shard: string, copy: ShardCopy): Promise<CopyShape | null> {
  const rows = await ask(
    shard,
    `SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary
        AND a.attnum = ANY (i.indkey)), c.relkind, EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent)), c.relpersistence, c.relrowsecurity
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE n.nspname || '.' || c.relname = ${literal(copy.of)} AND c.relkind IN ('r', 'p', 'v', 'f') ORDER BY a.attnum`,
    askMs,
  )
  const [first] = rows
  if (first === undefined) return null
  if (first[4] !== 'r' || first[5] === 't' || first[6] !== 'p')
    throw new CopyRefused(
      `${copy.of} is no plain table: partitions, views and unlogged tables can not be copied`,
    )
  if (first[7] === 't')
    throw new CopyRefused(`${copy.of} has row level security, and a copy would show all of its rows`)
  const types = new Map(rows.map(([name, type]) => [name as string, type as string]))
  const virtual = new Set(rows.filter(one => one[2] === 'v').map(([name]) => name as string))
  const primary = rows.filter(one => one[3] === 't').map(([name]) => name as string)
  if (primary.length === 0) throw new CopyRefused(`${copy.of} has no primary key`)
  const sums = Object.keys(copy.totals?.sums ?? {})
  const needed = [...copy.by, ...copy.key, ...(copy.columns ?? []), ...sums]
  if (types.has(shardColumn))
    throw new CopyRefused(`${copy.of} has a column '${shardColumn}', which copies have`)
  const missing = needed.find(name => !types.has(name) || virtual.has(name))
  if (missing !== undefined) throw new CopyRefused(`${copy.of} has no stored column '${missing}'`)
  const inexact = sums.find(name => !/^(smallint|integer|bigint|numeric)/.test(types.get(name) ?? ''))
  if (inexact !== undefined)
    throw new CopyRefused(
      `'${inexact}' of ${copy.of} is ${types.get(inexact)}: only integers and numeric have exact sums`,
    )
  if (copy.totals !== null) return { copy, columns: copy.by, primary }
  const wanted = new Set(
    copy.columns === null ? types.keys() : [...primary, ...copy.by, ...copy.key, ...copy.columns],
  )
  return { copy, columns: [...types.keys()].filter(name => wanted.has(name) && !virtual.has(name)), primary }
}

export function copyTable({ name }: ShardCopy): string {
  return `${copiesSchema}.${quotedName(name)}`
}

export function sourceTable({ of }: ShardCopy): string {
  return of.split('.').map(quotedName).join('.')
}

/** Rows of two shards may have one primary key for a moment, while a row goes from one to the other. */
export const shardColumn = 'tenfold_shard'

/** Columns of a query over the source on one shard that gives what the copy has. */
export function selected({ copy, columns }: CopyShape, shard: string): string {
  const keys = columns.map(quotedName).join(', ')
  if (copy.totals === null) return `${keys}, ${literal(shard)}::text AS ${shardColumn}`
  const sums = Object.entries(copy.totals.sums).map(
    ([column, name]) =>
      `coalesce(sum(${quotedName(column)}) FILTER (WHERE ${quotedName(column)} NOT IN ('NaN'::numeric, 'Infinity', '-Infinity')), 0) AS ${quotedName(name)}`,
  )
  return [keys, `count(*) AS ${quotedName(copy.totals.count)}`, ...sums].join(', ')
}

/** Names of the copy's columns, in the order of `selected`. */
export function names({ copy, columns }: CopyShape): readonly string[] {
  return copy.totals === null
    ? [...columns, shardColumn]
    : [...columns, copy.totals.count, ...Object.values(copy.totals.sums)]
}

/** The same twice makes it anew, empty. */
export async function makeCopy(ask: AskOne, shard: string, map: ShardMap, shape: CopyShape): Promise<void> {
  const { copy, columns, primary } = shape
  const table = copyTable(copy)
  const grouped = copy.totals === null ? '' : ` GROUP BY ${columns.map(quotedName).join(', ')}`
  const key = copy.totals === null ? primary : copy.by
  const index =
    copy.totals === null ? `CREATE INDEX ON ${table} (${copy.by.map(quotedName).join(', ')});` : ''
  await ask(
    shard,
    `BEGIN; SET LOCAL lock_timeout = '2s';
     DROP TABLE IF EXISTS ${table};
     CREATE TABLE ${table} AS SELECT ${selected(shape, shard)} FROM ONLY ${sourceTable(copy)}${grouped} WITH NO DATA;
     ALTER TABLE ${table} ADD PRIMARY KEY (${[...key.map(quotedName), ...(copy.totals === null ? [shardColumn] : [])].join(', ')});
     ${index}
     DO $tenfold$ DECLARE one record; BEGIN
       FOR one IN SELECT DISTINCT grantee FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
         WHERE oid = ${literal(sourceTable(copy))}::regclass AND privilege_type = 'SELECT' LOOP
         EXECUTE format('GRANT SELECT ON ${table.replaceAll('%', '%%')} TO %s', CASE one.grantee WHEN 0 THEN 'PUBLIC' ELSE one.grantee::regrole::text END);
       END LOOP;
     END $tenfold$;
     INSERT INTO tenfold.copies (name, definition) VALUES (${literal(copy.name)}, ${literal(copyDefinition(map, copy))})
       ON CONFLICT (name) DO UPDATE SET definition = excluded.definition;
     COMMIT`,
    askMs,
  )
}

export async function dropCopy(ask: AskOne, shard: string, name: string): Promise<void> {
  await ask(
    shard,
    `BEGIN; SET LOCAL lock_timeout = '2s'; DROP TABLE IF EXISTS ${copiesSchema}.${quotedName(name)}; DELETE FROM tenfold.copies WHERE name = ${literal(name)}; COMMIT`,
    askMs,
  )
}
