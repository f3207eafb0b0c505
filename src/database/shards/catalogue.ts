// What a shard's PostgreSQL says of its tables and functions, for the planner. Read over a connection of its own with an empty
// search path, as names of definitions come out whole only then; at the start and after DDL. All shards have the same tables:
// one of them is asked. Reads only.

import { Client } from 'pg'
import { halvesTrigger } from '../../policy/split-columns/names.ts'
import { configOf, type LinkTarget } from '../reads/link.ts'
import type { CatalogueColumn, CatalogueTable, ShardedCatalogue } from '../sql/shards/contract.ts'
import { uniqueTriggerPrefix } from './schema/unique.ts'

const statementTimeoutMs = 30_000
/** Beyond them nothing is planned: refused as a whole. */
const relationsMax = 20_000
const columnsMax = 500_000
/** A view with a longer definition is not taken apart. */
const definitionCharactersMax = 65_536

const ours =
  "nspname !~ '^pg_(temp|toast)' AND nspname NOT IN ('pg_catalog', 'information_schema', 'tenfold', 'tenfold_sequences', 'tenfold_unique')"

/** The view of a table that was split by columns: on each shard it does what the table did, with its own rows. */
const isHalved = `relkind = 'v' AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = '${halvesTrigger}')`

const relationsSql = `
SELECT c.oid, nspname, relname, CASE WHEN ${isHalved} THEN 'r' ELSE relkind END,
  CASE WHEN relkind = 'v' AND NOT (${isHalved}) AND length(pg_get_viewdef(c.oid)) <= ${definitionCharactersMax} THEN pg_get_viewdef(c.oid) END,
  EXISTS (SELECT FROM pg_constraint WHERE confrelid = c.oid AND contype = 'f'
    AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))),
  EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND NOT starts_with(tgname, '${uniqueTriggerPrefix}'))
    OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND ${ours}
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') LIMIT ${relationsMax + 1}`

/** A default is volatile if a function in it is; pg_depend names those that are not PostgreSQL's own, their text the others.
 * That of a domain counts as one. */
const columnsSql = `
SELECT attrelid, attname, format_type(atttypid, atttypmod),
  CASE WHEN attcollation = 0 THEN '' WHEN collname = 'default' THEN 'default'
    WHEN cn.nspname = 'pg_catalog' THEN collname ELSE cn.nspname || '.' || collname END,
  attnotnull, attidentity, attgenerated, coalesce(pg_get_expr(adbin, adrelid), typdefault),
  (adbin IS NULL AND typdefault IS NOT NULL) OR EXISTS (SELECT FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid AND provolatile = 'v'
    WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_proc'::regclass)
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid AND relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace n ON n.oid = relnamespace AND ${ours}
JOIN pg_type y ON y.oid = atttypid
LEFT JOIN pg_attrdef f ON adrelid = attrelid AND adnum = attnum
LEFT JOIN pg_collation l ON l.oid = attcollation LEFT JOIN pg_namespace cn ON cn.oid = collnamespace
WHERE attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum LIMIT ${columnsMax + 1}`

/** Whole indexes of plain columns, valid ones. */
const uniqueSql = `
SELECT indrelid, string_agg(attname, chr(1) ORDER BY place), indisprimary AND (relkind = 'p' OR NOT relhassubclass)
FROM pg_index i JOIN pg_class c ON c.oid = indrelid JOIN pg_namespace n ON n.oid = relnamespace AND ${ours}
CROSS JOIN LATERAL unnest(indkey::int2[]) WITH ORDINALITY AS keys (number, place)
JOIN pg_attribute ON attrelid = indrelid AND attnum = number
WHERE indisunique AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL AND place <= indnkeyatts
GROUP BY indexrelid, indrelid, indisprimary, relkind, relhassubclass ORDER BY indisprimary DESC, indexrelid`

const functionsSql = `
WITH names AS (
  SELECT nspname, proname, bool_or(provolatile = 'v' OR EXISTS (
    SELECT FROM pg_aggregate a JOIN pg_proc s ON s.oid = ANY (ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
      a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[])
    WHERE p.prokind = 'a' AND a.aggfnoid = p.oid AND s.provolatile = 'v')) AS volatile
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace AND nspname !~ '^pg_(temp|toast)' GROUP BY 1, 2)
SELECT nspname, string_agg(proname, chr(1)) FILTER (WHERE NOT volatile),
  string_agg(proname, chr(1)) FILTER (WHERE volatile) FROM names GROUP BY 1`

