// The memory that the workers of an edge share for challenges; its main thread makes it.

import { randomFillSync } from 'node:crypto'
import { countsBytes } from './counts.ts'
import { paceBytes } from './pace.ts'
import { spentTableBytes } from './spent-table.ts'

export const memoryNames = {
  spent: 'challenge:spent',
  pace: 'challenge:pace',
  counts: 'challenge:counts',
  /** Names the process that issued a proof. */
  maker: 'challenge:maker',
} as const

const makerBytes = 12

export function challengeMemory(workers: number): Record<string, SharedArrayBuffer> {
  const maker = new SharedArrayBuffer(makerBytes)
  randomFillSync(new Uint8Array(maker))
  return {
    [memoryNames.spent]: new SharedArrayBuffer(spentTableBytes),
    [memoryNames.pace]: new SharedArrayBuffer(paceBytes(workers)),
    [memoryNames.counts]: new SharedArrayBuffer(countsBytes(workers)),
    [memoryNames.maker]: maker,
  }
}
