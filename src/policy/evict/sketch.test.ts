import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { Memory } from './memory.ts'
import { Sketch } from './sketch.ts'

function sketch(keys: number): Sketch {
  const measure = new Memory(null)
  new Sketch(measure, keys)
  return new Sketch(new Memory(new ArrayBuffer(measure.bytes)), keys)
}

test('a count is never too little below its ceiling of 15, and seldom too much', () => {
  const [keys, random] = [1000, seededRandom(3)]
  const [counts, seen] = [sketch(keys), new Map<number, number>()]
  for (let i = 0; i < keys * 5; i++) {
    const hash = Math.min(random.below(keys), random.below(keys))
    counts.add(hash)
    seen.set(hash, (seen.get(hash) ?? 0) + 1)
  }
  let tooMuch = 0
  for (const [hash, times] of seen) {
    assert.ok(counts.count(hash) >= Math.min(15, times), `${hash}: ${counts.count(hash)} of ${times}`)
    if (counts.count(hash) > Math.min(15, times)) tooMuch++
  }
  assert.ok(tooMuch < seen.size / 20, `${tooMuch} of ${seen.size} are counted too high`)
})

test('every counter stops at 15 and disturbs no neighbour', () => {
  const one = sketch(8)
  for (let i = 0; i < 1000; i++) one.add(5)
  assert.equal(one.count(5), 15)
  const others = Array.from({ length: 200 }, (_, hash) => hash).filter(hash => hash !== 5)
  assert.ok(others.filter(hash => one.count(hash) > 0).length < 5)
})

test('to halve rounds every count down', () => {
  const one = sketch(64)
  for (let hash = 0; hash < 20; hash++) for (let times = 0; times < hash; times++) one.add(hash)
  const before = Array.from({ length: 20 }, (_, hash) => one.count(hash))
  one.halve()
  for (const [hash, count] of before.entries()) assert.equal(one.count(hash), count >> 1)
  for (let i = 0; i < 4; i++) one.halve()
  for (const hash of before.keys()) assert.equal(one.count(hash), 0)
})
