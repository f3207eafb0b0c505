// Rows of columns for what lives and ends by the million: requests, attempts, statements. A row is given out again after it
// ended; its life number, which grows each time, tells an old event from a new one.

import { type Cells, type CellType, type Columns, type Layout, layoutOf } from '../../kit/cells.ts'

const firstRows = 64

export class Table<F extends Record<string, CellType>> {
  /** Made anew when it grows: never kept over a `take`. */
  at: Columns<F>
  lives: Int32Array
  #free: number[] = []
  #rows = 0
  #used = 0
  readonly rowsMax: number

  readonly #layout: Layout<F>

  /** @param rowsMax more at once is refused by `take` */
  constructor(fields: F, rowsMax: number) {
    this.#layout = layoutOf(fields)
    this.at = this.#layout.create(firstRows).at
    this.lives = new Int32Array(firstRows)
    this.rowsMax = rowsMax
  }

  /** Rows in use. */
  get count(): number {
    return this.#used
  }
  /** Rows that were ever in use at once. */
  get rows(): number {
    return this.#rows
  }

  /** A row, its columns as they were left; -1: all are in use. */
  take(): number {
    const again = this.#free.pop()
    if (again !== undefined) {
      this.#used++
      return again
    }
    if (this.#rows === this.rowsMax) return -1
    if (this.#rows === this.lives.length) this.#resize(Math.min(this.rowsMax, this.#rows * 2))
    this.#used++
    return this.#rows++
  }

  end(row: number): void {
    this.lives[row] = ((this.lives[row] as number) + 1) & 0x7fff_ffff
    this.#free.push(row)
    this.#used--
  }

  #resize(size: number): void {
    const next: Cells<F> = this.#layout.create(size)
    for (const [name, column] of Object.entries(this.at)) (next.at[name] as Float64Array).set(column)
    this.at = next.at
    const lives = new Int32Array(size)
    lives.set(this.lives)
    this.lives = lives
  }
}
