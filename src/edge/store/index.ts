// What the edge's workers and main thread use of the store.

import type { WorkerStore } from './contract.ts'
import type { StoreMemory } from './layout.ts'
import { type StoreOptions, ThreadStore } from './worker-store.ts'

export type {
  Fill,
  Piece,
  Purge,
  StoreCounts,
  StoredEntry,
  StoredMeta,
  StoreSpec,
  Wait,
  WaitEnd,
  WorkerStore,
} from './contract.ts'
export type { StoreMemory } from './layout.ts'
export { MainStore, type StoredView } from './main-store.ts'
export { createStoreMemory } from './store-memory.ts'
export type { StoreOptions } from './worker-store.ts'

/** In a worker; once in its life. */
export function attachStore(memory: StoreMemory, worker: number, options: StoreOptions = {}): WorkerStore {
  return new ThreadStore(memory, worker, options)
}
