import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deadlockVictims, type ShardWait } from './deadlock.ts'

const wait = (shard: string, waiter: string, blocker: string): ShardWait => ({ shard, waiter, blocker })
const ages = (names: Readonly<Record<string, number>>) =>
  new Map(Object.entries(names).map(([name, age]) => [name, { began: age, committing: false }]))
const began = ages({ a: 1, b: 2, c: 3, x: 4, y: 5 })

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

test('who commits gives way only where nobody else can; who can not at all is left alone', () => {
  const waits = [wait('1', 'a', 'b'), wait('2', 'b', 'a')]
  const committing = (names: string) =>
    new Map([...began].map(([name, one]) => [name, { ...one, committing: names.includes(name) }]))
  assert.equal(deadlockVictims(waits, committing('b'))[0]?.client, 'a')
  assert.equal(deadlockVictims(waits, committing('ab'))[0]?.client, 'b')
  assert.equal(deadlockVictims(waits, ages({ a: 1 }))[0]?.client, 'a')
  assert.deepEqual(deadlockVictims(waits, new Map()), [])
})

test('a cycle in which nobody can give way hides no other one', () => {
  const waits = [wait('1', 'p', 'q'), wait('2', 'q', 'p'), wait('1', 'q', 'x'), wait('2', 'x', 'q')]
  assert.deepEqual(
    deadlockVictims(waits, began).map(one => one.client),
    ['x'],
  )
})

const client = fc.integer({ min: 0, max: 8 }).map(String)
const manyWaits = fc.array(fc.record({ shard: fc.constantFrom('1', '2'), waiter: client, blocker: client }), {
  maxLength: 30,
})

test('in whatever order waits come, whoever looks chooses the same clients, also among equally old ones', () => {
  fc.assert(
    fc.property(
      manyWaits.chain(list =>
        fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
      ),
      fc.array(fc.record({ began: fc.integer({ min: 0, max: 2 }), committing: fc.boolean() }), {
        minLength: 9,
        maxLength: 9,
      }),
      ([one, other], list) => {
        const yielding = new Map(list.map((age, at) => [String(at), age]))
        assert.deepEqual(deadlockVictims(one, yielding), deadlockVictims(other, yielding))
      },
    ),
  )
})

test('without the victims there is no cycle, and each victim is the youngest of one, for any waits', () => {
  fc.assert(
    fc.property(manyWaits, list => {
      const young = new Map(
        Array.from({ length: 9 }, (_, began) => [String(began), { began, committing: false }]),
      )
      const victims = deadlockVictims(list, young)
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
