// The router alone, without a supervisor, from a state directory with a snapshot: `node router-program.ts STATE`.

import { runRouter } from '../../src/database/index.ts'

await runRouter({ stateDirectory: process.argv[2] as string, nonce: 'bench' })
