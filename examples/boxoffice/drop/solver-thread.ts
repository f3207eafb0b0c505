// Solves proofs of work, one after the other, as fast as one core does: beside the crowd, whose clients must go on meanwhile.

import { pbkdf2Sync } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { type Challenge, solveChallenge } from 'altcha-lib'

parentPort?.on('message', async ({ id, challenge }: { id: number; challenge: Challenge }) => {
  const solution = await solveChallenge({
    challenge,
    deriveKey: async ({ cost, keyLength = 32 }, salt, password) => ({
      derivedKey: new Uint8Array(pbkdf2Sync(password, salt, cost, keyLength, 'sha256')),
    }),
  })
  parentPort?.postMessage({ id, solution })
})
