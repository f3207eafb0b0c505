// The SQL of a split: each text is one implicit transaction, said in one piece, so that it is done whole or not at all. To be
// said with pg_catalog as the search path.

import type { ColumnFacts, Grant, SplitPlan } from './contract.ts'
import { halvesBody, mirrorBody } from './functions.ts'
import {
  bareNames,
  emptyTrigger,
  halvesTrigger,
  literal,
  mirrorTrigger,
  quoted,
  splitNames,
} from './names.ts'

/** A commit that is said to be done stays done when another server takes over. */
const durable = 'SET LOCAL synchronous_commit = on'

export function marked(id: string): string {
  return `tenfold split-columns ${id}`
}

function locking(lockMs: number): string {
  return `${durable}; SET LOCAL lock_timeout = ${lockMs}; SET LOCAL statement_timeout = 0`
}

/** The cold table and what keeps it the same. Writers wait for the lock of CREATE TRIGGER. */
export function prepareText(plan: SplitPlan, id: string, lockMs: number): string {
  const { whole, cold, mirror } = splitNames(plan)
  const columns = plan.columns.filter(one => plan.key.includes(one.name) || plan.cold.includes(one.name))
  const parts = [
    ...columns.map(one => columnText(one, plan.cold.includes(one.name))),
    `PRIMARY KEY (${list(plan.key)})`,
    ...plan.coldConstraints.map(one => `CONSTRAINT ${quoted(one.name)} ${one.definition}`),
  ]
  return [
    locking(lockMs),
    `CREATE ${plan.unlogged ? 'UNLOGGED ' : ''}TABLE ${cold} (${parts.join(', ')})`,
    `COMMENT ON TABLE ${cold} IS ${literal(marked(id))}`,
    ...columns.flatMap(one => storageText(cold, one)),
    ...plan.coldIndexes.map(one => `CREATE ${one.unique ? 'UNIQUE ' : ''}INDEX ON ${cold} ${one.tail}`),
    `ALTER TABLE ${cold} OWNER TO ${quoted(plan.owner)}`,
    ...grantTexts(cold, grantsOn(plan, new Set([...plan.key, ...plan.cold]))),
    functionText(mirror, mirrorBody(plan), plan.owner),
    `CREATE TRIGGER ${mirrorTrigger} AFTER INSERT OR UPDATE OR DELETE ON ${whole} FOR EACH ROW EXECUTE FUNCTION ${mirror}()`,
    `CREATE TRIGGER ${emptyTrigger} AFTER TRUNCATE ON ${whole} FOR EACH STATEMENT EXECUTE FUNCTION ${mirror}()`,
    // Also for what is applied from elsewhere.
    `ALTER TABLE ${whole} ENABLE ALWAYS TRIGGER ${mirrorTrigger}`,
    `ALTER TABLE ${whole} ENABLE ALWAYS TRIGGER ${emptyTrigger}`,
  ].join(';\n')
}

function columnText({ name, type, collation, notNull, ...own }: ColumnFacts, cold: boolean): string {
  const collated = collation === null ? '' : ` COLLATE ${collation}`
  const value = cold && own.default !== null ? ` DEFAULT ${own.default}` : ''
  return `${quoted(name)} ${type}${collated}${value}${notNull ? ' NOT NULL' : ''}`
}

function storageText(table: string, { name, storage, compression }: ColumnFacts): string[] {
  const change = `ALTER TABLE ${table} ALTER COLUMN ${quoted(name)} SET`
  return [
    ...(storage === null ? [] : [`${change} STORAGE ${storage}`]),
    ...(compression === null ? [] : [`${change} COMPRESSION ${compression}`]),
  ]
}

/** Rows of one piece: the last key's texts, and how many there were. They are kept from changing until it commits. */
export function copyText(
  plan: SplitPlan,
  after: readonly string[] | null,
  rows: number,
  lockMs: number,
): string {
  const { whole, cold } = splitNames(plan)
  const columns = list([...plan.key, ...plan.cold])
  const key = list(plan.key)
  return `${locking(lockMs)};
WITH batch AS MATERIALIZED (SELECT ${columns} FROM ONLY ${whole} t ${where([above(plan, 't', after)])} ORDER BY ${listOf('t', plan.key)} LIMIT ${rows} FOR SHARE),
put AS (INSERT INTO ${cold} (${columns}) SELECT ${columns} FROM batch ON CONFLICT (${key}) DO NOTHING)
SELECT count(*) OVER (), ${plan.key.map(one => `${quoted(one)}::text`).join(', ')} FROM batch ORDER BY ${plan.key.map(one => `batch.${quoted(one)} DESC`).join(', ')} LIMIT 1`
}

/** The key at the end of the next piece; no row: there is no such many rows any more. */
export function boundText(
  plan: SplitPlan,
  of: 'whole' | 'hot',
  after: readonly string[] | null,
  rows: number,
): string {
  return `SELECT ${plan.key.map(one => `t.${quoted(one)}::text`).join(', ')} FROM ONLY ${splitNames(plan)[of]} t ${where([above(plan, 't', after)])}
ORDER BY ${listOf('t', plan.key)} OFFSET ${rows - 1} LIMIT 1`
}

