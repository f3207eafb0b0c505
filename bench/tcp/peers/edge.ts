// Tenfold's edge alone, from a state directory with a snapshot: `node edge.ts STATE`. Layer 4 needs nothing of the rest.

import { runEdge } from '../../../src/edge/index.ts'

await runEdge({ stateDirectory: process.argv[2] as string, nonce: 'bench', workers: 1 })
