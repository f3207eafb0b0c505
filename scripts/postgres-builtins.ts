// Writes src/database/sql/builtins.generated.ts: what a new PostgreSQL has in it, so that a router that has not asked its
// database yet can judge a statement. To be run when the packaged PostgreSQL changes: `node scripts/postgres-builtins.ts`.

import { writeFileSync } from 'node:fs'
import { Client } from 'pg'
import { startPostgres } from '../test/tools/postgres-server.ts'

const lasting: (() => unknown)[] = []
const server = await startPostgres({ after: (end: () => unknown) => void lasting.push(end) } as never)
const client = new Client({ connectionString: server.url })
await client.connect()

async function names(sql: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(sql)
  return rows.map(row => row.name).sort()
}

const schemas = "AND nspname IN ('pg_catalog', 'information_schema')"
const nameOf = (column: string): string =>
  `CASE nspname WHEN 'pg_catalog' THEN ${column}::text ELSE nspname || '.' || ${column} END`

const functions = await names(`
  SELECT ${nameOf('proname')} AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace ${schemas}
  GROUP BY 1 HAVING bool_and(provolatile <> 'v') `)
const operators = await names(`
  SELECT oprname AS name FROM pg_operator JOIN pg_proc p ON p.oid = oprcode
  GROUP BY oprname HAVING bool_and(provolatile <> 'v') ORDER BY oprname COLLATE "C"`)
const types = await names(`
  SELECT ${nameOf('typname')} AS name FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace ${schemas}
  WHERE typtype IN ('b', 'r', 'm', 'p', 'd') AND typname !~ '^_' `)
const { rows: views } = await client.query<{ schema: string; name: string; text: string }>(`
  SELECT nspname AS schema, relname AS name, pg_get_viewdef(c.oid) AS text
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'v' AND nspname IN ('pg_catalog', 'information_schema') ORDER BY nspname COLLATE "C", relname COLLATE "C"`)
const version = (await client.query<{ server_version: string }>('SHOW server_version')).rows[0]!
  .server_version
await client.end()
for (const end of lasting) await end()

const list = (name: string, sentence: string, values: readonly string[]): string =>
  `/** ${sentence} */\nexport const ${name}: ReadonlySet<string> = new Set(\n  \`${values.join(' ').replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\`.split(' '),\n)\n`

const target = new URL('../src/database/sql/builtins.generated.ts', import.meta.url)
const header = `// Written by scripts/postgres-builtins.ts from PostgreSQL ${version}: names only. Not to be changed by hand.\n`
const known = [
  list(
    'builtinFunctions',
    'Functions of pg_catalog (and information_schema, with its name) that are not volatile, in none of their overloads.',
    functions,
  ),
  list('builtinOperators', 'Operators of pg_catalog, none of whose functions is volatile.', operators),
  list('builtinTypes', 'Types of pg_catalog (and information_schema, with its name).', types),
]
writeFileSync(target, `${header}\n${[...known, list('serverViews', '-', [])].join('\n')}`)

// What decides about views is the product's own judgement, by the names that were just written.
const { localViews } = await import('../src/database/sql/views.ts')
const local = await localViews(views)
const last = list(
  'serverViews',
  "Views of pg_catalog and information_schema that show a server's own state, or a session's.",
  local,
)
writeFileSync(target, `${header}\n${[...known, last].join('\n')}`)
