import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineFailures, assert as demand, Failure, Fault } from './failure.ts'

const failures = defineFailures('depot', {
  doorLocked: { when: 'The door is locked.', advice: 'Bring the key.', status: 503, retry: true },
  roofGone: { when: 'The roof is gone.', advice: 'Build one.' },
})

test('a catalogue gives each failure its code, and careful defaults', () => {
  assert.deepEqual(failures.doorLocked, {
    code: 'DEPOT_DOOR_LOCKED',
    when: 'The door is locked.',
    advice: 'Bring the key.',
    status: 503,
    retry: true,
  })
  assert.equal(failures.roofGone.code, 'DEPOT_ROOF_GONE')
  assert.deepEqual([failures.roofGone.status, failures.roofGone.retry], [500, false])
})

test('a failure keeps its sentence, details and cause', () => {
  const cause = new Error('EACCES')
  const failure = new Failure(failures.doorLocked, 'the door "north" is locked', {
    details: { door: 'north' },
    cause,
  })
  assert.ok(failure instanceof Error)
  assert.deepEqual(
    [failure.code, failure.message, failure.cause],
    ['DEPOT_DOOR_LOCKED', 'the door "north" is locked', cause],
  )
  assert.deepEqual(failure.details, { door: 'north' })
  assert.equal('cause' in new Failure(failures.roofGone, 'no roof'), false)
})

test('a broken assumption is a fault, never a failure', () => {
  assert.throws(
    () => demand(0, 'zero is not enough'),
    error => error instanceof Fault && !(error instanceof Failure) && error.message === 'zero is not enough',
  )
  demand(1, 'never thrown')
})