/** Of pg_catalog, by names; pg_depend does not hold them. */
const builtinVolatileSql = `
SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'`

type Row = readonly (string | null)[]

/** As the operator or the monitor, on a primary or a replica that has what the DDL did. Rejects with why it can't be read. */
export async function readShardCatalogue(target: LinkTarget): Promise<ShardedCatalogue> {
  const client = new Client({ ...(await configOf(target)), statement_timeout: statementTimeoutMs })
  // Told to whoever asks next.
  client.on('error', () => {})
  await client.connect()
  const query = async (text: string): Promise<readonly Row[]> =>
    (await client.query<(string | null)[]>({ text, rowMode: 'array' })).rows
  try {
    await query("SELECT set_config('search_path', '', false)")
    // What is read in several questions is of one moment.
    await query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const relations = await query(relationsSql)
    if (relations.length > relationsMax) throw new Error(`more than ${relationsMax} tables`)
    const volatile = new Set((await query(builtinVolatileSql)).map(([name]) => name as string))
    const columns = columnsOf(await query(columnsSql), volatile)
    const keys = await query(uniqueSql)
    const unique = uniqueOf(keys)
    const primary = new Set(keys.flatMap(([oid, , isPrimary]) => (isTrue(isPrimary) ? [oid as string] : [])))
    const calm = calmOf(await query(functionsSql))
    await query('COMMIT')
    return { tables: tablesOf(relations, columns, unique, primary), calm }
  } finally {
    client.end().catch(() => undefined)
    client.connection.stream.destroy()
  }
}

function tablesOf(
  relations: readonly Row[],
  columns: ReadonlyMap<string, readonly CatalogueColumn[]>,
  unique: ReadonlyMap<string, readonly (readonly string[])[]>,
  primary: ReadonlySet<string>,
): Map<string, CatalogueTable> {
  const tables = new Map<string, CatalogueTable>()
  for (const [oid, schema, name, kind, definition, cascades, triggers] of relations) {
    tables.set(`${schema}.${name}`, {
      kind: kind === 'r' || kind === 'p' ? 'table' : kind === 'v' && definition ? 'view' : 'other',
      columns: columns.get(oid as string) ?? [],
      ...(definition ? { definition } : {}),
      unique: unique.get(oid as string) ?? [],
      ...(primary.has(oid as string) ? { primary: true as const } : {}),
      cascades: isTrue(cascades),
      triggers: isTrue(triggers),
    })
  }
  return tables
}

const isTrue = (text: string | null | undefined): boolean => text === 't' || text === 'true'

function columnsOf(
  rows: readonly Row[],
  volatileNames: ReadonlySet<string>,
): Map<string, readonly CatalogueColumn[]> {
  if (rows.length > columnsMax) throw new Error(`more than ${columnsMax} columns`)
  const found = new Map<string, CatalogueColumn[]>()
  for (const [oid, name, type, collation, notNull, identity, generated, expression, calls] of rows) {
    const column: CatalogueColumn = {
      name: name as string,
      type: type as string,
      collation: collation ?? '',
      notNull: isTrue(notNull),
      volatileDefault: identity !== '' || isTrue(calls) || callsOneOf(expression ?? '', volatileNames),
      generated: generated !== '',
      hasDefault: identity !== '' || expression !== null,
    }
    const known = found.get(oid as string)
    if (known === undefined) found.set(oid as string, [column])
    else known.push(column)
  }
  return found
}

/** Also where the name is in a text: that only costs a better plan. */
function callsOneOf(expression: string, names: ReadonlySet<string>): boolean {
  for (const [, name] of expression.matchAll(/([a-z_][a-z_0-9]*)"?\s*\(/g))
    if (names.has(name as string)) return true
  return false
}

/** The primary key first. */
function uniqueOf(rows: readonly Row[]): Map<string, string[][]> {
  const found = new Map<string, string[][]>()
  for (const [oid, names] of rows) {
    const list = found.get(oid as string) ?? []
    list.push((names ?? '').split('\x01'))
    found.set(oid as string, list)
  }
  return found
}

const split = (names: string | null | undefined): readonly string[] => (names ? names.split('\x01') : [])

/** A name without a schema is calm if it is in all schemas that have it. */
function calmOf(rows: readonly Row[]): Set<string> {
  const calm = new Set<string>()
  for (const [schema, still] of rows) for (const name of split(still)) calm.add(`${schema}.${name}`).add(name)
  for (const [, , volatile] of rows) for (const name of split(volatile)) calm.delete(name)
  return calm
}
