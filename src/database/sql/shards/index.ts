// The planner of statements over shards, as others use it.

export type * from './contract.ts'
export { createShardPlanner, type PlannedStatement, type PlanSession, type ShardPlanner } from './planner.ts'
export { type ShardRefusalCode, shardRefusalCodes } from './refusals.ts'
export { loadDeparser } from './tree-text.ts'
