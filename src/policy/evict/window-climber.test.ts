import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Memory } from './memory.ts'
import { WindowClimber } from './window-climber.ts'

const entries = 1000

function climber(): WindowClimber {
  return new WindowClimber(new Memory(new ArrayBuffer(64)), entries)
}

/** One period with this share of hits, as many requests as it takes. */
function period(one: WindowClimber, ratio: number): void {
  const requests = entries * (ratio < 0.05 ? 2 : 10)
  const hits = Math.round(requests * ratio)
  for (let i = 0; i < hits; i++) one.hit()
  for (let i = hits; i < requests; i++) one.miss()
  one.climb(entries)
}

test('the window begins at a hundredth and stays until a period is over', () => {
  const one = climber()
  assert.equal(one.window, 10)
  for (let i = 0; i < entries * 10 - 1; i++) one.hit()
  one.climb(entries)
  assert.equal(one.window, 10)
  one.hit()
  one.climb(entries)
  assert.notEqual(one.window, 10)
})

test('it climbs a hill to its top and stays near it', () => {
  const one = climber()
  for (let i = 0; i < 60; i++) period(one, 0.7 - Math.abs(one.window - 300) / 1000)
  const seen: number[] = []
  for (let i = 0; i < 20; i++) {
    period(one, 0.7 - Math.abs(one.window - 300) / 1000)
    seen.push(one.window)
  }
  assert.ok(
    seen.every(window => Math.abs(window - 300) < 80),
    `windows ${seen}`,
  )
})

test('when the hill moves, it follows with full steps', () => {
  const one = climber()
  for (let i = 0; i < 80; i++) period(one, 0.7 - Math.abs(one.window - 100) / 1000)
  for (let i = 0; i < 30; i++) period(one, 0.9 - Math.abs(one.window - 600) / 1000)
  assert.ok(Math.abs(one.window - 600) < 150, `window ${one.window}`)
})

test('where nothing is hit it sweeps from end to end, and stops where something is', () => {
  const one = climber()
  const seen: number[] = []
  for (let i = 0; i < 16; i++) {
    period(one, 0.01)
    seen.push(one.window)
  }
  assert.deepEqual([Math.min(...seen), Math.max(...seen)], [10, 800], `windows ${seen}`)
  for (let i = 0; i < 40; i++) period(one, Math.abs(one.window - 400) < 150 ? 0.5 : 0.01)
  assert.ok(Math.abs(one.window - 400) < 250, `window ${one.window}`)
})

test('a cache of one entry has a window of one', () => {
  const one = new WindowClimber(new Memory(new ArrayBuffer(64)), 1)
  for (let i = 0; i < 100; i++) one.miss()
  one.climb(1)
  assert.equal(one.window, 1)
})
