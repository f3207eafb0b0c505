// SQL that keeps columns unique over all shards. Statement triggers note what came and went in a buffer of the same transaction;
// the router takes the notes after each statement and changes the look-up tables, whose primary keys refuse what is there
// twice. What nobody took fails at the end of its transaction. Everything here belongs to the superuser.
//
// Notes are keyed by the transaction: a process may be another's later. Texts in them are of the ISO style, in UTC.

import type { KeyType, ShardMap } from '../../../policy/shard/contract.ts'
import { type UniqueColumns, uniqueSchema, uniquesOf } from '../../../policy/shard/unique.ts'

/** Triggers of ours on the tables of users. */
export const uniqueTriggerPrefix = 'tenfold_unique_'
/** SQLSTATE of what the triggers and `unique_attach` say. */
const notSupported = '0A000'

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const texts = (values: readonly string[]): string => `ARRAY[${values.map(literal).join(', ')}]::text[]`

const steady = "SET search_path = pg_catalog SET datestyle = 'ISO, YMD' SET timezone = 'UTC'"

/** A name in the schema; also of its trigger function, and of the function that changes it. */
const nameOf = (lookup: string): string => lookup.slice(uniqueSchema.length + 1)
const fullName = (lookup: string): string => `${uniqueSchema}.${quoted(nameOf(lookup))}`

