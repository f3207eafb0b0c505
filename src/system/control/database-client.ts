// The control API's client for databases: a part of client.ts, which gives it its two ways of asking.

import type { DoneLine, OnProgress } from './client.ts'
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

export interface DatabaseClient {
  switchover(name: string, options?: { to?: string }, onProgress?: OnProgress): Promise<DoneLine>
  failover(
    name: string,
    options?: { to?: string; lossy?: boolean },
    onProgress?: OnProgress,
  ): Promise<DoneLine>
  rebuild(name: string, server: string, onProgress?: OnProgress): Promise<DoneLine>
  pause(name: string, reason?: string): Promise<DoneLine>
  resume(name: string): Promise<DoneLine>
  settings(name: string): Promise<DatabaseSettingsView>
  slow(name: string): Promise<SlowStatementsView>
  shards(name: string): Promise<ShardsView>
  heat(name: string): Promise<HeatView>
  partitions(name: string): Promise<PartitionsView>
  rollPartitions(name: string): Promise<DoneLine>
  directory(
    name: string,
    ask: { family: string; key?: string; after?: string; limit?: number },
  ): Promise<DirectoryView>
  directorySet(name: string, set: { family: string; key: string; shard: string }): Promise<DoneLine>
  reshard(name: string, wish: { intent: object; dryRun?: boolean; finish?: boolean }): Promise<DoneLine>
  reshardWish(name: string, wish: 'cancel' | 'finish' | 'rollBack' | 'recopy'): Promise<DoneLine>
  reshardView(name: string): Promise<ReshardView>
  connection(name: string, options?: { as?: string; server?: string }): Promise<DatabaseConnectionView>
  verify(name: string, onProgress?: OnProgress): Promise<DoneLine>
  drift(name: string, onProgress?: OnProgress): Promise<DoneLine>
  dangling(name: string, onProgress?: OnProgress): Promise<DoneLine>
  copies(name: string): Promise<CopiesView>
  copiesRebuild(name: string, copy: string): Promise<DoneLine>
  unique(name: string, verify: boolean, onProgress?: OnProgress): Promise<DoneLine>
  export(
    name: string,
    options: { to: string; format?: 'csv' | 'binary' },
    onProgress?: OnProgress,
  ): Promise<DoneLine>
  splitColumns(
    name: string,
    wish: { table: string; cold: readonly string[]; dryRun?: boolean },
  ): Promise<DoneLine>
  splitColumnsWish(name: string, wish: 'cancel' | 'undo' | 'finish', rewrite?: boolean): Promise<DoneLine>
  splitColumnsView(name: string): Promise<ColumnSplitView>
  backup(name: string, onProgress?: OnProgress): Promise<DoneLine>
  backups(name: string): Promise<BackupsView>
  restore(name: string, options: { to: string; into?: string }, onProgress?: OnProgress): Promise<DoneLine>
  drill(name: string, onProgress?: OnProgress): Promise<DoneLine>
  advise(name: string, options?: { verify?: boolean; limit?: number }): Promise<AdviceView>
}

/** Trials take their time. */
const adviseMs = 300_000

export interface Asking {
  json<T>(method: 'GET' | 'POST', path: string, body?: object, timeoutMs?: number): Promise<T>
  operate(path: string, body: object, onProgress?: OnProgress): Promise<DoneLine>
}

export function databaseClient({ json, operate }: Asking): DatabaseClient {
  const of = (name: string, word: string): string => `/v1/databases/${encodeURIComponent(name)}/${word}`
  return {
    switchover: (name, options = {}, onProgress) => operate(of(name, 'switchover'), options, onProgress),
    failover: (name, options = {}, onProgress) => operate(of(name, 'failover'), options, onProgress),
    rebuild: (name, server, onProgress) => operate(of(name, 'rebuild'), { server }, onProgress),
    pause: (name, reason) => operate(of(name, 'pause'), reason === undefined ? {} : { reason }),
    resume: name => operate(of(name, 'resume'), {}),
    settings: name => json('GET', of(name, 'settings')),
    slow: name => json('GET', of(name, 'slow')),
    shards: name => json('GET', of(name, 'shards')),
    advise: (name, options = {}) => json('POST', of(name, 'advise'), options, adviseMs),
    heat: name => json('GET', of(name, 'heat')),
    partitions: name => json('GET', of(name, 'partitions')),
    rollPartitions: name => operate(of(name, 'partitions'), {}),
    directory: (name, ask) => json('POST', of(name, 'directory'), ask),
    directorySet: (name, set) => operate(of(name, 'directory-set'), set),
    reshard: (name, wish) => operate(of(name, 'reshard'), wish),
    reshardWish: (name, wish) => operate(of(name, 'reshard-wish'), { wish }),
    reshardView: name => json('GET', of(name, 'reshard')),
    connection: (name, options = {}) => json('POST', of(name, 'connection'), options),
    verify: (name, onProgress) => operate(of(name, 'verify'), {}, onProgress),
    drift: (name, onProgress) => operate(of(name, 'drift'), {}, onProgress),
    copies: name => json('GET', of(name, 'copies')),
    copiesRebuild: (name, copy) => operate(of(name, 'copies-rebuild'), { copy }),
    unique: (name, verify, onProgress) => operate(of(name, 'unique'), { verify }, onProgress),
    dangling: (name, onProgress) => operate(of(name, 'dangling'), {}, onProgress),
    export: (name, options, onProgress) => operate(of(name, 'export'), options, onProgress),
    splitColumns: (name, wish) => operate(of(name, 'split-columns'), wish),
    splitColumnsWish: (name, wish, rewrite = false) =>
      operate(of(name, 'split-columns-wish'), { wish, rewrite }),
    splitColumnsView: name => json('GET', of(name, 'split-columns')),
    backup: (name, onProgress) => operate(of(name, 'backup'), {}, onProgress),
    backups: name => json('GET', of(name, 'backups')),
    restore: (name, options, onProgress) => operate(of(name, 'restore'), options, onProgress),
    drill: (name, onProgress) => operate(of(name, 'drill'), {}, onProgress),
  }
}
