// Slow statements of a database, asked of its servers (pg_stat_statements): texts as PostgreSQL normalises them, without
// literals. Owns which ones are shown.

import type { DatabaseGroup } from '../database/agent/contract.ts'
import { shownStatement } from '../database/index.ts'
import { Failure } from '../kit/failure.ts'
import type { SlowStatementsView } from './control/database-views.ts'
import { systemFailures } from './failures.ts'

const shownMax = 20
const queryTimeoutMs = 5_000
const textLengthMax = 10_000

/** Statements of other databases and of Tenfold itself are none of the services' concern. */
const slowSql = `SELECT left(s.query, ${textLengthMax}), s.calls, s.total_exec_time, s.mean_exec_time, s.max_exec_time, s.rows
FROM public.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.userid
WHERE d.datname = $database$ AND r.rolname NOT LIKE 'tenfold%'
ORDER BY s.total_exec_time DESC LIMIT ${shownMax}`

type Statement = SlowStatementsView['statements'][number]

/** Of every server that answers; the slowest in sum first. Rejects when none does. */
export async function slowStatements(group: DatabaseGroup): Promise<SlowStatementsView> {
  const sql = slowSql.replace('$database$', `'${group.spec.database}'`)
  const servers = group.topology.servers.filter(server => server.state === 'ready')
  const answers = await Promise.allSettled(
    servers.map(async ({ id }) => statementsOf(id, await group.servers.query(id, sql, queryTimeoutMs))),
  )
  const refused = answers.find(answer => answer.status === 'rejected')
  const good = answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []))
  if (good.length === 0 && refused !== undefined) throw uncounted(group.spec.name, refused.reason as Error)
  const statements = good.flat().sort((a, b) => b.totalMs - a.totalMs)
  return { statements: statements.slice(0, shownMax) }
}

/** 42P01, 55000 (object_not_in_prerequisite_state): the extension is not made, or its library not loaded. */
function uncounted(name: string, cause: Error & { readonly code?: unknown }): Error {
  if (cause.code !== '42P01' && cause.code !== '55000') return cause
  return new Failure(
    systemFailures.databaseUncounted,
    `No server of '${name}' counts statements: ${cause.message}.`,
    { cause },
  )
}

function statementsOf(server: string, rows: readonly (readonly (string | null)[])[]): Statement[] {
  return rows.map(([text, calls, total, mean, max, found]) => ({
    server,
    text: shownStatement(text ?? ''),
    calls: Number(calls),
    totalMs: Number(total),
    meanMs: Number(mean),
    maxMs: Number(max),
    rows: Number(found),
  }))
}
