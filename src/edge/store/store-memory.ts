// Makes the memory of a store, once, on the main thread.

import { randomBytes } from 'node:crypto'
import type { StoreSpec } from './contract.ts'
import { seedOf } from './disk/identity.ts'
import { allocateMemory, attachViews, type StoreMemory } from './layout.ts'
import { Runs } from './runs.ts'

/** Goes to each worker with its start. A folder of a disk tier has the seed that its hashes were made with. */
export function createStoreMemory(
  spec: StoreSpec,
  workers: number,
  fresh: number = randomBytes(4).readUInt32LE(),
): StoreMemory {
  const seed = spec.disk === undefined ? fresh : (seedOf(spec.disk.directory, fresh) ?? fresh)
  const memory = allocateMemory(spec, workers, seed)
  new Runs(attachViews(memory)).rebuild([])
  return memory
}
