// What the router uses of the reads: a planner for each database.

import type { ReadPlanner, ReadPlannerOptions } from './contract.ts'
import { Planner } from './planner.ts'

export type {
  ReadPlanner,
  ReadPlannerOptions,
  ReadReason,
  ReadResume,
  ReadState,
} from './contract.ts'

export function createReadPlanner(options: ReadPlannerOptions): ReadPlanner {
  return new Planner(options)
}
