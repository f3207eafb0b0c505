// The edge as a process of its own for tests: `node edge-process.ts STATE WORKERS`. Nothing but its role.

import { runEdge } from '../../src/edge/index.ts'

const [stateDirectory = '', workers = '1'] = process.argv.slice(2)
await runEdge({ stateDirectory, nonce: 'edge-test', workers: Number(workers) })
