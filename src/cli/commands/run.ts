// `tenfold run ROLE`: this process becomes one part of a system. The supervisor starts it; it ends when it is told to.

import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { type Role, runRole } from '../../system/index.ts'
import type { Action } from '../command.ts'
import { wholeNumber } from '../numbers.ts'

export const run: Action = async ({ args, options }) => {
  const workers = process.env.TENFOLD_EDGE_WORKERS
  await runRole(args.role as Role, {
    stateDirectory: resolve(String(options.state ?? '.tenfold')),
    nonce: process.env.TENFOLD_NONCE ?? '',
    ...(process.env.TENFOLD_ROLE_SOCKET === undefined ? {} : { socketName: process.env.TENFOLD_ROLE_SOCKET }),
    besideAnother: process.env.TENFOLD_ROLE_BESIDE === '1',
    workers: workers === undefined ? availableParallelism() : wholeNumber(workers, 'TENFOLD_EDGE_WORKERS'),
  })
  return 0
}
