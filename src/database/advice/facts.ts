// What PostgreSQL knows of its tables, for advice: sizes, columns, indexes, how often each was used. Asked of one server by the
// superuser; what several servers say of the same tables is added up. Reads only.

import type { ColumnFacts, IndexFacts, TableFacts } from '../../policy/advise/contract.ts'
import type { Row } from '../servers/session.ts'

export type Ask = (sql: string) => Promise<readonly Row[]>

/** Beyond them advice is given on the largest. */
const tablesMax = 1_000
const statementsMax = 300
/** Statistics say what is not used once they are so old. */
const countedDays = 7

const ours =
  "nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'tenfold', 'tenfold_sequences', 'tenfold_unique')"
const chosen = `WITH chosen AS (
  SELECT c.oid, nspname || '.' || relname AS name, relkind, CASE relkind WHEN 'p' THEN
      (SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_partition_tree(c.oid)) ELSE pg_total_relation_size(c.oid) END AS bytes,
    CASE relkind WHEN 'p' THEN (SELECT sum(greatest(p.reltuples, 0)) FROM pg_partition_tree(c.oid) JOIN pg_class p ON p.oid = relid) ELSE reltuples END AS rows
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND ${ours}
  WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence <> 't' AND relname !~ '[.]' AND nspname !~ '[.]'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY 4 DESC LIMIT ${tablesMax})`

const tablesSql = `${chosen}
SELECT name, greatest(rows, 0)::bigint, bytes::bigint, relkind = 'p',
  (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables s
    WHERE s.relid = chosen.oid OR s.relid IN (SELECT relid FROM pg_partition_tree(chosen.oid)))
FROM chosen ORDER BY name`

/** The histogram of a time column gives its span. */
const columnsSql = `${chosen}
SELECT name, a.attname,
  round(CASE WHEN n_distinct > 0 THEN n_distinct::numeric WHEN n_distinct < 0 THEN -n_distinct::numeric * greatest(rows, 1)::numeric ELSE 1 END)::bigint,
  typtype = 'e' OR atttypid = 'varchar'::regtype OR EXISTS (SELECT FROM pg_opclass JOIN pg_am m ON m.oid = opcmethod AND amname = 'btree'
    WHERE opcdefault AND opcintype IN (atttypid, typbasetype)),
  CASE WHEN atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) AND cardinality(histogram_bounds::text::text[]) > 1
    AND histogram_bounds::text !~ 'infinity' THEN
    round((extract(epoch FROM (histogram_bounds::text::text[])[cardinality(histogram_bounds::text::text[])]::timestamptz)
      - extract(epoch FROM (histogram_bounds::text::text[])[1]::timestamptz)) / 86400, 1) END
FROM chosen JOIN pg_attribute a ON attrelid = chosen.oid AND attnum > 0 AND NOT attisdropped
JOIN pg_type t ON t.oid = atttypid
LEFT JOIN pg_stats s ON s.schemaname || '.' || s.tablename = name AND s.attname = a.attname AND s.inherited = (relkind = 'p')
ORDER BY 1, attnum`

const indexesSql = `${chosen}
SELECT name, x.relname, CASE WHEN amname = 'btree' AND indexprs IS NULL AND indpred IS NULL THEN
    (SELECT string_agg(attname, chr(1) ORDER BY place) FROM unnest(indkey::int2[]) WITH ORDINALITY AS keys (number, place)
      JOIN pg_attribute ON attrelid = indrelid AND attnum = number WHERE place <= indnkeyatts) END,
  substring(pg_get_indexdef(indexrelid) FROM ' USING .*$'), indisunique,
  indisexclusion OR indisreplident OR indisclustered OR indisprimary OR chosen.relkind = 'p'
    OR EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = indexrelid AND d.deptype IN ('i', 'e')),
  indisvalid OR EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = indexrelid),
  coalesce(pg_stat_get_numscans(indexrelid), 0), pg_relation_size(indexrelid),
  indnatts = indnkeyatts AND 0 = ALL (indoption::int2[])
    AND NOT EXISTS (SELECT FROM unnest(indclass::oid[]) AS class JOIN pg_opclass o ON o.oid = class AND NOT opcdefault)
    AND NOT EXISTS (SELECT FROM unnest(indkey::int2[], indcollation::oid[]) AS keys (number, rules)
      JOIN pg_attribute ON attrelid = indrelid AND attnum = number AND attcollation <> rules)
FROM chosen JOIN pg_index i ON indrelid = chosen.oid JOIN pg_class x ON x.oid = indexrelid JOIN pg_am m ON m.oid = x.relam
ORDER BY 1, 2`

const ageSql = `SELECT extract(epoch FROM now() - greatest(stats_reset, pg_postmaster_start_time())) / 86400 > ${countedDays}
FROM pg_stat_database WHERE datname = current_database()`

