import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { admission, isRefusal, memberRoom, retryAfterSeconds } from './circuit.ts'
import { Reason } from './reason.ts'

const settings = { connectionsMax: 10, inFlightMax: 20, pendingMax: 3, pendingTimeoutMs: 2_000 }

test('a member has room up to its limits, and an idle connection needs no new one', () => {
  assert.equal(memberRoom(19, 9, 0, settings), Reason.room)
  assert.equal(memberRoom(20, 9, 0, settings), Reason.inFlightFull)
  assert.equal(memberRoom(20, 9, 4, settings), Reason.inFlightFull)
  assert.equal(memberRoom(9, 10, 0, settings), Reason.connectionsFull)
  assert.equal(memberRoom(9, 10, 1, settings), Reason.room)
})

test('a limit of 0 is none', () => {
  const open = { ...settings, connectionsMax: 0, inFlightMax: 0 }
  assert.equal(memberRoom(1e6, 1e6, 0, open), Reason.room)
})

test('without room a request waits while there is a place, then is refused', () => {
  assert.equal(admission(true, 0, settings), Reason.room)
  assert.equal(admission(true, 3, settings), Reason.room)
  assert.equal(admission(false, 0, settings), Reason.pendingWait)
  assert.equal(admission(false, 2, settings), Reason.pendingWait)
  assert.equal(admission(false, 3, settings), Reason.pendingFull)
  assert.equal(admission(false, 0, { ...settings, pendingMax: 0 }), Reason.pendingOff)
})

test('only the two refusals are refusals', () => {
  const codes = [Reason.room, Reason.pendingWait, Reason.pendingFull, Reason.pendingOff]
  assert.deepEqual(codes.map(isRefusal), [false, false, true, true])
})

test('Retry-After is whole seconds from 1 to 60, spread', () => {
  const random = seededRandom(79)
  for (const pendingTimeoutMs of [0, 1, 2_000, 30_000, 9_000_000]) {
    const seen = new Set<number>()
    for (let n = 0; n < 300; n++) seen.add(retryAfterSeconds({ ...settings, pendingTimeoutMs }, random))
    for (const seconds of seen) assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60)
    assert.ok(seen.size > 1)
  }
})
