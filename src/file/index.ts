// The system file: its types, its checker and what is made from it. Pure: it reads no file and no clock. Loading a file
// from disk is the system's.

export { type CacheVariable, cacheVariables, hasFeedListeners } from './cache-variables.ts'
export { checkSystem } from './check.ts'
export type * from './checked.ts'
export { systemFormat } from './checked.ts'
export type * from './checked-caches.ts'
export type * from './checked-databases.ts'
export type * from './checked-guard.ts'
export type * from './checked-rehearsals.ts'
export type * from './checked-workload.ts'
export { shardGroups } from './database-shards.ts'
export { accessOf, type DatabaseVariable, databaseVariables } from './database-variables.ts'
export { diffSystems } from './diff.ts'
export { parentName } from './edge-cache.ts'
export { fileFailures } from './failures.ts'
export { hostsServed } from './guard-hosts.ts'
export { type GuardVariable, guardUrl, guardVariables } from './guard-variables.ts'
export { renderProblems } from './problems.ts'
export type * from './results.ts'
export type { CheckedScale } from './scale.ts'
export {
  isSecretReference,
  redactEnvValue,
  redactSystem,
  redactUrl,
  resolveEnvironment,
  secret,
  secretNames,
} from './secrets.ts'
export { spellOut } from './spell-out.ts'
export { type FoundProject, type SystemTemplate, systemName, systemTemplate } from './templates.ts'
