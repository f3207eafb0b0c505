// What others use of the agent: one database, its life and its commands.

export type * from './contract.ts'
export { createDatabaseGroup } from './group.ts'
