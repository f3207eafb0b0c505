// What restore drills found, kept in the store beside the backups, the newest of them.

import type { Lsn } from '../contract.ts'
import type { Examination } from './examine.ts'
import { once, textOf } from './log-archive.ts'
import type { BackupStore } from './store.ts'

const prefix = 'drills/'
const kept = 20

export interface DrillRecord extends Examination {
  readonly startedAtMs: number
  readonly tookMs: number
  /** The base backup that was restored; '': none could be. */
  readonly base: string
  /** What was on disk in the archive when the drill began, and what was recovered. */
  readonly archivedLsn: Lsn
  readonly recoveredLsn: Lsn
}

/** Oldest first. */
export async function drillRecords(store: BackupStore): Promise<DrillRecord[]> {
  const records: DrillRecord[] = []
  for (const { name } of await store.list(prefix))
    records.push(JSON.parse(await textOf(store.get(name))) as DrillRecord)
  return records.sort((one, other) => one.startedAtMs - other.startedAtMs)
}

export async function keepDrill(
  store: BackupStore,
  record: DrillRecord,
  before: readonly DrillRecord[],
): Promise<readonly DrillRecord[]> {
  await store.put(`${prefix}${record.startedAtMs}.json`, once(`${JSON.stringify(record, null, 2)}\n`))
  const all = [...before, record]
  for (const old of all.slice(0, -kept)) await store.remove(`${prefix}${old.startedAtMs}.json`)
  return all.slice(-kept)
}
