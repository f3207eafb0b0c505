// What the control API needs of the running databases: one function an operation, the database's name first. Types only.

import type { ColumnSplitWish } from '../column-splits.ts'
import type { DirectoryAsk } from '../directories.ts'
import type { ReshardWish } from '../reshards.ts'
import type {
  AdviceView,
  BackupsView,
  ColumnSplitView,
  CopiesView,
  DatabaseConnectionView,
  DatabaseSettingsView,
  DirectoryView,
  HeatView,
  PartitionsView,
  ReshardView,
  ShardsView,
  SlowStatementsView,
} from './database-views.ts'
import type { OperationResult, Progress } from './handlers.ts'

/** Rejects with SYSTEM_DATABASE_UNKNOWN where there is no such database. */
export interface DatabaseHandlers {
  /** `to` null: the best. */
  switchover(name: string, to: string | null, progress: Progress): Promise<OperationResult>
  failover(
    name: string,
    options: { readonly to: string | null; readonly lossy: boolean },
    progress: Progress,
  ): Promise<OperationResult>
  rebuild(name: string, server: string, progress: Progress): Promise<OperationResult>
  pause(name: string, reason: string): Promise<OperationResult>
  resume(name: string): Promise<OperationResult>
  settings(name: string): Promise<DatabaseSettingsView>
  slow(name: string): Promise<SlowStatementsView>
  shards(name: string): Promise<ShardsView>
  heat(name: string): Promise<HeatView>
  partitions(name: string): Promise<PartitionsView>
  rollPartitions(name: string): Promise<OperationResult>
  /** Resolves when it has begun. */
  directory(name: string, ask: DirectoryAsk): Promise<DirectoryView>
  directorySet(name: string, set: { family: string; key: string; shard: string }): Promise<OperationResult>
  reshard(name: string, wish: ReshardWish): Promise<OperationResult>
  reshardWish(name: string, what: 'cancel' | 'finish' | 'rollBack' | 'recopy'): Promise<OperationResult>
  reshardView(name: string): Promise<ReshardView>
  /** `as`: a service; `server`: an id or `primary`. Both null: the operator, through the router. */
  connection(name: string, as: string | null, server: string | null): Promise<DatabaseConnectionView>
  verify(name: string, progress: Progress): Promise<OperationResult>
  drift(name: string, progress: Progress): Promise<OperationResult>
  dangling(name: string, progress: Progress): Promise<OperationResult>
  copies(name: string): Promise<CopiesView>
  copiesRebuild(name: string, copy: string): Promise<OperationResult>
  advise(name: string, options: { readonly verify: boolean; readonly limit: number }): Promise<AdviceView>
  /** @param verify rows and look-up tables are compared, and put right */
  unique(name: string, verify: boolean, progress: Progress): Promise<OperationResult>
  /** `to`: an absolute path on the supervisor's host. */
  export(
    name: string,
    ask: { readonly to: string; readonly format: 'csv' | 'binary' },
    progress: Progress,
  ): Promise<OperationResult>
  /** Resolves when it has begun. */
  splitColumns(name: string, wish: ColumnSplitWish): Promise<OperationResult>
  splitColumnsWish(
    name: string,
    what: 'cancel' | 'undo' | 'finish',
    rewrite: boolean,
  ): Promise<OperationResult>
  splitColumnsView(name: string): Promise<ColumnSplitView>
  backup(name: string, progress: Progress): Promise<OperationResult>
  backups(name: string): Promise<BackupsView>
  restore(
    name: string,
    options: { readonly to: string; readonly into: string | null },
    progress: Progress,
  ): Promise<OperationResult>
  drill(name: string, progress: Progress): Promise<OperationResult>
}
