import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate, type Functions } from './expression.ts'

const functions: Functions = {
  max: (...values) => Math.max(...values),
  none: () => ({ why: 'there is none' }),
}
const of = (text: string, values: Record<string, number> = {}): unknown =>
  evaluate(text, new Map(Object.entries(values)), functions)

test('formulas bind as people write them', () => {
  assert.equal(of('1 + 2 * 3'), 7)
  assert.equal(of('10 - 4 - 3'), 3)
  assert.equal(of('100 / 10 / 5'), 2)
  assert.equal(of('2 ^ 3 ^ 2'), 512)
  assert.equal(of('(1 + 2) * 3'), 9)
  assert.equal(of('1e6 * 2.5'), 2_500_000)
  assert.equal(of('users * per_user / day', { users: 1_000_000, per_user: 1, day: 86_400 }), 1e6 / 86_400)
  assert.equal(of('max(a, b * 2, 1)', { a: 3, b: 4 }), 8)
})

test('a formula without a finite value says so, and a function that has none is asked for its reason', () => {
  assert.deepEqual(of('1 / x', { x: 0 }), { why: '1 / x has no finite value' })
  assert.deepEqual(of('0 / x', { x: 0 }), { why: '0 / x has no finite value' })
  assert.deepEqual(of('1 + none(1)'), { why: 'there is none' })
  assert.deepEqual(of('max(none(1), 2)'), { why: 'there is none' })
})

test('a formula that is wrong is a fault of ours', () => {
  for (const text of ['', '1 +', '(1', '1 2', 'a', 'other(1)', '1 $ 2', ')'])
    assert.throws(() => of(text), /formula/, text)
})
