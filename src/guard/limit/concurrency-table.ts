// How many requests of each key are under way, over all threads of the edge. What each worker holds stands in a ledger of
// its own, so that a worker which dies at any instruction can be settled by the main thread to the last request.
//
// A change is announced in the worker's own cells (number, entry, how much), then made by one exchange of the entry's word,
// which carries worker and number beside the count; then the ledger is written and the announcement taken back. Before
// anybody overwrites a word he notes in its worker's cells that this number was made. So of a dead worker's announcement
// it is certain whether it was made: the word says so, or the note.

import type { KeyHash } from '../../policy/limit/index.ts'
import { KeyedTable, keyedTableBytes, type TableSize } from './keyed-table.ts'

/** Requests that one worker may hold at once under limits of concurrency. */
export const ledgerRows = 32_768
const rowInts = 2
/** Of a worker: number under way (0 = none), entry, amount, row, kind, last number used, last number noted as made. */
const cellInts = 8
const announced = 0
const cellEntry = 1
const cellAmount = 2
const cellRow = 3
const cellKind = 4
const lastNumber = 5
const made = 6
const acquiring = 1
const releasing = 2

const numberMax = 2 ** 24
const countMax = 2 ** 20 - 1
const triesMax = 100_000

/** What `acquire` answers when nothing was taken. */
export const notAcquired = { refused: -1, full: -2 } as const

export function concurrencyTableBytes(size: TableSize): number {
  return keyedTableBytes(size) + (size.workers + 1) * (cellInts + ledgerRows * rowInts) * 4
}

export class ConcurrencyTable {
  readonly table: KeyedTable
  readonly #worker: number
  readonly #cells: Int32Array
  readonly #ledgers: Int32Array
  readonly #free: number[] = []
  /** How many of the key's requests were under way after the last `acquire` or refusal. */
  inUse = 0

  constructor(buffer: SharedArrayBuffer, size: TableSize, worker: number) {
    this.table = new KeyedTable(
      buffer,
      size,
      worker,
      (_entry, state) => countOf(state) === 0,
      state => this.#noteMade(state),
    )
    this.#worker = worker
    const from = keyedTableBytes(size)
    const threads = size.workers + 1
    this.#cells = new Int32Array(buffer, from, threads * cellInts)
    this.#ledgers = new Int32Array(buffer, from + threads * cellInts * 4, threads * ledgerRows * rowInts)
    for (let row = ledgerRows - 1; row >= 0; row--)
      if (this.#ledgers[this.#at(row)] === 0) this.#free.push(row)
  }

  #at(row: number, worker: number = this.#worker): number {
    return (worker * ledgerRows + row) * rowInts
  }

