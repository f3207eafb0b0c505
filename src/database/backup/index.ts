// What the composition root uses of backups.

export {
  type BackupStatus,
  type Backups,
  type BackupsOptions,
  createBackups,
  type RestoreRequest,
  type RestoreResult,
} from './backups.ts'
export type { BaseBackup } from './base.ts'
export type { DrillRecord } from './drills.ts'
export type { RestoreTarget } from './recovery.ts'
