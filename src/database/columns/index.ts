// What the system uses of splitting tables by columns.

export { placeOf } from '../feed/index.ts'
export { Primaries } from '../shards/primaries.ts'
export { firstSplitJournal, lookAtSplit, type SplitLook } from './begin.ts'
export { SplitExecutor, splitIsOver } from './executor.ts'
export type { SplitPorts } from './ports.ts'
export { type RouterLogin, relearnThrough } from './relearn.ts'
