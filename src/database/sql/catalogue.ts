// What a database says of itself, so that names can be judged: which functions, operators and types are calm, which relations
// hide something, which functions leave something in the session. Read over a connection of its own, whose search path is
// emptied, as names of definitions come out whole only then. Reads only.

import { setImmediate as turn } from 'node:timers/promises'
import { leftBehind } from './bodies.ts'
import type { Catalogue } from './contract.ts'
import { harmlessFunctions } from './function-effects.ts'
import { Generations } from './generations.ts'
import { namesVerdict } from './judge.ts'
import { parsed } from './parse.ts'

/** Rows of texts. */
export type CatalogueQuery = (sql: string) => Promise<readonly (readonly (string | null)[])[]>

/** Views and policies beyond this many are taken for unsafe without a look. */
const definitionsMax = 20_000
const definitionsAtOnce = 20
/** Longer ones are taken for unsafe. */
const definitionCharactersMax = 65_536

const user = "nspname !~ '^pg_' AND nspname <> 'information_schema'"
const nowTemporary = "nspname !~ '^pg_(temp|toast)'"

const functionsSql = `
WITH names AS (
  SELECT nspname, proname, bool_or(provolatile = 'v' OR EXISTS (
    SELECT FROM pg_aggregate a JOIN pg_proc s ON s.oid = ANY (ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
      a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[])
    WHERE p.prokind = 'a' AND a.aggfnoid = p.oid AND s.provolatile = 'v')) AS volatile
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace AND ${nowTemporary} GROUP BY 1, 2)
SELECT nspname, string_agg(proname, chr(1)) FILTER (WHERE NOT volatile),
  string_agg(proname, chr(1)) FILTER (WHERE volatile) FROM names GROUP BY 1`

const operatorsSql = `
SELECT oprname FROM pg_operator o JOIN pg_namespace n ON n.oid = oprnamespace AND ${nowTemporary}
LEFT JOIN pg_proc p ON p.oid = oprcode GROUP BY 1 HAVING bool_and(coalesce(provolatile, 'v') <> 'v')`

/** Name, what it is a domain over, whether a function that makes or casts it is volatile, its conditions. */
const typesSql = `
SELECT nspname, typname, t.oid::text, typbasetype::text, (coalesce(i.provolatile = 'v', false) OR EXISTS (
    SELECT FROM pg_cast c JOIN pg_proc f ON f.oid = castfunc AND f.provolatile = 'v' WHERE t.oid IN (castsource, casttarget)
  ))::text, (SELECT string_agg(pg_get_expr(conbin, 0), ' AND ') FROM pg_constraint WHERE contypid = t.oid AND contype = 'c')
FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace AND ${nowTemporary} AND nspname <> 'pg_catalog'
LEFT JOIN pg_proc i ON i.oid = typinput AND typtype = 'b'
WHERE typtype IN ('b', 'd', 'e', 'r', 'm', 'c') AND typcategory <> 'A'`

/** Not on a replica (unlogged), ahead there (sequences), or elsewhere altogether (foreign tables); and who inherits from them. */
const relationsSql = `
WITH RECURSIVE apart AS (
  SELECT oid FROM pg_class WHERE relkind IN ('S', 'f') OR (relpersistence = 'u' AND relkind IN ('r', 'm'))
  UNION SELECT inhparent FROM pg_inherits JOIN apart ON inhrelid = apart.oid)
SELECT nspname, relname FROM apart JOIN pg_class c ON c.oid = apart.oid JOIN pg_namespace n ON n.oid = relnamespace AND ${user}`

const definitionsSql = `
SELECT nspname, relname, pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace AND ${user}
WHERE relkind = 'v'
UNION ALL
SELECT nspname, relname, 'SELECT ' || pg_get_expr(polqual, polrelid) FROM pg_policy JOIN pg_class c ON c.oid = polrelid
JOIN pg_namespace n ON n.oid = relnamespace WHERE polqual IS NOT NULL AND polcmd IN ('r', '*') AND relrowsecurity`

const bodiesSql = `
SELECT nspname, proname, coalesce(nullif(prosrc, ''), pg_get_function_sqlbody(p.oid), '')
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace AND ${user} JOIN pg_language l ON l.oid = prolang
WHERE lanname NOT IN ('c', 'internal') AND coalesce(nullif(prosrc, ''), pg_get_function_sqlbody(p.oid), '')
  ~* '(set_config|setseed|advisory|temp|listen|dblink_connect|replication_origin|\\m(set|reset|load|discard)\\s)'`

/** `on` everywhere but where somebody said otherwise: the server, a role, a database, a function. */
const asynchronousSql = `
SELECT (EXISTS (
  SELECT FROM (SELECT unnest(setconfig) FROM pg_db_role_setting UNION ALL SELECT unnest(proconfig) FROM pg_proc) AS s (line)
  WHERE line ~* '^synchronous_commit=(off|false|no|0|of|f|n|fa|fal|fals)$')
  OR EXISTS (SELECT FROM pg_settings WHERE name = 'synchronous_commit' AND reset_val = 'off'))::text`

