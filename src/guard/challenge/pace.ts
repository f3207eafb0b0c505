// How many challenges are issued a second, over all workers of an edge: cells that the workers share, one pair of windows
// each. Approximate on purpose: it moves a difficulty.

const windowMs = 10_000
/** Number of the window, issued in it, issued in the one before. */
const columns = 3

export function paceBytes(workers: number): number {
  return (workers + 1) * columns * 4
}

export class Pace {
  readonly #cells: Uint32Array
  readonly #row: number

  constructor(memory: ArrayBufferLike, index: number) {
    this.#cells = new Uint32Array(memory)
    this.#row = Math.min(index, Math.floor(this.#cells.length / columns) - 1) * columns
  }

  issued(nowMs: number): void {
    const window = Math.floor(nowMs / windowMs) >>> 0
    const cells = this.#cells
    const row = this.#row
    const last = cells[row] as number
    if (last !== window) {
      cells[row + 2] = window === last + 1 ? (cells[row + 1] as number) : 0
      cells[row + 1] = 0
      cells[row] = window
    }
    cells[row + 1]!++
  }

  /** Over the last window and the part of this one that is over. */
  perSecond(nowMs: number): number {
    const window = Math.floor(nowMs / windowMs) >>> 0
    const part = (nowMs % windowMs) / windowMs
    let count = 0
    for (let row = 0; row < this.#cells.length; row += columns) {
      const last = this.#cells[row] as number
      const current = this.#cells[row + 1] as number
      const before = this.#cells[row + 2] as number
      if (last === window) count += current + before * (1 - part)
      else if (last + 1 === window) count += current * (1 - part)
    }
    return count / (windowMs / 1_000)
  }
}
