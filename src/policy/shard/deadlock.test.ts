import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deadlockVictims, type ShardWait } from './deadlock.ts'

const wait = (shard: string, waiter: string, blocker: string): ShardWait => ({ shard, waiter, blocker })
const began = new Map([
  ['a', 1],
  ['b', 2],
  ['c', 3],
])

test('two clients that wait for each other on two shards: the younger gives way', () => {
  const waits = [wait('1', 'a', 'b'), wait('2', 'b', 'a')]
  assert.deepEqual(deadlockVictims(waits, began), [{ client: 'b', shards: ['2'], cycle: ['a', 'b'] }])
})

test('waits without a cycle have no victim, nor has a client that waits for itself', () => {
  assert.deepEqual(
    deadlockVictims([wait('1', 'a', 'b'), wait('2', 'b', 'c'), wait('1', 'a', 'c')], began),
    [],
  )
  assert.deepEqual(deadlockVictims([wait('1', 'a', 'a')], began), [])
})

test('one victim may end two cycles; two cycles apart need two', () => {
  const both = [wait('1', 'a', 'c'), wait('2', 'c', 'a'), wait('1', 'b', 'c'), wait('2', 'c', 'b')]
  assert.deepEqual(
    deadlockVictims(both, began).map(one => one.client),
    ['c'],
  )
  const apart = [wait('1', 'a', 'b'), wait('2', 'b', 'a'), wait('1', 'x', 'y'), wait('2', 'y', 'x')]
  assert.equal(deadlockVictims(apart, began).length, 2)
})

test('without the victims there is no cycle, and each victim is the youngest of one, for any waits', () => {
  const client = fc.integer({ min: 0, max: 8 }).map(String)
  const waits = fc.array(fc.record({ shard: fc.constantFrom('1', '2'), waiter: client, blocker: client }), {
    maxLength: 30,
  })
  fc.assert(
    fc.property(waits, list => {
      const ages = new Map(Array.from({ length: 9 }, (_, age) => [String(age), age]))
      const victims = deadlockVictims(list, ages)
      for (const { client: victim, cycle } of victims)
        assert.equal(victim, String(Math.max(...cycle.map(Number))))
      const gone = new Set(victims.map(one => one.client))
      let left = list.filter(
        one => one.waiter !== one.blocker && !gone.has(one.waiter) && !gone.has(one.blocker),
      )
      // Who waits for nobody that waits is taken away; a cycle would be left.
      for (let before = -1; before !== left.length; ) {
        before = left.length
        const waiters = new Set(left.map(one => one.waiter))
        left = left.filter(one => waiters.has(one.blocker))
      }
      assert.deepEqual(left, [])
    }),
  )
})
