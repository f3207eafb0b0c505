// Limits in the edge's main thread: makes the shared memory, settles for workers that died, keeps the counts over the end
// of the process.

import type { MainGuardPart, MainPartSurroundings } from '../part.ts'
import { tableCounts } from './keyed-table.ts'
import { LimitKeeper } from './limit-keeper.ts'
import { createLimitMemory, LimitCells } from './memory.ts'

export class LimitMainPart implements MainGuardPart {
  readonly name = 'limit'
  readonly #memory: Readonly<Record<string, SharedArrayBuffer>>
  readonly #cells: LimitCells
  readonly #keeper: LimitKeeper
  #settled = 0

  constructor({ clock, workers, stateDirectory, tell }: MainPartSurroundings) {
    this.#memory = createLimitMemory(workers, clock)
    this.#cells = new LimitCells(this.#memory, null, clock)
    this.#keeper = new LimitKeeper(stateDirectory, this.#cells, text => tell('guard', text))
  }

  memory(): Readonly<Record<string, SharedArrayBuffer>> {
    return this.#memory
  }

  /** What a former process of this edge has counted is there before the first request. */
  async take(): Promise<void> {
    await this.#keeper.begin()
  }

  workerDied(worker: number): void {
    this.#settled += this.#cells.concurrency.settle(worker)
  }

  status(): Readonly<Record<string, unknown>> {
    const { table, concurrency } = this.#cells
    const { head } = table.table
    const count = (place: number): number => Atomics.load(head, place)
    return {
      live: table.live(this.#cells.now()),
      entries: table.table.entries,
      replaced: count(tableCounts.replaced),
      foundNoPlace: count(tableCounts.full) + Atomics.load(concurrency.table.head, tableCounts.full),
      underWay: concurrency.underWay,
      settledForDead: this.#settled,
      ...this.#keeper.status(),
    }
  }

  async close(): Promise<void> {
    await this.#keeper.close()
  }
}
