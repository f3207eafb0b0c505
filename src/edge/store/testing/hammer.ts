// What a test and its hammering threads say to each other.

import type { StoreMemory } from '../layout.ts'

export interface HammerStart {
  readonly memory: StoreMemory
  readonly worker: number
  readonly seed: number
  readonly keys: number
  readonly bodyBytesMax: number
  /** Wrong bytes, wrong heads, reads, fills, stored; then 1: stop, stopped. */
  readonly cells: SharedArrayBuffer
}
export const hammerCell = {
  wrongBytes: 0,
  wrongHeads: 1,
  reads: 2,
  fills: 3,
  stored: 4,
  stop: 5,
  stopped: 6,
} as const
