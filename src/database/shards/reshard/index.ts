// What the system uses of resharding.

export { placeOf } from '../../feed/index.ts'
export { Primaries } from '../primaries.ts'
export { checkReshard } from './checks.ts'
export { ReshardExecutor, type ReshardStatus } from './executor.ts'
export { firstJournal } from './journal.ts'
export type { ReshardPorts, ReshardProgress } from './ports.ts'