/** Keys in this piece whose halves differ, three at most, and how many rows there were; both of one moment. */
export function compareText(
  plan: SplitPlan,
  of: 'whole' | 'hot',
  after: readonly string[] | null,
  upTo: readonly string[] | null,
): string {
  const names = splitNames(plan)
  const columns = list([...plan.key, ...plan.cold])
  const part = (table: string, alias: string): string =>
    `(SELECT ${columns}, true AS "tenfold there" FROM ONLY ${table} ${alias} ${where([above(plan, alias, after), below(plan, alias, upTo)])}) ${alias}`
  const [first] = plan.key as [string]
  const same = plan.key.map(one => `t.${quoted(one)} = c.${quoted(one)}`).join(' AND ')
  const image = (alias: string): string => `ROW(${listOf(alias, [...plan.key, ...plan.cold])})::record`
  return `SELECT count(*), (array_agg(${keyImage(plan, 't', 'c')}) FILTER (WHERE t."tenfold there" IS NULL OR c."tenfold there" IS NULL
  OR ${image('t')} *<> ${image('c')}))[1:3]::text
FROM ${part(names[of], 't')} FULL JOIN ${part(names.cold, 'c')} ON ${same} WHERE coalesce(t.${quoted(first)}, c.${quoted(first)}) IS NOT NULL`
}

function keyImage({ key }: SplitPlan, one: string, other: string): string {
  const texts = key.map(name => `coalesce(${one}.${quoted(name)}, ${other}.${quoted(name)})::text`)
  return `concat_ws(',', ${texts.join(', ')})`
}

/** The table becomes the hot one, the view takes its name. `fingerprint` is an expression that must still be the plan's. */
export function switchText(plan: SplitPlan, fingerprint: string, lockMs: number): string {
  const { whole, hot, cold, halves } = splitNames(plan)
  const { key, columns } = plan
  const bare = bareNames(plan.table)
  const from = (one: string): string => (plan.cold.includes(one) ? 'c' : 'h')
  const changed = `RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = ${literal(`the definition of '${plan.table}' has changed since: cancel, and begin again`)}`
  return [
    locking(lockMs),
    `LOCK TABLE ${whole} IN ACCESS EXCLUSIVE MODE`,
    `DO ${literal(`BEGIN IF (${fingerprint}) IS DISTINCT FROM ${literal(plan.fingerprint)} THEN ${changed}; END IF; END`)}`,
    `ALTER TABLE ${whole} RENAME TO ${quoted(bare.hot)}`,
    `ALTER TABLE ${cold} ADD CONSTRAINT ${quoted(`${bare.cold}_of`)} FOREIGN KEY (${list(key)}) REFERENCES ${hot} (${list(key)}) ON UPDATE CASCADE ON DELETE CASCADE NOT VALID`,
    `CREATE VIEW ${whole} AS SELECT ${columns.map(one => `${from(one.name)}.${quoted(one.name)}`).join(', ')}
FROM ${hot} h LEFT JOIN ${cold} c ON ${key.map(one => `c.${quoted(one)} = h.${quoted(one)}`).join(' AND ')}`,
    ...columns.flatMap(one =>
      one.default === null || one.generated !== ''
        ? []
        : [`ALTER VIEW ${whole} ALTER COLUMN ${quoted(one.name)} SET DEFAULT ${one.default}`],
    ),
    `ALTER VIEW ${whole} OWNER TO ${quoted(plan.owner)}`,
    ...grantTexts(whole, plan.grants),
    functionText(halves, halvesBody(plan, 'both'), plan.owner),
    `CREATE TRIGGER ${halvesTrigger} INSTEAD OF INSERT OR UPDATE OR DELETE ON ${whole} FOR EACH ROW EXECUTE FUNCTION ${halves}()`,
  ].join(';\n')
}

export function validateText(plan: SplitPlan): string {
  const { cold } = splitNames(plan)
  return `${durable}; SET LOCAL statement_timeout = 0; ALTER TABLE ${cold} VALIDATE CONSTRAINT ${quoted(`${bareNames(plan.table).cold}_of`)}; ANALYZE ${cold}`
}

/** What is cold is in the cold half alone from now on. */
export function finishText(plan: SplitPlan, lockMs: number): string {
  const { whole, hot, cold, mirror, halves } = splitNames(plan)
  return [
    locking(lockMs),
    // Whoever writes to the view has both: nobody is amid the old function.
    `LOCK TABLE ${whole} IN ACCESS EXCLUSIVE MODE`,
    `DROP TRIGGER ${mirrorTrigger} ON ${hot}`,
    `DROP TRIGGER ${emptyTrigger} ON ${hot}`,
    `DROP FUNCTION ${mirror}()`,
    functionText(halves, halvesBody(plan, 'halves'), plan.owner),
    `ALTER TABLE ${hot} ${plan.cold.map(one => `DROP COLUMN ${quoted(one)}`).join(', ')}`,
    `COMMENT ON TABLE ${cold} IS NULL`,
  ].join(';\n')
}

