// Against exact quantiles of the same values, and over memory that another thread wrote.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import {
  attachHistograms,
  bucketOf,
  createHistograms,
  emptyDistribution,
  histogramBytes,
} from './histogram.ts'

const hourUs = 3_600_000_000
/** Every magnitude alike, not only the large ones. */
const magnitude = fc
  .tuple(fc.integer({ min: 0, max: 31 }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([bits, share]) => Math.min(hourUs, Math.floor(2 ** bits * (1 + share))))

function exactQuantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
}

test('a quantile is off by at most one sixty-fourth of itself, from 0 to an hour', () => {
  fc.assert(
    fc.property(
      fc.array(magnitude, { minLength: 1, maxLength: 300 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const histograms = createHistograms(1)
        for (const value of values) histograms.record(0, value)
        const exact = exactQuantile(values, q)
        const found = histograms.read([0]).quantile(q)
        assert.ok(Math.abs(found - exact) <= exact / 64 + 1e-9, `${found} for ${exact}`)
      },
    ),
  )
})

test('buckets never fall back as values grow, and the largest value has a bucket', () => {
  fc.assert(
    fc.property(magnitude, magnitude, (a, b) => {
      assert.ok(bucketOf(Math.min(a, b)) <= bucketOf(Math.max(a, b)))
    }),
  )
  for (let bits = 0; bits < 32; bits++) {
    const edge = 2 ** bits
    assert.ok(bucketOf(edge) - bucketOf(edge - 1) <= 1, `a hole below 2^${bits}`)
  }
  const histograms = createHistograms(1)
  histograms.record(0, Number.POSITIVE_INFINITY)
  assert.equal(histograms.read([0]).max, 0xffff_ffff)
  assert.equal(histograms.read([0]).count, 1)
})

test('reading several rows equals recording all values in one', () => {
  fc.assert(
    fc.property(fc.array(fc.array(magnitude, { maxLength: 50 }), { minLength: 1, maxLength: 5 }), rows => {
      const apart = createHistograms(rows.length)
      const together = createHistograms(1)
      rows.forEach((values, row) => {
        for (const value of values) {
          apart.record(row, value)
          together.record(0, value)
        }
      })
      const a = apart.read(rows.map((_, row) => row))
      const b = together.read([0])
      assert.deepEqual([a.count, a.sum, a.max], [b.count, b.sum, b.max])
      for (const q of [0, 0.5, 0.9, 0.99, 1]) assert.equal(a.quantile(q), b.quantile(q))
    }),
  )
})

test('a row does not touch its neighbours, and zeroing empties only its own', () => {
  const histograms = createHistograms(3)
  for (const row of [0, 1, 2]) histograms.record(row, hourUs)
  histograms.zero(1)
  assert.deepEqual(
    [0, 1, 2].map(row => histograms.read([row]).count),
    [1, 0, 1],
  )
})

test('a window holds what came after it was opened', () => {
  const histograms = createHistograms(1)
  histograms.record(0, 10)
  const opened = histograms.read([0])
  for (let index = 0; index < 3; index++) histograms.record(0, 50)
  const window = histograms.read([0]).since(opened)
  assert.deepEqual([window.count, window.sum, window.quantile(0.5)], [3, 150, 50])
  assert.equal(histograms.read([0]).since(emptyDistribution).count, 4)
})

test('values up to a bound are counted', () => {
  const histograms = createHistograms(1)
  for (const value of [0, 1, 5, 63, 1_000_000]) histograms.record(0, value)
  const all = histograms.read([0])
  assert.deepEqual(
    [-1, 0, 5, 62, 63, hourUs].map(bound => all.countUpTo(bound)),
    [0, 1, 3, 3, 4, 5],
  )
})

test('an empty histogram answers zero, and strange values are counted as the nearest allowed', () => {
  const histograms = createHistograms(1)
  assert.equal(histograms.read([0]).quantile(0.99), 0)
  histograms.record(0, -5)
  histograms.record(0, Number.NaN)
  assert.deepEqual([histograms.read([0]).count, histograms.read([0]).sum], [2, 0])
})

test('what a worker thread records in shared memory is read here', async () => {
  const histograms = createHistograms(2, { shared: true })
  assert.equal(histograms.buffer.byteLength, histogramBytes(2))
  const worker = new Worker(
    `import { workerData } from 'node:worker_threads'
     const { attachHistograms } = await import(workerData.module)
     const view = attachHistograms(workerData.buffer, 2)
     for (let value = 1; value <= 1000; value++) view.record(1, value)`,
    {
      eval: true,
      workerData: { buffer: histograms.buffer, module: new URL('./histogram.ts', import.meta.url).href },
    },
  )
  await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  const read = attachHistograms(histograms.buffer, 2).read([1])
  assert.deepEqual([read.count, read.max], [1000, 1000])
  assert.ok(Math.abs(read.quantile(0.5) - 500) <= 8)
})
