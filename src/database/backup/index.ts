// What the composition root uses of backups.

export {
  type BackupStatus,
  type Backups,
  type BackupsOptions,
  createBackups,
  type RestoreRequest,
} from './backups.ts'
export type { BaseBackup } from './base.ts'
export type { DrillRecord } from './drills.ts'
export type { RestoreTarget } from './recovery.ts'
export type { RestoreResult } from './restoring.ts'
