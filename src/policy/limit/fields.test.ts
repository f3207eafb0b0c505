import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitItem, limitItemStart, policyItem } from './fields.ts'

test('policies are told with quota, unit and window', () => {
  assert.equal(policyItem('login', 5, 60_000, 'requests'), '"login";q=5;w=60')
  assert.equal(
    policyItem('down', 1_000_000, 1_500, 'content-bytes'),
    '"down";q=1000000;qu="content-bytes";w=2',
  )
  assert.equal(policyItem('at-once', 8, 0, 'concurrent-requests'), '"at-once";q=8;qu="concurrent-requests"')
})

test('what is left, and in how many whole seconds more will be', () => {
  const start = limitItemStart('login')
  const told = (remaining: number, retryAfterUs: number, resetAfterUs: number): string =>
    limitItem(start, { allowed: retryAfterUs === 0, remaining, retryAfterUs, resetAfterUs })
  assert.equal(told(4, 0, 11_000_001), '"login";r=4;t=12')
  assert.equal(told(0, 900_000, 60_000_000), '"login";r=0;t=1')
  assert.equal(told(0, 0, 5_000_000), '"login";r=0;t=5')
})

test('a name can not leave its quotes', () => {
  assert.equal(limitItemStart('a"b\\c\r\né'), '"a\\"b\\\\c___";r=')
})
