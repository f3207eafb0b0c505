// How the schemas of shards differ: statements that run on one shard after another (CREATE INDEX CONCURRENTLY) may end half way,
// and somebody may have changed one server by hand. Compares definitions as each PostgreSQL tells them; changes nothing.

import type { Row } from '../servers/session.ts'

/** One thing of the schema that is not the same everywhere. */
export interface Difference {
  /** `index public.orders_at`. */
  readonly object: string
  /** By shard: its definition; null: it is not there. */
  readonly shards: Readonly<Record<string, string | null>>
}

export interface DriftReport {
  /** In the order of their names. */
  readonly differences: readonly Difference[]
  /** There are more. */
  readonly cut: boolean
  /** Things compared. */
  readonly objects: number
}

/** A question to the primary of a shard, by the superuser, with pg_catalog as its search path. */
export type AskOne = (shard: string, sql: string, timeoutMs: number) => Promise<readonly Row[]>

const timeoutMs = 60_000
const objectsMax = 200_000
const differencesMax = 1_000

const ours =
  "nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'tenfold', 'tenfold_sequences', 'tenfold_copies')"
const schema = `JOIN pg_namespace n ON ${ours} AND n.oid`

/** Name and definition, as texts: PostgreSQL's names are cut. What PostgreSQL numbers by itself (object ids, contents of sequences) is not in it. */
const definitionsSql = `
SELECT 'schema ' || nspname, pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE ${ours}
UNION ALL
SELECT CASE relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'view ' WHEN 'c' THEN 'type ' ELSE 'table ' END
    || nspname || '.' || relname,
  concat_ws(' ', 'kind', relkind, relpersistence, 'owner', pg_get_userbyid(relowner), 'options', reloptions::text,
    CASE WHEN relrowsecurity THEN 'row security' END,
    'grants', (SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest(relacl) AS one),
    CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
    (SELECT concat_ws(' ', seqtypid::regtype, seqincrement, seqmin, seqmax, seqcycle) FROM pg_sequence WHERE seqrelid = c.oid))
FROM pg_class c ${schema} = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
UNION ALL
SELECT 'column ' || nspname || '.' || relname || '.' || attname,
  concat_ws(' ', format_type(atttypid, atttypmod), nullif(attcollation, 0)::regcollation::text,
    CASE WHEN attnotnull THEN 'NOT NULL' END, 'identity', attidentity, 'generated', attgenerated,
    'default', pg_get_expr(adbin, adrelid))
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid AND relkind IN ('r', 'p', 'f', 'c') ${schema} = relnamespace
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint ' || conname || ' on ' || coalesce(nspname || '.' || relname, nspname || ' domain'),
  pg_get_constraintdef(o.oid) || CASE WHEN convalidated THEN '' ELSE ' (not validated)' END
FROM pg_constraint o ${schema} = connamespace LEFT JOIN pg_class c ON c.oid = conrelid
UNION ALL
SELECT 'index ' || nspname || '.' || relname, pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END
FROM pg_index JOIN pg_class c ON c.oid = indexrelid ${schema} = relnamespace
UNION ALL
SELECT 'trigger ' || tgname || ' on ' || nspname || '.' || relname, pg_get_triggerdef(t.oid) || ' ' || tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid ${schema} = relnamespace WHERE NOT tgisinternal
UNION ALL
SELECT 'policy ' || polname || ' on ' || nspname || '.' || relname,
  concat_ws(' ', polcmd, polpermissive, polroles::regrole[]::text, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
FROM pg_policy JOIN pg_class c ON c.oid = polrelid ${schema} = relnamespace
UNION ALL
SELECT 'function ' || nspname || '.' || proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  CASE WHEN prokind = 'a' THEN 'aggregate' ELSE pg_get_functiondef(p.oid) END || ' owner ' || pg_get_userbyid(proowner)
FROM pg_proc p ${schema} = pronamespace
UNION ALL
SELECT 'type ' || nspname || '.' || typname, concat_ws(' ', typtype, format_type(typbasetype, typtypmod), typdefault,
  (SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
FROM pg_type t ${schema} = typnamespace WHERE typtype IN ('e', 'd', 'r')
UNION ALL
SELECT 'extension ' || extname, extversion FROM pg_extension
LIMIT ${objectsMax + 1}`

export async function schemaDrift(ask: AskOne, shards: readonly string[]): Promise<DriftReport> {
  const found = await Promise.all(shards.map(shard => ask(shard, definitionsSql, timeoutMs)))
  const objects = new Map<string, (string | null)[]>()
  for (const [at, rows] of found.entries()) {
    if (rows.length > objectsMax) throw new Error(`shard ${shards[at]} has more than ${objectsMax} objects`)
    for (const [object, definition] of rows) {
      const known = objects.get(object as string) ?? shards.map(() => null)
      // Overloads of one name have their arguments in it; what has one name all the same is taken together.
      known[at] = known[at] == null ? (definition ?? '') : `${known[at]}\n${definition ?? ''}`
      objects.set(object as string, known)
    }
  }
  const names = [...objects.keys()].filter(name => new Set(objects.get(name)).size > 1).sort()
  const differences = names.slice(0, differencesMax).map(object => ({
    object,
    shards: Object.fromEntries(shards.map((shard, at) => [shard, objects.get(object)?.[at] ?? null])),
  }))
  return { differences, cut: names.length > differencesMax, objects: objects.size }
}
