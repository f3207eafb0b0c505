// What is measured: quantiles, averages over time, intervals that hold the truth as often as they say.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { Engine } from './engine.ts'
import { BatchedValues, bucketOf, estimate, Sketch, TimeAverage, trend } from './statistics.ts'

test('buckets rise with values, and a quantile is within 0.8 % of what was counted', () => {
  let last = -1
  for (let value = 0; value < 5_000; value++) {
    assert.ok(bucketOf(value) >= last)
    last = bucketOf(value)
  }
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 2 ** 45 }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const sketch = new Sketch()
        for (const value of values) sketch.add(value)
        const sorted = values.toSorted((a, b) => a - b)
        const rank = Math.min(values.length - 1, Math.max(0, Math.ceil(q * values.length) - 1))
        const exact = sorted[rank]!
        assert.ok(
          Math.abs(sketch.quantile(q) - exact) <= exact * 0.0079 + 1,
          `${sketch.quantile(q)} of ${exact}`,
        )
        assert.equal(sketch.max, sorted.at(-1))
      },
    ),
    { numRuns: 300 },
  )
})

test('a level over time is its integral, batch by batch, whatever steps it takes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ gap: fc.integer({ min: 0, max: 900 }), level: fc.integer({ min: 0, max: 9 }) }), {
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 7 }),
      (steps, batches) => {
        const [from, to] = [1_000, 8_000]
        const average = new TimeAverage(from, to, batches)
        const levels = new Float64Array(to)
        let now = 0
        let level = 0
        for (const step of steps) {
          const next = now + step.gap
          levels.fill(level, Math.min(now, to), Math.min(next, to))
          now = next
          level = step.level
          average.set(now, level)
        }
        levels.fill(level, Math.min(now, to))
        const seen = average.means(Math.max(now, to))
        for (let batch = 0; batch < batches; batch++) {
          const low = from + ((to - from) * batch) / batches
          const high = from + ((to - from) * (batch + 1)) / batches
          let sum = 0
          for (let at = Math.floor(low); at < high; at++)
            sum += levels[at]! * (Math.min(at + 1, high) - Math.max(at, low))
          assert.ok(
            Math.abs(seen[batch]! - sum / (high - low)) < 1e-6,
            `batch ${batch}: ${seen[batch]} ${sum / (high - low)}`,
          )
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('a level that never changes is the same in every batch, whatever the window', () => {
  for (const [from, to, batches] of [
    [500_000, 5_500_000, 30],
    [0, 7, 3],
    [6_000_000, 66_000_001, 30],
    [1, 1_000_003, 29],
  ] as const) {
    const average = new TimeAverage(from, to, batches)
    average.set(0, 4)
    for (const mean of average.means(to))
      assert.ok(Math.abs(mean - 4) < 1e-6, `${from} to ${to}: ${average.means(to)}`)
  }
})

test('95 % intervals of a queue hold its mean in about 95 of 100 runs', () => {
  const runs = 200
  let held = 0
  for (let seed = 1; seed <= runs; seed++) {
    const engine = new Engine({ seed })
    const [gaps, works] = [engine.stream('gaps'), engine.stream('works')]
    const until = 4_000_000
    const values = new BatchedValues(until / 20, until, 30)
    // Lindley's recursion: M/M/1 at load 0.5 with a mean service of 1,000; its mean time is 2,000.
    let wait = 0
    for (let at = 0; at < until; ) {
      const work = works.exponential() * 1_000
      values.add(at, wait + work)
      const gap = gaps.exponential() * 2_000
      wait = Math.max(0, wait + work - gap)
      at += gap
    }
    const { value, halfWidth } = values.mean()
    if (Math.abs(value - 2_000) <= (halfWidth ?? 0)) held++
  }
  assert.ok(held >= runs * 0.89 && held <= runs, `${held} of ${runs}`)
})

test('no interval without enough; none for a quantile that too few values lie beyond', () => {
  assert.equal(estimate(5, [1, 2, 3]).halfWidth, null)
  assert.equal(estimate(5, [5, 5, 5, 5, 5]).halfWidth, 0)
  const values = new BatchedValues(0, 1_000, 10)
  for (let at = 0; at < 1_000; at++) values.add(at, at)
  assert.notEqual(values.quantile(0.5).halfWidth, null)
  assert.equal(values.quantile(0.99).halfWidth, null)
})

test('a rise is told from chance', () => {
  assert.ok(trend(Array.from({ length: 30 }, (_, at) => at + ((at * 7) % 5))) > 5)
  assert.ok(Math.abs(trend(Array.from({ length: 30 }, (_, at) => (at * 7_919) % 31))) < 2)
})