  /** @returns the row of the ledger that `release` takes, or one of `notAcquired` */
  acquire({ low, high }: KeyHash, amount: number, limit: number): number {
    const row = this.#free.pop()
    if (row === undefined) return notAcquired.full
    const taken = this.#add(low, high, amount, limit, row)
    if (taken === 0) {
      const at = this.#at(row)
      this.#ledgers[at + 1] = amount
      // The entry last: a row counts once it has one.
      Atomics.store(this.#ledgers, at, this.#cell(cellEntry) + 1)
    } else this.#free.push(row)
    this.#setCell(announced, 0)
    return taken === 0 ? row : taken
  }

  #add(low: number, high: number, amount: number, limit: number, row: number): number {
    const { table } = this
    const number = this.#announce(acquiring, row, amount)
    for (let tries = 0; tries < triesMax; tries++) {
      const entry = table.place(low, high, 0)
      if (entry < 0) return notAcquired.full
      this.#setCell(cellEntry, entry)
      const word = table.load(entry)
      if (!table.fits(word, high)) continue
      const state = table.stateOf(word)
      const count = countOf(state)
      this.inUse = count
      if (count + amount > Math.min(limit, countMax)) return notAcquired.refused
      this.#noteMade(state)
      if (!table.exchange(entry, word, stateOf(count + amount, this.#worker, number))) continue
      this.inUse = count + amount
      return 0
    }
    return notAcquired.refused
  }

  /** @param row that `acquire` gave; once */
  release(row: number): void {
    const at = this.#at(row)
    const entry = this.#ledgers[at]! - 1
    const amount = this.#ledgers[at + 1]!
    this.#setCell(cellEntry, entry)
    const number = this.#announce(releasing, row, amount)
    this.#subtract(entry, amount, number)
    Atomics.store(this.#ledgers, at, 0)
    this.#setCell(announced, 0)
    this.#free.push(row)
  }

  /** The entry can't change its key meanwhile: it is counted in. */
  #subtract(entry: number, amount: number, number: number): void {
    const { table } = this
    for (;;) {
      const word = table.load(entry)
      const state = table.stateOf(word)
      this.#noteMade(state)
      if (table.exchange(entry, word, stateOf(countOf(state) - amount, this.#worker, number))) return
    }
  }

  #announce(kind: number, row: number, amount: number): number {
    const number = (this.#cell(lastNumber) + 1) % numberMax || 1
    this.#setCell(lastNumber, number)
    this.#setCell(cellKind, kind)
    this.#setCell(cellRow, row)
    this.#setCell(cellAmount, amount)
    this.#setCell(announced, number)
    return number
  }

  #cell(at: number, worker: number = this.#worker): number {
    return Atomics.load(this.#cells, worker * cellInts + at)
  }

  #setCell(at: number, value: number, worker: number = this.#worker): void {
    Atomics.store(this.#cells, worker * cellInts + at, value)
  }

  /** Never back: a thread that was held up must not undo a later note. */
  #noteMade(state: number): void {
    const number = numberOf(state)
    // Nobody's: the state of an entry that was just made.
    if (number === 0) return
    const at = workerOf(state) * cellInts + made
    for (;;) {
      const noted = Atomics.load(this.#cells, at)
      const ahead = (number - noted + numberMax) % numberMax
      if (ahead === 0 || ahead >= numberMax / 2) return
      if (Atomics.compareExchange(this.#cells, at, noted, number) === noted) return
    }
  }

  // --- for the dead -------------------------------------------------------------------------------------------------

  /** In the main thread, once the worker is gone and before another one takes its place: gives back all that it held. */
  settle(worker: number): number {
    this.#settleAnnounced(worker)
    let settled = 0
    for (let row = 0; row < ledgerRows; row++) {
      const at = this.#at(row, worker)
      const entry = this.#ledgers[at]! - 1
      if (entry < 0) continue
      this.#subtract(entry, this.#ledgers[at + 1]!, this.#nextNumber())
      this.#ledgers[at] = 0
      settled++
    }
    return settled
  }

  #nextNumber(): number {
    const number = (this.#cell(lastNumber) + 1) % numberMax || 1
    this.#setCell(lastNumber, number)
    return number
  }

  /** Brings ledger and counts to where one change, made or not made, leaves both. */
  #settleAnnounced(worker: number): void {
    const number = this.#cell(announced, worker)
    if (number === 0) return
    const entry = this.#cell(cellEntry, worker)
    const at = this.#at(this.#cell(cellRow, worker), worker)
    if (this.#wasMade(worker, number, entry)) {
      const acquired = this.#cell(cellKind, worker) === acquiring
      this.#ledgers[at + 1] = this.#cell(cellAmount, worker)
      this.#ledgers[at] = acquired ? entry + 1 : 0
    }
    this.#setCell(announced, 0, worker)
  }

  #wasMade(worker: number, number: number, entry: number): boolean {
    const state = this.table.stateOf(this.table.load(entry))
    // Noted first: who overwrites the word between the two looks has noted before.
    const inWord = workerOf(state) === worker && numberOf(state) === number
    return inWord || this.#cell(made, worker) === number
  }

  /** Requests that are counted as under way, over all keys. */
  get underWay(): number {
    let sum = 0
    this.table.each((_entry, _low, _high, state) => {
      sum += countOf(state)
    })
    return sum
  }
}

// A state: count (20 bits), worker (8), number of its change (24).

function stateOf(count: number, worker: number, number: number): number {
  return count * 2 ** 32 + worker * numberMax + number
}

function countOf(state: number): number {
  return Math.floor(state / 2 ** 32)
}

function workerOf(state: number): number {
  return Math.floor(state / numberMax) % 256
}

function numberOf(state: number): number {
  return state % numberMax
}
