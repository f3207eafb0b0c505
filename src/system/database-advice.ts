// Advice on indexes and partitions, asked of a database's servers. Owns where it is asked and who may try, and what may be shown;
// candidates and what they are worth are database/advice's matter.

import type { DatabaseGroup } from '../database/agent/contract.ts'
import { shownStatement } from '../database/index.ts'
import type { RoutedDatabase } from '../database/router/snapshot.ts'
import { Failure } from '../kit/failure.ts'
import type { AdviceView } from './control/database-views.ts'
import { systemFailures } from './failures.ts'

const queryMs = 30_000
/** What is not tried by then is said to be untried. */
const trialsMs = 120_000

export interface AdviceOf {
  /** Of each shard, or the only one. */
  readonly groups: readonly DatabaseGroup[]
  /** The first group as the router has it: its logins. */
  readonly routed: RoutedDatabase | null
  readonly verify: boolean
  readonly limit: number
}

/** Throws DATABASE_NO_PRIMARY; SYSTEM_DATABASE_UNCOUNTED. */
export async function adviceView(
  name: string,
  { groups, routed, verify, limit }: AdviceOf,
): Promise<AdviceView> {
  const { adviseDatabase } = await import('../database/advice/index.ts')
  const { ServerSession } = await import('../database/index.ts')
  const until = performance.now() + trialsMs
  const asks = groups.map(group => {
    const { primary, servers } = group.topology
    if (primary === null)
      throw new Failure(systemFailures.databaseWithoutPrimary, `'${group.spec.name}' has no primary now.`)
    const others = servers.filter(({ id, state }) => id !== primary && state === 'ready').map(({ id }) => id)
    return [primary, ...others].map(id => (sql: string) => group.servers.query(id, sql, queryMs))
  })
  // Tables may belong to a role that nobody is logged in as.
  const loginFor = async (table: string): Promise<string> => {
    const logins = (routed?.users ?? []).map(one => one.server.user).filter(one => !one.startsWith('tenfold'))
    const [schema, bare] = table.split('.').map(literal)
    const rows = await asks[0]?.[0]?.(
      `SELECT login FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace CROSS JOIN unnest(ARRAY[${logins.map(literal).join(', ')}]::text[]) AS login
      JOIN pg_roles r ON rolname = login AND NOT rolsuper
      WHERE nspname = ${schema} AND relname = ${bare} AND pg_has_role(r.oid, relowner, 'USAGE') ORDER BY r.oid = relowner DESC, 1 LIMIT 1`,
    )
    return rows?.[0]?.[0] ?? ''
  }
  try {
    const advice = await adviseDatabase({
      groups: asks,
      owner: async table => {
        const user = await loginFor(table)
        const server = routed?.servers.find(({ id }) => id === routed.primary)
        const login = routed?.users.find(one => one.server.user === user)?.server
        if (routed === null || server === undefined || login === undefined) return null
        const { host, port } = server
        const session = new ServerSession(() => ({ host, port, database: routed.database, ...login }))
        return { ask: (sql, timeoutMs) => session.query(sql, timeoutMs), close: () => session.close() }
      },
      progress: () => {},
      timeLeft: () => performance.now() < until,
      verify,
      limit,
    })
    return { database: name, ...shown(advice) }
  } catch (cause) {
    throw uncounted(name, cause as Error)
  }
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Texts as PostgreSQL normalises them, and without what it keeps of values all the same. */
function shown<T extends Pick<AdviceView, 'indexes'>>(advice: T): T {
  return {
    ...advice,
    indexes: advice.indexes.map(one => ({
      ...one,
      statements: one.statements.map(statement => ({ ...statement, text: shownStatement(statement.text) })),
      trial:
        one.trial === null
          ? null
          : {
              ...one.trial,
              statements: one.trial.statements.map(seen => ({ ...seen, text: shownStatement(seen.text) })),
            },
    })),
  }
}

function uncounted(name: string, cause: Error & { readonly code?: unknown }): Error {
  if (cause.code !== '42P01' && cause.code !== '55000') return cause
  return new Failure(
    systemFailures.databaseUncounted,
    `A server of '${name}' does not count statements: ${cause.message}.`,
    { cause },
  )
}
