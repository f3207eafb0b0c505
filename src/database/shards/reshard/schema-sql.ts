// One query whose rows are the statements that make a schema anew, roughly in the order in which they can be said. To be asked
// with pg_catalog as the search path: then every name in them is whole.

const ours =
  "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tenfold', 'tenfold_sequences', 'tenfold_unique', 'tenfold_copies')"
const notOfExtension = (catalogue: string, oid: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalogue}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`
const relation = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND ${ours} AND ${notOfExtension('pg_class', 'c.oid')}`
const name = "format('%I.%I', n.nspname, c.relname)"
const owner = (oid: string): string => `quote_ident(pg_get_userbyid(${oid}))`
const options = (of: string): string =>
  `coalesce(' WITH (' || (SELECT string_agg(format('%I=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(${of}) AS o) || ')', '')`
/** Identity columns bring theirs. */
const ownSequence = `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')`
const sequenceOptions = `format('AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax,
  s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)`
const functionName = "format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))"
const functionKind = "CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END"

/** Whoever got rights when the thing was made loses them; then those of the source. */
function grants(kind: string, of: string, acl: string, current: string): string {
  return `format('DO $tenfold$ DECLARE one record; BEGIN FOR one IN SELECT DISTINCT a.grantee FROM ${current}, aclexplode(%s) AS a WHERE %s LOOP
    EXECUTE format(''REVOKE ALL ON ${kind} %s FROM %%s CASCADE'', CASE WHEN one.grantee = 0 THEN ''PUBLIC'' ELSE quote_ident(pg_get_userbyid(one.grantee)) END);
  END LOOP; END $tenfold$', ${of})
  || coalesce((SELECT string_agg(format('; GRANT %s ON ${kind} %s TO %s%s', a.privilege_type, GRANTED,
    CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '') FROM aclexplode(${acl}) AS a), '')`
}

const relationGrants = (kind: string): string =>
  grants(
    kind,
    `'relacl', 'pg_class.oid = ' || quote_literal(${name}) || '::regclass', ${name}`,
    'c.relacl',
    'pg_class',
  ).replace('GRANTED', name)

