import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { backoffCeilingUs, backoffUs } from './backoff.ts'

test('the ceiling doubles from the base to the maximum', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 9].map(n => backoffCeilingUs(n, 100, 1_000)),
    [100_000, 200_000, 400_000, 800_000, 1_000_000, 1_000_000],
  )
})

test('a huge attempt number and a base of nothing stay finite', () => {
  assert.equal(backoffCeilingUs(5_000, 100, 30_000), 30_000_000)
  assert.equal(backoffCeilingUs(5_000, 0, 30_000), 0)
  assert.equal(backoffCeilingUs(-1, 100, 30_000), 100_000)
})

test('waits are whole microseconds spread over the whole range, half of the ceiling on average', () => {
  const random = seededRandom(21)
  const waits = Array.from({ length: 20_000 }, () => backoffUs(3, 100, 5_000, random))
  const mean = waits.reduce((a, b) => a + b, 0) / waits.length
  assert.ok(waits.every(wait => Number.isInteger(wait) && wait >= 0 && wait <= 800_000))
  assert.ok(Math.abs(mean - 400_000) < 8_000, `${mean}`)
  assert.ok(Math.min(...waits) < 1_000 && Math.max(...waits) > 799_000)
})

test('the same seed gives the same waits', () => {
  const first = seededRandom(1)
  const second = seededRandom(1)
  for (let n = 0; n < 20; n++) assert.equal(backoffUs(n, 10, 9_000, first), backoffUs(n, 10, 9_000, second))
})
