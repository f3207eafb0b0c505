// What a server's catalogue says of a table that is to be split, in one question; and in which state the split is there. Asked
// with pg_catalog as the search path, so that names in expressions are whole. Reads only.

import type { SplitAsk, SplitPlan, TableFacts } from '../../policy/split-columns/contract.ts'
import { bareNames, halvesTrigger, literal } from '../../policy/split-columns/names.ts'
import { marked } from '../../policy/split-columns/texts.ts'
import type { Row } from '../servers/session.ts'

export type Ask = (shard: string, sql: string, timeoutMs: number) => Promise<readonly Row[]>

/**
 * none: an ordinary table, and nothing of ours. prepared: the cold table is kept the same. split: the view is there, and the hot
 * table has everything. finished: each column is in one half. gone: nothing has the table's name any more. gone-view: nor has the
 * view's, and the hot table has everything. other: something else has these names.
 */
export type SplitState = 'none' | 'prepared' | 'split' | 'finished' | 'gone' | 'gone-view' | 'other'

const askMs = 30_000

const columnsIn = (oid: string, numbers: string): string =>
  `coalesce((SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(${numbers}) WITH ORDINALITY AS k (number, at)
    JOIN pg_attribute a ON a.attrelid = ${oid} AND a.attnum = k.number AND a.attnum > 0), '[]')`

/** Also those in its expressions and its predicate. */
const indexColumns = `coalesce((SELECT json_agg(DISTINCT a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
  AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum))), '[]')`

const columnList = `SELECT coalesce(json_agg(json_build_object(
  'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
  'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
  'notNull', a.attnotnull, 'default', pg_get_expr(f.adbin, f.adrelid), 'identity', a.attidentity, 'generated', a.attgenerated,
  'from', coalesce((SELECT json_agg(DISTINCT b.attname) FROM pg_depend d JOIN pg_attribute b ON b.attrelid = c.oid AND b.attnum = d.refobjsubid
    WHERE a.attgenerated <> '' AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid NOT IN (0, a.attnum)
      AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid) OR (d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = a.attnum))), '[]'),
  'ownsSequence', EXISTS (SELECT FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype = 'a'),
  'storage', CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END,
  'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
  'width', coalesce((SELECT max(s.stawidth) FROM pg_statistic s WHERE s.starelid = c.oid AND s.staattnum = a.attnum), 0)) ORDER BY a.attnum), '[]')
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`

/** `CREATE UNIQUE INDEX name ON schema.table USING ...`: what comes behind the table. */
const indexTail = `(SELECT CASE WHEN starts_with(d, p) THEN substr(d, length(p) + 1) END FROM (SELECT pg_get_indexdef(i.indexrelid) AS d,
  format('CREATE %sINDEX %s ON %s.%s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, quote_ident(x.relname), quote_ident(n.nspname), quote_ident(c.relname)) AS p) AS one)`

const indexList = `SELECT coalesce(json_agg(json_build_object('name', x.relname, 'columns', ${indexColumns}, 'primary', i.indisprimary,
  'constraint', EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.conrelid = c.oid AND o.contype IN ('p', 'u', 'x')),
  'tail', ${indexTail}, 'unique', i.indisunique, 'replicaIdentity', i.indisreplident) ORDER BY x.relname), '[]')
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid`

const constraintList = `SELECT coalesce(json_agg(json_build_object('name', o.conname, 'type', o.contype, 'definition', pg_get_constraintdef(o.oid),
  'columns', ${columnsIn('c.oid', 'o.conkey')}) ORDER BY o.conname), '[]') FROM pg_constraint o WHERE o.conrelid = c.oid AND (o.contype IN ('c', 'f', 'u', 'x') OR (o.contype = 'n' AND NOT o.convalidated))`

const inboundList = `SELECT coalesce(json_agg(json_build_object('name', o.conrelid::regclass::text || '.' || o.conname,
  'columns', ${columnsIn('c.oid', 'o.confkey')})), '[]') FROM pg_constraint o WHERE o.confrelid = c.oid AND o.contype = 'f'`

const statisticsList = `SELECT coalesce(json_agg(json_build_object('name', x.stxname, 'columns', (SELECT coalesce(json_agg(a.attname), '[]')
  FROM pg_depend d JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = x.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid))), '[]')
  FROM pg_statistic_ext x WHERE x.stxrelid = c.oid`

/** Views, bodies in SQL, policies; columns of other tables whose type is its row. */
const dependentList = `SELECT coalesce(json_agg(DISTINCT name), '[]') FROM (
  SELECT r.ev_class::regclass::text AS name FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND r.ev_class <> c.oid
  UNION SELECT d.objid::regprocedure::text FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
    AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
      OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, (SELECT typarray FROM pg_type WHERE oid = c.reltype))))
  UNION SELECT y.polrelid::regclass::text FROM pg_depend d JOIN pg_policy y ON y.oid = d.objid
    WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
  UNION SELECT a.attrelid::regclass::text FROM pg_attribute a
    WHERE NOT a.attisdropped AND a.atttypid IN (c.reltype, (SELECT typarray FROM pg_type WHERE oid = c.reltype)) AND c.reltype <> 0) AS found`

const grantList = `SELECT coalesce(json_agg(json_build_object('grantee', CASE WHEN e.grantee = 0 THEN '' ELSE pg_get_userbyid(e.grantee) END,
  'privilege', e.privilege_type, 'grantable', e.is_grantable, 'column', e.name)), '[]') FROM (
    SELECT x.*, NULL AS name FROM aclexplode(c.relacl) AS x
    UNION ALL SELECT x.*, a.attname FROM pg_attribute a, aclexplode(a.attacl) AS x WHERE a.attrelid = c.oid AND NOT a.attisdropped) AS e
  WHERE e.grantee <> c.relowner`

