import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { Ghosts } from './ghost.ts'
import { Memory } from './memory.ts'

const seedOfRun = Number(process.env.TENFOLD_SEED ?? Date.now() % 2 ** 31)

function ghosts(entriesMax: number): Ghosts {
  const measure = new Memory(null)
  new Ghosts(measure, entriesMax)
  return new Ghosts(new Memory(new ArrayBuffer(measure.bytes)), entriesMax)
}

test('ghosts equal a naive queue, bounded in entries and in size', t => {
  t.diagnostic(`TENFOLD_SEED=${seedOfRun}`)
  const random = seededRandom(seedOfRun)
  for (const [entriesMax, sizeMax] of [
    [1, 100],
    [7, 1000],
    [50, 120],
  ] as const) {
    const [queue, naive] = [ghosts(entriesMax), [] as { hash: number; size: number }[]]
    for (let step = 0; step < 5000; step++) {
      const hash = random.below(100) * 64
      const [at, size] = [naive.findIndex(one => one.hash === hash), 1 + random.below(40)]
      if (random.below(3) === 0) {
        assert.equal(queue.take(hash), at >= 0)
        if (at >= 0) naive.splice(at, 1)
      } else {
        assert.notEqual(queue.add(hash, size, sizeMax), 0)
        if (at < 0) naive.push({ hash, size })
        const total = (): number => naive.reduce((sum, one) => sum + one.size, 0)
        while (naive.length > entriesMax || total() > sizeMax) naive.shift()
      }
      assert.equal(queue.count, naive.length)
      assert.equal(
        queue.find(hash) !== 0,
        naive.some(one => one.hash === hash),
      )
    }
  }
})

test('a ghost larger than all that may be kept pushes nobody out', () => {
  const queue = ghosts(4)
  queue.add(1, 10, 20)
  assert.equal(queue.add(2, 21, 20), 0)
  assert.notEqual(queue.find(1), 0)
})

test('one that is there keeps its place and its size', () => {
  const queue = ghosts(2)
  for (const hash of [1, 2, 1]) queue.add(hash, 5, 100)
  assert.deepEqual([queue.count, queue.size], [2, 10])
  queue.add(3, 5, 100)
  assert.equal(queue.find(1), 0)
})

test('no room for ghosts means none', () => {
  const queue = ghosts(0)
  assert.equal(queue.add(1, 1, 10), 0)
  assert.equal(queue.take(1), false)
})
