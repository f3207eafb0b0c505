// The engine against a naive list: order, cancelling, bounds, repeatability.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { Engine, Priority } from './engine.ts'
import { EventHeap } from './heap.ts'

interface Planned {
  readonly time: number
  readonly priority: number
  readonly number: number
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      gap: fc.integer({ min: 0, max: 20 }),
      priority: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('take' as const), ahead: fc.integer({ min: 0, max: 10 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), at: fc.nat() }) },
)

test('whatever is added, cancelled and taken: events come by time, then priority, then in the order in which they were added', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), steps => {
      const heap = new EventHeap(10_000)
      let naive: Planned[] = []
      const ids: { id: number; number: number }[] = []
      let now = 0
      let number = 0
      for (const one of steps) {
        if (one.kind === 'add') {
          assert.ok(heap.add(now + one.gap, one.priority, number, number * 3, number * 7))
          naive.push({ time: now + one.gap, priority: one.priority, number })
          ids.push({ id: heap.lastId, number: number++ })
        } else if (one.kind === 'cancel' && ids.length > 0) {
          const { id, number: which } = ids[one.at % ids.length]!
          const isThere = naive.some(planned => planned.number === which)
          assert.equal(heap.cancel(id), isThere)
          naive = naive.filter(planned => planned.number !== which)
        } else if (one.kind === 'take') {
          const until = now + one.ahead
          naive.sort((a, b) => a.time - b.time || a.priority - b.priority || a.number - b.number)
          const first = naive[0]
          if (first === undefined || first.time > until) assert.equal(heap.take(until), false)
          else {
            assert.equal(heap.take(until), true)
            assert.deepEqual(
              [heap.time, heap.code, heap.first, heap.second],
              [first.time, first.number, first.number * 3, first.number * 7],
            )
            now = first.time
            naive.shift()
          }
        }
        assert.equal(heap.pending, naive.length)
      }
    }),
    { numRuns: 300 },
  )
})

test('most of many events cancelled: the rest still comes in order, and takes no more room', () => {
  const heap = new EventHeap(200_000)
  const ids: number[] = []
  for (let at = 0; at < 100_000; at++) {
    heap.add((at * 7_919) % 100_003, 2, at, 0, 0)
    ids.push(heap.lastId)
  }
  for (const [at, id] of ids.entries()) if (at % 10 !== 0) assert.ok(heap.cancel(id))
  assert.equal(heap.pending, 10_000)
  let last = -1
  let taken = 0
  while (heap.take(Number.MAX_SAFE_INTEGER)) {
    assert.ok(heap.time >= last)
    last = heap.time
    taken++
  }
  assert.equal(taken, 10_000)
})

test('a million events may be pending; one more than the bound is refused', () => {
  const heap = new EventHeap(1_000_000)
  for (let at = 0; at < 1_000_000; at++) assert.ok(heap.add((at * 104_729) % 1_000_003, 1, at, 0, 0))
  let last = -1
  for (let at = 0; at < 1_000_000; at++) {
    assert.ok(heap.take(Number.MAX_SAFE_INTEGER))
    assert.ok(heap.time >= last)
    last = heap.time
  }
  const small = new EventHeap(3)
  for (let at = 0; at < 4; at++) small.add(at, 1, 0, 0, 0)
  assert.equal(small.add(9, 1, 0, 0, 0), false)
})

test('equal programs give equal hashes and draws, in whatever steps; another seed, another event or another order others', () => {
  const of = (seed: number, steps: number, extra = false): string => {
    const engine = new Engine({ seed })
    const stream = engine.stream('gaps')
    const tick = engine.on('tick', (first, second) => {
      if (engine.now < 100_000) engine.after(1 + stream.below(50), tick, first + 1, second)
    })
    engine.at(0, tick, 0, 1)
    engine.at(0, tick, 0, 2)
    if (extra)
      engine.at(
        99,
        engine.on('extra', () => {}),
      )
    while (!engine.run(200_000, steps));
    return `${engine.hash} ${engine.draws} ${engine.events}`
  }
  const first = of(1, 1_000_000)
  assert.equal(of(1, 7), first)
  assert.notEqual(of(2, 1_000_000), first)
  assert.notEqual(of(1, 1_000_000, true).split(' ')[0], first.split(' ')[0])
})

test('at one moment faults come before ends, ends before arrivals, arrivals before samples', () => {
  const engine = new Engine({ seed: 1 })
  const seen: string[] = []
  const codes = (['sample', 'normal', 'end', 'fault'] as const).map(name =>
    engine.on(name, () => void seen.push(name), Priority[name]),
  )
  for (const code of codes) engine.at(5, code)
  engine.run(10)
  assert.deepEqual(seen, ['fault', 'end', 'normal', 'sample'])
  assert.equal(engine.now, 10)
})

test('a stream that is added draws nothing from the others', () => {
  const draws = (others: readonly string[]): number[] => {
    const engine = new Engine({ seed: 3 })
    for (const name of others) engine.stream(name).uint32()
    const stream = engine.stream('mine')
    return Array.from({ length: 20 }, () => stream.uint32())
  }
  assert.deepEqual(draws(['a', 'b', 'c']), draws([]))
  const [a, b] = [new Engine({ seed: 1 }).stream('a'), new Engine({ seed: 1 }).stream('b')]
  assert.notDeepEqual([a.uint32(), a.uint32()], [b.uint32(), b.uint32()])
})

test('an event in the past, at no time, or under a name that is taken is a fault', () => {
  const engine = new Engine({ seed: 1 })
  const code = engine.on('one', () => {})
  engine.at(10, code)
  engine.run(10)
  for (const time of [9, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => engine.at(time, code), /planned for/)
  assert.throws(() => engine.on('one', () => {}), /two handlers/)
})
