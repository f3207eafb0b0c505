// What a router shows of itself: `tenfold db status` and metrics. Counts are read when somebody looks.

import { createMetrics, type Metrics, type Sample } from '../../kit/metrics.ts'
import type { FeedStatus } from '../feed/index.ts'
import { pinReasons } from '../sql/contract.ts'
import type { RoutedDatabaseStatus, RoutedServerStatus } from './control-protocol.ts'
import type { DatabaseRouting } from './database-routing.ts'
import type { ResultCounts } from './results.ts'

export function databaseStatus(
  database: DatabaseRouting,
  port: number,
  clients: number,
  feed: FeedStatus | null,
): RoutedDatabaseStatus {
  const { spec } = database
  return {
    name: spec.name,
    host: spec.listener.host,
    port,
    epoch: spec.epoch,
    clients,
    waiting: database.waiting,
    held: database.held.length,
    servers: spec.servers.map(server => serverStatus(database, server.id)),
    pins: pinsOf(database),
    statements: [...database.counts.classes()].map(({ kind, server, count, errors, latency }) => ({
      kind,
      server,
      count,
      errors,
      p50Ms: latency.quantile(0.5) / 1000,
      p99Ms: latency.quantile(0.99) / 1000,
    })),
    reads: database.planner.counts,
    feed,
    results: database.results?.counts ?? null,
  }
}

function serverStatus(database: DatabaseRouting, id: string): RoutedServerStatus {
  const pool = database.pools.get(id)
  const lag = database.planner.lagOf(id)
  const isPrimary = id === database.spec.primary
  const trouble = pool?.trouble ?? ''
  const standing = isPrimary ? 'used' : database.planner.standingOf(id)
  return {
    id,
    role: isPrimary ? 'primary' : 'replica',
    connections: pool?.connections ?? 0,
    active: pool?.used ?? 0,
    idle: pool?.idle ?? 0,
    lagBytes: lag?.bytes ?? null,
    lagMs: lag?.ms ?? null,
    reason: pool === undefined ? 'not used' : trouble === '' ? standing : trouble,
  }
}

/** Clients that keep a server connection, by reason; each counts once a reason. */
function pinsOf({ sessions }: DatabaseRouting): Record<string, number> {
  const pins: Record<string, number> = { transaction: 0, batch: 0, copy: 0 }
  for (const reason of pinReasons) pins[reason] = 0
  for (const session of sessions) {
    const { server } = session
    if (server === null) continue
    if (server.copyingIn) pins.copy!++
    else if (server.status !== 0x49) pins.transaction!++
    else if (server.batchOpen) pins.batch!++
    for (const [index, reason] of pinReasons.entries())
      if ((session.pins & (1 << index)) !== 0) pins[reason]!++
  }
  return pins
}

export function routerMetrics(
  databases: () => readonly DatabaseRouting[],
  feedOf: (database: string) => FeedStatus | null,
): Metrics {
  const metrics = createMetrics()
  const each = (name: string, help: string, read: (one: DatabaseRouting) => number): void =>
    metrics.pull('gauge', { name, help, labels: ['database'] }, () =>
      databases().map(one => ({ labels: { database: one.name }, value: read(one) })),
    )
  each('database_clients', 'Clients that are logged in.', one => one.sessions.size)
  each('database_waiting', 'Statements that wait for a connection to a server.', one => one.waiting)
  each('database_held', 'Statements that are held until there is a primary.', one => one.held.length)
  each('database_epoch', 'Number of the present primary among all there were.', one => one.spec.epoch)
  each('database_prepared_shared', 'Distinct prepared statements.', one => one.statements.size)
  const perServer = (
    name: string,
    help: string,
    read: (pool: { connections: number; used: number }) => number,
  ): void =>
    metrics.pull('gauge', { name, help, labels: ['database', 'server'] }, function* () {
      for (const one of databases())
        for (const [server, pool] of one.pools)
          yield { labels: { database: one.name, server }, value: read(pool) }
    })
  perServer('database_server_connections', 'Connections to a server.', pool => pool.connections)
  perServer('database_server_active', 'Connections to a server that a client has.', pool => pool.used)
  metrics.pull(
    'gauge',
    {
      name: 'database_pins',
      help: 'Clients that keep a server connection, by reason.',
      labels: ['database', 'reason'],
    },
    function* () {
      for (const one of databases())
        for (const [reason, value] of Object.entries(pinsOf(one)))
          yield { labels: { database: one.name, reason }, value }
    },
  )
  metrics.pull(
    'counter',
    {
      name: 'database_reads_total',
      help: 'Reads that were to go to a replica, by what became of them.',
      labels: ['database', 'outcome'],
    },
    function* () {
      for (const one of databases())
        for (const [outcome, value] of Object.entries(one.planner.counts))
          yield { labels: { database: one.name, outcome }, value }
    },
  )
  statementMetrics(metrics, databases)
  resultMetrics(metrics, databases)
  feedMetrics(metrics, databases, feedOf)
  return metrics
}

