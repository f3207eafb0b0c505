import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { type CellType, layoutOf } from './cells.ts'

const layout = layoutOf({ inFlight: 'i32', latencyUs: 'f64', requests: 'u32' })

test('new cells are zero, hold what their type holds, and zeroing a row leaves its neighbours', () => {
  const cells = layout.create(3)
  assert.deepEqual([...cells.at.latencyUs, ...cells.at.inFlight], [0, 0, 0, 0, 0, 0])
  for (const row of [0, 1, 2]) {
    cells.at.inFlight[row] = -row
    cells.at.latencyUs[row] = row + 0.5
    cells.at.requests[row] = 0xffff_ffff
  }
  cells.zero(1)
  assert.deepEqual([...cells.at.inFlight], [0, 0, -2])
  assert.deepEqual([...cells.at.latencyUs], [0.5, 0, 2.5])
  assert.deepEqual([...cells.at.requests], [0xffff_ffff, 0, 0xffff_ffff])
})

test('columns of any layout are aligned, do not overlap, and fit the bytes that the layout names', () => {
  const types = fc.array(fc.constantFrom<CellType>('i32', 'u32', 'f64'), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(types, fc.integer({ min: 1, max: 40 }), (list, rows) => {
      const fields = Object.fromEntries(list.map((type, index) => [`c${index}`, type]))
      const any = layoutOf(fields)
      const cells = any.create(rows)
      assert.equal(cells.buffer.byteLength, any.bytes(rows))
      const columns = Object.values(cells.at)
      columns.forEach((column, index) => {
        column.fill(index + 1)
      })
      columns.forEach((column, index) => {
        assert.ok(column.every(value => value === index + 1))
      })
    }),
  )
})

test('what a worker thread writes is read here, and its row can be zeroed when it died', async () => {
  const rows = 4
  const cells = layout.create(rows, { shared: true })
  const worker = new Worker(
    `import { workerData } from 'node:worker_threads'
     const { layoutOf } = await import(workerData.module)
     const cells = layoutOf({ inFlight: 'i32', latencyUs: 'f64', requests: 'u32' }).attach(workerData.buffer, ${rows})
     cells.at.inFlight[2] = 5
     cells.at.latencyUs[2] = 1.25
     process.exit(1)`,
    { eval: true, workerData: { buffer: cells.buffer, module: new URL('./cells.ts', import.meta.url).href } },
  )
  await new Promise(resolve => worker.once('exit', resolve))
  assert.deepEqual([...cells.at.inFlight, ...cells.at.latencyUs], [0, 0, 5, 0, 0, 0, 1.25, 0])
  cells.zero(2)
  assert.equal(
    cells.at.inFlight.reduce((sum, value) => sum + value, 0),
    0,
  )
})

test('memory that is too small for the rows is a fault', () => {
  assert.throws(() => layout.attach(new ArrayBuffer(layout.bytes(2)), 3), /3 rows do not fit/)
})
