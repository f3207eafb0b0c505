import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { Reason, type ReasonName, reasonLabel, reasonText } from './reason.ts'

const names = Object.keys(Reason) as ReasonName[]

test('every reason has a code, a sentence and a label of its own', () => {
  assert.ok(names.length > 50)
  const renders: ((name: ReasonName) => unknown)[] = [name => Reason[name], reasonTextOf, labelOf]
  for (const render of renders) assert.equal(new Set(names.map(render)).size, names.length)
})

test('sentences leave no placeholder and no code unrendered', () => {
  for (const name of names) assert.doesNotMatch(reasonTextOf(name), /[{}]|NaN|undefined|^reason/)
})

test('numbers are rendered as counts, durations and shares', () => {
  assert.equal(reasonText(Reason.consecutiveFailures, 5), 'ejected: 5 failures in a row')
  assert.equal(reasonText(Reason.failureShare, 0.526, 38), 'ejected: 53 % of 38 requests failed')
  assert.equal(
    reasonText(Reason.latencyOutlier, 1_520_000, 12_000),
    'ejected: latency 1.5 s, median of the group 12 ms',
  )
  assert.equal(reasonText(Reason.panic, 2, 5), 'panic: 2 of 5 healthy')
})

test('a code from another build is named by its number', () => {
  assert.equal(reasonText(9_999), 'reason 9999')
  assert.equal(reasonLabel(9_999), 'code-9999')
})

test('labels are kebab case', () => {
  for (const name of names) assert.match(labelOf(name), /^[a-z]+(-[a-z]+)*$/)
})

function reasonTextOf(name: ReasonName): string {
  return reasonText(Reason[name], 2, 5)
}

function labelOf(name: ReasonName): string {
  return reasonLabel(Reason[name])
}
