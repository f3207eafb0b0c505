// The edge as a process of its own for tests: `node edge-process.ts STATE WORKERS`. Nothing but its role, with the guard
// plugged in as the system does it.

import { runGuardedEdge } from '../../src/system/edge-role.ts'

const [stateDirectory = '', workers = '1'] = process.argv.slice(2)
await runGuardedEdge({ stateDirectory, nonce: 'edge-test', workers: Number(workers) })