const statements: readonly string[] = [
  `SELECT 10, n.oid, format('CREATE SCHEMA %I AUTHORIZATION %s', n.nspname, ${owner('n.nspowner')}) FROM pg_namespace n
    WHERE ${ours} AND n.nspname <> 'public' AND ${notOfExtension('pg_namespace', 'n.oid')}`,
  `SELECT 20, e.oid, format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I VERSION %L', e.extname, n.nspname, e.extversion)
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'`,
  // Types, functions and relations in the order in which they were made.
  `SELECT 30, t.oid, format('CREATE TYPE %I.%I AS ENUM (%s); ALTER TYPE %I.%I OWNER TO %s', n.nspname, t.typname,
      (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), n.nspname, t.typname, ${owner('t.typowner')})
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND ${ours} AND ${notOfExtension('pg_type', 't.oid')}`,
  `SELECT 40, t.oid, format('CREATE DOMAIN %I.%I AS %s%s%s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod),
      CASE WHEN t.typcollation <> b.typcollation THEN ' COLLATE ' || t.typcollation::regcollation ELSE '' END, coalesce(' DEFAULT ' || t.typdefault, ''))
      || coalesce((SELECT string_agg(format('; ALTER DOMAIN %I.%I ADD CONSTRAINT %I %s', n.nspname, t.typname, o.conname, pg_get_constraintdef(o.oid)), '')
        FROM pg_constraint o WHERE o.contypid = t.oid), '')
      || format('; ALTER DOMAIN %I.%I OWNER TO %s', n.nspname, t.typname, ${owner('t.typowner')})
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype
    WHERE t.typtype = 'd' AND ${ours} AND ${notOfExtension('pg_type', 't.oid')}`,
  `SELECT 40, c.oid, format('CREATE TYPE %s AS (%s); ALTER TYPE %s OWNER TO %s', ${name},
      (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), ${name}, ${owner('c.relowner')})
    FROM ${relation} WHERE c.relkind = 'c'`,
  `SELECT 40, p.oid, format('%s; ALTER %s %s OWNER TO %s', pg_get_functiondef(p.oid), ${functionKind}, ${functionName}, ${owner('p.proowner')})
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind <> 'a' AND ${ours} AND ${notOfExtension('pg_proc', 'p.oid')}`,
  `SELECT 40, c.oid, format('CREATE SEQUENCE %s %s; ALTER SEQUENCE %s OWNER TO %s', ${name}, ${sequenceOptions}, ${name}, ${owner('c.relowner')})
    FROM ${relation} JOIN pg_sequence s ON s.seqrelid = c.oid WHERE ${ownSequence}`,
  `SELECT 40, c.oid, format('CREATE %sTABLE %s (%s)%s; ALTER TABLE %s OWNER TO %s', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, ${name},
      (SELECT string_agg(format('%I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
          CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
          CASE a.attgenerated WHEN 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(f.adbin, f.adrelid) || ') STORED'
            WHEN 'v' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(f.adbin, f.adrelid) || ') VIRTUAL' ELSE '' END), ', ' ORDER BY a.attnum)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), ${options('c.reloptions')}, ${name}, ${owner('c.relowner')})
    FROM ${relation} WHERE c.relkind = 'r'`,
  `SELECT 40, c.oid, format('CREATE %sVIEW %s%s AS %s ALTER %sVIEW %s OWNER TO %s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END, ${name},
      ${options('c.reloptions')}, pg_get_viewdef(c.oid), CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END, ${name}, ${owner('c.relowner')})
    FROM ${relation} WHERE c.relkind IN ('v', 'm')`,
  `SELECT 50, f.oid, format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', ${name}, a.attname, pg_get_expr(f.adbin, f.adrelid))
    FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = '' JOIN ${relation} ON c.oid = f.adrelid WHERE c.relkind IN ('r', 'v')`,
  `SELECT 50, c.oid, format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', ${name}, a.attname,
      CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid AND t.typstorage <> a.attstorage JOIN ${relation} ON c.oid = a.attrelid
    WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped`,
  `SELECT CASE o.contype WHEN 'n' THEN 60 WHEN 'c' THEN 61 WHEN 'f' THEN 90 ELSE 70 END, o.oid,
      format('ALTER TABLE %s ADD CONSTRAINT %I %s', ${name}, o.conname, pg_get_constraintdef(o.oid))
    FROM pg_constraint o JOIN ${relation} ON c.oid = o.conrelid WHERE o.contype IN ('n', 'c', 'p', 'u', 'x', 'f') AND o.conparentid = 0`,
  `SELECT 65, a.attnum::oid, format('ALTER TABLE %I.%I ALTER COLUMN %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)', m.nspname, r.relname, a.attname,
      CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, ${name}, ${sequenceOptions.replace("'AS %s INCREMENT", "'INCREMENT").replace('format_type(s.seqtypid, NULL), ', '')})
    FROM ${relation} JOIN pg_sequence s ON s.seqrelid = c.oid JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attidentity <> '' JOIN pg_class r ON r.oid = a.attrelid JOIN pg_namespace m ON m.oid = r.relnamespace`,
  `SELECT 66, c.oid, format('ALTER SEQUENCE %s OWNED BY %I.%I.%I', ${name}, m.nspname, r.relname, a.attname)
    FROM ${relation} JOIN pg_sequence s ON s.seqrelid = c.oid JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a'
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid JOIN pg_class r ON r.oid = a.attrelid JOIN pg_namespace m ON m.oid = r.relnamespace`,
  `SELECT 75, i.indexrelid, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN ${relation} ON c.oid = i.indrelid
    WHERE i.indisvalid AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x'))`,
  `SELECT 80, t.oid, pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %s %s TRIGGER %I', ${name},
      CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname) END
    FROM pg_trigger t JOIN ${relation} ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0`,
  `SELECT 80, w.oid, pg_get_ruledef(w.oid) FROM pg_rewrite w JOIN ${relation} ON c.oid = w.ev_class WHERE w.rulename <> '_RETURN'`,
  `SELECT 80, y.oid, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', y.polname, ${name}, CASE WHEN y.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE y.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      (SELECT string_agg(CASE one WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one)) END, ', ') FROM unnest(y.polroles) AS one),
      coalesce(' USING (' || pg_get_expr(y.polqual, y.polrelid) || ')', ''), coalesce(' WITH CHECK (' || pg_get_expr(y.polwithcheck, y.polrelid) || ')', ''))
    FROM pg_policy y JOIN ${relation} ON c.oid = y.polrelid`,
  `SELECT 81, c.oid, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', ${name}) || CASE WHEN c.relforcerowsecurity THEN format('; ALTER TABLE %s FORCE ROW LEVEL SECURITY', ${name}) ELSE '' END
    FROM ${relation} WHERE c.relrowsecurity`,
  `SELECT 81, x.oid, pg_get_statisticsobjdef(x.oid) FROM pg_statistic_ext x JOIN ${relation} ON c.oid = x.stxrelid`,
  `SELECT 95, c.oid, ${relationGrants('TABLE')} FROM ${relation} WHERE c.relkind IN ('r', 'v', 'm') AND c.relacl IS NOT NULL`,
  `SELECT 95, c.oid, ${relationGrants('SEQUENCE')} FROM ${relation} WHERE c.relkind = 'S' AND c.relacl IS NOT NULL`,
  `SELECT 96, c.oid, format('GRANT %s (%I) ON TABLE %s TO %s%s', e.privilege_type, a.attname, ${name},
      CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END, CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_attribute a JOIN ${relation} ON c.oid = a.attrelid, aclexplode(a.attacl) AS e WHERE c.relkind IN ('r', 'v', 'm')`,
  `SELECT 95, p.oid, format('REVOKE ALL ON %s %s FROM PUBLIC', ${functionKind}, ${functionName}) || coalesce((SELECT string_agg(format('; GRANT %s ON %s %s TO %s%s', a.privilege_type,
      ${functionKind}, ${functionName}, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '')
      FROM aclexplode(p.proacl) AS a), '')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind <> 'a' AND p.proacl IS NOT NULL AND ${ours} AND ${notOfExtension('pg_proc', 'p.oid')}`,
  `SELECT 95, n.oid, format('GRANT %s ON SCHEMA %I TO %s%s', a.privilege_type, n.nspname, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
      CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_namespace n, aclexplode(n.nspacl) AS a WHERE ${ours} AND ${notOfExtension('pg_namespace', 'n.oid')}`,
  `SELECT 97, d.objoid, format('COMMENT ON %s %s IS %L', upper(CASE WHEN i.type LIKE '% column' THEN 'column' WHEN i.type LIKE '% constraint' THEN 'constraint'
        WHEN i.type = 'composite type' THEN 'type' ELSE i.type END), CASE i.type WHEN 'domain constraint' THEN regexp_replace(i.identity, ' on ', ' ON DOMAIN ') ELSE i.identity END, d.description)
    FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i LEFT JOIN pg_namespace n ON n.nspname = i.schema
    WHERE d.objoid >= 16384 AND d.classoid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass)
      AND coalesce(i.schema, split_part(split_part(i.identity, ' on ', 2), '.', 1)) NOT IN ('tenfold', 'tenfold_sequences', 'tenfold_unique', 'tenfold_copies', 'pg_toast')
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')`,
]

