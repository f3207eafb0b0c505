// The servers of one database: those that we run ourselves, or those that run elsewhere. What others may use.

import type { DatabaseServers, ServersOptions } from './contract.ts'
import { EmbeddedServers } from './embedded.ts'
import { ExistingServers } from './existing.ts'

export type { BackupOptions, BackupResult, BackupTaker } from './base-backup.ts'
export { takeBaseBackup } from './base-backup.ts'
export type * from './contract.ts'
export { chooseServerUser } from './user.ts'

/** Makes folders, starts nothing: call `open()`. */
export function createServers(options: ServersOptions): DatabaseServers {
  return options.spec.servers.kind === 'embedded'
    ? new EmbeddedServers(options)
    : new ExistingServers(options)
}
