import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyPace } from './body-pace.ts'

const second = 1_000_000

test('a body is slow when it comes with less than 240 bytes a second after the grace, and not before', () => {
  const pace = new BodyPace(10 * second)
  pace.reads(0)
  assert.equal(pace.isSlow(10 * second, 0), false, 'within the grace')
  assert.equal(pace.isSlow(11 * second, 240 * 11), false)
  assert.equal(pace.isSlow(11 * second, 240 * 11 - 1), true)
})

test('time in which nobody reads is not the client’s', () => {
  const pace = new BodyPace(second)
  pace.reads(0)
  pace.waits(second)
  assert.equal(pace.isSlow(1_000 * second, 1), false)
  pace.waits(1_000 * second)
  pace.reads(1_000 * second)
  pace.reads(1_001 * second)
  assert.equal(pace.isSlow(1_001 * second, 479), true, 'two seconds of reading')
  assert.equal(pace.isSlow(1_001 * second, 480), false)
})
