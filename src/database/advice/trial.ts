// A candidate tried: a copy of some rows of its table in a temporary table, in a transaction that is rolled back. Plans of the statements
// are asked for with and without the index (never run), and rows are inserted with and without it. The real table is read for the
// copy, and nothing else is done to it. As the table's owner: planning runs functions of users, which must not be a superuser's.

import { parseSync } from 'libpg-query'
import type { IndexCandidate, IndexTrial } from '../../policy/advise/contract.ts'
import type { Row } from '../servers/session.ts'
import { deparse } from '../sql/shards/tree-text.ts'
import { isTree, type Tree } from '../sql/tree.ts'

/** Simple queries on one connection, as a login that owns the table; rows as texts. */
export type AskOwner = (sql: string, timeoutMs: number) => Promise<readonly Row[]>

const rowsMax = 100_000
const bytesMax = 128 << 20
const insertRows = 2_000
const insertTurns = 5
const statementsMax = 5
const trialMs = 60_000
const copyName = 'tenfold_trial'
const fillName = 'tenfold_trial_fill'

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const named = (table: string): string => table.split('.').map(quoted).join('.')

export interface TrialTable {
  readonly rows: number
  readonly bytes: number
}

/** Rejects with what the server says; nothing is left then, either. */
export async function tryIndex(
  ask: AskOwner,
  candidate: IndexCandidate,
  table: TrialTable,
): Promise<IndexTrial> {
  await ask(
    `BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '30s'; SET LOCAL max_parallel_workers_per_gather = 0;
      SET LOCAL search_path = "$user", public`,
    trialMs,
  )
  try {
    return await tried(ask, candidate, table)
  } finally {
    await ask('ROLLBACK', trialMs).catch(() => {})
  }
}

async function tried(
  ask: AskOwner,
  candidate: IndexCandidate,
  { rows, bytes }: TrialTable,
): Promise<IndexTrial> {
  const { table, columns, statements } = candidate
  const width = Math.max(1, bytes / Math.max(1, rows))
  const wanted = Math.max(1_000, Math.min(rowsMax, Math.floor(bytesMax / width)))
  const listed = await writable(ask, table)
  for (const name of [copyName, fillName])
    await ask(
      `CREATE TEMPORARY TABLE ${name} (LIKE ${named(table)} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING STATISTICS) ON COMMIT DROP`,
      trialMs,
    )
  const sample = rows > wanted ? ` TABLESAMPLE SYSTEM (${Math.min(100, (wanted / rows) * 120)})` : ''
  await ask(
    `INSERT INTO ${copyName} (${listed}) SELECT ${listed} FROM ${named(table)}${sample} LIMIT ${wanted}; ANALYZE ${copyName}`,
    trialMs,
  )
  const [[copied] = []] = await ask(`SELECT count(*) FROM ${copyName}`, trialMs)
  const texts = statements.slice(0, statementsMax).map(({ text }) => ({ text, sql: onCopy(text, table) }))
  const before = await plansOf(ask, texts)
  const insertBefore = await insertUs(ask, listed)
  await ask(
    `CREATE INDEX tenfold_trial_index ON ${copyName} (${columns.map(quoted).join(', ')}); ANALYZE ${copyName}`,
    trialMs,
  )
  const after = await plansOf(ask, texts)
  await ask(`CREATE INDEX ON ${fillName} (${columns.map(quoted).join(', ')})`, trialMs)
  const insertAfter = await insertUs(ask, listed)
  const [[size] = []] = await ask("SELECT pg_relation_size('tenfold_trial_index')", trialMs)
  return {
    rows: Number(copied),
    statements: texts.flatMap(({ text }, at) => {
      const [was, is] = [before[at], after[at]]
      if (was == null || is == null) return []
      return [{ text, before: was.cost, after: is.cost, used: is.names.includes('tenfold_trial_index') }]
    }),
    insertUs: { before: insertBefore, after: insertAfter },
    bytesPerRow: Number(copied) > 0 ? Number(size) / Number(copied) : 0,
  }
}

