// Cells: fixed-layout numeric state over plain or shared memory, one typed array a column, one index a row. Policies
// keep their state in cells so that the edge's worker threads can share it and the simulator can hold it in plain memory.
//
// Rules for shared cells (docs/decisions/0004-shared-memory.md): a row has ONE writer at a time, either a worker that
// owns it (`row = worker * slots + slot`) or the process's main thread; what must be counted over all workers is the
// SUM over their rows, never a second number beside it. So any worker can die at any instruction: the others zero its
// rows and every sum is right again. A column that several threads write is last-writer-wins and says so.

import { assert } from './failure.ts'

export type CellType = 'i32' | 'u32' | 'f64'
type ArrayOf<T extends CellType> = T extends 'i32' ? Int32Array : T extends 'u32' ? Uint32Array : Float64Array

export type Columns<F extends Record<string, CellType>> = { readonly [K in keyof F]: ArrayOf<F[K]> }

export interface Cells<F extends Record<string, CellType>> {
  readonly buffer: ArrayBufferLike
  readonly rows: number
  /** One typed array a column, each `rows` long. */
  readonly at: Columns<F>
  /** Sets every column of the row to zero. */
  zero(row: number): void
}

export interface Layout<F extends Record<string, CellType>> {
  readonly fields: F
  bytes(rows: number): number
  /** New cells, all zero. `shared` makes the memory a SharedArrayBuffer. */
  create(rows: number, options?: { shared?: boolean }): Cells<F>
  /** A view over memory that `create` made, here or in another thread. */
  attach(buffer: ArrayBufferLike, rows: number): Cells<F>
}

/** `layoutOf({ inFlight: 'i32', latencyUs: 'f64' })`; 8-byte columns are laid first so that all are aligned. */
export function layoutOf<const F extends Record<string, CellType>>(fields: F): Layout<F> {
  const names = (Object.keys(fields) as (keyof F & string)[]).sort(
    (a, b) => Number(fields[b] === 'f64') - Number(fields[a] === 'f64'),
  )
  const size = (name: keyof F): number => (fields[name] === 'f64' ? 8 : 4)
  const bytes = (rows: number): number =>
    Math.ceil(names.reduce((sum, name) => sum + size(name) * rows, 0) / 8) * 8

  function attach(buffer: ArrayBufferLike, rows: number): Cells<F> {
    assert(buffer.byteLength >= bytes(rows), `cells: ${rows} rows do not fit ${buffer.byteLength} bytes`)
    const at: Record<string, Int32Array | Uint32Array | Float64Array> = {}
    let offset = 0
    for (const name of names) {
      const type = fields[name] as CellType
      if (type === 'f64') at[name] = new Float64Array(buffer, offset, rows)
      else if (type === 'i32') at[name] = new Int32Array(buffer, offset, rows)
      else at[name] = new Uint32Array(buffer, offset, rows)
      offset += size(name) * rows
    }
    const columns = Object.values(at)
    return {
      buffer,
      rows,
      at: at as unknown as Columns<F>,
      zero: row => {
        for (const column of columns) column[row] = 0
      },
    }
  }

  return {
    fields,
    bytes,
    attach,
    create: (rows, options) =>
      attach(options?.shared ? new SharedArrayBuffer(bytes(rows)) : new ArrayBuffer(bytes(rows)), rows),
  }
}
