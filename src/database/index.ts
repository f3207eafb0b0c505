// What the composition root uses of the database tier.

export { createDatabaseGroup } from './agent/index.ts'
export { type Backups, type BackupsOptions, createBackups } from './backup/index.ts'
export { databaseFailures } from './failures.ts'
export { type RouterRoleOptions, runRouter } from './router/role.ts'
export { Session as ServerSession } from './servers/session.ts'
export { installShardSchema } from './shards/schema/index.ts'
export { shownStatement } from './sql/index.ts'
