// A restore and a drill: which base backup leads to a moment, recovery from it, and what is done with what came out. Owns
// that nothing is left of what failed.

import type pg from 'pg'
import type { Owner } from '../../io/owned-files.ts'
import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { DatabaseRole, Lsn } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import type { Binaries } from '../servers/binaries.ts'
import type { Progress } from '../servers/contract.ts'
import type { ServerPlace } from '../servers/places.ts'
import { identifier, literal, scramVerifier, superuser } from '../servers/roles.ts'
import { type BaseBackup, listBases } from './base.ts'
import type { DrillRecord } from './drills.ts'
import { examine } from './examine.ts'
import type { LogArchive } from './log-archive.ts'
import { type Recovered, type RestoreTarget, recover, toldTarget } from './recovery.ts'
import { lsnText } from './segments.ts'
import type { BackupStore } from './store.ts'

export interface RestoreResult {
  readonly base: string
  readonly recoveredLsn: Lsn
  /** What the last restored transaction's time was; null: unknown. */
  readonly lastCommitAt: string | null
  /** Why later moments could not be restored; ''. */
  readonly problem: string
}

export interface RestoringOptions {
  readonly store: BackupStore
  readonly archiveFor: (base: BaseBackup) => Promise<LogArchive>
  readonly place: ServerPlace
  readonly binaries: Binaries
  readonly user: Owner | null
  readonly clock: Clock
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** @param name the base backup to begin from; undefined: the newest that leads to the target */
export async function restoreTo(
  target: RestoreTarget,
  name: string | undefined,
  roles: readonly DatabaseRole[],
  options: RestoringOptions,
): Promise<RestoreResult> {
  const { base, log, server } = await recovered(target, name, false, options)
  try {
    const reached = await server.session(superuser, 'postgres', options.signal, client =>
      handOver(client, roles),
    )
    await server.keep()
    return { ...reached, base: base.name, problem: log.problem }
  } catch (error) {
    await server.discard()
    throw error
  }
}

export type Trial = Omit<DrillRecord, 'startedAtMs' | 'tookMs' | 'archivedLsn'>

/** The newest base backup and all log, looked at and thrown away. */
export async function tryLatest(
  database: string,
  archivedLsn: Lsn,
  options: RestoringOptions,
): Promise<Trial> {
  const { base, log, server } = await recovered({ kind: 'latest' }, undefined, true, options)
  try {
    const found = await server.session(superuser, database, options.signal, client =>
      examine(client, options.progress),
    )
    const problems = [...found.problems]
    if (log.endLsn < archivedLsn)
      problems.push(`the log leads to ${lsnText(log.endLsn)}, but was archived to ${lsnText(archivedLsn)}`)
    return { ...found, problems, base: base.name, recoveredLsn: log.endLsn }
  } finally {
    await server.discard()
  }
}

async function recovered(
  target: RestoreTarget,
  name: string | undefined,
  trial: boolean,
  options: RestoringOptions,
): Promise<Recovered & { readonly base: BaseBackup }> {
  const base = await baseFor(options.store, target, name)
  const archive = await options.archiveFor(base)
  return { ...(await recover({ ...options, archive, base, target, trial })), base }
}

async function baseFor(
  store: BackupStore,
  target: RestoreTarget,
  name: string | undefined,
): Promise<BaseBackup> {
  const bases = await listBases(store)
  const leads = (base: BaseBackup): boolean =>
    target.kind === 'latest' ||
    (target.kind === 'time' ? base.endedAtMs <= target.atMs : base.stopLsn <= target.lsn)
  const found = bases.findLast(base => leads(base) && (name === undefined || base.name === name))
  if (found !== undefined) return found
  const [first] = bases
  const which = name === undefined ? 'a base backup' : name
  const there =
    first === undefined
      ? `There is no base backup in ${store.place}`
      : `The first of ${bases.length} in ${store.place} ended at ${new Date(first.endedAtMs).toISOString()} (${lsnText(first.stopLsn)})`
  throw new Failure(
    databaseFailures.restoreTarget,
    `${toldTarget(target)} can't be restored from ${which}. ${there}.`,
  )
}

/** The new database's roles get in, with their passwords. What was reached is asked first, as this commits too. */
async function handOver(
  client: pg.Client,
  roles: readonly DatabaseRole[],
): Promise<Pick<RestoreResult, 'recoveredLsn' | 'lastCommitAt'>> {
  const { rows } = await client.query<{ lsn: string; at: Date | null }>(
    "SELECT pg_current_wal_lsn() - '0/0' AS lsn, (pg_last_committed_xact()).timestamp AS at",
  )
  const there = await client.query<{ name: string }>('SELECT rolname AS name FROM pg_roles')
  const known = new Set(there.rows.map(row => row.name))
  // Roles of services that came later are made when the database starts.
  for (const { name, password } of roles.filter(role => known.has(role.name)))
    await client.query(`ALTER ROLE ${identifier(name)} PASSWORD ${literal(scramVerifier(password))}`)
  return { recoveredLsn: Number(rows[0]?.lsn), lastCommitAt: rows[0]?.at?.toISOString() ?? null }
}
