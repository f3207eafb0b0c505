// Metrics of databases as their agents see them: which server is what, how far behind, and how often the primary changed.
// The router's own (statements, pools, pins, reads) are the router's, and put beside these by whoever serves /metrics.

import type { DatabaseGroupStatus, ServerStatus } from '../database/agent/contract.ts'
import type { BackupStatus } from '../database/backup/index.ts'
import type { Metrics, Sample } from '../kit/metrics.ts'
import type { RouterProcessState } from './router-process.ts'

export interface DatabaseMetricsSource {
  statuses(): readonly DatabaseGroupStatus[]
  /** Null: there is none for this database. */
  backup(database: string): BackupStatus | null
  /** Null: there is no database. */
  router(): RouterProcessState | null
}

export function databaseMetrics(metrics: Metrics, source: DatabaseMetricsSource): void {
  const perDatabase = (value: (one: DatabaseGroupStatus) => number | null) => (): Sample[] =>
    source.statuses().flatMap(one => sample({ database: one.name }, value(one)))
  const perServer = (value: (one: ServerStatus) => number | null) => (): Sample[] =>
    source
      .statuses()
      .flatMap(one =>
        one.servers.flatMap(server => sample({ database: one.name, server: server.id }, value(server))),
      )
  const gauge = (name: string, help: string, read: () => Sample[]): void =>
    metrics.pull('gauge', { name, help }, read)

  gauge('system_router_up', '1 while the database router answers.', () => {
    const router = source.router()
    return router === null ? [] : [{ value: router.state === 'running' ? 1 : 0 }]
  })
  metrics.pull(
    'counter',
    { name: 'system_router_restarts_total', help: 'Starts of the database router after it died.' },
    () => [{ value: source.router()?.restarts ?? 0 }],
  )
  gauge(
    'database_writable',
    '1 while the database takes writes.',
    perDatabase(one => (one.state === 'ready' || one.state === 'degraded' ? 1 : 0)),
  )
  gauge(
    'database_paused',
    '1 while an operator has paused failovers and repairs.',
    perDatabase(one => (one.paused === null ? 0 : 1)),
  )
  gauge(
    'database_server_primary',
    '1 for the primary.',
    perServer(one => (one.role === 'primary' ? 1 : 0)),
  )
  gauge(
    'database_server_ready',
    '1 while the server may be used for its role.',
    perServer(one => (one.state === 'ready' ? 1 : 0)),
  )
  gauge(
    'database_server_lag_bytes',
    'How much log a replica has not replayed yet.',
    perServer(one => (one.role === 'replica' ? one.lagBytes : null)),
  )
  gauge(
    'database_server_lag_seconds',
    'How far a replica is behind in time.',
    perServer(one => (one.role === 'replica' && one.lagMs !== null ? one.lagMs / 1_000 : null)),
  )
  gauge(
    'database_backup_age_seconds',
    'Since the end of the last base backup; left out where there is none.',
    perDatabase(one => {
      const last = source.backup(one.name)?.lastBase
      return last ? (Date.now() - last.endedAtMs) / 1_000 : null
    }),
  )
  gauge(
    'database_backup_lag_bytes',
    'Log that is not in the archive yet.',
    perDatabase(one => source.backup(one.name)?.lagBytes ?? null),
  )
}

function sample(labels: Record<string, string>, value: number | null): Sample[] {
  return value === null ? [] : [{ labels, value }]
}