/** Rows of one text. */
export const schemaSql: string = `SELECT statement FROM (${statements.join('\nUNION ALL\n')}) AS made (phase, made, statement) ORDER BY phase, made`

/** Rows that name what the above leaves out; none: it is all. */
export const cannotCopySql: string = `
SELECT CASE c.relkind WHEN 'p' THEN 'partitioned table ' WHEN 'f' THEN 'foreign table ' ELSE 'table with an ancestor ' END || n.nspname || '.' || c.relname
  FROM ${relation} WHERE c.relkind IN ('p', 'f') OR c.relkind = 'r' AND (c.reloftype <> 0 OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid OR h.inhparent = c.oid))
UNION ALL SELECT 'aggregate ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE p.prokind = 'a' AND ${ours} AND ${notOfExtension('pg_proc', 'p.oid')}
UNION ALL SELECT 'range type ' || t.oid::regtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typtype = 'r' AND ${ours} AND ${notOfExtension('pg_type', 't.oid')}
UNION ALL SELECT 'type ' || t.oid::regtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typtype = 'b' AND t.typcategory <> 'A' AND ${ours} AND ${notOfExtension('pg_type', 't.oid')}
UNION ALL SELECT 'operator ' || o.oid::regoperator FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
  WHERE ${ours} AND ${notOfExtension('pg_operator', 'o.oid')}
UNION ALL SELECT 'collation ' || o.collname FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
  WHERE ${ours} AND ${notOfExtension('pg_collation', 'o.oid')}
UNION ALL SELECT 'text search configuration ' || g.cfgname FROM pg_ts_config g JOIN pg_namespace n ON n.oid = g.cfgnamespace
  WHERE ${ours} AND ${notOfExtension('pg_ts_config', 'g.oid')}
UNION ALL SELECT 'cast ' || g.castsource::regtype || ' as ' || g.casttarget::regtype FROM pg_cast g WHERE g.oid >= 16384 AND ${notOfExtension('pg_cast', 'g.oid')}
UNION ALL SELECT 'event trigger ' || g.evtname FROM pg_event_trigger g WHERE ${notOfExtension('pg_event_trigger', 'g.oid')}
UNION ALL SELECT 'foreign server ' || g.srvname FROM pg_foreign_server g
LIMIT 5`
