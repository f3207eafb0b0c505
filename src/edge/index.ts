// The edge's entry: the process role. Others use its contracts (`snapshot.ts`, `control-protocol.ts`) and this.

import { join } from 'node:path'
import { readJson } from '../io/json-file.ts'
import { socketPath } from '../io/socket-path.ts'
import { Failure } from '../kit/failure.ts'
import { Edge } from './edge.ts'
import type { GuardSeam } from './guard-port.ts'
import type { EdgeSnapshot } from './snapshot.ts'

export { edgeFailures } from './failures.ts'

export interface EdgeRoleOptions {
  readonly stateDirectory: string
  readonly nonce: string
  readonly workers: number
  /** Name of the control socket in the state directory. */
  readonly socketName?: string
  /** Another edge listens on the same ports and will let go of them. */
  readonly besideAnother?: boolean
  /** Absent: everybody may pass. */
  readonly guard?: GuardSeam
}

/**
 * Runs the edge in this process, from STATE/edge/snapshot.json, until it is told to stop. TERM and INT drain; a second
 * one ends it at once. What goes wrong at the start is said in one line on standard error, and the process exits with 1.
 */
export async function runEdge(options: EdgeRoleOptions): Promise<void> {
  process.title = 'tenfold edge'
  try {
    const snapshot = readJson<EdgeSnapshot>(join(options.stateDirectory, 'edge', 'snapshot.json'))
    await new Promise<void>((resolve, reject) => {
      Edge.start({
        socket: socketPath(options.stateDirectory, options.socketName),
        besideAnother: options.besideAnother ?? false,
        canaryFolder: join(options.stateDirectory, 'edge', 'canaries'),
        snapshot,
        nonce: options.nonce,
        workers: options.workers,
        ...(options.guard === undefined
          ? {}
          : { guard: { seam: options.guard, stateDirectory: options.stateDirectory } }),
        onStopped: resolve,
      }).then(edge => stopOnSignals(edge, snapshot), reject)
    })
    process.exit(0)
  } catch (error) {
    const known = error instanceof Failure
    console.error(known ? `${error.code}: ${error.message} ${error.kind.advice}` : error)
    process.exit(1)
  }
}

function stopOnSignals(edge: Edge, snapshot: EdgeSnapshot): void {
  let asked = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked++ > 0) process.exit(1)
      void edge.stop(snapshot.limits.drainTimeoutMs)
    })
  }
}