/** What the plan was made from, as one text; what we make ourselves is not in it. */
const fingerprintOf = `md5(concat_ws('|',
  (SELECT string_agg(concat_ws(',', a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation::text, a.attnotnull, a.attidentity, a.attgenerated,
    a.attacl::text, pg_get_expr(f.adbin, f.adrelid)), ';' ORDER BY a.attname) FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT string_agg(pg_get_indexdef(i.indexrelid) || i.indisreplident, ';' ORDER BY pg_get_indexdef(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid),
  (SELECT string_agg(o.conrelid::regclass::text || o.conname || pg_get_constraintdef(o.oid), ';' ORDER BY o.conrelid::regclass::text, o.conname)
    FROM pg_constraint o WHERE o.conrelid = c.oid OR o.confrelid = c.oid),
  (SELECT string_agg(t.tgname, ';' ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname NOT LIKE 'tenfold\\_%'),
  (SELECT string_agg(DISTINCT r.ev_class::regclass::text, ';') FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'n'),
  c.relacl::text, pg_get_userbyid(c.relowner), c.relrowsecurity, c.relpersistence))`

const relation = ({ schema, table }: Pick<SplitAsk, 'schema' | 'table'>): string =>
  `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = ${literal(schema)} AND c.relname = ${literal(table)}`

/** An expression. */
export function fingerprintText(ask: Pick<SplitAsk, 'schema' | 'table'>): string {
  return `SELECT ${fingerprintOf} FROM ${relation(ask)}`
}

function factsText(ask: SplitAsk): string {
  const bare = bareNames(ask.table)
  const ours = [bare.hot, bare.cold].map(literal).join(', ')
  const functions = [bare.mirror, bare.halves].map(literal).join(', ')
  return `SELECT json_build_object('kind', c.relkind, 'persistence', c.relpersistence, 'owner', pg_get_userbyid(c.relowner), 'rowSecurity', c.relrowsecurity,
  'inherits', c.relispartition OR c.reloftype <> 0 OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid OR h.inhparent = c.oid),
  'columns', (${columnList}),
  'key', (SELECT coalesce((SELECT ${columnsIn('c.oid', 'o.conkey')} FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'p'), '[]')),
  'keyDeferrable', EXISTS (SELECT FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'p' AND o.condeferrable),
  'indexes', (${indexList}), 'constraints', (${constraintList}), 'inbound', (${inboundList}), 'statistics', (${statisticsList}),
  'triggers', (SELECT coalesce(json_agg(t.tgname), '[]') FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
  'rules', (SELECT coalesce(json_agg(r.rulename), '[]') FROM pg_rewrite r WHERE r.ev_class = c.oid AND c.relkind NOT IN ('v', 'm')),
  'dependents', (${dependentList}),
  'publications', (SELECT coalesce(json_agg(p.pubname), '[]') FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid),
  'grants', (${grantList}),
  'taken', (SELECT coalesce(json_agg(name), '[]') FROM (
    SELECT x.relname AS name FROM pg_class x WHERE x.relnamespace = n.oid AND x.relname IN (${ours})
    UNION SELECT x.proname FROM pg_proc x WHERE x.pronamespace = n.oid AND x.proname IN (${functions})
    UNION SELECT x.typname FROM pg_type x WHERE x.typnamespace = n.oid AND x.typname IN (${ours})) AS found),
  'rows', c.reltuples::bigint, 'bytes', pg_total_relation_size(c.oid), 'fingerprint', ${fingerprintOf})::text
FROM ${relation(ask)}`
}

const noTable = { kind: null, columns: [], key: [] } as unknown as TableFacts

/** As the primary of a shard has it now. */
export async function readFacts(ask: Ask, shard: string, wanted: SplitAsk): Promise<TableFacts> {
  const [row] = await ask(shard, factsText(wanted), askMs)
  const text = row?.[0]
  return text == null ? noTable : (JSON.parse(text) as TableFacts)
}

/** Where a shard is, by what is there and not by what was written down. */
export async function stateOf(ask: Ask, shard: string, plan: SplitPlan, id: string): Promise<SplitState> {
  const bare = bareNames(plan.table)
  const named = (name: string): string => relation({ schema: plan.schema, table: name })
  const [row] = await ask(
    shard,
    `SELECT (SELECT c.relkind::text FROM ${named(plan.table)}),
  (SELECT coalesce(obj_description(c.oid, 'pg_class'), '') FROM ${named(bare.cold)}),
  (SELECT count(*) FROM pg_attribute a JOIN ${named(bare.hot)} ON c.oid = a.attrelid WHERE NOT a.attisdropped AND a.attname IN (${plan.cold.map(literal).join(', ')})),
  (SELECT count(*) FROM pg_trigger t JOIN ${named(plan.table)} ON c.oid = t.tgrelid WHERE t.tgname = ${literal(halvesTrigger)}),
  (SELECT count(*) FROM ${named(bare.hot)})`,
    askMs,
  )
  const [kind, mark, coldLeft, viewTriggers, hot] = row ?? []
  const ours = mark === marked(id)
  if (kind === 'r') return mark == null ? 'none' : ours ? 'prepared' : 'other'
  if (kind == null && ours) return hot !== '1' ? 'gone' : Number(coldLeft) > 0 ? 'gone-view' : 'other'
  if (kind !== 'v' || mark == null || viewTriggers !== '1' || hot !== '1') return 'other'
  if (Number(coldLeft) > 0) return ours ? 'split' : 'other'
  return 'finished'
}