const buffer: readonly string[] = [
  `CREATE SCHEMA IF NOT EXISTS ${uniqueSchema}`,
  `GRANT USAGE ON SCHEMA ${uniqueSchema} TO PUBLIC`,
  // What goes is applied before what comes.
  `CREATE UNLOGGED TABLE IF NOT EXISTS tenfold.unique_changes (
  xact xid8 NOT NULL DEFAULT pg_current_xact_id(), came boolean NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY,
  lookup text NOT NULL, value text[], key text[], PRIMARY KEY (xact, came, n))`,
  // Mixed: a statement was noted more than once. Triggers of users may have changed its rows again, and are noted before it.
  `CREATE UNLOGGED TABLE IF NOT EXISTS tenfold.unique_unread (
  xact xid8 NOT NULL DEFAULT pg_current_xact_id(), mixed boolean NOT NULL DEFAULT false)`,
  'CREATE INDEX IF NOT EXISTS unique_unread_xact ON tenfold.unique_unread (xact)',
  'CREATE INDEX IF NOT EXISTS unique_unread_mixed ON tenfold.unique_unread (xact) WHERE mixed',
  `CREATE TABLE IF NOT EXISTS tenfold.unique_columns (
  lookup text PRIMARY KEY, table_name text NOT NULL, columns text[] NOT NULL, types text[] NOT NULL, built boolean NOT NULL DEFAULT false)`,
  `CREATE OR REPLACE FUNCTION tenfold.unique_unread() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  DELETE FROM tenfold.unique_unread WHERE xact = pg_current_xact_id();
  IF EXISTS (SELECT FROM tenfold.unique_changes WHERE xact = pg_current_xact_id()) THEN
    RAISE EXCEPTION 'Columns that are unique over all shards were changed past the router of the shards.'
      USING ERRCODE = '${notSupported}', DETAIL = 'shard-unique',
        HINT = 'Write through the database''s own address, by statements that name the table, and without SET CONSTRAINTS ALL IMMEDIATE.';
  END IF;
  RETURN NULL;
END $$`,
  `DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'tenfold.unique_unread'::regclass AND tgname = 'unread') THEN
    CREATE CONSTRAINT TRIGGER unread AFTER INSERT ON tenfold.unique_unread DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION tenfold.unique_unread();
  END IF;
END $$`,
  // Each row a JSON text: [look-up, came, value, key]; null values: the table was emptied.
  `CREATE OR REPLACE FUNCTION tenfold.unique_take(rows_max integer) RETURNS SETOF text
  LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  -- What came and went again has not been.
  IF EXISTS (SELECT FROM tenfold.unique_unread WHERE xact = pg_current_xact_id() AND mixed) THEN
    WITH numbered AS (
      SELECT came, n, lookup, value, key, row_number() OVER (PARTITION BY lookup, came, value, key ORDER BY n) AS place
      FROM tenfold.unique_changes WHERE xact = pg_current_xact_id() AND value IS NOT NULL),
    pairs AS (
      SELECT one.n AS came_n, other.n AS went_n FROM numbered one JOIN numbered other USING (lookup, value, key, place)
      WHERE one.came AND NOT other.came)
    DELETE FROM tenfold.unique_changes AS c USING (SELECT true, came_n FROM pairs UNION ALL SELECT false, went_n FROM pairs) AS gone (came, n)
    WHERE c.xact = pg_current_xact_id() AND c.came = gone.came AND c.n = gone.n;
    DELETE FROM tenfold.unique_unread WHERE xact = pg_current_xact_id() AND mixed;
  END IF;
  RETURN QUERY WITH taken AS (
    DELETE FROM tenfold.unique_changes WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM tenfold.unique_changes WHERE xact = pg_current_xact_id() ORDER BY came, n LIMIT rows_max))
    RETURNING came, n, lookup, value, key)
  SELECT json_build_array(lookup, came, value, key)::text FROM taken ORDER BY came, n;
END $$`,
  `CREATE OR REPLACE FUNCTION tenfold.unique_attach() RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  one record; said text; is_there boolean; operation text; own regclass; called name; is_named name; is_enabled "char";
BEGIN
  FOR one IN SELECT * FROM tenfold.unique_columns ORDER BY lookup LOOP
    SELECT c.oid INTO own FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE nspname || '.' || relname = one.table_name AND relkind IN ('r', 'p', 'v', 'm', 'f');
    IF own IS NULL THEN
      EXECUTE format('DELETE FROM ${uniqueSchema}.%I', one.lookup);
      UPDATE tenfold.unique_columns SET built = false WHERE lookup = one.lookup AND built;
      CONTINUE;
    END IF;
    said := array_to_string(one.columns, ', ');
    IF (SELECT relkind FROM pg_class WHERE oid = own) <> 'r' OR EXISTS (SELECT FROM pg_inherits WHERE own IN (inhrelid, inhparent)) THEN
      RAISE EXCEPTION '% is no plain table: (%) can not be unique over all shards.', one.table_name, said
        USING ERRCODE = '${notSupported}', DETAIL = 'shard-unique', HINT = 'Take ''unique'' of the table out of the file, or make it a table without partitions.';
    END IF;
    IF (SELECT array_agg(format_type(atttypid, NULL) ORDER BY k.n) FROM unnest(one.columns) WITH ORDINALITY AS k (name, n)
        LEFT JOIN pg_attribute ON attrelid = own AND attname = k.name AND NOT attisdropped) IS DISTINCT FROM one.types THEN
      RAISE EXCEPTION '(%) of % must have the types (%), as the file says.', said, one.table_name, array_to_string(one.types, ', ')
        USING ERRCODE = '${notSupported}', DETAIL = 'shard-unique', HINT = 'Say the types of the columns in the file''s ''unique'', or change them in the table.';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute JOIN pg_collation l ON l.oid = attcollation
        WHERE attrelid = own AND attname = ANY (one.columns) AND NOT collisdeterministic) THEN
      RAISE EXCEPTION '(%) of % has a collation by which different texts are equal.', said, one.table_name
        USING ERRCODE = '${notSupported}', DETAIL = 'shard-unique', HINT = 'Give it a deterministic collation.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = own AND indisunique AND indisvalid AND indimmediate AND NOT indnullsnotdistinct
        AND indpred IS NULL AND indexprs IS NULL AND indnkeyatts = cardinality(one.columns)
        AND (SELECT array_agg(attname::text ORDER BY attname::text) FROM pg_attribute WHERE attrelid = own AND attnum = ANY (indkey[0:indnkeyatts - 1]))
          = (SELECT array_agg(name ORDER BY name) FROM unnest(one.columns) AS name)) THEN
      RAISE EXCEPTION '% has no unique constraint on (%), which the file says is unique over all shards.', one.table_name, said
        USING ERRCODE = '${notSupported}', DETAIL = 'shard-unique', HINT = 'Add UNIQUE (' || said || ') to the table, or take it out of the file first.';
    END IF;
    FOREACH operation IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
      -- By what it does: somebody may have named it anew, or switched it off.
      called := left('${uniqueTriggerPrefix}' || left(operation, 1) || '_' || one.lookup, 63);
      SELECT tgname, tgenabled INTO is_named, is_enabled FROM pg_trigger WHERE tgrelid = own AND tgfoid = to_regprocedure(format('${uniqueSchema}.%I()', one.lookup))
        AND tgtype = CASE operation WHEN 'insert' THEN 4 WHEN 'delete' THEN 8 WHEN 'update' THEN 16 ELSE 32 END;
      is_there := FOUND;
      IF is_there AND is_enabled <> 'O' THEN EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', own, is_named); END IF;
      IF NOT is_there THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION ${uniqueSchema}.%I()',
          called, operation, own,
          CASE operation WHEN 'insert' THEN 'REFERENCING NEW TABLE AS came' WHEN 'delete' THEN 'REFERENCING OLD TABLE AS went'
            WHEN 'update' THEN 'REFERENCING OLD TABLE AS went NEW TABLE AS came' ELSE '' END, one.lookup);
      END IF;
    END LOOP;
    IF NOT one.built THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM %s)', own) INTO is_there;
      IF NOT is_there THEN UPDATE tenfold.unique_columns SET built = true WHERE lookup = one.lookup; END IF;
    END IF;
  END LOOP;
END $$`,
]

