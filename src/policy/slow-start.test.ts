import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { warmth, warmthMin } from './slow-start.ts'

test('without a window every member is warm', () => {
  assert.equal(warmth(100, 100, 0), 1)
})

test('warmth begins at a tenth, grows with time and ends at one', () => {
  assert.equal(warmth(0, 0, 10_000), warmthMin)
  assert.equal(warmth(0, 1_000_000, 10_000), warmthMin)
  assert.equal(warmth(0, 5_000_000, 10_000), 0.5)
  assert.equal(warmth(0, 10_000_000, 10_000), 1)
  assert.equal(warmth(0, 99_000_000, 10_000), 1)
})

test('a moment before the start counts as the start', () => {
  assert.equal(warmth(5_000, 0, 10_000), warmthMin)
})