/** Statements of services: neither Tenfold's nor other databases'. Utility statements look for nothing. */
const statementsSql = `SELECT s.query, s.calls, s.total_exec_time
FROM public.pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND r.rolname NOT LIKE 'tenfold%'
  AND s.query ~* '^\\s*(/\\*.*?\\*/\\s*)*(select|insert|update|delete|merge|with)\\M'
ORDER BY s.total_exec_time DESC LIMIT ${statementsMax}`

export interface ServerFacts {
  readonly tables: readonly TableFacts[]
  /** Old enough to say what is not used. */
  readonly counted: boolean
  readonly statements: readonly { readonly text: string; readonly calls: number; readonly totalMs: number }[]
}

const isTrue = (text: string | null | undefined): boolean => text === 't' || text === 'true'
const names = (text: string | null | undefined): readonly string[] => (text ? text.split('\x01') : [])

/** Rejects with 42P01 or 55000 where statements are not counted. */
export async function readFacts(ask: Ask): Promise<ServerFacts> {
  const columns = grouped(
    await ask(columnsSql),
    ([, name, distinct, ordered, days]): ColumnFacts => ({
      name: name as string,
      distinct: Math.max(1, Number(distinct ?? 1)),
      ordered: isTrue(ordered),
      spanDays: days == null ? null : Number(days),
    }),
  )
  const indexes = grouped(
    await ask(indexesSql),
    ([, name, keys, definition, unique, needed, valid, scans, bytes, plain]): IndexFacts => ({
      plain: isTrue(plain),
      name: name as string,
      columns: names(keys),
      definition: definition ?? '',
      unique: isTrue(unique),
      needed: isTrue(needed),
      valid: isTrue(valid),
      scans: Number(scans),
      bytes: Number(bytes),
    }),
  )
  const tables = (await ask(tablesSql)).map(
    ([table, rows, bytes, partitioned, writes]): TableFacts => ({
      table: table as string,
      rows: Number(rows),
      bytes: Number(bytes),
      writes: Number(writes),
      columns: columns.get(table as string) ?? [],
      indexes: indexes.get(table as string) ?? [],
      ...(isTrue(partitioned) ? { partitioned: true as const } : {}),
    }),
  )
  const [[aged] = []] = await ask(ageSql)
  const statements = (await ask(statementsSql)).map(([text, calls, totalMs]) => ({
    text: text ?? '',
    calls: Number(calls),
    totalMs: Number(totalMs),
  }))
  return { tables, counted: isTrue(aged), statements }
}

function grouped<T>(rows: readonly Row[], made: (row: Row) => T): Map<string, T[]> {
  const found = new Map<string, T[]>()
  for (const row of rows) {
    const list = found.get(row[0] as string)
    if (list === undefined) found.set(row[0] as string, [made(row)])
    else list.push(made(row))
  }
  return found
}

/** Of several servers: `copies` have the same rows (primary and replicas); the others have rows of their own (shards). */
export function sumFacts(groups: readonly (readonly ServerFacts[])[]): ServerFacts {
  const statements = new Map<string, { text: string; calls: number; totalMs: number }>()
  for (const one of groups.flat(2).flatMap(server => server.statements)) {
    const known = statements.get(one.text)
    if (known === undefined) statements.set(one.text, { ...one })
    else {
      known.calls += one.calls
      known.totalMs += one.totalMs
    }
  }
  const primaries = groups.flatMap(servers => servers[0] ?? [])
  const [model] = primaries
  const tables = (model?.tables ?? []).map(table => {
    const all = primaries.flatMap(server => server.tables.find(one => one.table === table.table) ?? [])
    const everywhere = groups
      .flat()
      .flatMap(server => server.tables.find(one => one.table === table.table) ?? [])
    const sum = (of: (one: TableFacts) => number): number => all.reduce((total, one) => total + of(one), 0)
    return {
      ...table,
      rows: sum(one => one.rows),
      bytes: sum(one => one.bytes),
      writes: sum(one => one.writes),
      columns: table.columns.map(column => {
        const those = all.flatMap(one => one.columns.find(({ name }) => name === column.name) ?? [])
        const spans = those.flatMap(({ spanDays }) => spanDays ?? [])
        return {
          ...column,
          distinct: Math.max(...those.map(({ distinct }) => distinct)),
          spanDays: spans.length === 0 ? null : Math.max(...spans),
        }
      }),
      // Used on one of them is used.
      indexes: table.indexes.map(index => {
        const those = everywhere.flatMap(one => one.indexes.find(({ name }) => name === index.name) ?? [])
        return {
          ...index,
          scans: those.reduce((total, one) => total + one.scans, 0),
          // Replicas do not know of one that is being built.
          valid: all.every(one => one.indexes.find(({ name }) => name === index.name)?.valid !== false),
        }
      }),
    }
  })
  return {
    tables,
    counted: groups.flat().every(({ counted }) => counted),
    statements: [...statements.values()].sort((one, other) => other.totalMs - one.totalMs),
  }
}