export function rewriteText(plan: SplitPlan): string {
  return `VACUUM (FULL, ANALYZE) ${splitNames(plan).hot}`
}

/** Before the switch. */
export function cancelText(plan: SplitPlan, lockMs: number): string {
  const { whole, cold, mirror } = splitNames(plan)
  return [
    locking(lockMs),
    `DROP TRIGGER ${mirrorTrigger} ON ${whole}`,
    `DROP TRIGGER ${emptyTrigger} ON ${whole}`,
    `DROP FUNCTION ${mirror}()`,
    `DROP TABLE ${cold}`,
  ].join(';\n')
}

/** After the switch, before the columns are dropped: the hot table has everything. */
export function undoText(plan: SplitPlan, lockMs: number): string {
  const { whole, hot, cold, mirror, halves } = splitNames(plan)
  return [
    locking(lockMs),
    `LOCK TABLE ${whole} IN ACCESS EXCLUSIVE MODE`,
    `DROP VIEW ${whole}`,
    `DROP FUNCTION ${halves}()`,
    `DROP TRIGGER ${mirrorTrigger} ON ${hot}`,
    `DROP TRIGGER ${emptyTrigger} ON ${hot}`,
    `DROP FUNCTION ${mirror}()`,
    `DROP TABLE ${cold}`,
    `ALTER TABLE ${hot} RENAME TO ${quoted(plan.table)}`,
  ].join(';\n')
}

/** Somebody has dropped what had the table's name; `hot`: the hot table is there, and has everything. */
export function goneText(plan: SplitPlan, hotIsThere: boolean, lockMs: number): string {
  const { hot, cold, mirror, halves } = splitNames(plan)
  return [
    locking(lockMs),
    `DROP FUNCTION IF EXISTS ${halves}()`,
    ...(hotIsThere
      ? [
          `DROP TRIGGER IF EXISTS ${mirrorTrigger} ON ${hot}`,
          `DROP TRIGGER IF EXISTS ${emptyTrigger} ON ${hot}`,
        ]
      : []),
    `DROP FUNCTION IF EXISTS ${mirror}()`,
    `DROP TABLE ${cold}`,
    ...(hotIsThere ? [`ALTER TABLE ${hot} RENAME TO ${quoted(plan.table)}`] : []),
  ].join(';\n')
}

function functionText(name: string, body: string, owner: string): string {
  return `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ${literal(body)};
ALTER FUNCTION ${name}() OWNER TO ${quoted(owner)};
${revokedText(name, 'FUNCTION', "pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a", `p.oid = ${literal(`${name}()`)}::regprocedure AND a.grantee <> p.proowner`)}`
}

/** Whoever got rights by default loses them: a function that runs with the owner's rights is nobody else's trigger. */
function revokedText(name: string, kind: 'TABLE' | 'FUNCTION', from: string, where: string): string {
  const target = kind === 'TABLE' ? name : `${kind} ${name}()`
  const body = `DECLARE one record; BEGIN FOR one IN SELECT DISTINCT a.grantee FROM ${from}
WHERE ${where} LOOP EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', ${literal(target)},
CASE WHEN one.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee)) END); END LOOP; END`
  return `DO ${literal(body)}`
}

/** Those of the table, and no others. */
function grantTexts(name: string, grants: readonly Grant[]): string[] {
  return [
    revokedText(
      name,
      'TABLE',
      'pg_class c, aclexplode(c.relacl) AS a',
      `c.oid = ${literal(name)}::regclass AND a.grantee <> c.relowner`,
    ),
    ...grants.map(({ grantee, privilege, grantable, column }) => {
      const columns = column === null ? '' : ` (${quoted(column)})`
      const whom = grantee === '' ? 'PUBLIC' : quoted(grantee)
      return `GRANT ${privilege}${columns} ON ${name} TO ${whom}${grantable ? ' WITH GRANT OPTION' : ''}`
    }),
  ]
}

function grantsOn({ grants }: SplitPlan, columns: ReadonlySet<string>): readonly Grant[] {
  return grants.filter(one => one.column === null || columns.has(one.column))
}

function list(names: readonly string[]): string {
  return names.map(quoted).join(', ')
}

function listOf(alias: string, names: readonly string[]): string {
  return names.map(one => `${alias}.${quoted(one)}`).join(', ')
}

function where(conditions: readonly string[]): string {
  const said = conditions.filter(one => one !== '')
  return said.length === 0 ? '' : `WHERE ${said.join(' AND ')}`
}

function above(plan: SplitPlan, alias: string, key: readonly string[] | null): string {
  return key === null ? '' : `(${listOf(alias, plan.key)}) > (${keyTexts(plan, key)})`
}

function below(plan: SplitPlan, alias: string, key: readonly string[] | null): string {
  return key === null ? '' : `(${listOf(alias, plan.key)}) <= (${keyTexts(plan, key)})`
}

function keyTexts({ key, columns }: SplitPlan, values: readonly string[]): string {
  return key
    .map((name, at) => {
      const type = columns.find(one => one.name === name)?.type ?? 'text'
      return `${literal(values[at] ?? '')}::${type}`
    })
    .join(', ')
}
