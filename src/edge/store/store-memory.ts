// Makes the memory of a store, once, on the main thread.

import { randomBytes } from 'node:crypto'
import type { StoreSpec } from './contract.ts'
import { allocateMemory, attachViews, type StoreMemory } from './layout.ts'
import { Runs } from './runs.ts'

/** Goes to each worker with its start. */
export function createStoreMemory(
  spec: StoreSpec,
  workers: number,
  seed: number = randomBytes(4).readUInt32LE(),
): StoreMemory {
  const memory = allocateMemory(spec, workers, seed)
  new Runs(attachViews(memory)).rebuild([])
  return memory
}
