import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { isSampled } from './sampling.ts'

const digits = (value: number): string => value.toString(16).padStart(8, '0')

test('what a trusted parent said is obeyed, whatever the share', () => {
  const id = 'f'.repeat(32)
  assert.equal(isSampled(false, id, 1), false)
  assert.equal(isSampled(true, `${'0'.repeat(31)}1`, 0), true)
})

test('a share of 0 takes none, of 1 all', () => {
  for (const middle of ['00000000', '80000000', 'ffffffff']) {
    const id = `${'a'.repeat(18)}${middle}${'b'.repeat(6)}`
    assert.equal(isSampled(null, id, 0), false)
    assert.equal(isSampled(null, id, 1), true)
  }
})

test('about the share is taken, and who samples less takes a part of the same traces', () => {
  const seed = 7
  const random = seededRandom(seed)
  const ids = Array.from(
    { length: 20_000 },
    () =>
      digits(random.uint32()) + digits(random.uint32()) + digits(random.uint32()) + digits(random.uint32()),
  )
  const taken = (share: number): Set<string> => new Set(ids.filter(id => isSampled(null, id, share)))
  const tenth = taken(0.1)
  const half = taken(0.5)
  assert.ok(Math.abs(tenth.size - 2_000) < 200, `seed ${seed}: ${tenth.size}`)
  assert.ok(Math.abs(half.size - 10_000) < 400, `seed ${seed}: ${half.size}`)
  assert.ok([...tenth].every(id => half.has(id)))
})
