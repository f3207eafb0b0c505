// Statements over several shards, each run as its plan says and answered as one. The session decides what runs; nothing here
// begins, commits or rolls back the client's transaction.

import type { AcrossEnd } from '../contract.ts'
import { combine } from './combine.ts'
import { concat } from './concat.ts'
import { type CopyOutInput, copyOut } from './copy-out.ts'
import { everywhere } from './everywhere.ts'
import { ShardError } from './fan.ts'
import type { GatherInput } from './input.ts'
import { merge } from './merge.ts'
import { move } from './move.ts'
import { Refused } from './refusals.ts'
import { splitInsert } from './split-insert.ts'
import { write } from './write.ts'

export { CopyIn, type CopyInInput, openCopyIn } from './copy-in.ts'
export type { CopyOutInput } from './copy-out.ts'
export { type GatherInput, type GatherLimits, type GatherPlaces, gatherLimits } from './input.ts'
export { refusalFrame } from './refusals.ts'

/**
 * Rejects with SeatLost when the connection to a shard ended; every other seat is between statements then. In a transaction
 * that was open, or that `seats.begin` opened, an error means that all of it must be rolled back.
 */
export function runAcross(input: GatherInput): Promise<AcrossEnd> {
  return ended(() => routed(input))
}

/** COPY TO STDOUT of several shards; the same ends. */
export function copyOutAcross(input: CopyOutInput): Promise<AcrossEnd> {
  return ended(() => copyOut(input))
}

function routed(input: GatherInput): Promise<AcrossEnd> {
  const { plan } = input
  switch (plan.how) {
    case 'concat':
      return concat({ ...input, plan })
    case 'merge':
      return merge({ ...input, plan })
    case 'combine':
      return combine({ ...input, plan })
    case 'write':
      return write({ ...input, plan })
    case 'split-insert':
      return splitInsert({ ...input, plan })
    case 'everywhere':
      return everywhere({ ...input, plan })
    case 'move':
      return move({ ...input, plan })
  }
}

/** What a shard or we refused is an end like another. */
async function ended(run: () => Promise<AcrossEnd>): Promise<AcrossEnd> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Refused || error instanceof ShardError) return { errorFrame: error.errorFrame }
    throw error
  }
}