function resultMetrics(metrics: Metrics, databases: () => readonly DatabaseRouting[]): void {
  const each = (
    kind: 'gauge' | 'counter',
    name: string,
    help: string,
    read: (counts: ResultCounts) => number,
  ): void =>
    metrics.pull(kind, { name, help, labels: ['database'] }, function* () {
      for (const { name: database, results } of databases())
        if (results !== null) yield { labels: { database }, value: read(results.counts) }
    })
  each('counter', 'database_results_hits_total', 'Reads that were answered from memory.', one => one.hits)
  each(
    'counter',
    'database_results_misses_total',
    'Reads whose answer could be kept, and was not there.',
    one => one.misses,
  )
  each(
    'counter',
    'database_results_voided_total',
    'Answers that were dropped by a change.',
    one => one.voided,
  )
  each(
    'counter',
    'database_results_evicted_total',
    'Answers that were dropped for others.',
    one => one.evicted,
  )
  each('counter', 'database_results_refused_total', 'Answers that could not be kept.', one => one.refused)
  each('gauge', 'database_results_bytes', 'Answers that are kept.', one => one.bytes)
}

function feedMetrics(
  metrics: Metrics,
  databases: () => readonly DatabaseRouting[],
  feedOf: (database: string) => FeedStatus | null,
): void {
  const each = (
    kind: 'gauge' | 'counter',
    name: string,
    help: string,
    read: (feed: FeedStatus) => number,
  ): void =>
    metrics.pull(kind, { name, help, labels: ['database'] }, function* () {
      for (const one of databases()) {
        const feed = feedOf(one.name)
        if (feed !== null) yield { labels: { database: one.name }, value: read(feed) }
      }
    })
  each('gauge', 'database_feed_up', 'Changes are followed now.', feed => (feed.state === 'streaming' ? 1 : 0))
  each('gauge', 'database_feed_lag_bytes', 'Log that caches have not heard of.', feed => feed.lagBytes)
  each(
    'gauge',
    'database_feed_lag_seconds',
    'Since when the oldest change that not every cache has heard of is known.',
    feed => feed.lagMs / 1_000,
  )
  each(
    'counter',
    'database_feed_commits_total',
    'Commits with changes that caches hear of.',
    feed => feed.commits,
  )
  each(
    'counter',
    'database_feed_everything_total',
    'Times that caches had to forget everything.',
    feed => feed.everythings,
  )
  metrics.pull(
    'gauge',
    {
      name: 'database_feed_sink_away',
      help: 'A sink of the feed fails, or is owed everything.',
      labels: ['database', 'sink'],
    },
    function* () {
      for (const one of databases())
        for (const { name, state } of feedOf(one.name)?.sinks ?? [])
          yield {
            labels: { database: one.name, sink: name },
            value: state === 'away' || state === 'owed' ? 1 : 0,
          }
    },
  )
}

function statementMetrics(metrics: Metrics, databases: () => readonly DatabaseRouting[]): void {
  const labels = ['database', 'kind', 'server']
  function* each(read: 'count' | 'errors' | 'latency'): Iterable<Sample> {
    for (const one of databases())
      for (const found of one.counts.classes())
        yield { labels: { database: one.name, kind: found.kind, server: found.server }, value: found[read] }
  }
  metrics.pull(
    'counter',
    { name: 'database_statements_total', help: 'Statements by kind and role of the server.', labels },
    () => each('count'),
  )
  metrics.pull(
    'counter',
    { name: 'database_statement_errors_total', help: 'Statements that ended with an error.', labels },
    () => each('errors'),
  )
  metrics.pullHistogram(
    { name: 'database_statement_duration_seconds', help: 'From sending to the end of the answer.', labels },
    () => each('latency'),
  )
}
