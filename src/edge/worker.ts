// A worker thread of an edge without a guard.

import { runWorkerThread } from './worker-thread.ts'

await runWorkerThread(null)
