// Loaded into the process of each test file by scripts/test.mjs: a file that hangs is ended, and says what keeps it
// alive. (The runner's own time limit does not end the process of a file: Node 26.)

import { after } from 'node:test'
import { isMainThread } from 'node:worker_threads'

/** A file that runs longer than this has hung. */
const fileLimitMs = 10 * 60_000
/** Hooks of the file itself run in this time, too. */
const closingLimitMs = 60_000

function endAfter(limitMs, what) {
  // Not a reason to stay: it fires only when something else is one.
  setTimeout(() => {
    const left = Map.groupBy(process.getActiveResourcesInfo(), name => name)
    const text = [...left].map(([name, list]) => `${list.length} ${name}`).join(', ')
    console.error(`${process.argv[1]}: ${what} for ${limitMs / 1000} s; still open: ${text}`)
    process.exit(1)
  }, limitMs).unref()
}

// Threads and processes that a test starts may inherit the option that loads this.
if (isMainThread && process.argv[1]?.endsWith('.test.ts')) {
  endAfter(fileLimitMs, 'it has been running')
  after(() => endAfter(closingLimitMs, 'its tests have ended, it has not,'))
}
