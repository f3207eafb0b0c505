import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { afterExit, newRestartState, type RestartState } from './restart.ts'

const settings = { backoffBaseMs: 100, backoffMaxMs: 10_000, exitsMax: 5, windowMs: 60_000 }
const second = 1_000_000

test('waits double from half the base at least to the maximum', () => {
  const random = seededRandom(83)
  let state: RestartState = newRestartState
  const patient = { ...settings, exitsMax: 1_000 }
  for (let n = 0; n < 12; n++) {
    const [next, plan] = afterExit(state, n * second, 0, patient, random)
    assert.equal(plan.kind, 'restart')
    const ceiling = Math.min(10_000_000, 100_000 * 2 ** n)
    const wait = plan.kind === 'restart' ? plan.afterUs : -1
    assert.ok(wait >= ceiling / 2 && wait <= ceiling, `exit ${n + 1}: ${wait}`)
    state = next
  }
})

test('more exits than allowed in the window and it is given up, in words', () => {
  const random = seededRandom(1)
  let state: RestartState = newRestartState
  const kinds: string[] = []
  for (let n = 0; n < 6; n++) {
    const [next, plan] = afterExit(state, n * 2 * second, 0, settings, random)
    state = next
    kinds.push(plan.kind)
    if (n === 5)
      assert.equal(
        plan.why,
        'failed: 6 exits in 10 s (5 in 1 min allowed); not started again until it is restarted by hand',
      )
  }
  assert.deepEqual(kinds, ['restart', 'restart', 'restart', 'restart', 'restart', 'failed'])
})

test('exits that left the window no longer count', () => {
  const random = seededRandom(1)
  let state: RestartState = newRestartState
  for (let n = 0; n < 200; n++) {
    const [next, plan] = afterExit(state, n * 12 * second, 0, settings, random)
    assert.equal(plan.kind, 'restart', `exit ${n}`)
    assert.ok(next.exitsUs.length <= settings.exitsMax + 1)
    state = next
  }
})

test('a healthy stretch longer than the longest back-off starts the waits anew', () => {
  const random = seededRandom(1)
  let state: RestartState = newRestartState
  for (let n = 0; n < 4; n++) [state] = afterExit(state, n * second, 0, settings, random)
  const [short] = afterExit(state, 20 * second, 10 * second, settings, random)
  assert.equal(short.streak, 5)
  const [long, plan] = afterExit(state, 20 * second, 10 * second + 1, settings, random)
  assert.equal(long.streak, 1)
  assert.match(plan.why, /^first exit: again in \d+ ms$/)
})

test('with no exit allowed the first one is final', () => {
  const [, plan] = afterExit(newRestartState, 0, 0, { ...settings, exitsMax: 0 }, seededRandom(1))
  assert.equal(plan.kind, 'failed')
})
