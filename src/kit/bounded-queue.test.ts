// Against a plain array as the model.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundedQueue } from './bounded-queue.ts'

type Step = { do: 'push'; item: number } | { do: 'shift' } | { do: 'remove'; item: number } | { do: 'drain' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('push' as const), item: fc.integer({ min: 0, max: 20 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('shift' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('remove' as const), item: fc.integer({ min: 0, max: 20 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const) }) },
)

test('any run of steps leaves the queue as a plain array with a limit would be', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60 }), fc.array(step, { maxLength: 200 }), (limit, steps) => {
      const queue = boundedQueue<number>(limit)
      const model: number[] = []
      for (const one of steps) {
        if (one.do === 'push') {
          const fits = model.length < limit
          if (fits) model.push(one.item)
          assert.equal(queue.push(one.item), fits)
        } else if (one.do === 'shift') assert.equal(queue.shift(), model.shift())
        else if (one.do === 'remove') {
          const at = model.indexOf(one.item)
          if (at >= 0) model.splice(at, 1)
          assert.equal(queue.remove(one.item), at >= 0)
        } else assert.deepEqual(queue.drain(), model.splice(0))
        assert.deepEqual(
          [queue.length, queue.peek(), queue.full],
          [model.length, model[0], model.length >= limit],
        )
      }
    }),
  )
})

test('a full queue says so, keeps what it has and takes again once there is room', () => {
  const queue = boundedQueue<string>(2)
  assert.deepEqual([queue.push('a'), queue.push('b'), queue.push('c')], [true, true, false])
  assert.equal(queue.shift(), 'a')
  assert.equal(queue.push('d'), true)
  assert.deepEqual(queue.drain(), ['b', 'd'])
})

test('a limit that is no whole number is a fault', () => {
  assert.throws(() => boundedQueue(1.5), /not a whole number/)
  assert.throws(() => boundedQueue(-1), /not a whole number/)
})
