// The edge alone, without a supervisor, from a state directory with a snapshot: `node edge-program.ts STATE`. With the
// guard plugged in, as the system runs it: without one in the snapshot nothing of it is loaded.

import { runGuardedEdge } from '../../src/system/edge-role.ts'

await runGuardedEdge({ stateDirectory: process.argv[2] as string, nonce: 'bench', workers: 1 })
