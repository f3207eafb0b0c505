// Gives an exchange its watch where the snapshot traces, logs slow requests or tells timings. The first of the doors, so
// that what later doors answer is seen too. A request that is not understood (400, 405, 431, ...) comes to no door.

import type { WorkerContext } from './context.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { EdgeSnapshot } from './snapshot.ts'
import { sampledTrace } from './trace.ts'
import { Watch } from './watch.ts'

export function watchDoors(worker: WorkerContext, snapshot: EdgeSnapshot): Gate[] {
  const { tracing, slowLog, serverTiming } = snapshot
  if (tracing === undefined && slowLog === undefined && serverTiming === undefined) return []
  const slowUs = slowLog === undefined ? Infinity : slowLog.thresholdMs * 1000
  return [
    {
      name: 'watch',
      enter(exchange) {
        const trace = tracing === undefined ? null : sampledTrace(exchange, worker, tracing)
        const timing =
          serverTiming === 'always' ||
          (serverTiming === 'asked' && exchange.head.find('x-server-timing') === '1')
        if (trace !== null || timing || slowUs !== Infinity)
          exchange.watcher = new Watch(exchange, trace, slowUs, timing)
        return gateAnswer.pass
      },
    },
  ]
}