/** Columns that an INSERT may name. */
async function writable(ask: AskOwner, table: string): Promise<string> {
  const rows = await ask(
    `SELECT attname FROM pg_attribute WHERE attrelid = '${named(table).replaceAll("'", "''")}'::regclass AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' ORDER BY attnum`,
    trialMs,
  )
  return rows.map(([name]) => quoted(name as string)).join(', ')
}

/** The statement with the copy in place of the table. Null: it can't be written so. */
function onCopy(sql: string, table: string): string | null {
  try {
    const tree = parseSync(sql) as unknown as Tree
    return deparse(replaced(tree, table) as Tree)
  } catch {
    return null
  }
}

function replaced(value: unknown, table: string): unknown {
  if (Array.isArray(value)) return value.map(one => replaced(one, table))
  if (!isTree(value)) return value
  const copy: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    const range = (key === 'RangeVar' || key === 'relation') && isTree(inner) ? inner : null
    copy[key] = range !== null && isTable(range, table) ? onto(range) : replaced(inner, table)
  }
  return copy
}

function isTable({ schemaname, relname }: Tree, table: string): boolean {
  const [schema, name] = table.split('.')
  return relname === name && (schemaname === undefined || schemaname === schema)
}

/** Under the name that it had, for columns that say it. */
function onto(range: Tree): Tree {
  const { schemaname: _, ...rest } = range
  return { ...rest, relname: copyName, alias: range.alias ?? { aliasname: range.relname } }
}

interface PlanSeen {
  readonly cost: number
  /** Of indexes. */
  readonly names: readonly string[]
}

async function plansOf(
  ask: AskOwner,
  texts: readonly { readonly sql: string | null }[],
): Promise<(PlanSeen | null)[]> {
  const plans: (PlanSeen | null)[] = []
  for (const { sql } of texts) plans.push(sql === null ? null : await planOf(ask, sql))
  return plans
}

/** Null: the server can't plan it without values, or not at all. */
async function planOf(ask: AskOwner, sql: string): Promise<PlanSeen | null> {
  await ask('SAVEPOINT plan', trialMs)
  try {
    const rows = await ask(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${sql}`, trialMs)
    const said = JSON.parse(rows.map(([line]) => line ?? '').join('\n')) as [
      { Plan: Record<string, unknown> },
    ]
    const names: string[] = []
    const walk = (plan: Record<string, unknown>): void => {
      if (typeof plan['Index Name'] === 'string') names.push(plan['Index Name'])
      for (const one of (plan.Plans ?? []) as Record<string, unknown>[]) walk(one)
    }
    walk(said[0].Plan)
    return { cost: Number(said[0].Plan['Total Cost']), names }
  } catch {
    return null
  } finally {
    await ask('ROLLBACK TO plan', trialMs)
  }
}

/** The median of some turns. */
async function insertUs(ask: AskOwner, listed: string): Promise<number> {
  const times: number[] = []
  for (let turn = 0; turn < insertTurns; turn++) {
    await ask(`TRUNCATE ${fillName}`, trialMs)
    const rows = await ask(
      `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) INSERT INTO ${fillName} (${listed}) SELECT ${listed} FROM ${copyName} LIMIT ${insertRows}`,
      trialMs,
    )
    const said = JSON.parse(rows.map(([line]) => line ?? '').join('\n')) as [
      { 'Execution Time': number; Plan: { Plans?: { 'Actual Rows': number }[] } },
    ]
    const count = Math.max(1, said[0].Plan.Plans?.[0]?.['Actual Rows'] ?? insertRows)
    times.push((said[0]['Execution Time'] * 1_000) / count)
  }
  return times.sort((one, other) => one - other)[Math.floor(times.length / 2)] as number
}