/** What the installer says on a shard; `unique_attach()` puts the triggers on, once routers know the map. */
export function uniqueStatements(map: ShardMap): readonly string[] {
  const all = [...uniquesOf(map).values()].flat()
  const names = texts(all.map(({ lookup }) => nameOf(lookup)))
  return [
    ...buffer,
    ...all.flatMap(lookupStatements),
    // Triggers go with their function.
    `DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT lookup FROM tenfold.unique_columns WHERE lookup <> ALL (${names}) LOOP
    EXECUTE format('DROP FUNCTION IF EXISTS ${uniqueSchema}.%I() CASCADE', one.lookup);
    EXECUTE format('DROP FUNCTION IF EXISTS ${uniqueSchema}.%I(jsonb, jsonb, boolean)', one.lookup);
    EXECUTE format('DROP TABLE IF EXISTS ${uniqueSchema}.%I', one.lookup);
  END LOOP;
  DELETE FROM tenfold.unique_columns WHERE lookup <> ALL (${names});
END $$`,
  ]
}

/** `format_type` of a key's type. */
const typeNames: Readonly<Record<KeyType, string>> = {
  smallint: 'smallint',
  integer: 'integer',
  bigint: 'bigint',
  text: 'text',
  uuid: 'uuid',
  date: 'date',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  boolean: 'boolean',
}

const keyColumn = (at: number): string => `tenfold_key_${at + 1}`

