import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock, MS, SECOND, systemClock } from './clock.ts'

test('the system clock gives whole microseconds, and its monotonic time never falls', () => {
  let last = systemClock.monotonic()
  for (let index = 0; index < 10_000; index++) {
    const now = systemClock.monotonic()
    assert.ok(Number.isSafeInteger(now) && now >= last)
    last = now
  }
  assert.ok(Number.isSafeInteger(systemClock.wall()))
  const year = new Date(systemClock.wall() / 1000).getUTCFullYear()
  assert.ok(year >= 2024 && year < 2200, `wall time is in microseconds since 1970, not in the year ${year}`)
})

test('a fake clock moves only when told, both times together, in whole microseconds', () => {
  const clock = fakeClock(5 * SECOND)
  assert.deepEqual([clock.monotonic(), clock.wall()], [0, 5 * SECOND])
  clock.advance(2 * MS + 0.4)
  assert.deepEqual([clock.monotonic(), clock.wall()], [2000, 5 * SECOND + 2000])
})
