// A worker thread of the edge, with the guard plugged in.

import { runWorkerThread } from '../edge/worker-thread.ts'
import { WorkerGuardHost } from '../guard/index.ts'

await runWorkerThread((worker, memory, send) => new WorkerGuardHost(worker, memory, send))
