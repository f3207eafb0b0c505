// A thread of tests that spends ids of a shared table as fast as it can, all threads the same ones, and says which were its.

import { parentPort, workerData } from 'node:worker_threads'
import { SpentTable } from '../spent-table.ts'

const { memory, gate, holder, ids } = workerData as {
  memory: SharedArrayBuffer
  gate: SharedArrayBuffer
  holder: number
  ids: readonly string[]
}
const table = new SpentTable(memory, holder)
const started = new Int32Array(gate)
Atomics.add(started, 0, 1)
Atomics.wait(started, 1, 0)
parentPort?.postMessage(ids.filter(id => table.spend(id, 2_000_000_000_000, 1_900_000_000_000)))
