// The memory that all threads of the edge share for limits: the table of what was used, the table of what is under way, the
// load. Made once in the main thread; each thread has views of its own.

import type { Clock } from '../../kit/clock.ts'
import { limitEpochUs } from '../../policy/limit/index.ts'
import { ConcurrencyTable, concurrencyTableBytes } from './concurrency-table.ts'
import { LimitTable, limitTableBytes } from './limit-table.ts'

/** 5 MB. Attackers with more addresses than this at a time share one entry among those that find no place. */
export const limitEntries: number = 2 ** 18
const concurrencyEntries = 2 ** 16
/** Places of the time base (a double) and of the number of workers (an integer) in the first numbers of the table. */
const basePlace = 4
const workersPlace = 12

/** Names of the pieces; `limitLoad` is written by whoever measures load, and read by limits that tighten. */
export const limitMemory = {
  table: 'limit.table',
  concurrency: 'limit.concurrency',
  load: 'limit.load',
} as const

type Memory = Readonly<Record<string, SharedArrayBuffer>>

export function createLimitMemory(workers: number, clock: Clock): Record<string, SharedArrayBuffer> {
  const table = new SharedArrayBuffer(limitTableBytes({ entries: limitEntries, workers }))
  const { base, head } = new LimitTable(table, { entries: limitEntries, workers }, workers).table
  const wall = clock.wall()
  // A clock that was never set: time must not be negative, or everybody would owe something.
  base[basePlace] = (wall < limitEpochUs ? wall : wall - limitEpochUs) - clock.monotonic()
  head[workersPlace] = workers
  return {
    [limitMemory.table]: table,
    [limitMemory.concurrency]: new SharedArrayBuffer(
      concurrencyTableBytes({ entries: concurrencyEntries, workers }),
    ),
    [limitMemory.load]: new SharedArrayBuffer(workersMax * 4),
  }
}

/** One thread's views. */
export class LimitCells {
  readonly table: LimitTable
  readonly concurrency: ConcurrencyTable
  readonly load: LoadCells
  readonly #clock: Clock
  readonly #baseUs: number

  /** @param worker null: the main thread */
  constructor(memory: Memory, index: number | null, clock: Clock) {
    const workers = new Int32Array(memory[limitMemory.table]!)[workersPlace]!
    const worker = index ?? workers
    const size = { entries: limitEntries, workers }
    this.table = new LimitTable(memory[limitMemory.table]!, size, worker)
    this.concurrency = new ConcurrencyTable(
      memory[limitMemory.concurrency]!,
      { entries: concurrencyEntries, workers },
      worker,
    )
    this.load = new LoadCells(memory[limitMemory.load]!)
    this.#clock = clock
    this.#baseUs = this.table.table.base[basePlace]!
  }

  /** Microseconds since the limits' epoch, the same in all threads, and never back. */
  now(): number {
    return this.#clock.monotonic() + this.#baseUs
  }
}

/** As many workers as a table can know. */
const workersMax = 256

/** Load of each worker, 0..1; the highest counts. Who measures it writes its own place. */
export class LoadCells {
  readonly #cells: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new Int32Array(buffer)
  }

  write(worker: number, load: number): void {
    Atomics.store(this.#cells, worker, Math.round(Math.min(1, Math.max(0, load)) * 1_000))
  }

  /** Of this worker: it is the one that the request at hand waits for. */
  read(worker: number): number {
    return Atomics.load(this.#cells, worker) / 1_000
  }
}
