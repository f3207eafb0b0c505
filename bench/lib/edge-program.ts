// The edge alone, without a supervisor, from a state directory with a snapshot: `node edge-program.ts STATE`.

import { runEdge } from '../../src/edge/index.ts'

await runEdge({ stateDirectory: process.argv[2] as string, nonce: 'bench', workers: 1 })
