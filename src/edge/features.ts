// What a worker fits into the snapshot beside the plain way of a request: doors before the routes, gates and steps of a
// route, actions that are neither proxying nor a fixed answer. One line a feature; each lives in a file of its own, and
// a route that does not use it gets nothing of it.

import type { CompiledAction } from './action.ts'
import { challengeDoors } from './challenges.ts'
import type { RouteFeatures } from './compile.ts'
import type { WorkerContext } from './context.ts'
import type { Gate } from './gate.ts'
import type { ResponseStep } from './response-sink.ts'

export function routeFeatures(worker: WorkerContext): RouteFeatures {
  return {
    doors: snapshot => [...challengeDoors(worker, snapshot)],
    pages: () => null,
    gates: (): readonly Gate[] => worker.gates,
    step: (): ResponseStep | null => null,
    action: (): CompiledAction | null => null,
  }
}
