import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lockModesConflict } from './lock-modes.ts'

const all = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
]

test('conflicts go both ways; the strongest mode conflicts with all, the weakest with that one only', () => {
  for (const one of all)
    for (const other of all) assert.equal(lockModesConflict(one, other), lockModesConflict(other, one))
  assert.deepEqual(
    all.filter(one => lockModesConflict('AccessShareLock', one)),
    ['AccessExclusiveLock'],
  )
  assert.equal(all.filter(one => lockModesConflict('AccessExclusiveLock', one)).length, all.length)
})

test('writers go beside writers; a row is waited for by ShareLock on its transaction', () => {
  assert.equal(lockModesConflict('RowExclusiveLock', 'RowExclusiveLock'), false)
  assert.equal(lockModesConflict('ShareLock', 'ShareLock'), false)
  assert.equal(lockModesConflict('ShareLock', 'ExclusiveLock'), true)
})

test('nobody waits for a predicate lock; a mode that nobody knows counts', () => {
  assert.equal(lockModesConflict('AccessExclusiveLock', 'SIReadLock'), false)
  assert.equal(lockModesConflict('ShareLock', 'NewLock'), true)
})
