// The databases' part of the status, put together from what agents and the router say. Pure: parts in, views out.

import type { DatabaseGroupStatus, FailoverRecord, ServerStatus } from '../database/agent/contract.ts'
import type { BackupStatus, Backups } from '../database/backup/index.ts'
import type { RoutedDatabaseStatus, RouterStatus } from '../database/router/control-protocol.ts'
import { type CheckedDatabase, type CheckedReads, type CheckedSystem, shardGroups } from '../file/index.ts'
import { bytesText, durationText } from '../kit/duration.ts'
import type { CompiledDatabase } from './compile-databases.ts'
import type {
  BackupStateView,
  DatabaseServerView,
  DatabaseTrafficView,
  DatabaseView,
  FailoverView,
  RouterView,
} from './control/database-views.ts'
import type { RouterProcessState } from './router-process.ts'

export interface DatabaseParts {
  readonly compiled: CompiledDatabase
  readonly status: DatabaseGroupStatus
  readonly routed: RoutedDatabaseStatus | undefined
  readonly backup: BackupStateView | null
}

export function databaseView({ compiled, status, routed, backup }: DatabaseParts): DatabaseView {
  const { spec, routing } = compiled
  return {
    name: spec.name,
    database: spec.database,
    servedBy: spec.servers.kind === 'embedded' ? 'tenfold' : 'elsewhere',
    state: status.state,
    reason: status.reason,
    durability: status.durability,
    reads: readsText(routing.reads),
    host: routing.listener.host,
    port: routed?.port ?? routing.listener.port,
    epoch: status.epoch,
    timeline: status.timeline,
    paused: status.paused,
    traffic: routed === undefined ? null : trafficView(routed),
    servers: status.servers.map(server => serverView(server, routed)),
    failovers: status.failovers.map(failoverView),
    backup,
  }
}

export function readsText(reads: CheckedReads): string {
  return reads.kind === 'maxLag' ? `at most ${durationText(reads.maxLagMs)} behind` : reads.kind
}

function trafficView({
  clients,
  waiting,
  held,
  pins,
  reads,
  statements,
  feed,
}: RoutedDatabaseStatus): DatabaseTrafficView {
  return { clients, waiting, held, pins, reads, statements, feed: feedView(feed) }
}

function feedView(feed: RoutedDatabaseStatus['feed']): DatabaseTrafficView['feed'] {
  if (feed === null) return null
  const { state, problem, lagMs, sinks } = feed
  return { state, problem, lagMs, sinks: sinks.map(({ told: _, ...rest }) => rest) }
}

function serverView(server: ServerStatus, routed: RoutedDatabaseStatus | undefined): DatabaseServerView {
  const { id, role, state, reason, host, port, pid, delayMs, lsn, lagBytes, lagMs, from } = server
  const used = routed?.servers.find(one => one.id === id)
  return {
    id,
    role,
    state,
    reason,
    address: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    pid,
    delayMs,
    lsn: lsnText(lsn),
    lagBytes: lagBytes ?? used?.lagBytes ?? null,
    lagMs: lagMs ?? used?.lagMs ?? null,
    from,
    connections: used ? { total: used.connections, active: used.active, idle: used.idle } : null,
  }
}

/** As PostgreSQL writes a position. */
export function lsnText(lsn: number): string {
  const high = Math.floor(lsn / 2 ** 32)
  return `${high.toString(16).toUpperCase()}/${(lsn % 2 ** 32).toString(16).toUpperCase()}`
}

function failoverView({ atMs, ...record }: FailoverRecord): FailoverView {
  return { at: new Date(atMs).toISOString(), ...record }
}

/** Null where no database asks for a router. */
export function routerView(
  system: CheckedSystem,
  process: RouterProcessState,
  status: RouterStatus | null,
): RouterView | null {
  if (Object.keys(system.databases).length === 0) return null
  const { state, reason, pid, adopted, restarts } = process
  return { state, reason, pid, adopted, restarts, snapshotVersion: status?.version ?? 0 }
}

const takesWrites: readonly string[] = ['ready', 'degraded']

/** What is missing until every database takes writes and can be reached. */
export function waitingForDatabases(
  databases: readonly CheckedDatabase[],
  statuses: readonly DatabaseGroupStatus[],
  router: RouterStatus | null,
  process: RouterProcessState,
): string[] {
  if (databases.length === 0) return []
  // Each shard is a group of its own.
  const names = databases.flatMap(one => {
    const groups = shardGroups(one)
    return groups.length === 0 ? [one.name] : groups.map(group => group.name)
  })
  const missing = names.flatMap(name => {
    const status = statuses.find(one => one.name === name)
    if (status === undefined) return [`the database ${name} is not started yet`]
    return takesWrites.includes(status.state)
      ? []
      : [`the database ${name} is ${status.state}: ${status.reason}`]
  })
  return router === null
    ? [...missing, `the database router is ${process.state}: ${process.reason}`]
    : missing
}

export function backupStateView(backups: Backups | null): BackupStateView | null {
  if (backups === null) return null
  const status = backups.status()
  const { lastBase } = status
  return {
    directory: status.place,
    lastAt: lastBase === null ? null : new Date(lastBase.endedAtMs).toISOString(),
    text: backupText(status),
  }
}

export function backupText({ bases, working, log, lagBytes, lastDrill, problem }: BackupStatus): string {
  const parts = [
    `${bases} base backup${bases === 1 ? '' : 's'}`,
    log.archivedLsn === 0
      ? 'no log is archived yet'
      : `the log is archived to ${lsnText(log.archivedLsn)}${lagBytes ? `, ${bytesText(lagBytes)} behind` : ''}`,
    ...(working === null ? [] : [`${working} is under way`]),
    ...(lastDrill === null
      ? []
      : [
          lastDrill.problems.length === 0
            ? 'the last drill was good'
            : `the last drill failed: ${lastDrill.problems.join('; ')}`,
        ]),
    ...[problem, log.problem].filter(text => text !== ''),
  ]
  return parts.join('; ')
}
