// What a worker fits into the snapshot beside the plain way of a request: doors before the routes, gates and steps of a
// route, actions that are neither proxying nor a fixed answer. One line a feature; each lives in a file of its own, and
// a route that does not use it gets nothing of it.

import type { CompiledAction } from './action.ts'
import { Caches } from './cache/index.ts'
import { canaryKey } from './canary-key.ts'
import { causalGates, causalStep } from './causal.ts'
import { challengeDoors } from './challenges.ts'
import type { RouteFeatures } from './compile.ts'
import { type CompressLoad, compressStep } from './compress.ts'
import type { WorkerContext } from './context.ts'
import { corsGates } from './cors.ts'
import { errorPages } from './error-pages.ts'
import { FileStore, filesAction } from './files/index.ts'
import type { Gate } from './gate.ts'
import { Hooks } from './hooks/index.ts'
import { inspectGates } from './inspect.ts'
import { maintenanceDoors } from './maintenance.ts'
import { type MirrorLoads, mirrorGates } from './mirror.ts'
import type { ResponseStep } from './response-sink.ts'
import { splitGates } from './split.ts'
import type { WorkerStore } from './store/contract.ts'
import { tlsDoors } from './tls-doors.ts'
import { watchDoors } from './watch-door.ts'

export function routeFeatures(
  worker: WorkerContext,
  store: WorkerStore | null,
): RouteFeatures & { caches: Caches } {
  const mirrors: MirrorLoads = new Map()
  const files = new FileStore(worker)
  const hooks = new Hooks(worker)
  const compressing: CompressLoad = { atOnce: 0 }
  const caches = new Caches(worker, store)
  return {
    caches,
    doors: snapshot => {
      hooks.keep(snapshot)
      return [
        ...watchDoors(worker, snapshot),
        ...(worker.guard?.doors(snapshot) ?? []),
        ...challengeDoors(worker, snapshot),
        ...tlsDoors(worker, snapshot),
        ...maintenanceDoors(snapshot),
      ]
    },
    pages: errorPages,
    gates: (route, groups, slots, snapshot): readonly Gate[] => [
      // First, so that pages may read what the others refuse.
      ...corsGates(route),
      ...(worker.guard?.gates(route, snapshot) ?? []),
      ...inspectGates(route),
      ...hooks.gates(route),
      // After what a hook changed.
      ...caches.gates(route, groups, snapshot),
      ...causalGates(route),
      ...splitGates(worker, route, groups, slots.canaries.get(canaryKey(route))),
      ...mirrorGates(worker, route, groups, slots, mirrors),
      ...caches.lastGates(route),
    ],
    step: (route, snapshot): ResponseStep | null => {
      const behind = hooks.step(route, compressStep(compressing, route))
      const own = caches.step(route, snapshot, behind, causalStep(route, behind))
      return worker.guard === null ? own : worker.guard.step(route, snapshot, own)
    },
    action: (route, added): CompiledAction | null =>
      route.action.kind === 'files'
        ? filesAction(files, route, route.action, added)
        : route.action.kind === 'guard'
          ? (worker.guard?.action(route) ?? null)
          : null,
  }
}
