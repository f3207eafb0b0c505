// What is done with a database besides keeping it running: backups, restores, drills. Owns how their results are said; the
// work is the database's own. Loaded when it is asked for: it needs PostgreSQL's client.

import type { DatabaseGroup } from '../database/agent/contract.ts'
import type { Backups, BaseBackup, DrillRecord } from '../database/backup/index.ts'
import { databaseFailures } from '../database/failures.ts'
import type { Progress, ServersOptions } from '../database/servers/contract.ts'
import { createServers } from '../database/servers/index.ts'
import { type ReplicaReport, verifyDatabase } from '../database/verify/index.ts'
import { systemClock } from '../kit/clock.ts'
import { bytesText, durationText } from '../kit/duration.ts'
import { Failure } from '../kit/failure.ts'
import type { BackupsView } from './control/database-views.ts'
import type { OperationResult } from './control/handlers.ts'
import { backupText, lsnText } from './database-status.ts'
import { systemFailures } from './failures.ts'

/** Nobody cancels what an operator asked for, but the end of the system. */
const uncancelled = (): AbortSignal => new AbortController().signal

/** Findings: every difference, and every replica that could not be compared. */
export async function verify(group: DatabaseGroup, progress: Progress): Promise<OperationResult> {
  const { servers, topology } = group
  const report = await verifyDatabase({
    servers,
    topology,
    clock: systemClock,
    progress,
    signal: uncancelled(),
  })
  const findings = report.replicas.flatMap(replicaFindings)
  const compared = report.replicas.filter(replica => replica.skipped === '')
  const rows = compared[0]?.rows ?? 0
  const text = report.sound
    ? `${compared.length} replicas have the rows of ${report.primary}: ${rows} rows, compared in ${durationText(report.tookMs)}`
    : `not every replica has the rows of ${report.primary}`
  return findings.length === 0 ? { text } : { text, findings }
}

const words = {
  missing: 'only the primary has it',
  extra: 'only the replica has it',
  differs: 'has another content',
  unreadable: 'its page cannot be read',
}

function replicaFindings({ server, skipped, differences, differing }: ReplicaReport): string[] {
  if (skipped !== '') return [`${server} was not compared: ${skipped}`]
  const shown = differences.map(
    ({ table, key, place, kind }) => `${server}: ${table} ${key ?? place}: ${words[kind]}`,
  )
  const more = differing - shown.length
  return more > 0 ? [...shown, `${server}: ${more} more rows differ`] : shown
}

export async function backUp(backups: Backups, progress: Progress): Promise<OperationResult> {
  const base = await backups.backupNow(progress, uncancelled())
  return { text: `${base.name} is taken: ${bytesText(base.packedBytes)}, at ${lsnText(base.stopLsn)}` }
}

export async function drill(backups: Backups, progress: Progress): Promise<OperationResult> {
  const record = await backups.drill(progress, uncancelled())
  if (record.problems.length > 0)
    throw new Failure(
      databaseFailures.backupFailed,
      `The last backup can't be relied on: ${record.problems.join('; ')}.`,
    )
  return { text: drillText(record) }
}

function drillText({ base, tookMs, tables, rows, indexes }: DrillRecord): string {
  return `${base} was restored for a trial in ${durationText(tookMs)}: ${tables} tables, ${rows} rows, ${indexes} indexes are sound`
}

export async function backupsView(backups: Backups): Promise<BackupsView> {
  const list = await backups.listBackups()
  return { backups: list.map(baseView), text: backupText(backups.status()) }
}

function baseView(base: BaseBackup): BackupsView['backups'][number] {
  return {
    id: base.name,
    at: new Date(base.endedAtMs).toISOString(),
    bytes: base.packedBytes,
    problem: '',
  }
}

export interface RestoreWish {
  /** ISO 8601, or `latest`. */
  readonly to: string
  /** Absent: `NAME-restored`. */
  readonly into: string | null
  /** Databases of the running system: nothing is restored over them. */
  readonly running: readonly string[]
}

/** Into a database of another name, which the file may then have. Nothing of the running one is touched. */
export async function restore(
  backups: Backups,
  options: ServersOptions,
  { to, into, running }: RestoreWish,
  progress: Progress,
): Promise<OperationResult> {
  const target = targetOf(to)
  const name = into ?? `${options.spec.name}-restored`
  if (!/^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(name))
    throw refused(`'${name}' is no name of a database: small letters, digits and -, at most 40.`)
  if (running.includes(name))
    throw refused(`'${name}' runs: restore into a name that the file does not have.`)
  const own = { ...options, spec: restoredSpec(options.spec, name) }
  const servers = createServers(own)
  const [found] = await servers.open()
  servers.release()
  if (found === undefined || found.disk !== 'empty')
    throw refused(
      `There is data of '${name}' already: name another one, or delete it with \`tenfold db reset ${name}\`.`,
    )
  const result = await backups.restore(
    { target, into: own, server: found.id, roles: servers.roles },
    progress,
    uncancelled(),
  )
  const last = result.lastCommitAt === null ? '' : `, the last commit in it is of ${result.lastCommitAt}`
  const findings = result.problem === '' ? {} : { findings: [result.problem] }
  return {
    text: `restored from ${result.base} to ${lsnText(result.recoveredLsn)}${last}. To start it: databases: { '${name}': { database: '${options.spec.database}' } } in the file, and \`tenfold reload\``,
    ...findings,
  }
}

function restoredSpec(spec: ServersOptions['spec'], name: string): ServersOptions['spec'] {
  return {
    ...spec,
    name,
    durability: 'primary',
    servers: {
      kind: 'embedded',
      members: [{ id: `${name}-1`, from: 'primary', delayMs: 0 }],
      settings: spec.servers.kind === 'embedded' ? spec.servers.settings : {},
      directories: {},
    },
    backup: null,
  }
}

function targetOf(to: string): { kind: 'latest' } | { kind: 'time'; atMs: number } {
  if (to === 'latest') return { kind: 'latest' }
  const atMs = /^\d{4}-\d\d-\d\d[T ]/.test(to) ? Date.parse(to) : Number.NaN
  if (!Number.isFinite(atMs))
    throw refused(`'${to}' is no moment: write one such as 2026-03-04T05:06:07Z, or latest.`)
  return { kind: 'time', atMs }
}

function refused(sentence: string): Failure {
  return new Failure(systemFailures.restoreRefused, sentence)
}