export async function readCatalogue(query: CatalogueQuery): Promise<Catalogue> {
  await query("SELECT set_config('search_path', '', false)")
  const calm = calmFunctions(await query(functionsSql))
  for (const [name] of await query(operatorsSql)) calm.add(`operator(${name})`)
  addTypes(calm, await query(typesSql))
  const unsafe = new Set<string>()
  for (const row of await query(relationsSql)) addRelation(unsafe, row)
  const catalogue = { calm, unsafeRelations: unsafe }
  await addDefinitions(catalogue, await query(definitionsSql))
  return {
    ...catalogue,
    pinning: pinningFunctions(await query(bodiesSql)),
    asynchronousCommit: (await query(asynchronousSql))[0]?.[0] !== 'false',
  }
}

type Row = readonly (string | null)[]

const split = (names: string | null | undefined): readonly string[] => (names ? names.split('\x01') : [])

/** A name without a schema is calm if it is in all of them. */
function calmFunctions(rows: readonly Row[]): Set<string> {
  const calm = new Set<string>()
  const volatile = new Set<string>()
  for (const [schema, still, others] of rows) {
    const harmless = split(others).filter(name => schema === 'pg_catalog' && harmlessFunctions.has(name))
    for (const name of [...split(still), ...harmless]) calm.add(`${schema}.${name}`).add(name)
    for (const name of split(others)) if (!harmless.includes(name)) volatile.add(name)
  }
  for (const name of volatile) calm.delete(name)
  return calm
}

function addTypes(calm: Set<string>, rows: readonly Row[]): void {
  const unsafe = new Set<string>()
  for (const [, , oid, , volatile, condition] of rows) {
    const checks = condition ? definition(`SELECT ${condition}`) : null
    if (volatile !== 'false' || (checks !== null && hides(checks, { calm, unsafeRelations: none })))
      unsafe.add(oid as string)
  }
  // A domain over an unsafe one is unsafe.
  for (let before = -1; before !== unsafe.size; ) {
    before = unsafe.size
    for (const [, , oid, base] of rows) if (unsafe.has(base as string)) unsafe.add(oid as string)
  }
  const bad = new Set(rows.filter(row => unsafe.has(row[2] as string)).map(row => row[1]))
  for (const [schema, name, oid] of rows) {
    if (!unsafe.has(oid as string)) calm.add(`type(${schema}.${name})`)
    if (!bad.has(name as string)) calm.add(`type(${name})`)
  }
}

const none: ReadonlySet<string> = new Set()

function addRelation(unsafe: Set<string>, [schema, name]: Row): void {
  unsafe.add(`${schema}.${name}`).add(name as string)
}

/** What of a definition decides; null: it can't be read. */
interface Definition {
  readonly place: 'any' | 'primary'
  readonly functions: ReadonlySet<string>
  readonly relations: ReadonlySet<string>
}

const unreadable: Definition = { place: 'primary', functions: none, relations: none }
/** Definitions change seldom, and are read again after each DDL statement. */
const definitions = new Generations<Definition>({ entriesMax: definitionsMax, charactersMax: 8_000_000 })

function definition(text: string): Definition {
  const known = definitions.get(text)
  if (known !== undefined) return known
  const result = text.length > definitionCharactersMax ? null : parsed(text)
  const found = result?.kind === 'facts' ? result.facts : unreadable
  const kept = { place: found.place, functions: found.functions, relations: found.relations }
  definitions.set(text, kept)
  return kept
}

type Known = Pick<Catalogue, 'calm' | 'unsafeRelations'>

function hides(one: Definition, known: Known): boolean {
  if (one.place === 'primary') return true
  const catalogue = { ...known, asynchronousCommit: false }
  return namesVerdict(one.functions, one.relations, catalogue, false) !== null
}

/** Views over views: again until nothing is added. */
async function addDefinitions(
  known: { calm: Set<string>; unsafeRelations: Set<string> },
  rows: readonly Row[],
): Promise<void> {
  const read: [Row, Definition][] = []
  for (const [index, row] of rows.entries()) {
    read.push([row, index < definitionsMax ? definition(row[2] ?? '') : unreadable])
    // Other clients' statements come between.
    if (index % definitionsAtOnce === definitionsAtOnce - 1) await turn()
  }
  for (let before = -1; before !== known.unsafeRelations.size; ) {
    before = known.unsafeRelations.size
    for (const [row, one] of read) if (hides(one, known)) addRelation(known.unsafeRelations, row)
  }
}

function pinningFunctions(rows: readonly Row[]): Map<string, number> {
  const pinning = new Map<string, number>()
  for (const [schema, name, body] of rows) {
    const pins = leftBehind(body ?? '')
    if (pins === 0) continue
    for (const key of [name as string, `${schema}.${name}`]) pinning.set(key, (pinning.get(key) ?? 0) | pins)
  }
  return pinning
}
