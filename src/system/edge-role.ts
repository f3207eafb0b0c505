// The role `edge` as the system runs it: the edge's process with the guard plugged in. Without `guard` in the snapshot
// nothing of the guard is loaded but its small host.

import type { GuardSeam } from '../edge/guard-port.ts'
import { type EdgeRoleOptions, runEdge } from '../edge/index.ts'
import { MainGuardHost } from '../guard/index.ts'
import { threadPlace } from '../io/threads.ts'

export const guardSeam: GuardSeam = {
  thread: threadPlace(import.meta.url, 'edge-thread'),
  createMain: surroundings => new MainGuardHost(surroundings),
}

export function runGuardedEdge(options: EdgeRoleOptions): Promise<void> {
  return runEdge({ ...options, guard: guardSeam })
}
