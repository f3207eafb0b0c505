// This part in the edge's main thread: the memory that its workers share, and a look at the files before workers get them.

import { randomInt } from 'node:crypto'
import { historyBytes, historyRows } from '../../policy/risk/index.ts'
import type { GuardSpec, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { checkLists } from './lists.ts'
import { nonceBytes } from './nonces.ts'

/** Names of the shared memory. */
export const botMemory = { clients: 'bots.clients', nonces: 'bots.nonces', start: 'bots.start' } as const
/** Words of `start`: the secret of hashes, and since when (milliseconds, monotonic) clients are known. */
const startWords = 3

export function createMainBots(surroundings: MainPartSurroundings): MainGuardPart {
  return {
    name: 'bots',
    memory: () => {
      const start = new SharedArrayBuffer(startWords * 4)
      const sinceMs = Math.floor(surroundings.clock.monotonic() / 1_000)
      new Int32Array(start).set([randomInt(2 ** 32) | 0, randomInt(2 ** 32) | 0, sinceMs | 0])
      return {
        [botMemory.clients]: new SharedArrayBuffer(historyBytes(historyRows)),
        [botMemory.nonces]: new SharedArrayBuffer(nonceBytes),
        [botMemory.start]: start,
      }
    },
    take: async (spec: GuardSpec) => {
      if (Object.values(spec.policies).some(policy => policy.risk !== undefined)) checkLists(spec)
    },
  }
}