function lookupStatements(one: UniqueColumns): string[] {
  const { lookup, table, columns, types, key, keyTypes } = one
  const name = fullName(lookup)
  const values = columns.map(quoted)
  const [, bare = table] = table.split('.')
  const sqlTypes = types.map(type => typeNames[type])
  const keys = keyTypes.map((_, at) => keyColumn(at))
  const columnList = [
    ...values.map((column, at) => `${column} ${sqlTypes[at]}${types[at] === 'text' ? ' COLLATE "C"' : ''}`),
    ...keys.map((column, at) => `${column} ${typeNames[keyTypes[at] as KeyType]} NOT NULL`),
  ].join(', ')
  const noted = `ARRAY[${values.map(column => `${column}::text`).join(', ')}], ARRAY[${key.map(column => `${quoted(column)}::text`).join(', ')}]`
  const known = values.map(column => `${column} IS NOT NULL`).join(' AND ')
  const both = [...new Set([...columns, ...key])].map(quoted).join(', ')
  const note = (came: boolean, from: string): string =>
    `INSERT INTO tenfold.unique_changes (came, lookup, value, key) SELECT ${came}, ${literal(nameOf(lookup))}, ${noted} FROM ${from} WHERE ${known};
    GET DIAGNOSTICS added = ROW_COUNT; noted := noted + added;`
  const read = (rows: string): string =>
    `(SELECT ${[
      ...values.map((column, at) => `(e -> 0 ->> ${at})::${sqlTypes[at]} AS ${column}`),
      ...keys.map((column, at) => `(e -> 1 ->> ${at})::${typeNames[keyTypes[at] as KeyType]} AS ${column}`),
    ].join(', ')} FROM jsonb_array_elements(${rows}) WITH ORDINALITY AS rows (e, at) ORDER BY at)`
  return [
    `CREATE TABLE IF NOT EXISTS ${name} (${columnList}, CONSTRAINT ${quoted(`${nameOf(lookup)}_key`)} PRIMARY KEY (${values.join(', ')}))`,
    `INSERT INTO tenfold.unique_columns (lookup, table_name, columns, types)
    VALUES (${literal(nameOf(lookup))}, ${literal(table)}, ${texts(columns)}, ${texts(sqlTypes)}) ON CONFLICT (lookup) DO NOTHING`,
    `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER ${steady} AS $$
#variable_conflict use_column
DECLARE noted bigint := 0; added bigint; mixed boolean := false;
BEGIN
  mixed := EXISTS (SELECT FROM tenfold.unique_changes WHERE xact = pg_current_xact_id() AND lookup = ${literal(nameOf(lookup))});
  IF TG_OP = 'INSERT' THEN
    ${note(true, 'came')}
  ELSIF TG_OP = 'DELETE' THEN
    ${note(false, 'went')}
  ELSIF TG_OP = 'UPDATE' THEN
    ${note(false, `(SELECT ${both} FROM went EXCEPT ALL SELECT ${both} FROM came) AS other`)}
    ${note(true, `(SELECT ${both} FROM came EXCEPT ALL SELECT ${both} FROM went) AS other`)}
  ELSE
    IF pg_trigger_depth() > 1 THEN
      RAISE EXCEPTION 'A trigger can not empty a table with columns that are unique over all shards.'
        USING ERRCODE = '${notSupported}', DETAIL = 'shard-unique', HINT = 'Delete its rows, or say TRUNCATE as a statement.';
    END IF;
    INSERT INTO tenfold.unique_changes (came, lookup) VALUES (false, ${literal(nameOf(lookup))});
    noted := 1;
  END IF;
  IF noted > 0 THEN INSERT INTO tenfold.unique_unread (mixed) VALUES (false); END IF;
  IF noted > 0 AND mixed THEN INSERT INTO tenfold.unique_unread (mixed) VALUES (true); END IF;
  RETURN NULL;
END $$`,
    // Rows that went and came: [[values, keys], ...]; all of them, where the table was emptied.
    `CREATE OR REPLACE FUNCTION ${name}(went jsonb, came jsonb, emptied boolean) RETURNS void
  LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER ${steady} SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE one record;
BEGIN
  IF emptied THEN DELETE FROM ${name}; END IF;
  -- Each by itself, by the key: plans of a join are kept from when the table was small.
  FOR one IN SELECT * FROM ${read('went')} AS w LOOP
    DELETE FROM ${name} AS t WHERE ${[...values, ...keys].map(column => `t.${column} = one.${column}`).join(' AND ')};
  END LOOP;
  INSERT INTO ${name} (${[...values, ...keys].join(', ')}) SELECT * FROM ${read('came')} AS c;
EXCEPTION WHEN unique_violation THEN
  DECLARE said text;
  BEGIN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION USING MESSAGE = ${literal(`duplicate key value violates unique constraint "${constraintOf(bare, columns)}"`)},
      ERRCODE = 'unique_violation', DETAIL = said, SCHEMA = ${literal(table.split('.')[0] as string)},
        TABLE = ${literal(bare)}, CONSTRAINT = ${literal(constraintOf(bare, columns))};
  END;
END $$`,
  ]
}

/** As PostgreSQL would name it. */
function constraintOf(table: string, columns: readonly string[]): string {
  return [table, ...columns, 'key'].join('_').slice(0, 63)
}
