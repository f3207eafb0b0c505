import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOf, forgettable, type PreparedPart, planRecovery, recoveryBounds } from './recover.ts'

const shards = new Set(['1', '2', '3'])
const part: PreparedPart = {
  gid: 'tenfold:s:1:u:2',
  ageMs: 10_000,
  name: { shard: '2', decider: '1' },
  underWay: false,
}
const plan = (change: Partial<PreparedPart>, open: readonly string[] = ['1', '2'], foundOn = '2') =>
  planRecovery({ ...part, ...change }, { foundOn, open: new Set(open), shards }, recoveryBounds)

test('an old part is resolved by its decider', () => {
  assert.deepEqual(plan({}), { kind: 'resolve', decider: '1', alert: false })
  assert.deepEqual(plan({ ageMs: 61_000 }), { kind: 'resolve', decider: '1', alert: true })
})

test('what is not ours, young, or at work here is left alone; what is at work for a minute is not', () => {
  assert.deepEqual(plan({ name: null, ageMs: 1e9 }), { kind: 'leave', why: 'not ours' })
  assert.deepEqual(plan({ ageMs: 4_999 }), { kind: 'leave', why: 'young' })
  assert.deepEqual(plan({ underWay: true }), { kind: 'leave', why: 'under way' })
  assert.equal(plan({ underWay: true, ageMs: 60_000 }).kind, 'resolve')
})

test('nothing is done without the decider, nor on a shard that it was not prepared for', () => {
  assert.deepEqual(plan({}, ['2', '3']), {
    kind: 'wait',
    why: 'its decider, shard 1, does not answer',
    alert: false,
  })
  assert.equal(plan({ name: { shard: '2', decider: '9' } }).kind, 'wait')
  assert.equal(plan({ ageMs: 60_000 }, ['1', '3'], '3').kind, 'wait')
})

test('only an outcome ends a part', () => {
  assert.equal(endOf('g', 'commit'), "COMMIT PREPARED 'g'")
  assert.equal(endOf('g', 'abort'), "ROLLBACK PREPARED 'g'")
  assert.equal(endOf('g', null), null)
})

test('a decision is forgotten only when all shards were looked through and none has a part of it', () => {
  assert.deepEqual(forgettable(['a', 'b'], new Set(['b']), shards, shards), ['a'])
  assert.deepEqual(forgettable(['a', 'b'], new Set(), new Set(['1', '2']), shards), [])
})
